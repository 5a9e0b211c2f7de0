"""What is odd about a file: words for people, a code and a path for programs."""

__all__ = ["Finding", "code_of"]


class Finding(str):
    """A sentence that also says what kind of thing it is about, and where.

    Attributes
    ----------
    code
        One of "uncalibrated_integers", "gaps", "ragged_overrun", "missing_source", "dangling_link", "link_cycle",
        "external_link_refused", "external_storage_refused", "unknown_filter", "never_written", "large_chunk",
        "compression_ratio", "unreadable", "alias", "blank_unit"; "note" for all else.
    path
        The object in the file (the first, if several are alike); "" for the file as a whole.

    Examples
    --------
    >>> found = Finding("the unit 'n.a.' says nothing", code="blank_unit", path="acquisition/x")
    >>> found, found.code, found.path
    ("the unit 'n.a.' says nothing", 'blank_unit', 'acquisition/x')
    """

    code: str
    path: str

    def __new__(cls, text: str, *, code: str = "note", path: str = "") -> "Finding":
        made = super().__new__(cls, text)
        made.code = code
        made.path = path
        return made


def code_of(said: object, default: str = "note") -> str:
    """Return the code of a sentence or of an error that was raised with one."""
    sentence = said.args[0] if isinstance(said, Exception) and said.args else said
    return sentence.code if isinstance(sentence, Finding) else default
