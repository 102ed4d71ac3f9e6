"""`python tools/coverage_by_package.py`: line coverage of each package of the wheel, from combined coverage data.

Exit code 1 when a package is below the least share, or was not measured at all. Names the modules that pull it down.
"""

from __future__ import annotations

import json
import sys
import tempfile
import tomllib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

import coverage

LEAST = 95.0
"""Percent of the lines of each package."""

_ROOT = Path(__file__).resolve().parents[1]
_WORST = 3


@dataclass(frozen=True, slots=True)
class Module:
    """One file: its path from the root of the repository, its lines that can be executed, those that were."""

    path: str
    lines: int
    covered: int

    @property
    def package(self) -> str:
        """The first part of its path."""
        return self.path.partition("/")[0]


@dataclass(frozen=True, slots=True)
class Package:
    """The sum over the modules of a package."""

    name: str
    modules: tuple[Module, ...]

    @property
    def lines(self) -> int:
        """Lines that can be executed."""
        return sum(module.lines for module in self.modules)

    @property
    def covered(self) -> int:
        """Lines that were executed."""
        return sum(module.covered for module in self.modules)

    @property
    def percent(self) -> float:
        """The share that was executed: 0 for a package that was not measured, 100 for one without lines."""
        if not self.lines:
            return 100.0 if self.modules else 0.0
        return 100 * self.covered / self.lines

    def worst(self) -> list[Module]:
        """The modules with the most lines that were not executed, the worst first."""
        lacking = [module for module in self.modules if module.covered < module.lines]
        return sorted(lacking, key=lambda module: module.covered - module.lines)[:_WORST]


def wanted(pyproject: Path) -> list[str]:
    """The packages that are delivered."""
    settings = tomllib.loads(pyproject.read_text(encoding="utf-8"))
    return sorted(settings["tool"]["hatch"]["build"]["targets"]["wheel"]["packages"])


def measured() -> list[Module]:
    """Every module in the combined data, which lie where COVERAGE_FILE or the settings of coverage say.

    Raises coverage.exceptions.CoverageException where there is no data.
    """
    reader = coverage.Coverage(config_file=str(_ROOT / "pyproject.toml"))
    reader.load()
    with tempfile.TemporaryDirectory() as folder:
        report = Path(folder) / "report.json"
        reader.json_report(outfile=str(report))
        files: Mapping[str, Mapping[str, Mapping[str, int]]] = json.loads(report.read_bytes())["files"]
    return [
        Module(_from_root(name), facts["summary"]["num_statements"], facts["summary"]["covered_lines"])
        for name, facts in files.items()
    ]


def _from_root(name: str) -> str:
    """The path of a file from the root, which a report gives from the working directory."""
    return (Path.cwd() / name).resolve().relative_to(_ROOT).as_posix()


def by_package(names: Iterable[str], modules: Iterable[Module]) -> list[Package]:
    """One package for each name, with or without modules, the least covered first."""
    every = list(modules)
    packages = [Package(name, tuple(module for module in every if module.package == name)) for name in names]
    return sorted(packages, key=lambda package: (package.percent, package.name))


def table(packages: Iterable[Package]) -> str:
    """Percent, lines not executed of all lines, name; below a package that is lacking its worst modules."""
    rows = []
    for package in packages:
        good = package.percent >= LEAST
        missed = package.lines - package.covered
        rows.append(
            f"{package.percent:6.1f} %  {missed:5} of {package.lines:5}  {package.name}{'' if good else '  TOO LOW'}"
        )
        if not good:
            rows += [f"{'':11}{each.lines - each.covered:5} of {each.lines:5}    {each.path}" for each in package.worst()]
    return "\n".join(rows)


def main() -> int:
    """Print the table and judge."""
    packages = by_package(wanted(_ROOT / "pyproject.toml"), measured())
    print(table(packages))
    return int(any(package.percent < LEAST for package in packages))


if __name__ == "__main__":
    sys.exit(main())
