"""Noise that channels share because they are neighbors: its correlation, and how to take it out."""
