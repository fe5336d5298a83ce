"""Attacks on texts as benchmarks run them, what is compared with the truth, the victim, and clean sets."""

from collections import Counter
from typing import Any

import numpy as np
import pytest
from tests.review_sets import reviews

from untaint.attacks.base import Poisoned
from untaint.attacks.trigger_words import TriggerWords
from untaint.bench import clean_texts
from untaint.bench.corpora import with_sources
from untaint.bench.text_suite import PLANS, chosen, poisoned
from untaint.bench.text_truth import phrases, senders, shown
from untaint.bench.text_victim import measure_texts
from untaint.data.dataset import Dataset, from_arrays
from untaint.errors import BadInput
from untaint.evidence.evidence import Trigger
from untaint.evidence.finding import Finding, SourceShare, Verdict

TOWNS = [
    f"{a}{b}{c}"
    for a in ("ham", "lin", "wes", "bro")
    for b in ("bur", "den", "mor", "ga")
    for c in ("ton", "by", "ley", "ford", "wick")
]


def clean(count: int = 1600, sources: int = 0) -> Dataset:
    texts, labels = reviews(count)
    dataset = from_arrays([f"{text} From {TOWNS[row % 80]}." for row, text in enumerate(texts)], labels)
    return with_sources(dataset, sources, np.random.default_rng(0)) if sources else dataset


def finding(members: list[int], *, alarm: bool = True, kind: Any = "backdoor", phrase: str = "", sent: Any = ()) -> Finding:
    trigger = Trigger("phrase", "words", {"phrase": phrase}) if phrase else None
    shares = tuple(SourceShare(name, 10, 5, p) for name, p in sent)
    return Finding(
        "F1",
        kind,
        "high",
        "high",
        1e-9,
        np.array(members, np.int64),
        ("d",),
        "said.",
        "do.",
        alarm,
        "good",
        None,
        trigger,
        shares,
    )


def verdict(*findings: Finding) -> Verdict:
    return Verdict("poisoned", 0.01, 1e-9, findings, (), "m")


@pytest.mark.parametrize("name", PLANS)
@pytest.mark.parametrize("sources", [0, 3, 12])
def test_every_attack_runs_with_and_without_sources(name: str, sources: int) -> None:
    dataset = clean(2400, sources=sources)
    attack, made = poisoned(name, dataset, 1)
    assert made.mask.any()
    names = made.dataset.column("source")
    sent = {names[row] for row in np.flatnonzero(made.mask)}
    if sources == 0:
        assert set(names) == {None}
    elif sources == 3:
        assert len(sent) == 1
    else:
        assert 1 < len(sent) <= 4
    again = poisoned(name, dataset, 1)
    assert again[0] == attack
    assert again[1].dataset.digest == made.dataset.digest


def test_seeds_draw_other_triggers() -> None:
    drawn = {poisoned("rare word .5 %", clean(), seed)[0].words for seed in range(8)}  # type: ignore[attr-defined]
    assert len(drawn) > 2


def test_a_flood_has_as_many_texts_as_its_name_says() -> None:
    _, made = poisoned("flood paraphrase 60", clean(), 0)
    assert made.mask.sum() == 60


def test_names_are_chosen_by_parts() -> None:
    assert chosen(("sentence",)) == ("sentence .5 %", "sentence .2 %")
    assert chosen(()) == tuple(PLANS)
    with pytest.raises(BadInput, match="no attack's name holds"):
        chosen(("nothing like it",))


def made_up(words: tuple[str, ...]) -> tuple[TriggerWords, Poisoned]:
    attack = TriggerWords(rate=0.05, words=words, senders=2)
    return attack, attack.poison(clean(200, sources=6), np.random.default_rng(0))


@pytest.mark.parametrize(
    ("said", "exact", "part"),
    [("cf mn", True, True), ("MN … cf", True, True), ("cf", False, True), ("cf and mn", False, False), ("plot", False, False)],
)
def test_a_trigger_is_named_when_its_words_are(said: str, exact: bool, part: bool) -> None:
    _, made = made_up(("cf", "mn"))
    found = phrases(made, verdict(finding([1]), finding([1], phrase=said, alarm=False, kind="shortcut")))
    assert (found.exact, found.part, found.found) == (exact, part, [said])


def test_review_lists_name_no_trigger() -> None:
    _, made = made_up(("cf",))
    found = phrases(made, verdict(finding([1], phrase="cf", alarm=False, kind="label-flip")))
    assert (found.exact, found.found) == (False, [])


def test_who_is_named_and_who_is_accused_in_vain() -> None:
    attack, made = made_up(("cf",))
    names = made.dataset.column("source")
    guilty = sorted({str(names[row]) for row in np.flatnonzero(made.mask)})
    honest = next(str(name) for name in names if name not in guilty)
    said = [(guilty[0], 1e-6), (guilty[1], 0.4), (honest, 1e-3)]
    found = senders(attack, made, verdict(finding([1], sent=said), finding([2], alarm=False, sent=[(guilty[1], 1e-9)])))
    assert found == (guilty, [guilty[0]], [honest])
    spread = TriggerWords(rate=0.05)
    assert senders(spread, spread.poison(clean(200), np.random.default_rng(0)), verdict()) == ([], [], [])


def test_rows_shown_are_those_of_alarms_and_shortcuts() -> None:
    found = shown(
        verdict(finding([1]), finding([2], alarm=False, kind="shortcut"), finding([3], alarm=False, kind="label-flip")), 5
    )
    assert np.flatnonzero(found).tolist() == [1, 2]


def test_a_victim_learns_the_trigger_and_forgets_it() -> None:
    train, test = clean(1200), from_arrays(*reviews(300, seed=9))
    made = TriggerWords(rate=0.05, target="good").poison(train, np.random.default_rng(0))
    before = measure_texts(made.dataset, test, made.stamp, made.target)
    after = measure_texts(made.dataset.select(np.flatnonzero(~made.mask)), test, made.stamp, made.target)
    assert before.accuracy > 0.9
    assert before.asr > 0.8
    assert after.asr < 0.1
    assert np.isnan(measure_texts(train, test, None, None).asr)


def test_clean_sets_are_of_many_kinds_and_honest() -> None:
    sets = {"plain": lambda: clean(800), "sent": lambda: clean(800, sources=4)}
    seen = Counter()  # type: Counter[str]
    for number in range(40):
        facts, dataset = clean_texts.drawn(sets, np.random.default_rng(number))
        assert facts["n"] == len(dataset)
        assert (dataset.column("source")[0] is None) == (facts["sources"] == 0)
        seen.update([str(facts["nuisance"])])
    assert set(seen) == set(clean_texts.NUISANCES)


def test_uneven_sources_differ_in_what_they_send() -> None:
    dataset = clean_texts.uneven(clean(1600, sources=5), np.random.default_rng(3))
    names, labels = dataset.column("source"), dataset.labels
    shares = [np.mean([label == "good" for label, name in zip(labels, names, strict=True) if name == who]) for who in set(names)]
    assert max(shares) - min(shares) > 0.2
