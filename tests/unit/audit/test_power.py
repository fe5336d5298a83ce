"""Planted poison: how much of it an audit would have found."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import ClassVar, final

import numpy as np
import pytest
from tests.digit_sets import small
from typing_extensions import override

from untaint.attacks.base import Aim, Attack, Changes, usable
from untaint.audit import look as module
from untaint.audit import power
from untaint.audit.power import auroc
from untaint.audit.run import run
from untaint.audit.settings import AuditSettings
from untaint.data.dataset import Dataset
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


def test_some_attacks_that_ship_are_canaries() -> None:
    from untaint.attacks.base import PACKAGE
    from untaint.registry import members

    shipped = [kind for kind in members(Attack, PACKAGE).values() if kind.canaries]
    assert len(shipped) >= 5
    assert all(list(kind.canaries) == sorted(kind.canaries) for kind in shipped)
