"""What every benchmark shares: the machine in words, and a table kept in RESULTS.md under the benchmark's name."""

import os
import platform
import re
from collections.abc import Sequence
from importlib import metadata
from pathlib import Path

RESULTS = Path(__file__).with_name("RESULTS.md")


def machine(*packages: str) -> str:
    """Return cores, processor, and the versions of Python and of the packages that took part."""
    processor = platform.processor() or platform.machine()
    cpuinfo = Path("/proc/cpuinfo")
    if cpuinfo.exists():
        found = re.search(r"^model name\s*:\s*(.+)$", cpuinfo.read_text(), re.MULTILINE)
        processor = found.group(1) if found else processor
    versions = ", ".join(f"{name} {metadata.version(name)}" for name in packages)
    return f"{os.cpu_count()} cores ({processor}), Python {platform.python_version()}, {versions}"


def table(columns: Sequence[str], rows: Sequence[Sequence[object]]) -> str:
    """Return a Markdown table."""
    lines = ["| " + " | ".join(columns) + " |", "|" + " --- |" * len(columns)]
    return "\n".join([*lines, *("| " + " | ".join(str(cell) for cell in row) + " |" for row in rows)])


def record(name: str, text: str) -> None:
    """Print a benchmark's section and put it in the place of the earlier one in RESULTS.md."""
    section = f"## {name}\n\n{text.strip()}\n"
    print(section)
    before = RESULTS.read_text() if RESULTS.exists() else "# Benchmarks\n\n`make bench` writes this file.\n"
    kept = re.sub(rf"\n## {re.escape(name)}\n.*?(?=\n## |\Z)", "", before, flags=re.DOTALL)
    RESULTS.write_text(kept.rstrip() + "\n\n" + section)
