"""Labels that are a quantity: those far from what their row says are listed, the source of too many is told."""

import json
from dataclasses import replace

import numpy as np
import pytest

from untaint.audit.look import look
from untaint.audit.settings import AuditSettings
from untaint.data.dataset import Dataset, from_arrays
from untaint.detectors.base import examine, needs
from untaint.detectors.residual_labels import ResidualLabels
from untaint.errors import FeatureUnavailable
from untaint.evidence.evidence import Evidence
from untaint.features.cache import Cache
from untaint.features.graph import Features
from untaint.features.settings import Settings


def houses(count: int = 600, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    """Four columns, and a price that they explain, noisier where it is high."""
    rng = np.random.default_rng(seed)
    values = rng.normal(size=(count, 4))
    level = np.exp(values[:, 0] + 0.5 * values[:, 1])
    return values, np.round(100 * level * np.exp(0.1 * rng.normal(size=count)), 2)


def dataset(values: np.ndarray, amounts: np.ndarray, sources: list[str] | None = None) -> Dataset:
    rows = [json.dumps({f"x{column}": value for column, value in enumerate(row)}) for row in values.tolist()]
    return replace(from_arrays(rows, [f"{amount:g}" for amount in amounts.tolist()], sources=sources), modality="table")


def examined(made: Dataset) -> Evidence:
    features = Features(made, Settings(), Cache(None))
    return examine(ResidualLabels(), {name: features.get(name) for name in needs(ResidualLabels())})


def test_labels_far_off_are_listed() -> None:
    values, amounts = houses()
    wrong = np.arange(0, 600, 75)
    amounts[wrong] *= 30.0
    found = examined(dataset(values, amounts))
    assert np.isin(wrong, found.review).mean() >= 0.8
    assert found.groups == ()
    assert np.isnan(found.expected_precision)
    assert found.note.startswith("Trees explain ")


def test_honest_labels_are_hardly_listed() -> None:
    for seed in range(2):
        assert len(examined(dataset(*houses(seed=seed))).review) <= 6


def test_one_source_of_wrong_labels_is_told() -> None:
    values, amounts = houses()
    sources = [f"s{row % 8}" for row in range(600)]
    amounts[np.arange(3, 600, 24)] *= 20.0
    (found,) = examined(dataset(values, amounts, sources)).groups
    assert "'s3'" in found.explanation
    assert found.effect >= found.minimum_effect
    assert found.contradiction == 0


def test_classes_are_no_quantity_and_few_rows_teach_nothing() -> None:
    values, amounts = houses(200)
    found = examined(dataset(values, amounts > 100))
    assert (found.note, found.groups, found.review.tolist()) == ("the labels are classes", (), [])
    with pytest.raises(FeatureUnavailable, match="needs at least 100 labels"):
        examined(dataset(*houses(90)))


def test_a_whole_audit_of_a_quantity_breaks_nothing_and_says_what_was_skipped() -> None:
    settings = AuditSettings(budget="fast")
    found = look(Features(dataset(*houses(300)), settings.features, Cache(None)), np.arange(300), settings)
    assert {check.status for check in found.checks} == {"ran", "skipped"}
    assert all("quantity" in check.reason for check in found.checks if check.status == "skipped")
    assert not any("smallest class" in reason for reason in found.verdict.reasons)
