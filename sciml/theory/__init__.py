"""Theory of wide networks: what mean-field theory says before any training."""

from sciml.theory import chain, meanfield, products

__all__ = ["chain", "meanfield", "products"]
