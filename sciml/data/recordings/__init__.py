"""Recordings of several files, trials or units brought together as one, before windows are cut from it."""
