from .channels import traces

__all__ = ["traces"]
