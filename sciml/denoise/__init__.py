"""Remove what the noise floor says is noise."""

from sciml.denoise.lowrank import Projector, Shrinkage, denoise, projector

__all__ = ["Projector", "Shrinkage", "denoise", "projector"]
