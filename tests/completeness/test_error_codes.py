"""Every error code that the transactions can emit is explained on the page of error codes, and no other."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from pathlib import Path

from xds_metadata.errors import DUPLICATE_IN_MESSAGE, METADATA_ERROR, Finding

ROOT = Path(__file__).resolve().parents[2]
PACKAGES = ("xds_metadata", "xds_registry", "xds_repository", "cda", "liasse")
SHARED = {"METADATA_ERROR": METADATA_ERROR, "DUPLICATE_IN_MESSAGE": DUPLICATE_IN_MESSAGE}


def _constants(tree: ast.Module) -> dict[str, str]:
    found = dict(SHARED)
    for node in tree.body:
        if isinstance(node, ast.Assign) and isinstance(node.value, ast.Constant) and isinstance(node.value.value, str):
            found |= {target.id: node.value.value for target in node.targets if isinstance(target, ast.Name)}
    return found


def _codes(path: Path) -> Iterator[str]:
    """The codes with which a module makes findings; one that is passed through is some other module's."""
    tree = ast.parse(path.read_text(encoding="utf-8"))
    constants = _constants(tree)
    for node in ast.walk(tree):
        if not isinstance(node, ast.Call) or not isinstance(node.func, ast.Name):
            continue
        if node.func.id == "finding":
            yield METADATA_ERROR
        if node.func.id == "Finding" and node.args:
            code = node.args[0]
            if isinstance(code, ast.Constant):
                yield str(code.value)
            elif isinstance(code, ast.Name) and code.id in constants:
                yield constants[code.id]


def emitted() -> set[str]:
    """Every wire code."""
    bare = {code for package in PACKAGES for path in (ROOT / package).rglob("*.py") for code in _codes(path)}
    return {Finding(code, "").for_actor(actor) for code in bare for actor in ("Registry", "Repository")}


def explained() -> list[str]:
    """The codes that the page explains."""
    page = (ROOT / "docs" / "error-codes.md").read_text(encoding="utf-8")
    return re.findall(r"^\| `(\w+)` \|", page, re.MULTILINE)


def test_the_page_explains_every_code_and_no_other() -> None:
    assert len(emitted()) > 20
    assert set(explained()) == emitted()


def test_each_code_has_one_line_with_something_to_do() -> None:
    page = (ROOT / "docs" / "error-codes.md").read_text(encoding="utf-8")
    lines = [line for line in page.splitlines() if line.startswith("| `")]
    assert len(lines) == len(set(explained()))
    for line in lines:
        code, transactions, meaning, advice = (cell.strip() for cell in line.strip("|").split("|"))
        assert re.fullmatch(r"(18|41|42|43|57)(, (18|41|42|43|57))*", transactions), code
        assert meaning.endswith(".")
        assert advice.endswith(".")
