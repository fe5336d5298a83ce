"""Sweeps of audits: what is run and kept, what is done again, and what the tables say."""

import json
import sys
from functools import partial
from pathlib import Path
from typing import Self

import numpy as np
import pytest
from sklearn.datasets import load_wine

from untaint.bench.sweep import Cell, How, Record, Subject, split
from untaint.bench.sweep_command import main
from untaint.bench.sweep_report import clean_report, report, told_cell, told_clean
from untaint.bench.table_corpora import bundled
from untaint.bench.table_suite import chosen, poisoned
from untaint.bench.table_truth import conjunctions
from untaint.data.dataset import Dataset

SENT: Record = {"planted": ["a"], "named": ["a"], "accused": []}
CELL: Record = {
    "corpus": "wine",
    "size": 78,
    "attack": "leverage",
    "sources": 0,
    "seed": 0,
    "verdict": "poisoned",
    "tpr": 1.0,
    "fpr": 0.0,
    "shown": {"tpr": 1.0},
    "right": None,
    "trigger": {"planted": None, "exact": None, "part": None},
    "senders": SENT,
    "detectors": ["far-rows"],
    "cpu_s": 2.0,
    "review": None,
}
CLEAN: Record = {
    "run": 3,
    "corpus": "wine",
    "n": 100,
    "sources": 6,
    "verdict": "no evidence",
    "flagged": 0.0,
    "alarms": [],
    "shortcuts": 1,
    "blamed": 0,
}


def nothing_drawn(_sets: object, _rng: np.random.Generator) -> tuple[Record, Dataset]:
    return {"corpus": "wine", "n": 178, "sources": 0}, bundled(load_wine)


def victims(sets: object, _test: Dataset, _made: object) -> Record:
    return {"sets": sorted(sets)}  # type: ignore[call-overload]


def subject() -> Subject:
    return Subject(
        file="wines",
        title="Wines",
        noun="bottles",
        corpora=("wine",),
        load=lambda _name, _folder: bundled(load_wine),
        least_tested=100,
        size=5000,
        chosen=chosen,
        poisoned=poisoned,
        trigger="trigger",
        named=conjunctions,
        trained=victims,
        cured=lambda cells: {"victims": str(cells[0]["victim"])},
        drawn=nothing_drawn,
        kinds=("corpus", "sources"),
        fixed={},
        said={0: "none"},
        ranked=lambda _mask, _evidence: {"more": 0.5},
        listed={"more": "more"},
    )


def test_the_rows_of_a_cell_and_its_test_do_not_overlap() -> None:
    train, test = split(subject(), How(Path(), "fast", False, ""), Cell("wine", 78, "leverage x 10", 5, 0))
    assert len(train) == 78
    assert len(test) == 100
    assert not set(train.ids) & set(test.ids)
    assert len(set(train.column("source"))) == 5


def test_a_cell_is_measured_once_and_read_from_the_log_afterwards(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    argv = ["wines", "--attacks", "leverage x 1e", "--sources", "0", "--budget", "fast", "--jobs", "1", "--output", str(tmp_path)]
    monkeypatch.setattr(sys, "argv", argv)
    monkeypatch.setattr("untaint.bench.resume.ProcessPoolExecutor", Here)
    monkeypatch.setattr("untaint.bench.sweep.measured", lambda _subject, _how, cell: {**CELL, **cell._asdict()})
    said: list[str] = []
    main(subject(), "about", tmp_path, said.append)
    assert said[0] == "1 cells, 0 done before"
    record = json.loads((tmp_path / "wines.jsonl").read_text())
    assert (record["corpus"], record["size"], record["budget"], record["victim_asked"]) == ("wine", 78, "fast", False)
    assert json.loads((tmp_path / "wines.json").read_text()) == [record]
    assert "| leverage x 1e+06 | 78 | none | 1 |" in (tmp_path / "wines.md").read_text()
    again: list[str] = []
    main(subject(), "about", tmp_path, again.append)
    assert again[0] == "1 cells, 1 done before"
    assert len(again) == 2
    assert len((tmp_path / "wines.jsonl").read_text().splitlines()) == 1


def test_an_unknown_attack_ends_with_a_message(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "argv", ["wines", "--attacks", "nonsense", "--output", str(tmp_path)])
    with pytest.raises(SystemExit, match="no attack's name holds 'nonsense'"):
        main(subject(), "about", tmp_path, print)


def test_tables_name_groups_failures_victims_and_review_lists() -> None:
    listed = {"auroc": 0.9, "tpr": 0.5, "more": 0.25, "stated": None, "true": 1.0}
    records = [CELL, {**CELL, "seed": 1, "victim": {"a": 1}}, {**CELL, "attack": "flips", "review": listed}]
    page = report(subject(), [*records, {**CELL, "failed": "no core"}])
    assert "| leverage | 78 | none | 2 | 2 | 100 % | 100 % | 0 % | 100 % | – | – | – | 2/2 | 0 | 2.0 |" in page
    assert "## Victims: wine\n\n| attack | bottles | sources | victims |" in page
    assert "| flips | 78 | none | 1 | 90 % | 50 % | 25 % | – | 100 % |" in page
    assert "- wine 78 leverage, sources 0, seed 0: no core" in page


def test_clean_sets_are_counted_over_all_and_by_kind() -> None:
    alarm = {**CLEAN, "run": 4, "verdict": "poisoned", "flagged": 0.1, "alarms": ["backdoor x 5: Five rows."], "blamed": 1}
    page = clean_report(subject(), [CLEAN, alarm, {"run": 5, "failed": "no core"}])
    assert "| **all** | 2 | 1 | 0 | 2 | 5 % | 10 % | 1 |" in page
    assert "| sources: 6 | 2 |" in page
    assert "- run 4 (wine, 100): backdoor x 5: Five rows." in page
    assert "- run 5: no core" in page


def test_lines_of_progress() -> None:
    said = partial(told_cell, subject())
    assert (
        said(CELL)
        == "wine 78 leverage, sources 0, seed 0: poisoned, TPR 100 %, FPR 0 %, shown 100 %, , senders 1/1, 0 in vain, 2.0 s, far-rows"
    )
    assert "'x' in part," in said({**CELL, "trigger": {"planted": "x", "exact": False, "part": True}})
    assert said({**CELL, "failed": "no core"}).endswith("failed, no core")
    assert told_clean(subject(), CLEAN) == "clean 3 (wine, 100, 6): no evidence, 0 % flagged, []"


class Here:
    """Does at once, in this process, what a pool is given."""

    def __init__(self, _processes: int | None) -> None:
        return

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_error: object) -> None:
        return

    def submit(self, run: object, item: object) -> object:
        from concurrent.futures import Future

        job: Future[object] = Future()
        job.set_result(run(item))  # type: ignore[operator]
        return job
