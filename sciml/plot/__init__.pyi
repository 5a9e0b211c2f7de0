from .channels import traces
from .components import components
from .floors import eigenvalues, scree, shared_noise
from .frequencies import power_spectrum, spectral_floor

__all__ = ["components", "eigenvalues", "power_spectrum", "scree", "shared_noise", "spectral_floor", "traces"]
