"""Sections on the spectra of nets."""
