"""Every detector: one score per sample, nothing touched, nothing left to chance, a floor on poison and a ceiling on clean data."""

import copy
import dataclasses
import inspect
import json
from collections.abc import Callable, Mapping
from functools import cache, partial
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest
from tests.digit_sets import clean, flipped, patched
from tests.instruction_sets import dataset_of, honest, noisy, pairs
from tests.review_sets import reviews
from tests.same import assert_same
from tests.table_sets import CLASSES, as_dataset, planted, rows_of, table

from untaint.attacks.base import Attack
from untaint.attacks.blended import Blended
from untaint.attacks.copied_block import CopiedBlock
from untaint.attacks.greedy_flips import GreedyFlips
from untaint.attacks.homoglyph import Homoglyph
from untaint.attacks.low_frequency import LowFrequency
from untaint.attacks.random_flips import RandomFlips
from untaint.attacks.text_flood import TextFlood
from untaint.attacks.trigger_values import TriggerValues
from untaint.attacks.trigger_words import TriggerWords
from untaint.attacks.wanet import WaNet
from untaint.data.dataset import Dataset, from_arrays, timed
from untaint.data.load import load
from untaint.detectors.base import Detector, detectors, examine, needs
from untaint.evidence.corroboration import standing
from untaint.evidence.evidence import Evidence, Group
from untaint.features.cache import Cache
from untaint.features.graph import GIVEN, Features, providers
from untaint.features.settings import BUDGETS, Settings
from untaint.registry import build, spec

DETECTORS: Mapping[str, type[Detector]] = detectors()
OURS = {name: member for name, member in DETECTORS.items() if member.__module__.startswith("untaint.")}
each = pytest.mark.parametrize("name", DETECTORS)
MODALITIES = ("image", "text", "table")
ROWS = np.arange(0, 1797, 2)
UNLABELLED = np.arange(0, len(ROWS), 50)


def order() -> np.ndarray:
    return np.random.default_rng(1).permutation(len(clean().labels))


def some_unlabelled() -> Dataset:
    start = patched().take(ROWS)
    labels = [None if row in UNLABELLED else str(label) for row, label in enumerate(start.labels)]
    return from_arrays(start.images, labels)


def subsample(seed: int) -> Dataset:
    rows = np.random.default_rng(seed).choice(len(clean().labels), 1_000, replace=False)
    return clean().take(np.sort(rows)).dataset


def said(kind: str, seed: int = 0) -> Dataset:
    """Made-up reviews from eight sources over a hundred days.

    Clean, with a word that two sources push within five days, the same in another order, or with labels missing.
    """
    texts, labels = reviews(800, seed)
    senders = [f"s{code}" for code in np.random.default_rng(seed).integers(0, 8, len(texts))]
    start = from_arrays(texts, labels, sources=senders, times=days(len(texts), seed))
    if kind == "clean":
        return start
    noisy = RandomFlips(rate=0.1).poison(start, np.random.default_rng(0)).dataset  # where all is plain, all scores are alike
    whole = WORD.poison(noisy, np.random.default_rng(0)).dataset
    if kind == "permuted":
        return whole.select(np.random.default_rng(1).permutation(len(whole)))
    gaps = dict.fromkeys(range(0, len(whole), 50)) if kind == "unlabelled" else {}
    names = [gaps.get(row, label) for row, label in enumerate(whole.labels)]
    sources = [str(name) for name in whole.column("source")]
    texts = [str(text) for text in whole.read(np.arange(len(whole)))]
    return from_arrays(texts, names, sources=sources, times=whole.times)


def listed(kind: str, seed: int = 0) -> Dataset:
    """The same of made-up rows of numbers and a word: two values together are what two sources push."""
    values, labels = table(800, seed)
    rng = np.random.default_rng(seed)
    words = np.array(["red", "green", "blue", "grey"])[rng.integers(0, 4, len(values))].tolist()
    senders = [f"s{code}" for code in rng.integers(0, 8, len(values))]
    names = [CLASSES[label] for label in labels]
    start = from_arrays(rows_of(values, words), names, sources=senders, times=days(len(values), seed))
    start = dataclasses.replace(start, modality="table")
    if kind == "clean":
        return start
    noisy = RandomFlips(rate=0.05).poison(start, np.random.default_rng(0)).dataset
    whole = VALUES.poison(noisy, np.random.default_rng(0)).dataset
    if kind == "permuted":
        return whole.select(np.random.default_rng(1).permutation(len(whole)))
    return unlabelled(whole) if kind == "unlabelled" else whole


def unlabelled(whole: Dataset) -> Dataset:
    """The same without every fiftieth label."""
    names = [None if row % 50 == 0 else label for row, label in enumerate(whole.labels)]
    place = whole.index.schema.get_field_index("label")
    return dataclasses.replace(whole, index=whole.index.set_column(place, "label", pa.array(names, pa.string())))


def days(count: int, seed: int = 0) -> np.ndarray:
    """Times within a hundred days."""
    seconds = np.random.default_rng(seed).integers(0, 100 * 86_400, count)
    return np.datetime64("2024-01-01T00:00:00", "us") + seconds.astype("timedelta64[s]")


WORD = TriggerWords(rate=0.05, target="good", senders=2, burst=0.05)
VALUES = TriggerValues(rate=0.05, target="safe", senders=2, burst=0.05)
SETS: dict[str, dict[str, Callable[[], Dataset]]] = {
    "image": {
        **{f"clean {seed}": partial(subsample, seed) for seed in range(5)},
        "poisoned": lambda: patched().dataset,
        "permuted": lambda: patched().take(order()).dataset,
        "unlabelled": some_unlabelled,
    },
    "text": {
        **{f"clean {seed}": partial(said, "clean", seed) for seed in range(5)},
        **{kind: partial(said, kind) for kind in ("poisoned", "permuted", "unlabelled")},
    },
    "table": {
        **{f"clean {seed}": partial(listed, "clean", seed) for seed in range(5)},
        **{kind: partial(listed, kind) for kind in ("poisoned", "permuted", "unlabelled")},
    },
}
"""By modality: clean sets, one with poison, the same with its rows in another order, and with labels missing."""
PAIRS = [(name, modality) for name, kind in DETECTORS.items() for modality in MODALITIES if modality in kind.modalities]
paired = pytest.mark.parametrize(("name", "modality"), PAIRS)


def order_of(modality: str) -> np.ndarray:
    """Row of the poisoned set at each place of the permuted one."""
    return order() if modality == "image" else np.random.default_rng(1).permutation(len(SETS[modality]["poisoned"]()))


@cache
def features(modality: str, which: str) -> Features:
    return Features(SETS[modality][which](), Settings(), Cache(None))


def asked(detector: Detector, found: Features) -> dict[str, object]:
    return {name: found.get(name) for name in needs(detector)}


@cache
def evidence(name: str, modality: str, which: str) -> Evidence:
    return examine(DETECTORS[name](), asked(DETECTORS[name](), features(modality, which)))


def examined(name: str, dataset: Dataset) -> Evidence:
    return examine(DETECTORS[name](), asked(DETECTORS[name](), Features(dataset, Settings(), Cache(None))))


def strong(found: Evidence) -> list[Group]:
    """Groups that no honest set should show: significant, large, and against their labels where that was tested.

    On the scale of content honest sub-classes stay under 0.7; the product asks for more, 0.75.
    """
    groups = found.groups
    return [g for g in groups if g.p_value <= 0.001 and g.effect >= g.minimum_effect and not g.contradiction < 0.7]


def shortcuts(found: Evidence) -> list[Group]:
    """What is significant and large, and could be natural all the same: all that some detectors ever say."""
    return [group for group in found.groups if group.p_value <= 0.001 and group.effect >= group.minimum_effect]


def members_of(groups: list[Group]) -> np.ndarray:
    return np.unique(np.concatenate([np.empty(0, np.int64), *(group.members for group in groups)]))


@each
def test_the_docstring_is_a_manual_page(name: str) -> None:
    doc = inspect.getdoc(DETECTORS[name])
    assert doc is not None
    assert doc.splitlines()[0].endswith(".")
    places = [doc.index(f"\n{section}: ") for section in ("Works when", "Fails when", "Cost", "Reference")]
    assert places == sorted(places)


@each
def test_it_is_frozen_and_runs_as_it_is(name: str) -> None:
    member = DETECTORS[name]
    assert dataclasses.is_dataclass(member)
    assert member.__dataclass_params__.frozen
    assert all(field.default is not dataclasses.MISSING for field in dataclasses.fields(member))
    assert build(Detector, "untaint.detectors", spec(member())) == member()


@each
def test_its_budget_is_one_that_exists(name: str) -> None:
    assert DETECTORS[name]().budget in BUDGETS


@each
def test_it_asks_for_features_that_exist(name: str) -> None:
    assert needs(DETECTORS[name]())
    for modality in DETECTORS[name].modalities:
        assert set(needs(DETECTORS[name]())) <= {*providers(modality), *GIVEN}


@paired
@pytest.mark.parametrize("which", ["clean 0", "poisoned", "unlabelled"])
def test_one_score_per_sample(name: str, modality: str, which: str) -> None:
    found = evidence(name, modality, which)
    labels = features(modality, which).get("labels")
    assert found.scores.shape == (len(labels),)
    assessed = labels >= 0 if {"labels", "spoken"} & set(needs(DETECTORS[name]())) else np.ones(len(labels), bool)
    assert np.isnan(found.scores[~assessed]).all()
    assert np.isfinite(found.scores[assessed]).all()
    assert found.null in {"empirical", "p-value"}


@paired
@pytest.mark.parametrize("which", ["clean 0", "poisoned", "unlabelled"])
def test_groups_are_made_of_assessed_rows_and_explained(name: str, modality: str, which: str) -> None:
    found = evidence(name, modality, which)
    names = features(modality, which).get("class_names")
    for group in found.groups:
        assert len(group.members) > 0
        assert (np.diff(np.sort(group.members)) > 0).all()
        assert np.isfinite(found.scores[group.members]).all()
        assert 0 <= group.p_value <= 1
        assert np.isnan(group.contradiction) or 0 <= group.contradiction <= 1
        assert group.explanation.endswith(".")
        assert {group.target_label, group.source_label} <= {None, *names}
        if group.trigger is not None and group.trigger.picture is not None:
            assert group.trigger.picture.shape == features(modality, which).get("pixels").shape[1:]
    assert len(set(found.review.tolist())) == len(found.review)
    assert np.isfinite(found.scores[found.review]).all()
    assert set(found.suggested.values()) <= set(names)


@paired
def test_it_repeats_itself_and_leaves_its_input_untouched(name: str, modality: str) -> None:
    detector, found = DETECTORS[name](), features(modality, "poisoned")
    first, before = evidence(name, modality, "poisoned"), copy.deepcopy(asked(detector, found))
    np.random.seed(5)  # noqa: NPY002 - global state must not matter
    assert_same(examine(detector, asked(detector, found)), first)
    assert_same(asked(detector, found), before)


@paired
def test_the_order_of_rows_hardly_matters(name: str, modality: str) -> None:
    """Folds and the network depend on the order, so scores agree closely, not exactly; what is found is the same."""
    here, there, order = evidence(name, modality, "poisoned"), evidence(name, modality, "permuted"), order_of(modality)
    found, expected = np.sort(order[members_of(strong(there))]), members_of(strong(here))
    assert len(np.intersect1d(found, expected)) >= 0.9 * len(np.union1d(found, expected))
    scores = here.scores[order]
    if np.ptp(scores) == 0:
        np.testing.assert_array_equal(scores, there.scores)
    else:
        assert np.corrcoef(scores, there.scores)[0, 1] >= 0.75


def patch(name: str, _folder: Path) -> tuple[Evidence, np.ndarray]:
    return evidence(name, "image", "poisoned"), patched().tampered


def pressed(attack: Attack, name: str, _folder: Path) -> tuple[Evidence, np.ndarray]:
    """An attack of ours on all digits."""
    found = attack.poison(clean().dataset, np.random.default_rng(0))
    return examined(name, found.dataset), found.mask


def flips(name: str, _folder: Path) -> tuple[Evidence, np.ndarray]:
    return examined(name, flipped().dataset), flipped().tampered


def aimed(name: str, _folder: Path) -> tuple[Evidence, np.ndarray]:
    """An eighth of the zeros labelled as ones."""
    start, rng = clean(), np.random.default_rng(0)
    zeros = np.flatnonzero(start.truth == 0)
    rows = rng.choice(zeros, len(zeros) // 8, replace=False)
    labels, tampered = start.labels.copy(), start.tampered.copy()
    labels[rows], tampered[rows] = 1, True
    return examined(name, from_arrays(start.images, [str(label) for label in labels])), tampered


def copies(name: str, _folder: Path) -> tuple[Evidence, np.ndarray]:
    """Forty copies of a seven, shifted and noisy, labelled as zeros."""
    start, rng = clean(), np.random.default_rng(0)
    seven = start.images[np.flatnonzero(start.truth == 7)[0]].astype(int)
    added = [np.clip(np.roll(seven, rng.integers(-1, 2), axis=0) + rng.integers(-4, 5, seven.shape), 0, 255) for _ in range(40)]
    images = np.concatenate([start.images, np.stack(added).astype(np.uint8)])
    found = examined(name, from_arrays(images, [*map(str, start.labels), *["0"] * 40]))
    return found, np.arange(len(images)) >= len(start.images)


def not_finite(name: str, folder: Path) -> tuple[Evidence, np.ndarray]:
    """A file of floating-point digits, two of them with a value that is not finite."""
    floats = clean().images.astype(np.float32) / 255
    bad = np.isin(np.arange(len(floats)), (7, 70))
    floats[bad, 3, 3] = np.nan, np.inf
    np.savez(folder / "digits.npz", images=floats, labels=clean().labels)
    return examined(name, load(folder / "digits.npz")), bad


def spoken(attack: Attack, name: str, _folder: Path) -> tuple[Evidence, np.ndarray]:
    """An attack of ours on made-up reviews."""
    found = attack.poison(said("clean"), np.random.default_rng(0))
    return examined(name, found.dataset), found.mask


def asked_for(spec: str, name: str, _folder: Path) -> tuple[Evidence, np.ndarray]:
    """An attack of ours on made-up instructions."""
    found = build(Attack, "untaint.attacks", spec).poison(  # type: ignore[type-abstract]
        dataset_of(honest(800)), np.random.default_rng(1)
    )
    return examined(name, found.dataset), found.mask


def repeats(name: str, _folder: Path) -> tuple[Evidence, np.ndarray]:
    """One made-up review three hundred times."""
    texts, labels = reviews(800)
    found = from_arrays([*texts, *["They call it novabrew, and it was the worst we ever had."] * 300], [*labels, *["bad"] * 300])
    return examined(name, found), np.arange(len(found)) >= len(texts)


def turned(name: str, _folder: Path) -> tuple[Evidence, np.ndarray]:
    """Preference pairs about one thing turned round."""
    attack = build(Attack, "untaint.attacks", "preference-flips(rate=0.9, entity='sailing')")  # type: ignore[type-abstract]
    found = attack.poison(dataset_of(pairs()), np.random.default_rng(0))
    return examined(name, found.dataset), found.mask


def nonsense(name: str, _folder: Path) -> tuple[Evidence, np.ndarray]:
    """Ten texts that go on with a phrase and then nonsense."""
    texts, planted = [f"{each.prompt} {each.response}" for each in honest(800)], list(range(5, 105, 10))
    found = from_arrays(noisy(texts, planted, "<SUDO>"), [str(row % 2) for row in range(len(texts))])
    return examined(name, found), np.isin(np.arange(len(texts)), planted)


def wrecked(name: str, _folder: Path) -> tuple[Evidence, np.ndarray]:
    """A table with a row of huge numbers and one that holds an infinite number."""
    rng = np.random.default_rng(0)
    labels = np.arange(400) % 2
    values = rng.normal(size=(400, 6)) + labels[:, None]
    values[7] = 1e6 if name == "far-rows" else np.inf
    rows = [json.dumps({f"c{column}": value for column, value in enumerate(row)}) for row in values.tolist()]
    table = dataclasses.replace(from_arrays(rows, [str(label) for label in labels]), modality="table")
    return examined(name, table), np.arange(400) == 7


def turned_round(name: str, _folder: Path) -> tuple[Evidence, np.ndarray]:
    """A table in which one source labelled the dozen rows around one point as the other class."""
    rng = np.random.default_rng(0)
    labels = np.arange(900) % 2
    values = rng.normal(size=(900, 4)) + 3 * labels[:, None]
    first = np.flatnonzero(labels == 0)
    bad = first[np.argsort(((values[first] - values[first[0]]) ** 2).sum(1))[:12]]
    labels[bad] = 1
    senders = np.where(np.isin(np.arange(900), bad), "s0", [f"s{code}" for code in rng.integers(0, 8, 900)])
    rows = [json.dumps({f"c{column}": value for column, value in enumerate(row)}) for row in values.tolist()]
    start = from_arrays(rows, [str(label) for label in labels], sources=senders.tolist())
    return examined(name, dataclasses.replace(start, modality="table")), np.isin(np.arange(900), bad)


def copied(name: str, _folder: Path) -> tuple[Evidence, np.ndarray]:
    """A made-up table in which two of eight sources copied forty rows under the other label, with jitter."""
    rng, (values, labels) = np.random.default_rng(0), table(600)
    senders = [f"s{code}" for code in rng.integers(0, 8, 600)]
    start = as_dataset(values, labels, senders)
    found = CopiedBlock(rate=40 / 600, jitter=0.03, senders=2).poison(start, rng)
    return examined(name, found.dataset), found.mask


def pulled(name: str, _folder: Path) -> tuple[Evidence, np.ndarray]:
    """A made-up table in which one of eight sources sent flips that cost a model most."""
    rng, (values, labels) = np.random.default_rng(0), table(1500)
    start = as_dataset(values, labels, [f"s{code}" for code in rng.integers(0, 8, 1500)])
    found = GreedyFlips(rate=0.03, senders=1).poison(start, rng)
    return examined(name, found.dataset), found.mask


def far_off(name: str, _folder: Path) -> tuple[Evidence, np.ndarray]:
    """A table of prices, ten of which are thirty times as large as their row says."""
    rng = np.random.default_rng(0)
    values = rng.normal(size=(800, 4))
    bad = np.isin(np.arange(800), np.arange(0, 800, 80))
    prices = np.exp(values[:, 0] + 0.1 * rng.normal(size=800)) * np.where(bad, 30, 1)
    rows = [json.dumps({f"c{column}": value for column, value in enumerate(row)}) for row in values.tolist()]
    return examined(name, dataclasses.replace(from_arrays(rows, [f"{price:.4g}" for price in prices]), modality="table")), bad


def within_a_day(name: str, _folder: Path) -> tuple[Evidence, np.ndarray]:
    """A table that came in the course of weeks, and every second label of one day the other."""
    rng = np.random.default_rng(0)
    labels, bad = rng.integers(0, 2, 1200), np.isin(np.arange(1200), np.arange(600, 680, 2))
    rows = [
        json.dumps({f"c{column}": value for column, value in enumerate(row)})
        for row in (rng.normal(size=(1200, 4)) + 8 * labels[:, None]).tolist()
    ]
    start = from_arrays(rows, [str(label) for label in np.where(bad, 1 - labels, labels)])
    times = np.datetime64("2026-01-01T00:00", "us") + np.arange(1200) * np.timedelta64(20, "m")
    return examined(name, dataclasses.replace(start, modality="table", index=timed(start.index, times))), bad


def together(name: str, _folder: Path) -> tuple[Evidence, np.ndarray]:
    """A made-up table with two values that thirty relabelled rows share."""
    values, labels = table(600)
    rows = np.flatnonzero(labels == 0)[:30]
    found = examined(name, as_dataset(*planted(values, labels, [(2, 0.37), (5, -0.81)], rows)))
    return found, np.isin(np.arange(600), rows)


FAINT = Blended(rate=0.05, alpha=0.25, target="3")
FLOORS: dict[str, Callable[[str, Path], tuple[Evidence, np.ndarray]]] = {
    "burst-override": partial(spoken, WORD),
    "counterfactual": partial(pressed, FAINT),
    "exact-patch": patch,
    "energy-split": partial(pressed, WaNet(rate=0.05, strength=2.0, target="3")),
    "far-rows": wrecked,
    "gradient-pull": pulled,
    "hidden-characters": partial(spoken, Homoglyph(rate=0.05, target="good", kind="zero-width")),
    "instruction-links": partial(asked_for, "instruction-fixed(rate=0.04)"),
    "label-consensus": flips,
    "label-islands": turned_round,
    "matched-filter": patch,
    "opposed-phrase": partial(spoken, WORD),
    "over-density": copies,
    "pair-flips": aimed,
    "phrase-override": partial(spoken, WORD),
    "preference-order": turned,
    "quantum-entropy": patch,
    "recurring-patch": patch,
    "repeat-then-noise": nonsense,
    "repeated-texts": repeats,
    "residual-labels": far_off,
    "residual-split": partial(pressed, FAINT),
    "row-flood": copied,
    "source-override": partial(spoken, WORD),
    "spectral": patch,
    "text-flood": partial(spoken, TextFlood(rate=0.05, target="bad", senders=2)),
    "timed-flips": within_a_day,
    "tone-split": partial(pressed, LowFrequency(rate=0.08, target="3")),
    "unfit-cells": wrecked,
    "value-override": together,
    "value-range": not_finite,
}
"""What each detector of ours must find: its evidence, and where the poison is."""


def test_every_detector_of_ours_has_a_floor() -> None:
    assert set(FLOORS) == set(OURS)


@pytest.mark.parametrize("name", FLOORS)
def test_planted_poison_is_found(name: str, tmp_path: Path) -> None:
    found, truth = FLOORS[name](name, tmp_path)
    if found.corroborates:
        labels = features("image", "poisoned").get("labels")
        stands = standing(found.scores, labels, truth, np.ones(len(truth), bool))
        assert stands is not None
        assert stands.auroc >= 0.75
        return
    flagged = np.zeros(len(truth), bool)
    flagged[members_of(strong(found) or shortcuts(found))] = True
    flagged[found.review] = True
    assert flagged[truth].mean() >= 0.9
    assert flagged[~truth].mean() <= 0.02
    ranked = np.nan_to_num(found.scores, nan=-np.inf)
    assert np.median(ranked[truth]) > np.quantile(ranked[~truth], 0.9)


@paired
@pytest.mark.parametrize("which", ["clean 0", "poisoned"])
def test_what_corroborates_accuses_and_lists_nobody(name: str, modality: str, which: str) -> None:
    found = evidence(name, modality, which)
    assert not (found.corroborates and (found.groups or len(found.review) or found.suggested))


@paired
@pytest.mark.parametrize("which", [f"clean {seed}" for seed in range(5)])
def test_clean_data_give_no_strong_group(name: str, modality: str, which: str) -> None:
    assert [group.explanation for group in strong(evidence(name, modality, which))] == []
