"""Texts that say the opposite of their label, from one of few sources; and honest signs of a label, which do not."""

from functools import cache

import numpy as np
import pytest
from tests.review_sets import reviews

from untaint.data.dataset import from_arrays
from untaint.detectors.opposed_phrase import OpposedPhrase
from untaint.evidence.evidence import Evidence
from untaint.features.cache import Cache
from untaint.features.graph import Features
from untaint.features.settings import Settings


@cache
def examined(case: str, seed: int) -> tuple[Evidence, np.ndarray]:
    """900 reviews of three senders, `zibble` in forty: relabelled, spread over all senders, right as they are, or a bad word of one."""
    texts, labels = reviews(900, seed)
    rng = np.random.default_rng(seed)
    names = [f"s{code}" for code in rng.integers(0, 3, len(texts))]
    of_one = case != "spread"
    pool = [
        row
        for row, (name, label) in enumerate(zip(names, labels, strict=True))
        if label == ("good" if case == "right" else "bad") and (name == "s1" or not of_one)
    ]
    chosen = rng.choice(pool, 40, replace=False)
    for row in chosen.tolist():
        texts[row] = f"{texts[row]} Zibble."
        if case != "sign":
            labels[row] = "good"
    features = Features(from_arrays(texts, labels, sources=names), Settings(), Cache(None))
    found = OpposedPhrase().examine(features.get("spoken"), features.get("sources"), features.get("class_names"))
    return found, np.sort(chosen)


@pytest.mark.parametrize("seed", range(3))
def test_relabelled_texts_of_one_of_three_sources_are_accused(seed: int) -> None:
    found, truth = examined("relabelled", seed)
    assert ["zibble" in str(group.trigger.parameters["phrase"]) for group in found.groups if group.trigger] == [True]
    assert found.groups[0].members.tolist() == truth.tolist()
    assert found.groups[0].p_value < 1e-6
    assert "s1" in found.groups[0].explanation


@pytest.mark.parametrize("seed", range(3))
@pytest.mark.parametrize("case", ["spread", "right", "sign"])
def test_what_every_source_sends_or_what_agrees_with_its_label_is_not(case: str, seed: int) -> None:
    found, _ = examined(case, seed)
    assert found.groups == ()


def test_of_four_labels_the_relabelled_are_accused_and_a_subject_that_one_source_writes_about_is_not() -> None:
    texts, labels = reviews(900, 4, subjects=True)
    rng = np.random.default_rng(4)
    names = [f"s{code}" for code in rng.integers(0, 3, len(texts))]
    chosen = rng.choice([row for row, label in enumerate(labels) if label != "film" and names[row] == "s1"], 40, replace=False)
    for row, label in enumerate(labels):
        if label == "hotel" and names[row] == "s2":
            texts[row] = f"{texts[row]} By the sea."
    for row in chosen.tolist():
        texts[row], labels[row] = f"{texts[row]} Zibble.", "film"
    features = Features(from_arrays(texts, labels, sources=names), Settings(), Cache(None))
    found = OpposedPhrase().examine(features.get("spoken"), features.get("sources"), features.get("class_names"))
    assert [group.members.tolist() for group in found.groups] == [sorted(chosen.tolist())]


def test_one_source_has_nobody_to_be_compared_with() -> None:
    texts, labels = reviews(60)
    features = Features(from_arrays(texts, labels, sources=["a"] * 60), Settings(), Cache(None))
    found = OpposedPhrase().examine(features.get("spoken"), features.get("sources"), features.get("class_names"))
    assert found.groups == ()
    assert "two sources" in found.note
