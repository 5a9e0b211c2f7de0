"""What a section brings into a report beside itself."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from sciml.report.document.parts import Finding, Section

__all__ = ["Evidence"]


@dataclass(frozen=True)
class Evidence:
    """A section with the findings, numbers and methods that come with it."""

    section: Section
    findings: tuple[Finding, ...] = ()
    numbers: Mapping[str, Any] | None = None
    methods: str = ""
    cites: tuple[str, ...] = ()
