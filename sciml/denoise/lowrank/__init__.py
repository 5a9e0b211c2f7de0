"""Whole recordings: components above the noise floor, each shrunk by how far it can be trusted."""

from sciml.denoise.lowrank.denoising import denoise, projector
from sciml.denoise.lowrank.linear_denoiser import Projector
from sciml.denoise.lowrank.weights import Shrinkage

__all__ = ["Projector", "Shrinkage", "denoise", "projector"]
