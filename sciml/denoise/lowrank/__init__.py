"""Whole recordings: components above the noise floor, each shrunk by how far it can be trusted."""

from sciml.denoise.lowrank.denoising import denoise, linear_denoiser
from sciml.denoise.lowrank.linear_denoiser import LinearDenoiser

__all__ = ["LinearDenoiser", "denoise", "linear_denoiser"]


def __dir__() -> list[str]:
    return sorted(__all__)
