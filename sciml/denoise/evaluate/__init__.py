"""How good denoising is, without the truth: by held-out values, and by what was removed."""

from sciml.denoise.evaluate.compare import METHODS, Method, compare

__all__ = ["METHODS", "Method", "compare"]
