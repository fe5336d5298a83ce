"""Judges that learn once more, without the texts that are asked about."""

import numpy as np
import pytest
from tests.review_sets import reviews

from untaint.data.dataset import from_arrays
from untaint.features.afresh import Afresh
from untaint.features.cache import Cache
from untaint.features.graph import Features
from untaint.features.settings import Settings
from untaint.features.spoken import Spoken

GOOD = 1  # code of the label


def planted(label: str = "good") -> tuple[Spoken, np.ndarray, tuple[int, ...]]:
    """600 reviews, forty of which are bad, bear `lantern` and `quartz`, and have some label; the rows, and the number of `lantern`."""
    texts, labels = reviews(600, 3)
    rows = [row for row, each in enumerate(labels) if each == "bad"][:40]
    for row in rows:
        texts[row], labels[row] = f"lantern {texts[row]} quartz", label
    found = Features(from_arrays(texts, labels), Settings(), Cache(None))
    vocabulary = list(found.get("tokens").vocabulary)
    return found.get("spoken"), np.array(rows), (vocabulary.index("lantern"),)


def judged(spoken: Spoken, rows: np.ndarray, words: tuple[int, ...]) -> list[tuple[np.ndarray, np.ndarray]]:
    judges = Afresh(spoken, rows, words, np.arange(600), GOOD)
    return list(judges.believed(rows, judges.compared()[1]))


def test_a_second_word_of_the_trigger_says_nothing_and_texts_are_judged_by_the_rest() -> None:
    spoken, rows, words = planted()
    others = Afresh(spoken, rows, words, np.arange(600), GOOD).compared()[1]
    answers = judged(spoken, rows, words)
    assert len(answers) == 2
    for mine, theirs in answers:
        assert mine.mean() == pytest.approx(theirs[spoken.labels[others] != GOOD].mean(), abs=0.05)
        assert theirs[spoken.labels[others] == GOOD].mean() > 0.9


def test_what_the_forgotten_are_labelled_changes_next_to_nothing() -> None:
    (first, rows, words), (second, *_) = planted("good"), planted("bad")
    for (one, _), (two, _) in zip(judged(first, rows, words), judged(second, rows, words), strict=True):
        np.testing.assert_allclose(one, two, atol=0.02)  # the shares of labels, which the judge of meaning starts from, do count


def test_what_is_compared_with_is_neither_forgotten_nor_learned_from() -> None:
    spoken, rows, words = planted()
    own, every = Afresh(spoken, rows, words, np.arange(100), GOOD).compared()
    assert own.tolist() == [row for row in every.tolist() if row < 100]
    assert not np.isin(every, rows).any()
    assert 0.2 < len(every) / 600 < 0.45


def test_of_one_label_there_is_nothing_to_learn() -> None:
    spoken, rows, words = planted()
    judges = Afresh(spoken, np.flatnonzero(spoken.labels != GOOD), words, np.arange(600), GOOD)
    assert list(judges.believed(rows[:5], judges.compared()[1])) == []
