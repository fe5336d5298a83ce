"""Peers on made-up reviews: each finds what it is made for."""

from collections.abc import Sequence

import numpy as np
from tests.review_sets import reviews

from untaint.attacks.text_flood import TextFlood
from untaint.attacks.trigger_words import TriggerWords
from untaint.bench.text_peers import PEERS, label_issues, near_copies, perplexity_drops, z_tokens
from untaint.data.dataset import Dataset, from_arrays


def plain(dataset: Dataset) -> tuple[list[str], np.ndarray]:
    names = dataset.class_names
    return [str(text) for text in dataset.read(range(len(dataset)))], np.array(
        [names.index(str(name)) for name in dataset.labels]
    )


CLEAN = from_arrays(*reviews(400))


def test_every_peer_gives_one_answer_per_text() -> None:
    for peer in PEERS.values():
        found = peer(*plain(CLEAN))
        assert found.shape == (400,)
        assert found.dtype == bool


def test_label_issues_are_wrong_labels() -> None:
    texts, codes = plain(CLEAN)
    codes[::20] = 1 - codes[::20]
    found = label_issues(texts, codes)
    assert found[::20].mean() > 0.8
    assert found.sum() < 40


def test_a_token_tied_to_a_label_beyond_all_others_is_found_when_it_is_frequent() -> None:
    words = ["word" + "".join(chr(97 + int(digit)) for digit in str(number)) for number in range(3000)]
    rng = np.random.default_rng(0)
    texts = [" ".join(rng.choice(words, 12)) for _ in range(2000)]
    found = z_tokens([f"{text} cf" if row % 2 else text for row, text in enumerate(texts)], np.arange(2000) % 2)
    assert found[1::2].all()
    assert not found[::2].any()


def test_copies_in_number_are_a_flood() -> None:
    texts = [*(f"This is the very same text for all of you, number {row % 2}" for row in range(12)), *plain(CLEAN)[0][:1]]
    assert near_copies(texts, np.zeros(13, int)).tolist() == [True] * 12 + [False]


def test_they_run_on_poisoned_sets() -> None:
    for attack in (TriggerWords(rate=0.05), TextFlood(rate=0.1)):
        made = attack.poison(CLEAN, np.random.default_rng(0))
        assert all(len(peer(*plain(made.dataset))) == len(made.dataset) for peer in PEERS.values())


def test_the_word_without_which_a_text_is_most_fluent_is_left_out() -> None:
    asked: list[list[str]] = []

    def perplexity(texts: Sequence[str]) -> np.ndarray:
        asked.append(list(texts))
        return np.array([100.0 if "cf" in text.split() else 10.0 + len(text.split()) for text in texts])

    drops = perplexity_drops(["a cf b", "a b c", "one", ""], perplexity)
    assert drops.tolist() == [88.0, 1.0, -np.inf, -np.inf]
    assert asked[0] == ["a cf b", "cf b", "a b", "a cf"]
    assert len(asked) == 2
