"""What an estimate of the noise level is."""

from dataclasses import dataclass

__all__ = ["SigmaEstimate"]


@dataclass(frozen=True)
class SigmaEstimate:
    """Noise standard deviation of an entry, its standard error, and where it comes from."""

    sigma: float
    standard_error: float
    method: str
