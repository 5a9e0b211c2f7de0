"""What every result of the library can do, whatever it is a result of: a line, plain values, and how it is shown."""

from collections.abc import Callable, Iterable, Sequence
from functools import partial
from html import escape
from importlib import import_module
from typing import Any, Protocol, runtime_checkable

from sciml.wording import clean, cut

__all__ = ["Plots", "Result", "card", "shown"]

PLOT = "sciml.plot"  # loaded when a result is drawn: results lie below it
MOST_LINES, LINE = 6, 120  # of a repr
MOST_ROWS = 10  # of a table in a notebook

# Colors are those of the page around, dark or light: none is set but a line that is seen on both.
_RULE = "border-bottom:1px solid #8886;padding:.15em .9em .15em 0;text-align:left"


@runtime_checkable
class Result(Protocol):
    """A public result: a line or a few for people, plain values for programs.

    Its `repr` has at most six lines. Where it holds arrays over named dims and its room knows xarray, `to_dataset`
    returns them with their coordinates.
    """

    def summary(self) -> str:
        """Return the result in a line or a few."""

    def to_dict(self) -> dict[str, Any]:
        """Return the result as mappings, lists, numbers and strings (arrays may stay arrays)."""


def shown(what: str, *lines: str) -> str:
    r"""Return the repr of a result: what it is, then in lines its answer and its doubt; no line is empty or long.

    Examples
    --------
    >>> print(shown("Split: 3 windows", "2 train, 1 test", "", "first\nline"))
    Split: 3 windows
      2 train, 1 test
      first line
    """
    told = [cut(" ".join(clean(line).split()), LINE - 2) for line in lines]
    return "\n  ".join([cut(" ".join(clean(what).split()), LINE), *filter(None, told)][:MOST_LINES])


def card(
    heading: str, answer: str, columns: Sequence[str] = (), rows: Iterable[Sequence[object]] = (), note: str = ""
) -> str:
    """Return a result as a piece of HTML for notebooks: heading, answer, a table of at most ten rows, a doubt.

    It holds no script, no style sheet and no color of its own, and text from files is escaped.

    Examples
    --------
    >>> "&lt;b&gt;" in card("Noise floor", "1 component", ["channel"], [["<b>"]])
    True
    """
    found = [[_text(cell) for cell in row] for row in rows]
    left = len(found) - MOST_ROWS
    more = f"<p><small>{left} more rows: see to_dataframe() or to_dict()</small></p>" if left > 0 else ""
    table = _table(columns, found[:MOST_ROWS]) + more if found else ""
    doubt = f"<p><em>{_text(note)}</em></p>" if note else ""
    return f"<div><strong>{_text(heading)}</strong><p>{_text(answer)}</p>{table}{doubt}</div>"


def _table(columns: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    head = "".join(f'<th scope="col" style="{_RULE}">{_text(name)}</th>' for name in columns)
    body = "".join(f"<tr>{''.join(f'<td style={_RULE!r}>{cell}</td>' for cell in row)}</tr>" for row in rows)
    style = 'style="border-collapse:collapse;font-variant-numeric:tabular-nums"'
    return f"<table {style}><thead><tr>{head}</tr></thead><tbody>{body}</tbody></table>"


def _text(value: object) -> str:
    return escape(clean(value))


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
