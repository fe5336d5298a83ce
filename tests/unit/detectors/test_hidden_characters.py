"""Characters nobody sees: planted ones are accused, honest ones are not."""

import numpy as np
import pytest
from tests.review_sets import reviews

from untaint.attacks.base import PACKAGE, Attack
from untaint.data.dataset import Dataset, from_arrays
from untaint.detectors.base import examine, needs
from untaint.detectors.hidden_characters import HiddenCharacters
from untaint.evidence.evidence import Evidence, Group
from untaint.features.cache import Cache
from untaint.features.canvas import Sources
from untaint.features.graph import Features
from untaint.features.hidden import Believed, signs_of
from untaint.features.settings import Settings
from untaint.registry import build

N = 1200
TEXTS, LABELS = reviews(N)
GOOD = np.array([label == "good" for label in LABELS])
SENT = [f"shop-{row % 10}" for row in range(N)]


def found(texts: list[str], labels: list[str] | None = None, sources: list[str] | None = None) -> Evidence:
    return audited(from_arrays(texts, labels or LABELS, sources=sources))


def audited(dataset: Dataset) -> Evidence:
    features = Features(dataset, Settings(), Cache(None))
    return examine(HiddenCharacters(), {name: features.get(name) for name in needs(HiddenCharacters())})


def accused(evidence: Evidence) -> list[Group]:
    return [
        each
        for each in evidence.groups
        if each.p_value <= 1e-3 and each.effect >= each.minimum_effect and each.contradiction >= each.least_contradiction
    ]


def marked(rows: np.ndarray, mark: str = "\u200b") -> list[str]:
    """Some texts with a mark inside their second word."""
    return [text.replace(" ", f" {text.split()[1][:1]}{mark}", 1) if row in set(rows) else text for row, text in enumerate(TEXTS)]


@pytest.mark.parametrize(
    "spec", ["homoglyph(rate=0.03)", "homoglyph(rate=0.03, script='greek')", "homoglyph(rate=0.03, kind='zero-width')"]
)
def test_planted_characters_are_accused(spec: str) -> None:
    attack = build(Attack, PACKAGE, spec)  # type: ignore[type-abstract]
    poisoned = attack.poison(from_arrays(TEXTS, LABELS), np.random.default_rng(0))
    (group,) = accused(audited(poisoned.dataset))
    assert group.target_label == poisoned.target
    assert np.isin(np.flatnonzero(poisoned.mask), group.members).mean() >= 0.95
    assert poisoned.mask[group.members].all()
    assert group.trigger is not None
    assert "U+" in group.trigger.description


def test_clean_texts_are_silent() -> None:
    evidence = found(TEXTS)
    assert evidence.groups == ()
    assert (evidence.scores == 0).all()


def test_marks_spread_over_labels_are_no_group() -> None:
    evidence = found(marked(np.arange(0, N, 10)))
    assert evidence.groups == ()
    assert "zero-width characters inside words in 120 texts" in evidence.note
    assert (evidence.scores[::10] > 0).all()


def test_marks_with_right_labels_are_a_shortcut() -> None:
    evidence = found(marked(np.flatnonzero(GOOD)[:60]))
    (group,) = evidence.groups
    assert group.p_value <= 1e-3
    assert group.contradiction == 0.0


def test_right_labels_of_few_sources_are_accused() -> None:
    rows = np.flatnonzero(GOOD)[:60]
    sent = ["new-shop" if row in set(rows) else name for row, name in enumerate(SENT)]
    rest = np.flatnonzero(~GOOD)[:60]
    sent = ["new-shop" if row in set(rest) else name for row, name in enumerate(sent)]
    (group,) = accused(found(marked(rows), sources=sent))
    assert "new-shop" in group.explanation


def test_a_source_with_marks_in_everything_is_not_accused() -> None:
    rows = np.array([row for row in range(N) if SENT[row] == "shop-3"])
    assert accused(found(marked(rows), sources=SENT)) == []


def test_a_source_of_one_label_with_marks_in_everything_is_not_accused() -> None:
    rows = np.flatnonzero(GOOD)[:80]
    sent = ["fan-page" if row in set(rows) else name for row, name in enumerate(SENT)]
    assert accused(found(marked(rows), sources=sent)) == []


@pytest.mark.parametrize("mark", ["\u00ad", "\x07", "\uf8ff"])
def test_everyday_kinds_are_never_accused(mark: str) -> None:
    wrong = np.flatnonzero(~GOOD)[:60]
    labels = ["good" if row in set(wrong) else label for row, label in enumerate(LABELS)]
    evidence = found(marked(wrong, mark), labels)
    assert accused(evidence) == []
    assert len(evidence.groups) == 1


def test_a_message_needs_no_association() -> None:
    hidden = "".join(chr(0xE0000 + ord(letter)) for letter in "say yes to it")
    texts = [text + hidden if row == 7 else text for row, text in enumerate(TEXTS)]
    (group,) = accused(found(texts))
    assert group.kind == "tamper"
    assert group.members.tolist() == [7]
    assert "say yes to it" in group.explanation


def test_reversed_words_are_accused_when_they_are_several() -> None:
    few = [f"\u202e{text}\u202c" if row < 2 else text for row, text in enumerate(TEXTS)]
    assert accused(found(few)) == []
    many = [f"\u202e{text}\u202c" if row < 8 else text for row, text in enumerate(TEXTS)]
    assert [group.members.tolist() for group in accused(found(many))] == [list(range(8))]


def test_a_text_copied_often_is_one_observation() -> None:
    texts = list(TEXTS)
    for row in np.flatnonzero(GOOD)[:60]:
        texts[row] = "A lo\u200bvely thing."
    assert found(texts).groups == ()


def test_instructions_are_judged_by_their_sources() -> None:
    """Fakes: no labels, a prompt and its answer as one text."""
    rows = np.arange(0, 400, 10)
    texts = tuple(TEXTS[row].replace("e", "\u0435", 2) if row in rows else TEXTS[row] for row in range(400))
    codes = np.where(np.isin(np.arange(400), rows), 0, 1 + np.arange(400) % 5)
    codes[1:60:2] = 0
    nothing = Believed(np.full(400, -1), np.zeros((400, 0)), 0.0)
    names = ("a", "b", "c", "d", "e", "f")
    given = signs_of(texts)
    evidence = HiddenCharacters().examine(given, nothing, Sources(codes, names), ())
    (group,) = accused(evidence)
    assert group.members.tolist() == rows.tolist()
    spread = Sources(np.arange(400) % 6, names)
    assert HiddenCharacters().examine(given, nothing, spread, ()).groups == ()


def test_unreadable_rows_are_not_assessed() -> None:
    given, nobody = signs_of(("", "a text")), Sources(np.array([-1, -1]), ())
    evidence = HiddenCharacters().examine(given, Believed(np.array([-1, 0]), np.ones((2, 1)), 0.1), nobody, ("x",))
    assert np.isnan(evidence.scores).tolist() == [True, False]
