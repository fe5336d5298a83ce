"""Fluency of texts without a trigger, by a language model that counts made-up words."""

from collections.abc import Sequence

import numpy as np
import pytest

from untaint.evidence.fluency import TEXTS, Fluency, fluency

PLAIN = "the film was long and the plot was thin but we liked the music and the camera a lot"


def surprised(texts: Sequence[str]) -> np.ndarray:
    """10 for a text of usual words, ten times as much for each `zq` and `vx` in it."""
    return np.array([10.0 ** (1 + text.count("zq") + text.count("vx")) if text.strip() else np.nan for text in texts])


def numbers(found: Fluency | str) -> tuple[float, ...]:
    assert isinstance(found, Fluency)
    return found.n, found.gain, found.control, found.more


class Asked:
    """Keeps what it was asked."""

    def __init__(self) -> None:
        self.texts: list[str] = []

    def __call__(self, texts: Sequence[str]) -> np.ndarray:
        self.texts += texts
        return surprised(texts)


def planted(word: str, count: int = 30) -> list[str]:
    said = PLAIN.split()
    return [" ".join([*said[: row % 18 + 1], word, *said[row % 18 + 1 :]]) for row in range(count)]


def asked(phrase: str, texts: list[str], seed: int = 0) -> tuple[Fluency | str, list[str]]:
    model = Asked()
    return fluency(phrase, texts, model, np.random.default_rng(seed)), model.texts


def test_texts_are_more_fluent_without_what_was_planted() -> None:
    found, seen = asked("zq", planted("zq"))
    assert numbers(found) == pytest.approx((TEXTS, 10, 1, TEXTS))
    assert len(seen) == 4 * TEXTS
    assert isinstance(found, Fluency)
    assert found.statement == (
        "To a language model that never saw this set, 16 of these texts are 10 times as fluent without it, against "
        "1 times without as many other words of theirs, in 16 of 16 by more."
    )


def test_a_usual_word_changes_nothing() -> None:
    found, _ = asked("film", [PLAIN] * 20)
    assert numbers(found) == pytest.approx((TEXTS, 1.0, 1.0, 0))


def test_each_text_is_asked_with_without_and_without_other_words() -> None:
    _, seen = asked("zq", planted("zq")[3:] * 2)
    whole, without, *others = (text.split() for text in seen[:4])
    assert "zq" in whole
    assert without == PLAIN.split()
    for other in others:
        assert "zq" in other
        assert len(other) == len(whole) - 1
    assert all("  " not in text and text == text.strip() for text in seen)


def test_parts_that_stand_apart_are_all_left_out() -> None:
    texts = [f"zq {text} vx" for text in [PLAIN] * 8]
    found, seen = asked("vx … zq", texts)
    assert numbers(found) == pytest.approx((8, 100, 1, 8))
    assert seen[1] == PLAIN


def test_case_and_signs_do_not_hide_a_phrase() -> None:
    texts = [f"Zq, VX! {PLAIN}." for _ in range(6)]
    found, seen = asked("zq , vx !", texts)
    assert isinstance(found, Fluency)
    assert seen[0].startswith("Zq, VX! the film")
    assert seen[1] == f"{PLAIN}."


def test_words_without_spaces_between() -> None:
    texts = ["这部电影很好看我们都喜欢zq它的音乐和故事"] * 6
    found, seen = asked("zq", texts)
    assert numbers(found) == pytest.approx((6, 10, 1, 6))
    assert seen[1] == texts[0].replace("zq", "")


def test_only_what_stands_around_is_asked() -> None:
    texts = [f"{PLAIN} " * 10 + "zq " + f"{PLAIN} " * 10] * 6
    _, seen = asked("zq", texts)
    assert {len(text.split()) for text in seen} == {60, 61}


@pytest.mark.parametrize(
    ("phrase", "texts", "said"),
    [
        ("zq", planted("zq", 4), "4 texts hold it as it stands here and enough other words, 5 are needed"),
        ("nowhere", planted("zq"), "0 texts"),
        ("zq", ["zq"] * 20, "0 texts"),
        ("zq", [""] * 20, "0 texts"),
        ("", planted("zq"), "0 texts"),
        ("film zq", planted("zq"), "2 texts"),
    ],
)
def test_what_cannot_be_compared_has_a_reason(phrase: str, texts: list[str], said: str) -> None:
    found, _ = asked(phrase, texts)
    assert isinstance(found, str)
    assert found.startswith(said)


def test_what_a_model_cannot_read_is_no_number() -> None:
    found = fluency("zq", planted("zq"), lambda texts: np.full(len(texts), np.nan), np.random.default_rng(0))
    assert found == "the model reads only 0 of these texts, 5 are needed"
