"""Texts and words as an encoder of sentences sees them, and what is judged by it."""

from collections.abc import Sequence

import numpy as np
import pytest
from tests.instruction_sets import dataset_of, honest
from tests.review_sets import reviews

from untaint import api
from untaint.attacks.trigger_words import TriggerWords
from untaint.audit.rounds import left
from untaint.audit.settings import AuditSettings
from untaint.data.dataset import Dataset, from_arrays
from untaint.errors import BadInput
from untaint.features.cache import Cache
from untaint.features.graph import Features
from untaint.features.settings import Settings
from untaint.numerics.words import words

ASKED: list[str] = []
"""Every text that the encoder was asked for."""


def bag(texts: Sequence[str]) -> np.ndarray:
    """A tiny encoder: sums of a vector per word, the same in every run."""
    ASKED.extend(texts)
    return np.array([np.sum([vector(word) for word in words(text)] or [np.zeros(48)], axis=0) for text in texts])


def vector(word: str) -> np.ndarray:
    found = np.random.default_rng(list(word.encode())).normal(size=48)
    return np.asarray(found / np.linalg.norm(found))


def features(texts: list[str], labels: Sequence[str | None], encoder: object = bag) -> Features:
    ASKED.clear()
    return Features(from_arrays(texts, labels), Settings(encoder=encoder), Cache(None))


def sent(count: int = 800) -> Dataset:
    texts, labels = reviews(count)
    return from_arrays(texts, labels, sources=[f"s{code}" for code in np.random.default_rng(0).integers(0, 8, count)])


def test_without_an_encoder_there_is_nothing() -> None:
    found = features(*reviews(20), encoder=None)
    assert len(found.get("encoded_texts")) == 0
    assert found.get("encoded_words").vectors.shape == (0, 0)
    assert found.get("meaning").vectors.shape == (20, 256)


def test_vectors_have_length_one_and_rows_without_label_or_text_are_zero() -> None:
    texts, labels = reviews(60)
    texts[5] = ""
    found = features(texts, [*labels[:7], None, *labels[8:]]).get("encoded_texts").vectors.astype(np.float64)
    assert found.shape == (60, 48)
    np.testing.assert_allclose(np.linalg.norm(np.delete(found, [5, 7], axis=0), axis=1), 1, atol=1e-3)
    assert not found[[5, 7]].any()


def test_equal_texts_are_encoded_once_and_long_ones_cut() -> None:
    texts, labels = reviews(40)
    found = features([*texts, *texts[:10], "w " * 5000], [*labels, *labels[:10], "bad"])
    vectors = found.get("encoded_texts").vectors
    np.testing.assert_array_equal(vectors[40:50], vectors[:10])
    assert len(ASKED) == 41 + 2  # and the two sentences every encoder is tried on
    assert max(map(len, ASKED)) == 2000


def test_cosines_are_those_of_the_encoder_where_directions_are_left_out() -> None:
    def wide(texts: Sequence[str]) -> np.ndarray:
        return np.hstack([bag(texts), np.full((len(texts), 500), 1e-4)])

    texts, labels = reviews(100)
    vectors, whole = features(texts, labels, wide).get("encoded_texts").vectors.astype(np.float64), wide(texts)
    whole /= np.linalg.norm(whole, axis=1, keepdims=True)
    assert vectors.shape == (100, 256)
    np.testing.assert_allclose(vectors @ vectors.T, whole @ whole.T, atol=5e-3)


def test_a_text_is_the_sum_of_its_words_over_its_length_where_the_encoder_adds_words_up() -> None:
    texts = [" ".join(np.random.default_rng(row).choice(["good", "bad", "film", "plot", "long"], 6)) for row in range(40)]
    found = features(texts, ["good", "bad"] * 20)
    given, alone, tokens = found.get("encoded_texts"), found.get("encoded_words"), found.get("tokens")
    for row in range(40):
        ids = tokens.ids[tokens.starts[row] : tokens.starts[row + 1]]
        assert alone.lengths[row] == pytest.approx(np.linalg.norm(bag(texts[row : row + 1])), rel=0.01)
        np.testing.assert_allclose(alone.vectors[ids].sum(0) / alone.lengths[row], given.vectors[row], atol=0.01)


def test_words_in_one_or_two_texts_are_not_asked_for() -> None:
    texts, labels = reviews(40)
    found = features([*texts, "zyxw zyxw once"], [*labels, "bad"])
    place = found.get("tokens").vocabulary.index("zyxw")
    assert not found.get("encoded_words").vectors[place].any()


def test_content_is_judged_by_the_encoder() -> None:
    texts, labels = reviews(400)

    def telling(part: Sequence[str]) -> np.ndarray:
        good = [any(word in text for word in ("lovely", "brilliant", "joy", "superb", "charming")) for text in part]
        return np.column_stack([good, ~np.array(good), np.ones(len(part))]).astype(float)

    found = features(texts, labels, telling)
    codes = found.get("labels")
    assert found.get("meaning").vectors.shape == (400, 3)
    assert (found.get("meaning").scores.argmax(1) == codes).mean() > 0.8
    assert (found.get("content").probabilities.argmax(1) == codes).mean() > 0.95


def test_an_encoder_whose_width_varies_is_refused() -> None:
    with pytest.raises(BadInput, match=r"vectors of \[5, 6\] numbers"):
        features(*reviews(60), encoder=lambda texts: np.ones((len(texts), 5 + (len(texts) == 28)))).get("encoded_texts")


def test_the_encoder_is_part_of_the_key() -> None:
    assert Settings(encoder=bag).key != Settings().key != Settings(encoder=len).key


def test_a_later_round_does_not_encode_again() -> None:
    found, kept = features(*reviews(80)), np.arange(3, 80)
    vectors = found.get("encoded_texts").vectors
    ASKED.clear()
    rest = left(found, kept, AuditSettings(encoder=bag), 2)
    np.testing.assert_array_equal(rest.get("encoded_texts").vectors, vectors[3:])
    assert not ASKED


def test_an_audit_with_an_encoder_finds_a_trigger_and_leaves_a_clean_set_alone() -> None:
    made = TriggerWords(rate=0.04, target="good", senders=2).poison(sent(), np.random.default_rng(0))
    result = api.audit(made.dataset, budget="fast", encoder=bag)
    assert result.verdict.answer == "poisoned"
    assert np.array_equal(np.flatnonzero(np.array(result.samples["flagged"])), np.flatnonzero(made.mask))
    assert "encoder" in result.environment
    assert api.audit(sent(), budget="fast", encoder=bag).n_flagged == 0


def test_an_audit_refuses_an_encoder_before_it_reads() -> None:
    with pytest.raises(BadInput, match="of 2 texts"):
        api.audit(sent(40), encoder=lambda texts: np.ones(3))
    with pytest.raises(BadInput, match="unknown encoder of texts 'efficientnet-lite0'"):
        api.audit(sent(40), encoder="efficientnet-lite0")
    with pytest.raises(BadInput, match="images and texts, this set holds instruction data"):
        api.audit(dataset_of(honest(40)), encoder=bag)
