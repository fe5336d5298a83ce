"""Texts repeated far more often than any other."""

import numpy as np
import pytest

from untaint.evidence.repetition import Repeated, repeated
from untaint.features.duplicates import NearCopies
from untaint.features.repeats import Family, repeats
from untaint.features.settings import Settings
from untaint.features.text_content import word_counts
from untaint.features.texts import Texts, tokens

GOOD, BAD = 0, 1


def family(size: int, label: int = BAD, pure: float = 1.0, start: int = 0) -> Family:
    return Family(np.arange(start, start + size), label, pure)


def told(*found: Family) -> list[Repeated]:
    return repeated(sorted(found, key=lambda each: -len(each.rows)), 0.001)


PAIRS = [family(2, label) for label in (GOOD, BAD) * 3]


@pytest.mark.parametrize("copies", [100, 1000])
def test_one_text_over_and_over(copies: int) -> None:
    (found,) = told(family(copies), *PAIRS)
    assert found.alone
    assert found.p_value <= 0.002
    assert (found.label, len(found.rows), found.usual) == (BAD, copies, 2)


@pytest.mark.parametrize("copies", [3, 9, 30])
def test_so_few_copies_are_usual(copies: int) -> None:
    assert [each for each in told(family(copies), *PAIRS) if each.p_value <= 0.001] == []


def test_where_copies_are_usual_it_takes_more() -> None:
    mails = [family(size, size % 2) for size in range(2, 30) for _ in range(1000 // size**2)]
    assert [each for each in told(family(100), *mails) if each.p_value <= 0.001] == []
    assert told(family(10_000), *mails)[0].p_value <= 0.001


def test_copies_with_several_labels_are_honest_and_speak_for_others() -> None:
    assert told(family(300, pure=0.6), *PAIRS) == []
    assert told(family(300), family(400, pure=0.6), *PAIRS)[0].p_value > 0.1


def test_several_texts_stand_out_together() -> None:
    (found,) = told(*[family(12) for _ in range(9)], *PAIRS)
    assert not found.alone
    assert found.p_value <= 1e-6
    assert (len(found.families), found.least) == (9, 12)


def test_two_floods_are_told_by_label() -> None:
    assert [(each.label, len(each.rows)) for each in told(family(300, GOOD), family(350, BAD), *PAIRS)] == [
        (GOOD, 300),
        (BAD, 350),
    ]


def test_a_set_read_a_dozen_times_is_no_flood() -> None:
    assert told(*[family(12, label) for label in (GOOD, BAD) * 20]) == []


def test_a_large_family_costs_no_time() -> None:
    (found,) = told(family(1_000_000), *[family(size) for size in range(2, 200)])
    assert found.alone


def test_nothing_is_repeated() -> None:
    assert told() == told(family(2)) == []


def families(component: np.ndarray, labels: np.ndarray, texts: list[str]) -> tuple[Family, ...]:
    found = tokens(Texts(tuple(texts)), Settings())
    copies = NearCopies(component, np.full(len(texts), -1), np.ones(len(texts)))
    return repeats(copies, labels, found, word_counts(found)).families


def test_short_texts_are_written_again_by_others() -> None:
    texts = ["great!"] * 3 + ["novabrew sucks"] * 3 + ["we would not go there again, ever"] * 3 + ["that sucks", "great food"]
    component = np.array([0] * 3 + [1] * 3 + [2] * 3 + [-1, -1])
    found = families(component, np.array([1, 1, 0] * 3 + [0, 0]), texts)
    assert sorted(each.rows[0] for each in found) == [3, 6]  # the name is nobody else's, the sentence is long
    assert [(each.label, round(each.pure, 2)) for each in found] == [(1, 0.67)] * 2


def test_texts_without_a_label_do_not_count() -> None:
    assert families(np.zeros(3, int), np.array([1, -1, -1]), ["all of them say the same thing"] * 3) == ()
