"""What is odd about a file: words for people, a code and a path for programs."""

from collections.abc import Mapping, Sequence

__all__ = ["Finding", "code_of", "counted", "together"]

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
        "dead", "clipped",
    }
)  # fmt: skip


class Finding(str):
    """A sentence that also says what kind of thing it is about, and where.

    Attributes
    ----------
    code
        One of "uncalibrated_integers", "gaps", "ragged_overrun", "missing_source", "dangling_link", "link_cycle",
        "external_link_refused", "external_storage_refused", "unknown_filter", "never_written", "large_chunk",
        "compression_ratio", "unreadable", "reader_failed", "alias", "blank_unit", "clock_drift"; when values were
        sampled also "not_finite", "constant", "dead", "clipped"; "note" for all else.
    path
        The object in the file (the first, if several are alike); "" for the file as a whole.
    severity
        "error" for what cannot be read, "warning" for what may be misread, "info" for all else.

    Examples
    --------
    >>> found = Finding("the unit 'n.a.' says nothing", code="blank_unit", path="acquisition/x")
    >>> found, found.code, found.path, found.severity
    ("the unit 'n.a.' says nothing", 'blank_unit', 'acquisition/x', 'warning')
    """

    code: str
    path: str

    def __new__(cls, text: str, *, code: str = "note", path: str = "") -> "Finding":
        """Return the sentence with its code and path."""
        made = super().__new__(cls, text)
        made.code = code
        made.path = path
        return made

    @property
    def severity(self) -> str:
        """How much it matters: "error", "warning" or "info"."""
        return "error" if self.code in ERRORS else "warning" if self.code in WARNINGS else "info"


def code_of(said: object, default: str = "note") -> str:
    """Return the code of a sentence or of an error that was raised with one."""
    sentence = said.args[0] if isinstance(said, Exception) and said.args else said
    return sentence.code if isinstance(sentence, Finding) else default


def counted(number: int, thing: str) -> str:
    """Return a number of things in words.

    Examples
    --------
    >>> counted(1, "gap"), counted(2, "gap")
    ('1 gap', '2 gaps')
    """
    return f"{number} {thing}{'' if number == 1 else 's'}"


def together(said: Mapping[str, Sequence[str]]) -> tuple[Finding, ...]:
    """Return each thing that is said once, with the first of the paths that it is true of and the number of the others.

    Examples
    --------
    >>> together({"is dead": ["a", "b", "c"]})
    ('a and 2 more: is dead',)
    """
    return tuple(
        Finding(
            f"{paths[0]}{f' and {len(paths) - 1} more' if len(paths) > 1 else ''}: {text}",
            code=code_of(text),
            path=paths[0],
        )
        for text, paths in said.items()
    )
