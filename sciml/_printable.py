r"""Text from files as it may be shown: without what moves a cursor, colors a terminal or turns the order of letters.

Names, units and notes in a file are whatever its writer put there. A control character runs a command of the terminal,
a mark of direction (U+202E) shows other letters than are there; both are shown by their escapes.
"""

import json
import re
from typing import Any

__all__ = ["UNSAFE", "escaped", "json_text", "printable"]

# Control characters, marks of direction, invisible ones, ends of lines that are not \n, halves of surrogate pairs.
UNSAFE = re.compile(
    "[\x00-\x08\x0b-\x1f\x7f-\x9f\xad\u061c\u180e\u200b-\u200f\u2028-\u202e\u2060-\u206f\ufeff\ufff9-\ufffb"
    "\ud800-\udfff\U000e0000-\U000e007f]"
)


def printable(text: str) -> str:
    r"""Return text on one line, every character that is not seen as such spelled out.

    Examples
    --------
    >>> printable("a\nb \x1b[31m \u202egnp.exe")
    'a\\nb \\x1b[31m \\u202egnp.exe'
    """
    if text.isprintable():
        return text
    return "".join(each if each.isprintable() else _escape(each) for each in text)


def escaped(text: str) -> str:
    r"""Return text of one or more lines with what is not safe to show spelled out.

    Examples
    --------
    >>> escaped("a\nb \x1b[31m")
    'a\nb \\x1b[31m'
    """
    return UNSAFE.sub(lambda found: _escape(found[0]), text)


def _escape(character: str) -> str:
    return character.encode("unicode_escape").decode()


def json_text(document: Any, *, indent: int) -> str:
    r"""Return a document as JSON that can be shown: what is not safe is escaped as JSON has it.

    Examples
    --------
    >>> json_text({"name": "\u202e\x9b"}, indent=1)
    '{\n "name": "\\u202e\\u009b"\n}'
    """
    text = json.dumps(document, ensure_ascii=False, allow_nan=False, indent=indent)
    return UNSAFE.sub(lambda found: json.dumps(found[0])[1:-1], text)
