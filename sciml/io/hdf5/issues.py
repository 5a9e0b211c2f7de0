"""What is odd about a file: words for people, a code and a path for programs."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from sciml.errors import DataError

__all__ = ["Issue", "IssueError", "Remark", "as_issue", "code_of", "counted", "said_once", "together"]

# What cannot be read is an error, what may be misread a warning; all else is for information.
ERRORS = frozenset(
    {
        "missing_source", "dangling_link", "link_cycle", "external_link_refused", "external_storage_refused",
        "unknown_filter", "never_written", "large_chunk", "unreadable", "ragged_overrun", "reader_failed",
    }
)  # fmt: skip
WARNINGS = frozenset(
    {
        "uncalibrated_integers", "gaps", "clock_drift", "blank_unit", "compression_ratio", "not_finite", "constant",
        "dead", "clipped", "not_applied", "clock_order", "negative_uncertainty",
    }
)  # fmt: skip


@dataclass(frozen=True)
class Issue:
    """What is odd about a file: what kind of thing, in words, and where.

    Attributes
    ----------
    code
        One of "uncalibrated_integers", "gaps", "ragged_overrun", "missing_source", "dangling_link", "link_cycle",
        "external_link_refused", "external_storage_refused", "unknown_filter", "never_written", "large_chunk",
        "compression_ratio", "unreadable", "reader_failed", "alias", "blank_unit", "clock_drift",
        "clock_order", "not_applied", "negative_uncertainty"; when values were
        sampled also "not_finite", "constant", "dead", "clipped"; "note" for all else.
    message
        A sentence for people, with the remedy where there is one; `str` of an issue is its message.
    path
        The object in the file (the first, if several are alike); "" for the file as a whole.

    Examples
    --------
    >>> found = Issue("blank_unit", "the unit 'n.a.' says nothing", "acquisition/x")
    >>> str(found), found.severity
    ("the unit 'n.a.' says nothing", 'warning')
    """

    code: str
    message: str
    path: str = ""

    def __str__(self) -> str:
        return self.message

    @property
    def severity(self) -> str:
        """How much it matters: "error" for what cannot be read, "warning" for what may be misread, "info" else."""
        return "error" if self.code in ERRORS else "warning" if self.code in WARNINGS else "info"

    def to_dict(self) -> dict[str, str]:
        """Return plain Python values, for JSON; `words` is the message."""
        return {"code": self.code, "path": self.path, "severity": self.severity, "words": self.message}


Remark = Issue | str  # a plain sentence is a note


class IssueError(DataError):
    """An error that carries what is wrong with the file as an `issue`, so that whoever lists the file can say it."""

    def __init__(self, issue: Issue) -> None:
        super().__init__(issue)  # not its message: an error travels between processes by its arguments
        self.issue = issue

    def __str__(self) -> str:
        return self.issue.message


def as_issue(remark: Remark) -> Issue:
    """Return what was said as an issue."""
    return remark if isinstance(remark, Issue) else Issue("note", remark)


def said_once(remarks: Iterable[Remark]) -> tuple[Issue, ...]:
    """Return issues in the order in which they were said, the first of those with the same message."""
    first: dict[str, Issue] = {}
    for issue in map(as_issue, remarks):
        first.setdefault(issue.message, issue)
    return tuple(first.values())


def code_of(said: Remark | Exception | None, default: str = "note") -> str:
    """Return the code of an issue, or of the one that an error carries."""
    issue = said.issue if isinstance(said, IssueError) else said
    return issue.code if isinstance(issue, Issue) else default


def counted(number: int, thing: str) -> str:
    """Return a number of things in words.

    Examples
    --------
    >>> counted(1, "gap"), counted(2, "gap")
    ('1 gap', '2 gaps')
    """
    return f"{number} {thing}{'' if number == 1 else 's'}"


def together(said: Mapping[Issue, Sequence[str]]) -> tuple[Issue, ...]:
    """Return each thing that is said once, with the first of the paths that it is true of and the number of the others.

    Examples
    --------
    >>> [str(issue) for issue in together({Issue("dead", "is dead"): ["a", "b", "c"]})]
    ['a and 2 more: is dead']
    """
    return tuple(
        Issue(issue.code, f"{paths[0]}{f' and {len(paths) - 1} more' if len(paths) > 1 else ''}: {issue}", paths[0])
        for issue, paths in said.items()
    )
