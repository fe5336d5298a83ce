"""Remove, look again: what later rounds find, in which rows, and when there are none."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import ClassVar, final

import numpy as np
import pytest
from typing_extensions import override

from untaint.audit import look as module
from untaint.audit.run import run
from untaint.audit.settings import AuditSettings
from untaint.data.dataset import Dataset, from_arrays
from untaint.detectors.base import Detector
from untaint.errors import BadInput
from untaint.evidence.evidence import Evidence, Group
from untaint.types import Labels, Pixels

N = 300
HIDDEN = {200: [5, 50, 150], 220: [7, 8], 240: [9]}
"""Brightness of the upper left pixel → rows that have it. One is seen at a time, brightest last."""


@final
@dataclass(frozen=True)
class OneAtATime(Detector):
    """Accuses the rows with the darkest of the marks that are left."""

    id: ClassVar[str] = "one-at-a-time"
    contradiction: float = 0.9

    @property
    @override
    def budget(self) -> str:
        return "fast"

    def examine(self, pixels: Pixels, labels: Labels) -> Evidence:
        marks = pixels[:, 0, 0, 0]
        left = marks[marks >= 200]
        members = np.flatnonzero(marks == left.min()) if len(left) else np.empty(0, np.int64)
        groups = (Group("backdoor", members, 1.0, 1e-9, 1.0, 0.5, "Because.", self.contradiction),) if len(members) else ()
        return Evidence(np.zeros(len(labels), np.float32), "empirical", groups)


def natural() -> Detector:
    return OneAtATime(contradiction=0.1)


def dataset() -> Dataset:
    images = np.random.default_rng(0).integers(0, 100, (N, 8, 8), np.uint8)
    for mark, rows in HIDDEN.items():
        images[rows, 0, 0] = mark
    return from_arrays(images, [str(row % 2) for row in range(N)])


@pytest.fixture
def install(monkeypatch: pytest.MonkeyPatch) -> Callable[[Callable[[], Detector]], None]:
    def installed(kind: Callable[[], Detector]) -> None:
        known: Mapping[str, Callable[[], Detector]] = {"one-at-a-time": kind}
        monkeypatch.setattr(module, "detectors", lambda modality: known)

    return installed


Install = Callable[[Callable[[], Detector]], None]


def audited(rounds: int | None, told: list[str] | None = None, **more: object) -> tuple[list[list[int]], object]:
    report = (lambda what, _done, _total: told.append(what)) if told is not None else (lambda *_: None)
    result = run(dataset(), AuditSettings(budget="fast", rounds=rounds, report_progress=report, **more))  # type: ignore[arg-type]
    return [finding.members.tolist() for finding in result.verdict.findings if finding.alarm], result


@pytest.mark.parametrize(("rounds", "seen"), [(None, 1), (1, 1), (2, 2), (3, 3), (9, 3)])
def test_each_round_adds_what_the_one_before_hid_in_rows_of_the_whole_set(
    install: Install, rounds: int | None, seen: int
) -> None:
    install(OneAtATime)
    found, result = audited(rounds)
    assert found == list(HIDDEN.values())[:seen]
    flagged = np.flatnonzero(result.samples.column("flagged").to_pylist()).tolist()  # type: ignore[attr-defined]
    assert flagged == sorted(row for rows in found for row in rows)


def test_a_later_finding_says_which_round_it_is_of(install: Install) -> None:
    install(OneAtATime)
    _, result = audited(9)
    first, second, third = result.verdict.findings  # type: ignore[attr-defined]
    assert "round" not in first.explanation
    assert "round 2, among the 297 samples" in second.explanation
    assert "round 3, among the 295 samples" in third.explanation
    assert [finding.id for finding in (first, second, third)] == ["F1", "F2", "F3"]
    assert "3 findings with 6 samples" in result.verdict.reasons[0]  # type: ignore[attr-defined]
    assert result.verdict.reasons[-1].endswith("294 samples that were left: nothing more.")  # type: ignore[attr-defined]


def test_progress_says_which_round_it_is_of(install: Install) -> None:
    install(OneAtATime)
    told: list[str] = []
    audited(3, told)
    examined = [what for what in told if "examining" in what]
    assert examined == [f"{of}examining: one-at-a-time" for of in ("", "round 2: ", "round 3: ")]


def test_without_an_alarm_there_is_one_look(install: Install) -> None:
    install(natural)
    told: list[str] = []
    found, _ = audited(3, told)
    assert found == []
    assert not any("round" in what for what in told)


def test_when_nothing_is_left_there_is_no_further_round(install: Install, monkeypatch: pytest.MonkeyPatch) -> None:
    install(OneAtATime)
    everything = from_arrays(np.full((60, 8, 8), 200, np.uint8), [str(row % 2) for row in range(60)])
    result = run(everything, AuditSettings(budget="fast", rounds=3))
    assert result.n_flagged == 60


@pytest.mark.parametrize(("budget", "rounds"), [("fast", 1), ("standard", 3), ("thorough", 3)])
def test_how_often_an_audit_looks(budget: str, rounds: int) -> None:
    assert AuditSettings(budget=budget).most_rounds == rounds  # type: ignore[arg-type]
    assert AuditSettings(budget=budget, rounds=2).most_rounds == 2  # type: ignore[arg-type]


def test_no_round_is_no_audit() -> None:
    with pytest.raises(BadInput, match="one round"):
        AuditSettings(rounds=0)
