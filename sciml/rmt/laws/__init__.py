"""Limit laws of random-matrix spectra: Marchenko-Pastur and semicircle for the bulk, Tracy-Widom for its edge.

Each law of a bulk has `support`, `pdf`, `cdf`, `sf`, `ppf`, `median` and `stieltjes`. `free` adds and multiplies
spectra of matrices in general position.
"""

from sciml.rmt.laws import free
from sciml.rmt.laws.free import SemicircleSum
from sciml.rmt.laws.generalized import GeneralizedMarchenkoPastur
from sciml.rmt.laws.high_temperature import HighTemperature
from sciml.rmt.laws.marchenko_pastur import MarchenkoPastur
from sciml.rmt.laws.semicircle import Semicircle
from sciml.rmt.laws.tracy_widom import TracyWidom

__all__ = [
    "GeneralizedMarchenkoPastur",
    "HighTemperature",
    "MarchenkoPastur",
    "Semicircle",
    "SemicircleSum",
    "TracyWidom",
    "free",
]
