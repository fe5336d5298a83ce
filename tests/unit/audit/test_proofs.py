"""From a data set to a proof: real networks on small digits, detectors that say what is to be proved."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import ClassVar, final

import numpy as np
import pytest
import torch
from tests.digit_sets import TARGET, Digits, clean, patched
from typing_extensions import override

from untaint.audit import look as module
from untaint.audit import proofs
from untaint.audit.proofs import _Trials
from untaint.audit.run import run
from untaint.audit.settings import AuditSettings
from untaint.detectors.base import Detector
from untaint.evidence.evidence import Evidence, Group
from untaint.evidence.finding import AuditResult, Proof
from untaint.evidence.triggers import additive
from untaint.features.content import Content
from untaint.types import Labels, Pixels

STRIPES = 25 * (1 + np.sin(np.arange(16) * 2 * np.pi / 4))[None, :, None]


@final
@dataclass(frozen=True)
class Pointing(Detector):
    """Points at given rows as long as they are there: at those that show a mark in their first pixel."""

    id: ClassVar[str] = "pointing"
    contradiction: float = 0.0
    marks: tuple[int, ...] = (1,)

    @property
    @override
    def budget(self) -> str:
        return "fast"

    def examine(self, pixels: Pixels, labels: Labels, content: Content) -> Evidence:
        scores, groups = np.zeros(len(labels), np.float32), []
        for mark in self.marks:
            members = np.flatnonzero(pixels[:, 0, 0, 0] == mark)
            if len(members) == 0:
                continue
            trigger = additive(pixels, content, members, np.arange(len(labels)))
            if len(members) == len(striped()):  # how well a pattern is recovered is not the question here
                trigger = replace(trigger, pattern=np.broadcast_to(STRIPES, pixels.shape[1:]).astype(float))
            target, against = str(TARGET), self.contradiction
            groups.append(
                Group("backdoor", members, 1.0, 1e-9, 1.0, 0.5, "Because.", against, target_label=target, trigger=trigger)
            )
        return Evidence(scores, "empirical", tuple(groups))


def marked(rows: np.ndarray, stripes: float) -> Digits:
    """Digits labelled as the target whose given rows carry the mark the detector looks for, and stripes a network may learn."""
    start = clean()
    images, labels = start.images.copy(), start.labels.copy()
    images[:, 0, 0] = 0
    images[rows] = np.clip(images[rows] + stripes * STRIPES[..., 0], 0, 255).astype(np.uint8)
    images[rows, 0, 0] = 1
    labels[rows] = TARGET
    return Digits(images, labels, start.truth, np.isin(np.arange(len(images)), rows))


def striped() -> np.ndarray:
    """Digits of all classes: their stripes are easily learned. The detector is told that their content agrees with the label."""
    return np.arange(0, len(clean().labels), 17)


def thin_ones() -> np.ndarray:
    """A natural sub-class: the target's images with the least ink."""
    rows = np.flatnonzero(clean().labels == TARGET)
    return np.sort(rows[np.argsort(clean().images[rows].mean((1, 2)))[: len(rows) // 3]])


@pytest.fixture
def install(monkeypatch: pytest.MonkeyPatch) -> Callable[[float], None]:
    def installed(contradiction: float) -> None:
        known: Mapping[str, Callable[[], Detector]] = {"pointing": lambda: Pointing(contradiction)}
        monkeypatch.setattr(module, "detectors", lambda modality: known)

    return installed


Install = Callable[[float], None]


def audited(digits: Digits, told: list[str] | None = None, **more: object) -> AuditResult:
    report = (lambda what, done, _: told.append(f"{what} {done}")) if told is not None else (lambda *_: None)
    return run(digits.dataset, AuditSettings(report_progress=report, **more))  # type: ignore[arg-type]


def proof(result: AuditResult) -> Proof:
    found = result.verdict.findings[0].proof
    assert found is not None
    return found


def test_a_clean_label_pattern_that_forces_its_class_is_accused(install: Install) -> None:
    install(0.1)
    result = audited(marked(striped(), 1.0), budget="standard")
    assert result.verdict.answer == "poisoned", proof(result).statement
    assert proof(result).status == "proven"
    assert proof(result).asr_after < proof(result).asr_before / 2
    assert np.flatnonzero(result.samples.column("flagged").to_pylist()).tolist() == striped().tolist()
    assert result.verdict.reasons[-1].startswith("Round 2")


def test_a_natural_sub_class_is_not(install: Install) -> None:
    install(0.1)
    told: list[str] = []
    result = audited(marked(thin_ones(), 0.0), told, budget="standard")
    assert result.verdict.answer == "cannot tell"
    assert result.n_flagged == 0
    assert not any("round 2" in what for what in told), "a second network was trained for nothing"


def test_on_a_small_budget_nothing_is_proved_and_nothing_trained(install: Install) -> None:
    install(0.9)
    told: list[str] = []
    result = audited(marked(striped(), 1.0), told, budget="fast")
    assert result.verdict.answer == "poisoned"
    assert proof(result).status == "not tried"
    assert "--budget standard" in proof(result).statement
    assert not any("training" in what for what in told)


def test_a_shortcut_is_left_alone_on_a_small_budget(install: Install) -> None:
    install(0.1)
    result = audited(marked(striped(), 1.0), budget="fast")
    assert (result.verdict.answer, result.verdict.findings[0].proof) == ("cannot tell", None)


def test_a_network_that_breaks_costs_the_proof_not_the_finding(install: Install) -> None:
    class Refusing(torch.nn.Module):
        def forward(self, images: torch.Tensor) -> torch.Tensor:
            raise ZeroDivisionError("no")

    install(0.9)
    module_given = Refusing()
    module_given.head = torch.nn.Linear(2, 2)
    result = audited(marked(striped(), 1.0), budget="standard", rounds=1, model=module_given)
    assert result.verdict.answer == "poisoned"
    assert "ZeroDivisionError" in proof(result).statement


def test_the_patch_of_real_detectors_is_proven_and_gone_in_round_two() -> None:
    told: list[str] = []
    result = audited(patched(), told, budget="standard")
    found = next(finding for finding in result.verdict.findings if finding.alarm)
    assert found.proof is not None
    assert found.proof.status == "proven", found.proof.statement
    assert found.proof.asr_before > 0.8
    assert found.proof.asr_after < 0.2
    assert told.count("round 2: training the proxy 1") == 1, "one network for proof and round 2"
    truth = patched().truth
    assert all(truth[example.row] != TARGET and not patched().tampered[example.row] for example in found.proof.examples)


def test_two_shortcuts_that_share_out_a_class_do_not_leave_it_unknown(monkeypatch: pytest.MonkeyPatch) -> None:
    """Each is compared with the other half, not with the handful that neither names."""
    target = np.flatnonzero(clean().labels == TARGET)
    half = target[::2]
    digits = marked(half, 1.0)
    digits.images[np.setdiff1d(target, half)[:-3], 0, 0] = 2
    known = {"pointing": lambda: Pointing(0.0, (1, 2))}
    monkeypatch.setattr(module, "detectors", lambda modality: known)
    settings = AuditSettings(rounds=1)
    features = digits.features()
    seen = module.look(features, np.arange(len(digits.labels)), settings)
    trials = _Trials(seen, settings)
    found = [each for each in seen.verdict.findings if each.kind == "shortcut"]
    assert len(found) == 2
    pixels, content = features.get("pixels"), features.get("content")
    code = features.get("class_names").index(str(TARGET))
    for each in found:
        others = np.setdiff1d(target[~content.contradicted[target]], each.members)
        assert len(others) > 20
        np.testing.assert_allclose(trials._honest_but(each).means[code], pixels[others].mean(0), atol=1e-3)


def half_obeyed(asr: float) -> Proof:
    return Proof("not proven", "Not proven.", 400, asr, float("nan"), {"natural direction between classes": 0.3}, 1e-9)


OBEYED = Proof("proven", "Proven.", 400, 0.8, 0.1, {"natural direction between classes": 0.3}, 1e-9)


def second_opinion(first: Proof, second: Proof, monkeypatch: pytest.MonkeyPatch) -> tuple[Proof, int]:
    """What is left of a proof when a deeper network may be asked, and how often one was trained."""
    trained: list[int] = []
    digits = marked(striped(), 1.0)
    seen = module.look(digits.features(), np.arange(len(digits.labels)), AuditSettings(rounds=1))
    trials = _Trials(seen, AuditSettings(rounds=1))

    def witness(pixels: Pixels, labels: Labels, rows: np.ndarray, settings: object) -> Callable[[Pixels], Pixels]:
        trained.append(len(rows))
        return lambda images: images

    monkeypatch.setattr(proofs, "witness", witness)
    monkeypatch.setattr(trials, "_put_on", lambda found, trigger, after, before: second)
    return trials._witnessed(seen.verdict.findings[0], first, None), len(trained)


def test_where_the_first_network_obeys_by_half_a_deeper_one_is_asked(install: Install, monkeypatch: pytest.MonkeyPatch) -> None:
    install(0.1)
    found, trained = second_opinion(half_obeyed(0.4), OBEYED, monkeypatch)
    assert (found.status, found.asr_before, found.p_value, trained) == ("proven", 0.8, 2e-9, 1)
    assert "the first obeyed in 40%" in found.statement


def test_a_deeper_network_that_obeys_no_better_changes_nothing(install: Install, monkeypatch: pytest.MonkeyPatch) -> None:
    install(0.1)
    first = half_obeyed(0.4)
    assert second_opinion(first, half_obeyed(0.45), monkeypatch) == (first, 1)


def test_none_is_trained_where_the_first_hardly_obeys(install: Install, monkeypatch: pytest.MonkeyPatch) -> None:
    install(0.1)
    first = half_obeyed(0.2)
    assert second_opinion(first, OBEYED, monkeypatch) == (first, 0)
