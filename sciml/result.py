"""What every result of the library can do, whatever it is a result of."""

from collections.abc import Callable
from functools import partial
from importlib import import_module
from typing import Any, Protocol, runtime_checkable

__all__ = ["Plots", "Result"]

PLOT = "sciml.plot"  # loaded when a result is drawn: results lie below it


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


class Plots:
    """The figures of a result, as an attribute of its class.

    Parameters
    ----------
    main
        Name of the function of `sciml.plot` that `result.plot(ax=None)` calls.
    others
        Names of further ones, for `result.plot.NAME(ax=None)`.

    Examples
    --------
    >>> class Result:
    ...     plot = Plots("scree", others=("eigenvalues",))
    >>> dir(Result().plot)
    ['eigenvalues', 'scree']
    """

    def __init__(self, main: str, *, others: tuple[str, ...] = ()) -> None:
        self.main, self.others = main, others

    def __get__(self, result: object, owner: type | None = None) -> "Drawer":
        return Drawer(self, result)


class Drawer:
    """Draws one result on matplotlib axes."""

    def __init__(self, plots: Plots, result: object) -> None:
        self._plots, self._result = plots, result

    def __call__(self, ax: Any = None, **options: Any) -> Any:
        """Draw the main figure of the result on `ax`, by default those of a new figure, and return the axes."""
        return self._named(self._plots.main)(ax=ax, **options)

    def __getattr__(self, name: str) -> Callable[..., Any]:
        if name not in dir(self):
            raise AttributeError(f"there is no figure {name!r} of this result; there are {', '.join(dir(self))}")
        return self._named(name)

    def __dir__(self) -> list[str]:
        return sorted((self._plots.main, *self._plots.others))

    def _named(self, name: str) -> Callable[..., Any]:
        return partial(getattr(import_module(PLOT), name), self._result)
