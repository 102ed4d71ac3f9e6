"""`liasse serve`: the server, in the foreground, in place of this process."""

from __future__ import annotations

import os
import sys
from typing import Annotated

import typer

from liasse.commands.peers import ConfigOption, config_path


def serve(
    config: ConfigOption = None,
    workers: Annotated[
        int | None, typer.Option("--workers", metavar="N", min=1, max=128, help="worker processes, instead of the setting")
    ] = None,
) -> None:
    """Serve until SIGTERM or SIGINT. Ready when GET /health answers 200.

    A new storage is made at the first start. A machine that is unfit (see `liasse doctor`) is refused with the reason.
    """
    path = config_path(config)
    arguments = [sys.executable, "-P", "-m", "liasse.serve"]
    arguments += ["--config", str(path)] if path is not None else []
    arguments += ["--workers", str(workers)] if workers is not None else []
    sys.stdout.flush()
    sys.stderr.flush()
    os.execv(sys.executable, arguments)  # noqa: S606  (our own interpreter and module; workers never load this command line)
