"""The program's first step: `serve` goes to the server at once, everything else to the command line.

Loading the command line with all its commands takes longer than starting the server does.
"""

from __future__ import annotations

import os
import sys

_HELP = frozenset({"--help", "-h"})


def main() -> None:
    """Become the process that was asked for: same process id, same arguments, same exit code."""
    given = sys.argv[1:]
    module = "liasse.cli"
    if given[:1] == ["serve"] and not _HELP.intersection(given):
        module, given = "liasse.serve", given[1:]
    os.execv(sys.executable, [sys.executable, "-P", "-m", module, *given])  # noqa: S606  (our own interpreter and module)


if __name__ == "__main__":
    main()
