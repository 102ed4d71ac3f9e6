"""Whether a test that a table names is there: read from the source, without importing it."""

from __future__ import annotations

import ast
from functools import cache
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]


@cache
def functions(path: str) -> frozenset[str]:
    """The test functions of a file below the repository's root; none where there is no such file."""
    file = ROOT / path
    if not file.is_file():
        return frozenset()
    tree = ast.parse(file.read_text(encoding="utf-8"))
    return frozenset(node.name for node in tree.body if isinstance(node, ast.FunctionDef) and node.name.startswith("test_"))


def missing(names: tuple[str, ...]) -> list[str]:
    """Those of `path::function` that do not exist."""
    return [name for name in names if name.partition("::")[2] not in functions(name.partition("::")[0])]
