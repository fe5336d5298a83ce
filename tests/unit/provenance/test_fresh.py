"""Samples that came shortly before a snapshot are marked, and a mark accuses nobody."""

import json
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow.parquet as pq
import pytest

from untaint import api
from untaint.errors import BadInput
from untaint.evidence.finding import Finding, Verdict
from untaint.provenance.beside import Beside
from untaint.provenance.fresh import Fresh, fresh_of
from untaint.provenance.freshness import weighed
from untaint.provenance.joined import advised, joined
from untaint.provenance.seal import seal
from untaint.provenance.sealed import Seal
from untaint.provenance.source_risk import exposure
from untaint.provenance.sources import Source, sources_of
from untaint.provenance.verify import verify

DAY = datetime(2026, 6, 1, tzinfo=UTC)


def row(number: int, **other: Any) -> dict[str, Any]:
    text, label = f"the text with the number {number}", "ab"[number % 2]
    return {"text": text, "label": label, "url": f"https://h{number}.org/"} | other


def written(path: Path, rows: list[dict[str, Any]]) -> Path:
    path.write_text("".join(json.dumps(found) + "\n" for found in rows))
    return path


def marks(made: Seal) -> dict[int, str]:
    """`new`, `edited`, `late` and their like, by row."""
    found = pq.read_table(made.folder / "fresh.parquet").to_pylist()
    return {mark["row"]: "+".join(name for name in ("new", "edited", "late") if mark[name]) for mark in found}


def test_what_an_earlier_seal_does_not_hold_is_new_or_edited(tmp_path: Path) -> None:
    path = written(tmp_path / "set.jsonl", [row(n) for n in range(6)])
    assert fresh_of(seal(path)) is None
    written(path, [row(5), row(0), row(1, label="c"), row(2, text="something else"), row(9), row(7, url=None), row(3)])
    made = seal(path, replace=True)
    assert marks(made) == {2: "edited", 3: "new+edited", 4: "new", 5: "new"}
    found = fresh_of(made)
    assert found is not None
    assert found.sentence == "fresh: 4 samples (57.1%); 3 first seen and 2 edited since 1 earlier seal"
    again = seal(path, replace=True)
    assert marks(again) == {}  # all was seen by now
    other = written(tmp_path / "next.jsonl", [row(n) for n in range(8)])
    assert marks(seal(other, beside=Beside(earlier=[path]))) == {1: "edited", 2: "new+edited", 4: "new", 6: "new"}
    assert len(marks(seal(other, replace=True, beside=Beside(earlier=[path, again.folder])))) == 0
    with pytest.raises(BadInput, match="holds no seal"):
        seal(other, replace=True, beside=Beside(earlier=[tmp_path]))


def test_the_window_before_the_snapshot(tmp_path: Path) -> None:
    times = [DAY - timedelta(days=days) for days in (30, 8, 6, 1, 0)] + [None, datetime(2999, 1, 1, tzinfo=UTC)]
    rows = [row(n, collected_at=time and time.isoformat()) for n, time in enumerate(times)]
    path = written(tmp_path / "set.jsonl", rows)
    assert marks(seal(path)) == {2: "late", 3: "late", 4: "late", 6: "late"}  # a time to come moves no window
    assert marks(seal(path, replace=True, beside=Beside(days=10)))[1] == "late"
    made = seal(path, replace=True, beside=Beside(snapshot=DAY + timedelta(days=6)))
    assert marks(made) == {4: "late", 6: "late"}
    found = fresh_of(made)
    assert found is not None
    assert "2 collected in the 7 days before 2026-06-07" in found.sentence
    with pytest.raises(BadInput, match="--fresh-days is 0"):
        seal(path, replace=True, beside=Beside(days=0))


def test_an_earlier_manifest_that_was_edited_hides_nothing(tmp_path: Path) -> None:
    path = written(tmp_path / "set.jsonl", [row(n) for n in range(6)])
    made = seal(path)
    part = made.folder / "manifest/part-00000.parquet"
    pq.write_table(pq.read_table(part).slice(0, 5), part)
    with pytest.raises(BadInput, match="not the manifest that was sealed"):
        seal(path, replace=True)


def test_marks_that_were_edited_are_not_believed(tmp_path: Path) -> None:
    made = seal(written(tmp_path / "set.jsonl", [row(n, collected_at="2026-01-01") for n in range(4)]))
    (made.folder / "fresh.parquet").unlink()
    for look in (lambda: fresh_of(made), made.check, lambda: verify(tmp_path / "set.jsonl")):
        with pytest.raises(BadInput, match="not the table that was sealed"):
            look()


def test_sources_that_are_new_say_so(tmp_path: Path) -> None:
    path = written(tmp_path / "set.jsonl", [row(n, source="old") for n in range(6)])
    seal(path)
    written(path, [row(n, source="old" if n < 6 else "new") for n in range(12)])
    made = seal(path, replace=True)
    found = {risk.name: risk for risk in exposure(made, sources_of([Source("new", "internal")]), DAY.date()).sources}
    assert (found["new"].fresh, found["old"].fresh) == (6, 0)
    assert "6 of its samples are fresh: first seen or edited since an earlier seal" in found["new"].reasons


def finding(members: np.ndarray, name: str = "F1", alarm: bool = True) -> Finding:
    return Finding(name, "flood", "high", "high", 1e-9, members, ("x",), "Seen.", "Set aside.", alarm)


def verdict(*findings: Finding) -> Verdict:
    return Verdict("poisoned", 0.01, 1e-9, findings, (), "")


def fresh(rows: np.ndarray, samples: int) -> Fresh:
    return Fresh(Path("unread"), len(rows), {"new": len(rows), "edited": 0, "late": 0}, samples, 1, 7.0, "")


def test_a_finding_of_fresh_samples_says_so_and_nothing_else_changes() -> None:
    marked = np.zeros(1000, np.int64)
    marked[:50] = 1
    before = verdict(finding(np.arange(20)), finding(np.arange(100, 120), "F2", alarm=False), finding(np.arange(45, 55), "F3"))
    after = weighed(before, marked, fresh(np.arange(50), 1000))
    said = [found.explanation for found in after.findings]
    assert said[0].startswith(
        "Seen. 20 of its 20 samples are fresh (first seen or edited since an earlier seal), and 5.0% of the set (p = 4.2e-28)"
    )
    assert said[1] == "Seen."
    assert "5 of its 10 samples are fresh" in said[2]
    unknown = weighed(before, np.full(1000, -1), fresh(np.arange(50), 1000))
    assert [found.explanation for found in unknown.findings] == ["Seen."] * 3
    for found, was in zip(after.findings, before.findings, strict=True):
        assert (found.alarm, found.p_value, found.severity, found.advice) == (was.alarm, was.p_value, was.severity, was.advice)
    assert (after.answer, after.p_value) == (before.answer, before.p_value)


def test_findings_of_any_samples_say_so_as_rarely_as_promised() -> None:
    """400 audits of honest sets with bursts, three findings each of samples drawn at random: .01 of them, and 3 σ, say so."""
    rng, said = np.random.default_rng(0), 0
    for _ in range(400):
        marked = (rng.random(500) < rng.uniform(0.02, 0.6)).astype(np.int64)
        chosen = verdict(*(finding(rng.choice(500, rng.integers(2, 60), replace=False)) for _ in range(3)))
        after = weighed(chosen, marked, fresh(np.flatnonzero(marked), 500))
        said += any("fresh" in found.explanation for found in after.findings)
    assert said <= 10


def test_an_honest_burst_is_no_attack(tmp_path: Path) -> None:
    """A third of an honest set came in one day: the report says so, and a verdict stays what it was."""
    rows = [row(n, collected_at=(DAY - timedelta(days=0 if n >= 8 else 300 - n)).isoformat()) for n in range(12)]
    path = written(tmp_path / "set.jsonl", rows)
    found = joined(api.load(path), seal(path))
    assert found.facts["fresh"] == "fresh: 4 samples (33.3%); 4 collected in the 7 days before 2026-06-01"
    clean = Verdict("no evidence", 0.01, 0.6, (finding(np.arange(6, 12), alarm=False),), (), "")
    after = advised(clean, found)
    assert (after.answer, after.p_value, after.findings) == (clean.answer, clean.p_value, clean.findings)


def test_rows_are_joined_by_content(tmp_path: Path) -> None:
    path = written(tmp_path / "set.jsonl", [row(n) for n in range(6)])
    seal(path)
    made = seal(written(path, [row(n) for n in range(8)]), replace=True)
    written(path, [row(7), *(row(n) for n in range(1, 8)), row(20)])
    found = joined(api.load(path), made)
    assert found.marks is not None
    assert found.marks.tolist() == [-1, 0, 0, 0, 0, 0, 1, 1, -1]
    assert advised(verdict(finding(np.arange(3))), found).findings[0].explanation == "Seen."
