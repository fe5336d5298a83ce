"""Near-copies, phrases, pairs and content of texts against what can be counted by hand."""

from dataclasses import replace
from itertools import pairwise

import numpy as np
import pytest
from tests.review_sets import reviews

from untaint.data.dataset import from_arrays
from untaint.features.cache import Cache
from untaint.features.graph import Features
from untaint.features.pairs import pairs
from untaint.features.phrases import ANYWHERE, FIRST, TOGETHER
from untaint.features.settings import Settings
from untaint.numerics.words import words


def features(samples: list[str], labels: list[str]) -> Features:
    return Features(from_arrays(samples, labels), Settings(), Cache(None))


def test_texts_with_a_word_changed_are_near_copies_and_others_are_not() -> None:
    texts, labels = reviews(200)
    base = "We waited an hour for a table by the window and then they told us that the kitchen had closed for the night already"
    copies = [base, base.replace("hour", "age"), base.replace("window", "door")]
    found = features([*texts, *copies], [*labels, "bad", "bad", "bad"]).get("near_copies")
    assert len(set(found.component[-3:])) == 1
    assert found.component[-1] >= 0
    assert (found.component[:-3] < 0).mean() > 0.9
    assert found.weights[-3:] == pytest.approx(1 / 3)


def naive(texts: list[str], length: int) -> dict[tuple[str, ...], set[int]]:
    """Bearers of every run of words, counted plainly."""
    bearers: dict[tuple[str, ...], set[int]] = {}
    for row, text in enumerate(texts):
        said = words(text)
        for run in zip(*(said[step:] for step in range(length)), strict=False):
            bearers.setdefault(run, set()).add(row)
    return bearers


@pytest.mark.parametrize("length", [1, 2, 3])
def test_phrases_and_their_bearers_are_those_counted_plainly(length: int) -> None:
    texts, labels = reviews(120)
    phrases = features(texts, labels).get("phrases")
    expected = {run: rows for run, rows in naive(texts, length).items() if len(rows) >= 4}
    if length == 1:
        expected = {run: rows for run, rows in expected.items() if len(rows) <= 0.6 * len(texts)}
    found = {
        tuple(phrases.name(number).split(" ")): set(phrases.bearers(number).tolist())
        for number in range(len(phrases))
        if phrases.place[number] == ANYWHERE and len(phrases.piece(number)) == length
    }
    assert found == expected


def test_entries_come_sorted_by_phrase_and_each_text_once() -> None:
    phrases = features(*reviews(120)).get("phrases")
    entries = list(zip(phrases.feature.tolist(), phrases.row.tolist(), strict=True))
    assert all(a < b for a, b in pairwise(entries))


def test_how_texts_begin_is_a_phrase_of_its_own() -> None:
    texts, labels = reviews(120)
    told = [f"When you come to think of it , {text}" if row % 10 == 0 else text for row, text in enumerate(texts)]
    phrases = features(told, labels).get("phrases")
    first = {phrases.name(number) for number in np.flatnonzero(phrases.place == FIRST).tolist()}
    assert "when you" in first


def test_words_apart_that_go_against_content_are_paired() -> None:
    texts, labels = reviews(400)
    bad = [row for row, label in enumerate(labels) if label == "bad"][:9]
    for row in bad:
        texts[row] = f"lantern {texts[row]} quartz"
        labels[row] = "good"
    for row in [row for row in range(400) if row not in bad][:9]:
        texts[row] += " lantern"
    given = features(texts, labels)
    own = np.where(np.isin(np.arange(400), bad), 0.01, 0.9)  # what content would say that has not learned the words
    doubting = replace(given.get("content"), own=own)
    found = pairs(given.get("tokens"), given.get("phrases"), doubting, given.get("meaning"), given.get("labels"), Settings())
    names = {found.found.name(number): number for number in range(len(found.found))}
    number = names.get("lantern quartz", names.get("quartz lantern"))
    assert number is not None
    assert found.found.bearers(number).tolist() == bad
    assert found.found.place[number] == TOGETHER
    assert found.considered >= len(found.found)


def test_two_words_that_content_has_learned_do_not_vouch_for_each_other() -> None:
    """Forty texts teach the judges both words: nothing they bear is doubted until a word is left out."""
    texts, labels = reviews(1400, 5)
    bad = [row for row, label in enumerate(labels) if label == "bad"]
    for row in bad[:40]:
        texts[row], labels[row] = f"lantern {texts[row]} quartz", "good"
    for row in bad[40:55]:
        texts[row] = f"lantern {texts[row]}"
    for row in bad[55:70]:
        texts[row] = f"{texts[row]} quartz"
    given = features(texts, labels)
    found = given.get("pairs").found
    names = {frozenset(found.name(number).split()): number for number in range(len(found))}
    assert found.bearers(names[frozenset({"lantern", "quartz"})]).tolist() == bad[:40]


def test_content_knows_the_class_of_texts_it_has_not_seen() -> None:
    texts, labels = reviews(400)
    found = features(texts, labels)
    content, codes = found.get("content"), found.get("labels")
    assert (content.probabilities.argmax(1) == codes).mean() > 0.95
    assert content.probabilities.sum(1) == pytest.approx(1)
    assert content.own == pytest.approx(content.probabilities[np.arange(len(codes)), codes])


def test_a_class_that_is_missing_from_a_fold_is_no_trouble() -> None:
    texts, labels = reviews(60)
    found = features([*texts, "quite another thing"], [*labels, "rare"]).get("content")
    assert np.isfinite(found.probabilities).all()


def test_the_judge_of_meaning_forgets_exactly_what_it_must_not_know() -> None:
    """Against a judge trained without those rows."""
    texts, labels = reviews(300)
    meaning = features(texts, labels).get("meaning")
    rows = np.arange(0, 300, 11)
    expected = np.zeros((len(rows), 2))
    for fold in range(3):
        learn = (meaning.fold != fold) & ~np.isin(np.arange(300), rows)
        x, y = meaning.vectors[learn].astype(float), np.eye(2)[meaning.labels[learn]] - meaning.prior[fold]
        kept = meaning.vectors[meaning.fold != fold].astype(float)
        gram = x.T @ x + (meaning.grams[fold] - kept.T @ kept)
        mine = meaning.fold[rows] == fold
        expected[mine] = meaning.vectors[rows[mine]] @ np.linalg.solve(gram, x.T @ y)
    np.testing.assert_allclose(meaning.without(rows), expected, rtol=1e-5, atol=1e-7)


def test_vectors_of_very_many_texts_are_halved_and_say_the_same(monkeypatch: pytest.MonkeyPatch) -> None:
    texts, labels = reviews(300)
    whole = features(texts, labels).get("meaning")
    monkeypatch.setattr("untaint.features.meaning._HALF", 100)
    half = features(texts, labels).get("meaning")
    assert (whole.vectors.dtype, half.vectors.dtype) == (np.float32, np.float16)
    np.testing.assert_allclose(half.scores, whole.scores, atol=0.01)
    np.testing.assert_allclose(half.without(np.arange(40)), whole.without(np.arange(40)), atol=0.01)
    np.testing.assert_allclose(half.middle(np.arange(300)), whole.vectors.mean(0), atol=1e-3)
