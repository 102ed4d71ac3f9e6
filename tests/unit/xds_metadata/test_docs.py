"""The page of the metadata attributes is in step with the table."""

from __future__ import annotations

from pathlib import Path

from xds_metadata.attributes import TABLES
from xds_metadata.docs import PAGE, main, page

ROOT = Path(__file__).resolve().parents[3]


def test_the_page_in_the_repository_is_in_step() -> None:
    assert (ROOT / PAGE).read_text(encoding="utf-8") == page()


def test_every_attribute_has_a_line() -> None:
    for rows in TABLES:
        section = page().split(f"## {rows.kind}\n")[1].split("\n## ")[0]
        for row in rows.rows:
            assert section.count(f"| `{row.name}` |") == 1


def test_the_command_writes_and_checks(tmp_path: Path) -> None:
    path = tmp_path / "page.md"
    assert main(["--check", str(path)]) == 1
    assert main([str(path)]) == 0
    assert main(["--check", str(path)]) == 0
    path.write_text("old")
    assert main(["--check", str(path)]) == 1
