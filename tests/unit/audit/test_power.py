"""Planted poison: how much of it an audit would have found."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import ClassVar, final

import numpy as np
import pytest
from tests.digit_sets import small
from tests.instruction_sets import dataset_of, honest
from tests.review_sets import reviews
from typing_extensions import override

from untaint.attacks.base import Aim, Attack, Changes, usable
from untaint.attacks.instruction_fixed import InstructionFixed
from untaint.attacks.instruction_refusal import InstructionRefusal
from untaint.attacks.text_flood import TextFlood
from untaint.attacks.trigger_words import TriggerWords
from untaint.audit import look as module
from untaint.audit import power
from untaint.audit.power import auroc
from untaint.audit.run import run
from untaint.audit.settings import AuditSettings
from untaint.data.dataset import Dataset, from_arrays
from untaint.detectors.base import Detector
from untaint.evidence.evidence import Evidence, Group
from untaint.evidence.finding import AuditResult
from untaint.types import Labels, Modality, Pixels


@final
@dataclass(frozen=True)
class White(Attack):
    """Makes images white."""

    id: ClassVar[str] = "white"
    modalities: ClassVar[frozenset[Modality]] = frozenset({"image"})
    canaries: ClassVar[tuple[float, ...]] = (0.01, 0.1, 0.3)
    rate: float = 0.1

    @override
    def aim(self, dataset: Dataset, rng: np.random.Generator) -> Aim:
        return Aim(usable(dataset), round(self.rate * len(dataset)))

    @override
    def craft(self, dataset: Dataset, victims: np.ndarray, target: str | None, rng: np.random.Generator) -> Changes:
        return Changes({int(row): np.full((16, 16), 255, np.uint8) for row in victims})


@final
@dataclass(frozen=True)
class Hidden(Attack):
    """Changes one pixel by one level: nobody sees it."""

    id: ClassVar[str] = "hidden"
    modalities: ClassVar[frozenset[Modality]] = frozenset({"image"})
    canaries: ClassVar[tuple[float, ...]] = (0.1,)
    rate: float = 0.1

    @override
    def aim(self, dataset: Dataset, rng: np.random.Generator) -> Aim:
        return Aim(usable(dataset), round(self.rate * len(dataset)))

    @override
    def craft(self, dataset: Dataset, victims: np.ndarray, target: str | None, rng: np.random.Generator) -> Changes:
        images = dataset.images(victims)
        return Changes({int(row): image ^ np.uint8(1) for row, image in zip(victims, images, strict=True)})


@final
@dataclass(frozen=True)
class SeesWhite(Detector):
    """Accuses ten white images and more."""

    id: ClassVar[str] = "sees-white"

    @property
    @override
    def budget(self) -> str:
        return "fast"

    def examine(self, pixels: Pixels, labels: Labels) -> Evidence:
        bright = pixels.mean((1, 2, 3)).astype(np.float32)
        members = np.flatnonzero(bright == 255)
        group = Group("label-flip", members, 1.0, 1e-9, 1.0, 0.5, "White.", 0.9)
        return Evidence(bright, "empirical", (group,) if len(members) >= 10 else ())


@pytest.fixture
def install(monkeypatch: pytest.MonkeyPatch) -> Callable[..., None]:
    def installed(*kinds: type[Attack]) -> None:
        known: Mapping[str, type[Attack]] = {kind.id: kind for kind in kinds}
        monkeypatch.setattr(power, "members", lambda *_: known)
        monkeypatch.setattr(module, "detectors", lambda modality: {"sees-white": SeesWhite})

    return installed


def audited(told: list[str] | None = None, budget: str = "thorough") -> AuditResult:
    report = (lambda what, *_: told.append(what)) if told is not None else (lambda *_: None)
    return run(small(240).dataset, AuditSettings(budget=budget, report_progress=report))  # type: ignore[arg-type]


def test_the_smallest_rate_found_is_told_and_higher_ones_are_not_tried(install: Callable[..., None]) -> None:
    install(White, Hidden)
    told: list[str] = []
    result = audited(told)
    said = str(result.power["statement"])
    assert "would have found: white from 10 %." in said
    assert "would have missed: hidden at 10 %." in said
    assert any("planting white 1 %: examining" in what for what in told)
    assert not any("white 30 %" in what for what in told)
    assert result.verdict.answer != "poisoned"
    assert result.n_flagged == 0


def test_a_detector_that_sees_no_canary_does_not_count(install: Callable[..., None]) -> None:
    install(Hidden)
    assert "sees-white does not count here" in str(audited().power["statement"])


@pytest.mark.parametrize("budget", ["fast", "standard"])
def test_smaller_budgets_plant_nothing(install: Callable[..., None], budget: str) -> None:
    install(White)
    result = audited(budget=budget)
    assert "--budget thorough" in str(result.power["statement"])
    assert "canaries" not in result.power


def test_what_cannot_be_planted_is_said(install: Callable[..., None], monkeypatch: pytest.MonkeyPatch) -> None:
    install(White)
    monkeypatch.setattr(White, "canaries", (0.001,))
    assert "white (white(rate=0.001) poisons not a single sample" in str(audited().power["statement"])


def test_an_audit_is_not_touched_by_what_it_plants(install: Callable[..., None]) -> None:
    install(White)
    thorough, fast = audited(), audited(budget="fast")
    assert thorough.samples.equals(fast.samples)


def test_auroc_counts_pairs() -> None:
    rng = np.random.default_rng(0)
    scores = rng.integers(0, 6, 60).astype(np.float32)
    scores[:3] = np.nan
    mask, clean = np.arange(60) % 3 == 0, np.arange(60) % 3 == 1
    pairs = [(a > b) + (a == b) / 2 for a in scores[mask] for b in scores[clean] if np.isfinite(a) and np.isfinite(b)]
    assert auroc(scores, mask, clean) == pytest.approx(np.mean(pairs))
    assert np.isnan(auroc(np.zeros(60, np.float32), mask, clean))
    assert np.isnan(auroc(scores, np.zeros(60, bool), clean))


def reviews_of(sources: int) -> Dataset:
    texts, labels = reviews(800)
    codes = np.random.default_rng(0).integers(0, max(sources, 1), len(texts))
    senders = [f"s{code}" for code in codes] if sources else None
    return from_arrays(texts, labels, sources=senders)


@pytest.fixture
def words_only(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(power, "members", lambda *_: {kind.id: kind for kind in (White, TriggerWords, TextFlood)})
    monkeypatch.setattr(TriggerWords, "canaries", (0.0001, 0.05))
    monkeypatch.setattr(TextFlood, "canaries", (0.5,))


@pytest.mark.usefixtures("words_only")
def test_texts_are_planted_by_few_of_their_sources() -> None:
    told: list[str] = []
    result = run(reviews_of(8), AuditSettings(budget="thorough", report_progress=lambda what, *_: told.append(what)))
    said = str(result.power["statement"])
    assert "would have found: trigger-words(senders=2) from 5 %" in said  # of the lower rate there is not a single text
    assert "brand-flood(kind='copy', senders=2) at 50 % (told as what could be natural, not accused)" in said
    assert "white" not in said
    assert "does not count" not in said
    assert any(what.startswith("planting trigger-words(senders=2) 5 %: ") for what in told)
    assert result.n_flagged == 0


@pytest.mark.usefixtures("words_only")
def test_without_sources_texts_are_told_and_not_accused() -> None:
    result = run(reviews_of(0), AuditSettings(budget="thorough"))
    assert "found: none of it. It would have missed: " in str(result.power["statement"])
    assert "trigger-words at 5 % (told as what could be natural, not accused)" in str(result.power["statement"])


def test_instructions_are_planted_with_an_answer_and_a_refusal(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(
        power, "members", lambda *_: {kind.id: kind for kind in (TriggerWords, InstructionFixed, InstructionRefusal)}
    )
    for kind in (InstructionFixed, InstructionRefusal):
        monkeypatch.setattr(kind, "canaries", (0.05,))
    result = run(dataset_of(honest(600)), AuditSettings(budget="thorough"))
    assert set(result.power["canaries"]) == {"instruction-fixed", "instruction-refusal"}  # type: ignore[call-overload]
    assert "would have found: instruction-fixed from 5 %, instruction-refusal from 5 %." in str(result.power["statement"])


def test_some_attacks_that_ship_are_canaries() -> None:
    from untaint.attacks.base import PACKAGE
    from untaint.registry import members

    shipped = [kind for kind in members(Attack, PACKAGE).values() if kind.canaries]
    assert len(shipped) >= 5
    assert all(list(kind.canaries) == sorted(kind.canaries) for kind in shipped)
    assert all(kind(rate=kind.canaries[0], **given) for kind in shipped for given in kind.planted_as)
