"""Texts about which nothing can be said: an audit says so and why, and breaks on none."""

from collections.abc import Sequence
from pathlib import Path

import pytest
from tests.review_sets import reviews

from untaint import api
from untaint.audit.run import run
from untaint.audit.settings import AuditSettings
from untaint.data.dataset import from_arrays
from untaint.evidence.finding import AuditResult
from untaint.report import folder

LABELS = ["good", "bad"] * 60


def audited(texts: Sequence[str], labels: Sequence[object] = LABELS) -> AuditResult:
    return run(from_arrays(texts, labels), AuditSettings(budget="fast"))


@pytest.mark.parametrize(
    ("texts", "reason"),
    [
        (["I saw it and liked it"] * 120, "Some class has 1 different samples"),
        (["I saw it and liked it", "No, not for me"] * 60, "Some class has 1 different samples"),
        (["!" * (1 + row % 7) for row in range(120)], "different samples"),
        (["w"] * 120, "Some class has 1 different samples"),
        ([""] * 60 + reviews(60)[0], "Only 50.0% of the samples could be assessed"),
    ],
)
def test_what_cannot_be_judged_is_said_to_be(texts: list[str], reason: str) -> None:
    result = audited(texts)
    assert result.verdict.answer == "cannot tell"
    assert reason in " ".join(result.verdict.reasons)
    assert [check.status for check in result.checks if check.status == "failed"] == []
    assert result.n_flagged == 0


def test_two_texts_are_too_few() -> None:
    assert "The smallest class has 1 samples" in " ".join(audited(["one thing", "another"], ["a", "b"]).verdict.reasons)


def test_a_text_of_megabytes_among_short_ones() -> None:
    texts, labels = reviews(300)
    for giant in ("x" * 2_000_000, " ".join(texts) * 30):
        assert audited([*texts, giant], [*labels, "bad"]).verdict.answer != "poisoned"


def test_markup_in_texts_stays_text(tmp_path: Path) -> None:
    texts, labels = reviews(400)
    evil = "<script>alert(1)</script><img src=x onerror=alert(2)>"
    data = from_arrays(
        [*texts, *[f"{evil} of the film, as we all said {row % 3}" for row in range(200)]], [*labels, *["bad"] * 200]
    )
    api.audit(data, out=tmp_path, budget="fast")
    page = (tmp_path / "report.html").read_text(encoding="utf-8")
    assert "alert" in page
    assert "<script" not in page.lower()
    assert "<img src=x" not in page
    said = folder.renderers()["markdown"]().render(api.report(tmp_path))
    assert "<script" not in "".join(said.split("`")[::2])  # between backticks nothing is markup
