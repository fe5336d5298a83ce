"""The demonstration on a table, as a person runs it."""

from pathlib import Path

import pytest
from tests.e2e.cases import untaint


@pytest.mark.slow
def test_the_demonstration_on_a_table_ends_well(tmp_path: Path) -> None:
    done = untaint("demo", "table", "--out", str(tmp_path / "demo"), cwd=tmp_path)
    assert done.code == 0
    assert "Verdict: poisoned" in done.out
    assert "Finding: 21 rows pushed towards 'benign'" in done.out
    assert "Poison found (TPR) 100.0%, clean rows flagged (FPR) 0.00%." in done.out
    page = (tmp_path / "demo" / "run-1" / "audit" / "report.html").read_text()
    assert page.count("<mark>12.79</mark>") == 21
