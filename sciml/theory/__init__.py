"""Theory of wide networks: what mean-field theory says before any training."""

from sciml.theory import chain, meanfield

__all__ = ["chain", "meanfield"]
