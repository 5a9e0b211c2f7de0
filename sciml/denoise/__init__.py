"""Remove what the noise floor says is noise."""

from sciml.denoise.lowrank import Projector, denoise, projector

__all__ = ["Projector", "denoise", "projector"]
