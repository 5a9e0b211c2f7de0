"""Signals of recordings: power spectral density, lines, autocorrelation, whiteness."""

from sciml.signal import correlation, lines, psd

__all__ = ["correlation", "lines", "psd"]
