"""Texts as words: what is read, what is cut, what each row holds."""

import numpy as np
import pytest

from untaint.data.dataset import from_arrays
from untaint.features import texts as module
from untaint.features.cache import Cache
from untaint.features.graph import Features
from untaint.features.settings import Settings


def features(samples: list[str], labels: list[str | None] | None = None) -> Features:
    given = labels if labels is not None else [str(row % 2) for row in range(len(samples))]
    return Features(from_arrays(samples, given), Settings(), Cache(None))


def test_every_text_becomes_numbered_words_in_order() -> None:
    tokens = features(["a b a", "", "B c"]).get("tokens")
    assert [tokens.vocabulary[word] for word in tokens.ids] == ["a", "b", "a", "b", "c"]
    assert tokens.starts.tolist() == [0, 3, 3, 5]
    assert tokens.rows.tolist() == [0, 0, 0, 2, 2]
    assert tokens.cut == 0


def test_texts_without_a_word_are_no_samples_and_say_so() -> None:
    found = features(["good film", "  ", "bad film", "\n"], ["good", "good", "bad", "bad"])
    assert found.get("labels").tolist() == [1, -1, 0, -1]
    assert found.get("readable").reasons == {1: "empty text", 3: "empty text"}


def test_of_a_huge_text_the_beginning_is_looked_at() -> None:
    found = features(["word " * 2_000_000, "short one", "x" * 10_000_000, "another"])
    tokens = found.get("tokens")
    assert np.diff(tokens.starts).tolist() == [module.LONGEST, 2, 1, 1]
    assert tokens.cut == 2


@pytest.mark.parametrize("hostile", ["a\x00b c", "\ud7ff\ufffe", "\u202egnirts", "🏳️‍🌈 flag", "{{7*7}} <script>"])
def test_odd_characters_stay_words(hostile: str) -> None:
    tokens = features([hostile, "plain text", hostile, "plain"]).get("tokens")
    assert np.diff(tokens.starts)[0] == np.diff(tokens.starts)[2] > 0
