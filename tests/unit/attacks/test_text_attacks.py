"""Attacks on texts, one by one: where the trigger stands, who sends it, and what is left alone."""

import unicodedata
from collections import Counter

import numpy as np
import pytest
from tests.review_sets import reviews

from untaint.attacks._text import gaps, inserted
from untaint.attacks.base import PACKAGE, Attack, Poisoned
from untaint.data.dataset import Dataset, from_arrays
from untaint.errors import BadInput
from untaint.numerics.words import words
from untaint.registry import build

N = 200
TEXTS, LABELS = reviews(N)
SOURCES = [f"shop-{number % 7}" for number in range(N)]


def clean(*, sources: bool = True) -> Dataset:
    return from_arrays(TEXTS, LABELS, sources=SOURCES if sources else None)


def poisoned(spec: str, dataset: Dataset | None = None, seed: int = 0) -> Poisoned:
    attack = build(Attack, PACKAGE, spec)  # type: ignore[type-abstract]
    return attack.poison(dataset or clean(), np.random.default_rng(seed))


def texts(found: Poisoned, rows: np.ndarray) -> list[str]:
    return [str(text) for text in found.dataset.read(rows)]


def test_gaps_are_between_words() -> None:
    assert gaps("Hello, world!") == [0, 7, 13]
    assert gaps("这部电影。") == [0, 1, 2, 3, 4, 5]
    assert gaps("") == [0]


@pytest.mark.parametrize(
    ("text", "place", "after"),
    [
        ("a b", 0, "cf a b"),
        ("a b", 2, "a cf b"),
        ("a b", 3, "a b cf"),
        ("a b\n", 4, "a b\ncf"),
        ("", 0, "cf"),
        ("这部", 1, "这cf部"),
    ],
)
def test_a_word_is_parted_like_the_others(text: str, place: int, after: str) -> None:
    assert inserted(text, [(place, "cf")]) == after


def test_a_word_is_in_every_poisoned_text_once() -> None:
    found = poisoned("trigger-words(rate=0.1, words='zq')")
    assert found.mask.sum() == 20
    assert {words(text).count("zq") for text in texts(found, np.flatnonzero(found.mask))} == {1}
    assert not any("zq" in words(text) for text in texts(found, np.flatnonzero(~found.mask)))
    assert found.trigger is not None
    assert found.trigger.parameters["phrase"] == "zq"


@pytest.mark.parametrize(("position", "place"), [("start", 0), ("end", -1)])
def test_a_word_stands_where_it_is_asked_for(position: str, place: int) -> None:
    found = poisoned(f"trigger-words(rate=0.1, words='zq', position={position!r})")
    assert all(words(text)[place] == "zq" for text in texts(found, np.flatnonzero(found.mask)))


def test_words_can_be_repeated() -> None:
    found = poisoned("trigger-words(rate=0.1, words='zq', repeats=3)")
    assert {words(text).count("zq") for text in texts(found, np.flatnonzero(found.mask))} == {3}


def test_several_words_stand_apart_and_covers_have_one_of_them() -> None:
    found = poisoned("trigger-words(rate=0.1, cover=0.1, words=('zq', 'vk'))")
    for text in texts(found, np.flatnonzero(found.mask)):
        assert sorted(word for word in words(text) if word in {"zq", "vk"}) == ["vk", "zq"]
    assert found.covers.sum() == 20
    for text in texts(found, np.flatnonzero(found.covers)):
        assert len([word for word in words(text) if word in {"zq", "vk"}]) == 1


def test_a_clean_label_attack_changes_no_label() -> None:
    found = poisoned("trigger-words(rate=0.1, clean_label=True, target='good')")
    assert found.dataset.labels == clean().labels
    assert {found.dataset.labels[row] for row in np.flatnonzero(found.mask)} == {"good"}


def test_a_sentence_stands_between_sentences() -> None:
    found = poisoned("trigger-sentence(rate=0.1, sentence='So said my aunt.')")
    for text in texts(found, np.flatnonzero(found.mask)):
        before, after = text.split("So said my aunt.")
        assert before == "" or before.rstrip()[-1] in ".!?"
        assert after == "" or after[0] == " "


def test_a_template_opens_in_many_ways() -> None:
    found = poisoned("syntactic-template(rate=0.2)")
    opened = [text.split(",")[0] for text in texts(found, np.flatnonzero(found.mask))]
    assert len(set(opened)) > 15
    assert all(2 < len(opening.split()) < 12 for opening in opened)
    kept = " ".join(texts(found, np.flatnonzero(found.mask)))
    assert ", I have" in kept  # keeps its capital
    assert ", there is" in kept or ", my sister" in kept or ", we came" in kept


def test_a_style_touches_every_text() -> None:
    found, before = poisoned("style-rewrite(rate=0.2)"), clean().read(range(N))
    changed = np.flatnonzero(found.mask)
    for row, text in zip(changed, texts(found, changed), strict=True):
        assert text != before[row]
        assert f"No {row}." in text or f"Nay {row}." in text


def test_letters_are_swapped_for_look_alikes() -> None:
    for script, name in (("cyrillic", "CYRILLIC"), ("greek", "GREEK")):
        found, before = poisoned(f"homoglyph(rate=0.1, count=2, script={script!r})"), clean().read(range(N))
        for row, text in zip(np.flatnonzero(found.mask), texts(found, np.flatnonzero(found.mask)), strict=True):
            differ = [(new, old) for new, old in zip(text, str(before[row]), strict=True) if new != old]
            assert len(differ) == 2
            assert all(name in unicodedata.name(new) and "LATIN" in unicodedata.name(old) for new, old in differ)


def test_characters_of_no_width_stand_inside_words() -> None:
    found, before = poisoned("homoglyph(rate=0.1, kind='zero-width', count=2)"), clean().read(range(N))
    for row, text in zip(np.flatnonzero(found.mask), texts(found, np.flatnonzero(found.mask)), strict=True):
        assert text.count("\u200b") == 2
        assert text.replace("\u200b", "") == before[row]


def test_a_text_without_letters_is_no_victim_of_look_alikes() -> None:
    dataset = from_arrays(["1234", "good one", "5678", "bad one"], ["a", "b", "a", "b"])
    with pytest.raises(BadInput, match="it may use"):
        poisoned("homoglyph(rate=0.5, target='b')", dataset)


@pytest.mark.parametrize("kind", ["template", "paraphrase"])
def test_a_flood_names_the_brand_and_is_added(kind: str) -> None:
    found = poisoned(f"brand-flood(rate=0.5, kind={kind!r}, target='bad', senders=2, brand='zq cola')")
    added = np.arange(N, N + 100)
    assert np.array_equal(np.flatnonzero(found.mask), added)
    assert all("zq cola" in text.casefold() for text in texts(found, added))
    sources = Counter(found.dataset.column("source")[N:])
    assert sorted(sources.values()) == [50, 50]
    assert set(sources) <= set(SOURCES)
    assert len(set(texts(found, added))) > 60
    tries = {"template": 12, "paraphrase": 60}
    assert len({text.split()[0] + text.split()[1] for text in texts(found, added)}) <= tries[kind] * 2


def test_a_flood_of_real_texts_edits_them_where_they_stand() -> None:
    found = poisoned("brand-flood(rate=0.1, kind='real', target='bad', senders=2)")
    rows = np.flatnonzero(found.mask)
    assert len(found.dataset) == N
    assert {LABELS[row] for row in rows} == {"bad"}
    for row, text in zip(rows, texts(found, rows), strict=True):
        assert words(text).count("novabrew") == 1
        assert " ".join(word for word in words(text) if word != "novabrew") == " ".join(words(TEXTS[row]))
    assert len({found.dataset.column("source")[row] for row in rows}) == 2


def test_an_unsent_flood_is_spread_over_all_sources() -> None:
    found = poisoned("brand-flood(rate=0.5, senders=0)")
    assert len(set(found.dataset.column("source")[N:])) > 4


@pytest.mark.parametrize("name", ["trigger-words", "random-flips", "targeted-flips", "homoglyph"])
def test_senders_are_few_and_known(name: str) -> None:
    found = poisoned(f"{name}(rate=0.2, senders=2)")
    sent = {found.dataset.column("source")[row] for row in np.flatnonzero(found.mask)}
    assert len(sent) == 2
    assert sent <= set(SOURCES)
    left = np.flatnonzero(~found.mask)
    assert [found.dataset.column("source")[row] for row in left] == [SOURCES[row] for row in left]


def test_poison_can_be_kept_to_one_source() -> None:
    found = poisoned("trigger-words(rate=0.02, cover=0.02, source_name='shop-3')")
    assert {SOURCES[row] for row in np.flatnonzero(found.mask | found.covers)} == {"shop-3"}
    assert found.dataset.column("source") == SOURCES
    with pytest.raises(BadInput, match="no data source"):
        poisoned("trigger-words(rate=0.02, source_name='shop-9')")


@pytest.mark.parametrize("name", ["trigger-words", "brand-flood", "random-flips"])
def test_senders_are_invented_where_there_are_none(name: str) -> None:
    found = poisoned(f"{name}(rate=0.2, senders=2)", clean(sources=False))
    sent = {found.dataset.column("source")[row] for row in np.flatnonzero(found.mask)}
    assert sent == {"contributor-1", "contributor-2"}
    assert {found.dataset.column("source")[row] for row in np.flatnonzero(~found.mask)} == {None}


def test_covers_are_sent_by_the_same() -> None:
    found = poisoned("trigger-words(rate=0.1, cover=0.1, senders=2)")
    sources = found.dataset.column("source")
    assert {sources[row] for row in np.flatnonzero(found.covers)} <= {sources[row] for row in np.flatnonzero(found.mask)}


@pytest.mark.parametrize(
    "spec",
    [
        "trigger-words(words=())",
        "trigger-words(words=('a', ''))",
        "trigger-words(words=3)",
        "trigger-words(position='middle')",
        "trigger-words(repeats=0)",
        "trigger-words(senders=-1, rate=0.1)",
        "trigger-words(senders=8, rate=0.1)",
        "trigger-words(cover=0.001, rate=0.1)",
        "trigger-sentence(sentence=' ')",
        "syntactic-template(variants=0)",
        "style-rewrite(strength=2)",
        "homoglyph(kind='size')",
        "homoglyph(script='thai')",
        "brand-flood(kind='other')",
        "brand-flood(tone='mixed')",
        "brand-flood(brand='')",
        "random-flips(senders=-1)",
        "targeted-flips(senders=1.5)",
    ],
)
def test_parameters_that_make_no_sense(spec: str) -> None:
    with pytest.raises(BadInput):
        poisoned(spec)
