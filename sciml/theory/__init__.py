"""Theory of wide networks: what mean-field theory says before any training."""

from sciml.theory import meanfield

__all__ = ["meanfield"]
