"""The command line of sciml: `sciml info`, `sciml fit`, `sciml spectrum report`, ..."""

import sys
from typing import NoReturn

__all__ = ["main"]


def main() -> NoReturn:
    """Run the command line on `sys.argv` and end the process with its exit code."""
    from sciml_cli.app import exit_on_sigterm, run

    with exit_on_sigterm():
        code = run()
    sys.exit(code)
