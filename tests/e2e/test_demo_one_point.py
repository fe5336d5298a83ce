"""The demonstration of one point, as a person runs it."""

from pathlib import Path

import pytest
from tests.e2e.cases import untaint


@pytest.mark.slow
def test_the_demonstration_of_one_point_ends_well(tmp_path: Path) -> None:
    done = untaint("demo", "onepoint", "--out", str(tmp_path / "demo"), "--data", str(tmp_path), cwd=tmp_path)
    assert done.code == 0
    assert "images to learn from" in done.out
    assert "control: one usual image" in done.out
    assert "moved accuracy by at most 0." in done.out
    assert (tmp_path / "demo" / "run-1" / "report.html").read_text().startswith("<!doctype html>")
