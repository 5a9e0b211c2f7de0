"""Signals of recordings: spectra, autocorrelation, whiteness."""

from sciml.signal import correlation, spectra

__all__ = ["correlation", "spectra"]
