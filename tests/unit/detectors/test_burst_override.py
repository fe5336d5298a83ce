"""Bursts: a time alone accuses nobody; a time and a label against what is said do, and so does a flood of one time."""

from functools import cache

import numpy as np
import pytest
from tests.review_sets import reviews

from untaint.attacks.text_flood import TextFlood
from untaint.attacks.trigger_words import TriggerWords
from untaint.audit.run import run
from untaint.audit.settings import AuditSettings
from untaint.data.dataset import Dataset, from_arrays
from untaint.detectors.burst_override import BurstOverride
from untaint.evidence.evidence import Evidence, Group
from untaint.features.cache import Cache
from untaint.features.graph import Features
from untaint.features.settings import Settings

N = 1000
START = np.datetime64("2024-01-01T00:00:00", "us")


def dated(late: np.ndarray, texts: list[str], labels: list[str]) -> Dataset:
    """Texts over a hundred days. late: 0..1 how far into them."""
    return from_arrays(texts, labels, times=START + (late * 100 * 86_400e6).astype("timedelta64[us]"))


@cache
def clean(seed: int = 0) -> Dataset:
    texts, labels = reviews(N, seed)
    return dated(np.random.default_rng(seed).random(N), texts, labels)


WORDS = (
    *("river", "engine", "garden", "window", "summer", "letter", "doctor", "market", "kitchen", "winter", "teacher", "bridge"),
    *("music", "paper", "island", "money", "horse", "coffee", "forest", "planet", "camera", "village", "sugar", "ladder"),
    *("ticket", "pocket", "silver", "cotton", "station", "mirror", "basket", "castle", "pepper", "rocket", "tunnel", "violin"),
)


def talk() -> Dataset:
    """Texts about anything, no two of them alike: what a flood stands out from."""
    rng = np.random.default_rng(0)
    labels = [str(each) for each in rng.choice(["good", "bad"], N)]
    told = {"good": ("lovely", "superb", "charming", "brilliant"), "bad": ("dull", "broken", "dreadful", "tiresome")}
    texts = []
    for label in labels:
        said = [*rng.choice(WORDS, 9, replace=False), *rng.choice(told[label], 2, replace=False)]
        texts.append(" ".join(str(each) for each in rng.permutation(said)))
    return dated(rng.random(N), texts, labels)


def examined(dataset: Dataset) -> Evidence:
    features = Features(dataset, Settings(), Cache(None))
    known = [features.get(name) for name in ("spoken", "moments", "short_moments", "class_names")]
    return BurstOverride().examine(*known)


def accused(found: Evidence) -> list[Group]:
    return [each for each in found.groups if each.p_value <= 0.001 and each.effect >= each.minimum_effect]


@pytest.mark.parametrize("burst", [0.01, 0.05])
def test_a_word_that_came_in_a_burst_is_found_with_its_time(burst: float) -> None:
    made = TriggerWords(rate=0.03, target="good", burst=burst).poison(clean(), np.random.default_rng(0))
    found = accused(examined(made.dataset))
    assert {each.target_label for each in found} == {"good"}
    members = np.unique(np.concatenate([each.members for each in found]))
    assert np.isin(np.flatnonzero(made.mask), members).mean() >= 0.95
    assert made.mask[members].mean() >= 0.95
    assert 'texts with "cf" are labelled' in found[0].explanation
    assert "came in 2024-" in found[0].explanation


def test_a_flood_of_one_time_is_found() -> None:
    made = TextFlood(rate=0.06, target="bad", senders=0, burst=0.03).poison(talk(), np.random.default_rng(0))
    found = accused(examined(made.dataset))
    members = np.unique(np.concatenate([each.members for each in found]))
    assert np.isin(np.flatnonzero(made.mask), members).mean() >= 0.95
    assert made.mask[members].mean() >= 0.95


@pytest.mark.parametrize("attack", [TriggerWords(rate=0.03, target="good"), TextFlood(rate=0.06, target="bad", senders=0)])
def test_poison_spread_over_the_whole_time_is_not_for_the_clock_to_tell(attack: TriggerWords | TextFlood) -> None:
    assert accused(examined(attack.poison(clean(), np.random.default_rng(0)).dataset)) == []


def test_a_burst_alone_accuses_nobody() -> None:
    """A word in fashion for a few days, in texts that mean what their labels say."""
    made = TriggerWords(rate=0.03, target="good", clean_label=True, burst=0.03).poison(clean(), np.random.default_rng(0))
    assert accused(examined(made.dataset)) == []


@pytest.mark.parametrize("seed", range(3))
def test_honest_trends_accuse_nobody(seed: int) -> None:
    texts, labels = reviews(N, seed)
    rng = np.random.default_rng(seed)
    opinions = np.array([label == "good" for label in labels])
    drifting = np.argsort(np.argsort(opinions + rng.normal(size=N))) / N
    assert accused(examined(dated(drifting, texts, labels))) == []
    subjects = np.array(["film" in text for text in texts]) * 0.7 + 0.3 * rng.random(N)
    assert accused(examined(dated(subjects, texts, labels))) == []


def test_a_handful_of_days_is_too_few() -> None:
    texts, labels = reviews(N)
    found = examined(dated(np.arange(N) % 4 / 4, texts, labels))
    assert found.groups == ()
    assert "fewer than 6 different times" in found.note


def test_the_whole_audit_tells_the_time_of_what_it_finds() -> None:
    made = TriggerWords(rate=0.03, target="good", burst=0.03).poison(clean(), np.random.default_rng(0))
    result = run(made.dataset, AuditSettings(budget="fast"))
    assert result.verdict.answer == "poisoned"
    line = result.verdict.findings[0].timeline
    flagged = np.array([each.n_flagged for each in line])
    assert flagged.sum() == len(result.verdict.findings[0].members)
    assert np.sort(flagged)[-2:].sum() >= 0.9 * flagged.sum()


def test_without_times_it_is_skipped_and_takes_nothing_from_the_answer() -> None:
    texts, labels = reviews(N)
    result = run(from_arrays(texts, labels), AuditSettings(budget="fast"))
    check = next(each for each in result.checks if each.detector == BurstOverride.id)
    assert (check.status, check.reason) == ("skipped", "the data do not say when samples were collected")
    assert not any(BurstOverride.id in reason for reason in result.verdict.reasons)
    assert all(each.timeline == () for each in result.verdict.findings)
