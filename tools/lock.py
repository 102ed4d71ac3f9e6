"""Write requirements.lock: every dependency, of run time, development and build, pinned with hashes for all interpreters.

Each supported interpreter resolves on its own (pip-compile in a throw-away environment); the results must agree on versions
and are joined, with a marker where not all of them need a package. Run by `make lock`, needs all interpreters on PATH.
"""

from __future__ import annotations

import os
import re
import subprocess
import sys
import tempfile
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
LOCK = ROOT / "requirements.lock"
VERSIONS = ("3.11", "3.12", "3.13")
PLATFORMS = {"pysqlite3": "platform_machine == 'x86_64' and sys_platform == 'linux'"}
"""Packages that have wheels for some machines only; elsewhere the program does without."""
HEADER = "# Written by `make lock`. Install with --require-hashes. For Python 3.11 to 3.13 on Linux.\n"
_PIN = re.compile(r"^(?P<name>[A-Za-z0-9._-]+)==(?P<version>[^ ;\\]+)(?: ; (?P<marker>[^\\]+?))? \\$")

Pins = dict[str, tuple[str, str]]
"""Package to its version and its block of text without a marker."""


def resolve(version: str, folder: Path, known: Path) -> Pins:
    """What one interpreter needs. Versions that earlier interpreters chose are kept."""
    place = folder / f"venv-{version}"
    subprocess.run([f"python{version}", "-m", "venv", str(place)], check=True)  # noqa: S603
    python = str(place / "bin" / "python")
    subprocess.run([python, "-m", "pip", "install", "--quiet", "pip-tools>=7.5"], check=True)  # noqa: S603
    out = folder / f"lock-{version}"
    command = [python, "-m", "piptools", "compile", "--quiet", "--generate-hashes", "--all-extras", "--allow-unsafe"]
    command += ["--build-deps-for", "editable", "--strip-extras", "--no-annotate", "--no-header", "--no-emit-index-url"]
    command += ["--no-emit-find-links", "--no-emit-trusted-host", "--no-emit-options"]
    command += ["--constraint", str(known), "--output-file", str(out)]
    subprocess.run(  # noqa: S603
        [*command, str(ROOT / "pyproject.toml")], check=True, cwd=ROOT, env={**os.environ, "CUSTOM_COMPILE_COMMAND": ""}
    )
    return read(out.read_text(encoding="utf-8"))


def read(text: str) -> Pins:
    """The pins of one output of pip-compile."""
    pins: Pins = {}
    name, version, block = "", "", ""
    for line in text.splitlines():
        pin = _PIN.match(line)
        if pin:
            name, version, block = pin["name"], pin["version"], f"{pin['name']}=={pin['version']}"
        elif line.startswith("    --hash=") and name:
            block += " \\\n    " + line.split()[0]
        elif line.strip() and not line.startswith("#"):
            raise SystemExit(f"not understood in the output of pip-compile: {line!r}")
        if name:
            pins[name] = (version, block)
    return pins


def merge(resolved: dict[str, Pins]) -> str:
    """One file for all interpreters."""
    lines = [HEADER]
    for name in sorted({name for pins in resolved.values() for name in pins}):
        having = [version for version in resolved if name in resolved[version]]
        chosen = {resolved[version][name][0] for version in having}
        if len(chosen) != 1:
            raise SystemExit(f"{name}: the interpreters disagree on the version: {sorted(chosen)}")
        first, _, hashes = resolved[having[0]][name][1].partition(" \\\n")
        markers = [PLATFORMS[name]] if name in PLATFORMS else []
        if len(having) < len(resolved):
            markers.append(" or ".join(f"python_version == '{version}'" for version in having))
        marker = "".join(f" ; {each}" for each in [" and ".join(f"({each})" for each in markers)] if each)
        lines.append(f"{first}{marker} \\\n{hashes}\n")
    return "".join(lines)


def main() -> int:
    """Resolve with each interpreter, join, write."""
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary)
        known = folder / "known"
        known.write_text("", encoding="utf-8")
        resolved: dict[str, Pins] = {}
        for version in VERSIONS:
            resolved[version] = resolve(version, folder, known)
            pins = {name: pin for each in resolved.values() for name, (pin, _) in each.items()}
            known.write_text("".join(f"{name}=={pin}\n" for name, pin in pins.items()), encoding="utf-8")
        LOCK.write_text(merge(resolved), encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())
