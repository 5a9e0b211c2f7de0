"""Nets with each layer replaced by its part above the noise floor, and what that costs on held-out data."""

from sciml.spectra.truncation.result import TruncatedLayer, Truncation
from sciml.spectra.truncation.thin import Thin
from sciml.spectra.truncation.truncate import truncate

__all__ = ["Thin", "TruncatedLayer", "Truncation", "truncate"]
