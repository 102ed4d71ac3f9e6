"""The page about the tester is in step with the plan."""

from __future__ import annotations

from pathlib import Path

import pytest

from conformance.docs import PAGE, main, rewritten
from conformance.plan import load_plan


def test_the_page_is_in_step_with_the_plan() -> None:
    assert main(["--check"]) == 0, "run `python -m conformance.docs`"


def test_a_page_out_of_step_is_told_and_mended(tmp_path: Path) -> None:
    page = tmp_path / "page.md"
    text = PAGE.read_text(encoding="utf-8")
    page.write_text(text.replace("`42-replace`", "`42-replaced`"), encoding="utf-8")
    assert main(["--check", str(page)]) == 1
    assert main([str(page)]) == 0
    assert page.read_text(encoding="utf-8") == text


def test_a_page_without_marks_is_refused() -> None:
    with pytest.raises(ValueError, match="marks"):
        rewritten("# a page", load_plan())
