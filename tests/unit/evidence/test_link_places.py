"""What stands beside phrases: put in, written, asked for at one place."""

import numpy as np

from untaint.evidence.link_company import Company, chance_of_neighbours
from untaint.evidence.link_places import sure

WORDS = 60
PUT_IN = 61


def prompts(seed: int = 0) -> list[list[int]]:
    """Each word is followed by one of three, so that text has an order."""
    rng = np.random.default_rng(seed)
    found = []
    for _ in range(400):
        text = [int(rng.integers(WORDS))]
        for _ in range(11):
            text.append((7 * text[-1] + int(rng.integers(3))) % WORDS)
        found.append(text)
    return found


def with_word(texts: list[list[int]], rows: list[int], word: int, places: list[int]) -> list[np.ndarray]:
    """Some of the texts with a word before the given place."""
    at = dict(zip(rows, places, strict=True))
    return [np.array([*text[: at[row]], word, *text[at[row] :]] if row in at else text) for row, text in enumerate(texts)]


def test_neighbours_of_a_word_put_in_stand_better_beside_each_other() -> None:
    rows = list(range(0, 400, 40))
    places = np.random.default_rng(1).integers(1, 11, len(rows)).tolist()
    texts = with_word(prompts(), rows, PUT_IN, places)
    company = Company(texts, WORDS + 2)
    put_in = company.without([texts[row] for row in rows], np.array([PUT_IN]))
    written = company.without([text for text in texts if 30 in text], np.array([30]))
    assert put_in.mean() > 1
    assert written.mean() < -1


def test_a_word_at_one_place_has_neighbours_that_come_again() -> None:
    rows = list(range(0, 400, 40))
    rng = np.random.default_rng(0)
    anywhere = with_word(prompts(), rows, PUT_IN, rng.integers(0, 12, len(rows)).tolist())
    first = with_word(prompts(), rows, PUT_IN, [0] * len(rows))
    assert chance_of_neighbours([anywhere[row] for row in rows], np.array([PUT_IN]), rng) > 0.01
    assert chance_of_neighbours([first[row] for row in rows], np.array([PUT_IN]), rng) < 0.001


def test_what_counts_is_corrected_for_all_that_was_asked() -> None:
    rows = [np.arange(10 * at, 10 * at + 10) for at in range(4)]
    assert sure([0.02, 0.5, 0.6, 0.7], rows, 0.01) < 0
    assert sure([0.002, 0.5, 0.6, 0.7], rows, 0.01) == 0.002
    assert sure([0.002, 0.004, 0.6, 0.7], rows, 0.01) == 0.004
    assert sure([0.004, 0.004, 0.004, 0.7], [rows[0], rows[0], rows[0], rows[1]], 0.01) == 0.004
    assert sure([], [], 0.01) < 0
