from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar, NoReturn, final

import numpy as np
import pytest
from typing_extensions import override

from untaint import api
from untaint.audit import look as module
from untaint.audit.run import run
from untaint.audit.settings import AuditSettings
from untaint.data.dataset import Dataset, from_arrays
from untaint.detectors.base import Detector
from untaint.errors import BadInput, CannotWrite, FeatureUnavailable, NothingChecked
from untaint.evidence.evidence import Evidence, Group
from untaint.features import graph
from untaint.features.graph import Provider
from untaint.types import Labels

N = 400


@dataclass(frozen=True)
class Fake(Detector):
    """Stands for a detector: runs on every budget."""

    @property
    @override
    def budget(self) -> str:
        return "fast"


@final
@dataclass(frozen=True)
class Quiet(Fake):
    id: ClassVar[str] = "quiet"

    def examine(self, labels: Labels) -> Evidence:
        return Evidence(np.zeros(len(labels), np.float32), "empirical", note="looked")


@final
@dataclass(frozen=True)
class Broken(Fake):
    id: ClassVar[str] = "broken"

    def examine(self, labels: Labels) -> NoReturn:
        raise ZeroDivisionError("one by none")


@final
@dataclass(frozen=True)
class Accusing(Fake):
    id: ClassVar[str] = "accusing"

    def examine(self, labels: Labels) -> Evidence:
        found = Group("backdoor", np.arange(20), 1.0, 1e-9, 1.0, 0.5, "Because.", 0.9, target_label="0")
        return Evidence(np.zeros(len(labels), np.float32), "empirical", (found,))


@final
@dataclass(frozen=True)
class Helping(Fake):
    id: ClassVar[str] = "helping"

    def examine(self, labels: Labels) -> Evidence:
        scores = np.where(np.arange(len(labels)) < 30, 1.0, 0.0) + np.random.default_rng(0).random(len(labels))
        return Evidence(scores.astype(np.float32), "empirical", corroborates="are steadier")


@final
@dataclass(frozen=True)
class Wanting(Fake):
    id: ClassVar[str] = "wanting"

    def examine(self, texts: object) -> NoReturn:
        raise AssertionError("its feature is never there")


@final
@dataclass(frozen=True)
class Full(Fake):
    id: ClassVar[str] = "full"

    def examine(self, labels: Labels) -> NoReturn:
        raise CannotWrite("the disk is full.")


@final
@dataclass(frozen=True)
class Costly(Detector):
    id: ClassVar[str] = "costly"

    @property
    @override
    def budget(self) -> str:
        return "thorough"

    def examine(self, labels: Labels) -> NoReturn:
        raise AssertionError("over budget")


def texts(dataset: Dataset) -> NoReturn:
    raise FeatureUnavailable("needs texts")


def broken_content(dataset: Dataset) -> NoReturn:
    raise ZeroDivisionError("cannot judge")


Install = Callable[..., None]


@pytest.fixture
def install(monkeypatch: pytest.MonkeyPatch) -> Install:
    """Make these the only detectors."""

    def installed(*kinds: type[Detector]) -> None:
        known: Mapping[str, type[Detector]] = {kind.id: kind for kind in kinds}
        monkeypatch.setattr(module, "detectors", lambda modality: known)

    graph.providers()
    monkeypatch.setitem(graph._PROVIDERS, ("texts", None), Provider("texts", texts, ("dataset",), stored=False))
    return installed


def dataset() -> Dataset:
    images = np.random.default_rng(0).integers(0, 256, (N, 8, 8), np.uint8)
    images[::2, 2:6, 2:6] = 255
    return from_arrays(images, [str(row % 2) for row in range(N)])


FAST = AuditSettings(budget="fast")


def test_a_detector_that_breaks_is_reported_and_forbids_no_evidence(install: Install) -> None:
    install(Quiet, Broken)
    result = run(dataset(), FAST)
    quiet, broken = result.checks
    assert (quiet.status, quiet.reason) == ("ran", "looked")
    assert (broken.status, broken.reason) == ("failed", "ZeroDivisionError: one by none")
    assert result.verdict.answer == "cannot tell"
    assert any("one by none" in reason for reason in result.verdict.reasons)
    assert "risk_quiet" in result.samples.column_names
    assert "risk_broken" not in result.samples.column_names


def test_a_detector_that_breaks_hides_nothing(install: Install) -> None:
    install(Accusing, Broken)
    result = run(dataset(), FAST)
    assert result.verdict.answer == "poisoned"
    assert result.n_flagged == 20


def test_what_corroborates_adds_a_line_to_findings_and_nothing_else(install: Install) -> None:
    install(Accusing)
    alone = run(dataset(), FAST)
    install(Accusing, Helping)
    result = run(dataset(), FAST)
    (before,), (finding,) = alone.verdict.findings, result.verdict.findings
    first, line = finding.explanation.split("\n")
    assert first == before.explanation
    assert line.startswith("helping: These samples are steadier than ")
    assert (finding.detectors, finding.p_value, finding.severity) == (before.detectors, before.p_value, before.severity)
    assert result.samples.column("p_value").equals(alone.samples.column("p_value"))
    assert max(result.samples.column("risk_helping").to_pylist()[:20]) > 0.9


def test_what_corroborates_says_nothing_of_a_set_without_findings(install: Install) -> None:
    install(Quiet, Helping)
    assert run(dataset(), FAST).verdict.answer == "no evidence"
    assert run(dataset(), FAST).verdict.findings == ()


def test_a_missing_feature_is_a_reason(install: Install) -> None:
    install(Quiet, Wanting)
    result = run(dataset(), FAST)
    assert [(check.status, check.reason) for check in result.checks] == [("ran", "looked"), ("skipped", "needs texts")]
    assert result.verdict.answer == "cannot tell"


def test_what_the_budget_leaves_out_is_said_but_no_doubt(install: Install) -> None:
    install(Quiet, Costly)
    result = run(dataset(), FAST)
    assert result.checks[1].status == "skipped"
    assert "thorough" in result.checks[1].reason
    assert result.verdict.answer == "no evidence"


def test_when_nothing_ran_there_is_no_result(install: Install) -> None:
    install(Wanting, Broken)
    with pytest.raises(NothingChecked, match="needs texts"):
        run(from_arrays(["one text", "another text"] * 30, ["a", "b"] * 30), FAST)


def test_errors_made_for_people_stop_the_run(install: Install) -> None:
    install(Quiet, Full)
    with pytest.raises(CannotWrite, match="full"):
        run(dataset(), FAST)


def test_a_feature_that_breaks_is_a_failure_of_its_detectors(install: Install, monkeypatch: pytest.MonkeyPatch) -> None:
    install(Quiet)
    monkeypatch.setitem(graph._PROVIDERS, ("content", "image"), Provider("content", broken_content, ("dataset",), stored=False))
    monkeypatch.setitem(graph._PROVIDERS, ("proxy", None), Provider("proxy", broken_content, ("dataset",), stored=False))
    result = run(dataset(), AuditSettings(budget="standard"))
    assert result.checks[0].status == "ran"
    assert "cannot judge" in str(result.environment["proxy"])


@pytest.mark.parametrize(
    ("settings", "word"),
    [
        *(({"alpha": alpha}, "alpha") for alpha in (0, 1, 2, -0.1, float("nan"))),
        ({"seed": -1}, "seed"),
        ({"model": Path("nowhere.safetensors")}, "nowhere"),
    ],
)
def test_settings_that_make_no_sense(settings: dict[str, Any], word: str) -> None:
    with pytest.raises(BadInput, match=word):
        AuditSettings(**settings)


def test_without_a_folder_nothing_is_written(install: Install, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    install(Quiet)
    monkeypatch.chdir(tmp_path)
    result = api.audit(dataset(), budget="fast")
    assert result.n_samples == N
    assert not list(tmp_path.iterdir())


def test_every_detector_is_told_of_before_it_runs(install: Install) -> None:
    install(Quiet, Broken)
    told: list[tuple[str, int, int]] = []
    run(dataset(), AuditSettings(budget="fast", report_progress=lambda *what: told.append(what)))
    assert [what for what in told if what[0].startswith("examining")] == [("examining: quiet", 0, 2), ("examining: broken", 1, 2)]


def test_progress_changes_nothing(install: Install) -> None:
    install(Accusing)
    loud = run(dataset(), AuditSettings(budget="fast", report_progress=lambda *_: None))
    assert loud.samples.equals(run(dataset(), FAST).samples)
