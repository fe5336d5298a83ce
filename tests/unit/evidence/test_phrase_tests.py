"""Tests of phrases on made-up reviews: what overrides content, what its whole wording is, who sent it."""

from functools import cache

import numpy as np
import pytest
from tests.review_sets import reviews

from untaint.attacks.trigger_sentence import TriggerSentence
from untaint.attacks.trigger_words import TriggerWords
from untaint.data.dataset import Dataset, from_arrays
from untaint.evidence import concentration
from untaint.evidence.campaign import Piece, campaigns
from untaint.evidence.phrase_names import named
from untaint.evidence.phrase_overrides import clusters, overridden
from untaint.evidence.source_phrases import source_table
from untaint.features.cache import Cache
from untaint.features.graph import Features
from untaint.features.settings import Settings


def clean(seed: int = 0, senders: int = 10) -> Dataset:
    texts, labels = reviews(600, seed)
    names = [f"s{code}" for code in np.random.default_rng(seed).integers(0, senders, len(texts))]
    return from_arrays(texts, labels, sources=names)


@cache
def features(attack: str) -> tuple[Features, np.ndarray]:
    made = {
        "word": TriggerWords(rate=0.04, target="good", senders=2),
        "pair": TriggerWords(rate=0.04, target="good", words=("window", "kettle"), senders=2),
        "sentence": TriggerSentence(rate=0.04, target="good", sentence="we saw the late train", senders=2),
    }[attack].poison(clean(), np.random.default_rng(1))
    return Features(made.dataset, Settings(), Cache(None)), np.flatnonzero(made.mask)


@pytest.mark.parametrize(
    ("attack", "words"), [("word", {"cf"}), ("pair", {"window", "kettle"}), ("sentence", {"we", "saw", "the", "late", "train"})]
)
def test_the_strongest_phrase_is_the_trigger_and_is_named_in_full(attack: str, words: set[str]) -> None:
    found, poison = features(attack)
    spoken = found.get("spoken")
    over = overridden(spoken, spoken.phrases)
    best = clusters(over, spoken.phrases, spoken.labels)[0]
    assert np.isin(poison, best.members).mean() >= 0.9
    assert set(named(spoken, int(over.phrase[best.pairs[0]]), best.members).replace(" … ", " ").split(" ")) - {"."} == words
    assert over.p_value[best.pairs[0]] < 1e-6
    assert over.kept[best.pairs[0]] == over.against[best.pairs[0]]


@pytest.mark.parametrize("seed", range(5))
def test_nothing_overrides_content_in_clean_reviews(seed: int) -> None:
    spoken = Features(clean(seed), Settings(), Cache(None)).get("spoken")
    found = overridden(spoken, spoken.phrases)
    assert ((found.p_value <= 0.01) & (found.effect >= 0.5)).sum() == 0


def test_few_sources_that_send_a_phrase_are_named_and_a_common_phrase_has_none() -> None:
    found, poison = features("word")
    spoken, sources = found.get("spoken"), found.get("sources")
    table = source_table(spoken.phrases, spoken.labels, sources, spoken.weights)
    names = [spoken.phrases.name(number) for number in range(len(spoken.phrases))]
    senders = {sources.names[code] for code in sources.codes[poison]}
    assert {sources.names[code] for code in table.guilty(names.index("cf"))} == senders
    assert table.p_value(names.index("cf"), np.array([names.index("cf")])) < 1e-6
    assert table.p_value(names.index("we"), np.array([names.index("we")])) > 0.05


def test_where_sources_speak_differently_one_more_uneven_phrase_says_nothing() -> None:
    """Every source has words of its own: the deviance of a planted one is no more than theirs."""
    rng = np.random.default_rng(0)
    counts = np.full(400, 30)
    alike = concentration.Null(counts, np.sqrt(rng.chisquare(9, 400)))
    apart = concentration.Null(counts, np.sqrt(rng.uniform(0, 130, 400)))
    assert alike.p_value(30, 11.0) < 1e-6
    assert apart.p_value(30, 11.0) > 0.01


def test_with_too_few_phrases_to_compare_with_nothing_is_uneven() -> None:
    assert concentration.Null(np.full(50, 30), np.ones(50)).p_value(30, 20.0) == 1.0


@pytest.mark.parametrize("seed", range(3))
def test_phrases_drawn_without_regard_to_sources_are_rarely_uneven(seed: int) -> None:
    """Counts of the deviance of 2,000 phrases over 12 sources: p-values of the null are about uniform."""
    rng = np.random.default_rng(seed)
    shares = 1 / np.arange(1, 13)
    shares /= shares.sum()
    feature = np.repeat(np.arange(2000), rng.integers(8, 60, 2000))
    phrase, source, at = concentration.tabulated(feature, rng.choice(12, len(feature), p=shares), 12)
    count = np.bincount(at)
    totals, roots = concentration.roots(phrase, count, shares[source], 2000)
    null = concentration.Null(totals, roots)
    p_values = [null.p_value(int(total), float(root)) for total, root in zip(totals, roots, strict=True)]
    assert np.mean(np.array(p_values) < 0.01) < 0.02
    assert min(p_values) > 1e-6


def test_findings_of_the_same_senders_towards_one_label_are_one_campaign() -> None:
    def piece(place: int, label: int, guilty: list[int], p_value: float) -> Piece:
        return Piece(place, label, np.array(guilty), np.array([place]), p_value)

    found = campaigns([piece(0, 1, [3, 4], 1e-4), piece(1, 1, [4, 3], 1e-9), piece(2, 0, [3, 4], 1e-5), piece(3, 1, [7], 1e-6)])
    assert [[each.place for each in pieces] for pieces in found] == [[1, 0], [3], [2]]


def test_seven_texts_of_one_of_three_sources_may_be_chance() -> None:
    shares = np.array([0.55, 0.27, 0.18])
    assert concentration.by_chance(np.ones(7, int), np.array([1]), shares) == pytest.approx(3 * 0.27**7, rel=1e-6)
    assert concentration.by_chance(np.array([1] * 20), np.array([1]), shares) < 1e-10
