"""What every result of the library can do, whatever it is a result of."""

from typing import Any, Protocol, runtime_checkable

__all__ = ["Result"]


@runtime_checkable
class Result(Protocol):
    """A public result: a line or a few for people, plain values for programs.

    Its `repr` fits on a line or two. Where it holds arrays over named dims and its room knows xarray, `to_dataset`
    returns them with their coordinates.
    """

    def summary(self) -> str:
        """Return the result in a line or a few."""

    def to_dict(self) -> dict[str, Any]:
        """Return the result as mappings, lists, numbers and strings (arrays may stay arrays)."""
