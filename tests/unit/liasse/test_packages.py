"""Every top-level package is shipped, layered and type-checked; none imports inside a function or in a circle."""

from __future__ import annotations

import ast
import tomllib
from itertools import chain
from pathlib import Path
from typing import Any

import pytest

from liasse.packages import PACKAGES

ROOT = Path(__file__).resolve().parents[3]
PROJECT: dict[str, Any] = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
IN_THE_TREE = {path.parent.name for path in ROOT.glob("*/__init__.py")} - {"tests", "benchmarks"}
MODULES = sorted(path for package in IN_THE_TREE for path in (ROOT / package).rglob("*.py"))


def test_the_list_of_packages_is_what_the_tree_holds() -> None:
    assert set(PACKAGES) == IN_THE_TREE
    assert list(PACKAGES) == sorted(PACKAGES)


def test_the_wheel_names_every_package_and_nothing_else() -> None:
    assert set(PROJECT["tool"]["hatch"]["build"]["targets"]["wheel"]["packages"]) == IN_THE_TREE


def test_every_package_has_a_layer_and_is_watched_by_the_import_contracts() -> None:
    linter = PROJECT["tool"]["importlinter"]
    layers = next(contract["layers"] for contract in linter["contracts"] if contract["type"] == "layers")
    named = list(chain.from_iterable([name.strip() for name in layer.split("|")] for layer in layers))
    assert sorted(named) == sorted(IN_THE_TREE)
    assert set(linter["root_packages"]) == IN_THE_TREE


def test_only_soap_may_import_spyne() -> None:
    contract = next(
        each for each in PROJECT["tool"]["importlinter"]["contracts"] if each.get("forbidden_modules") == ["spyne"]
    )
    assert set(contract["source_modules"]) == IN_THE_TREE - {"soap"}


def test_every_package_is_typed_and_type_checked() -> None:
    assert set(PROJECT["tool"]["mypy"]["files"]) >= IN_THE_TREE
    assert [name for name in sorted(IN_THE_TREE) if not (ROOT / name / "py.typed").exists()] == []


@pytest.mark.parametrize("path", MODULES, ids=lambda path: str(path.relative_to(ROOT)))
def test_imports_stand_at_the_top(path: Path) -> None:
    tree = ast.parse(path.read_text(encoding="utf-8"))
    functions = (node for node in ast.walk(tree) if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda))
    inside = [node.lineno for each in functions for node in ast.walk(each) if isinstance(node, ast.Import | ast.ImportFrom)]
    assert inside == []
