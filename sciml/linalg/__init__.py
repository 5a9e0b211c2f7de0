"""Linear algebra that recordings and networks share."""

__all__: list[str] = []
