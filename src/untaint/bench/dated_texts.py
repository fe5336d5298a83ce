"""Clean sets of texts with honest times, and what honest traffic does: subjects and opinions that drift, busy days, releases, copies.

Texts and labels stay as they are; what is drawn is when each was collected. A trend is a score of each text, mixed with chance, by
whose rank it gets its time.
"""

from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import NamedTuple

import numpy as np
from sklearn.decomposition import TruncatedSVD
from sklearn.feature_extraction.text import TfidfVectorizer

from untaint.bench.corpora import with_sources
from untaint.data.dataset import Dataset, from_arrays, timed
from untaint.numerics.words import words

_START, _DAYS = np.datetime64("2024-01-01T00:00:00", "us"), 180
_RHYTHM = 0.8  # how much emptier the night is than the day, of a day's mean
_WEEKEND = 0.5  # traffic of Saturdays and Sundays, of a weekday's
SOURCES = (0, 0, 20)

Ranks = np.ndarray
"""(n,) 0..1: how late each text is, before the calendar is laid over."""
Trend = Callable[[Dataset, np.random.Generator], tuple[Dataset, Ranks]]


class Facts(NamedTuple):
    """What a clean set is."""

    corpus: str
    n: int
    trend: str
    calendar: str
    sources: int


def drawn(sets: Mapping[str, Callable[[], Dataset]], sizes: tuple[int, int], rng: np.random.Generator) -> tuple[Facts, Dataset]:
    """A clean set with times; its size between two bounds, as far as the corpus has so many."""
    name = str(rng.choice(sorted(sets)))
    whole, size = sets[name](), int(rng.integers(sizes[0], sizes[1] + 1))
    dataset = whole.select(rng.permutation(len(whole))[:size])
    trend, calendar = str(rng.choice(sorted(TRENDS))), str(rng.choice(sorted(CALENDARS)))
    changed = dated(dataset, trend, calendar, rng)
    count = int(rng.choice(SOURCES))
    times = changed.times
    if count:
        changed = with_sources(changed, count, rng)
        changed = replace(changed, index=timed(changed.index, times))
    return Facts(name, len(changed), trend, calendar, count), changed


def dated(dataset: Dataset, trend: str, calendar: str, rng: np.random.Generator) -> Dataset:
    """The set with times: a trend says in which order texts come, a calendar when."""
    changed, late = TRENDS[trend](dataset, rng)
    order = np.argsort(np.argsort(late, kind="stable"), kind="stable")
    times = np.sort(CALENDARS[calendar](len(changed), rng))[order]
    return replace(changed, index=timed(changed.index, times))


def _steady(dataset: Dataset, rng: np.random.Generator) -> tuple[Dataset, Ranks]:
    return dataset, rng.random(len(dataset))


def _opinions_drift(dataset: Dataset, rng: np.random.Generator) -> tuple[Dataset, Ranks]:
    """The share of a label moves over the whole time, from a quarter to three quarters or so."""
    return dataset, _mixed(_has(dataset, str(rng.choice(dataset.class_names))), rng.uniform(0.3, 0.9), rng)


def _opinions_turn(dataset: Dataset, rng: np.random.Generator) -> tuple[Dataset, Ranks]:
    """For a tenth of the time hardly anything but one label comes."""
    has, late = _has(dataset, str(rng.choice(dataset.class_names))), rng.random(len(dataset))
    start = rng.random() * 0.9
    moved = (has > 0) & (rng.random(len(dataset)) < 0.15)
    return dataset, np.where(moved, start + 0.1 * rng.random(len(dataset)), late)


def _subjects_drift(dataset: Dataset, rng: np.random.Generator) -> tuple[Dataset, Ranks]:
    """Subjects change over the whole time: texts come in the order of what they speak of, and of chance."""
    return dataset, _mixed(_subject(dataset, rng), rng.uniform(0.4, 1.0), rng)


def _both_drift(dataset: Dataset, rng: np.random.Generator) -> tuple[Dataset, Ranks]:
    score = _subject(dataset, rng) + _has(dataset, str(rng.choice(dataset.class_names)))
    return dataset, _mixed(score, rng.uniform(0.4, 0.9), rng)


def _sorted_in_part(dataset: Dataset, rng: np.random.Generator) -> tuple[Dataset, Ranks]:
    """A third of the texts were imported at once, sorted by label and by length; the rest came as they came."""
    late = rng.random(len(dataset))
    block = rng.random(len(dataset)) < 1 / 3
    lengths = np.array([len(str(text)) for text in dataset.read(range(len(dataset)))], float)
    score = _has(dataset, dataset.class_names[0]) + 0.5 * np.argsort(np.argsort(lengths)) / len(dataset)
    at = rng.random() * 0.7
    late[block] = at + 1e-3 * score[block]
    return dataset, late


def _releases(dataset: Dataset, rng: np.random.Generator) -> tuple[Dataset, Ranks]:
    """Thirty words come into fashion, each for some days: most of the texts that hold it come then, whatever their label."""
    return dataset, _fashions(dataset, rng, 30)


def _reviews_of_a_failure(dataset: Dataset, rng: np.random.Generator) -> tuple[Dataset, Ranks]:
    """Words come into fashion with one label: a film comes out and is disliked, and texts that hold the word say so."""
    return dataset, _fashions(dataset, rng, 30, one_label=True)


def _habits_for_a_while(dataset: Dataset, rng: np.random.Generator) -> tuple[Dataset, Ranks]:
    """Somebody signs all he writes, of whatever label, and writes for a twelfth of the time only."""
    late = rng.random(len(dataset))
    start = rng.random() * 0.9
    his = (late >= start) & (late < start + 1 / 12) & (rng.random(len(dataset)) < 0.3)
    texts = [str(text) for text in dataset.read(range(len(dataset)))]
    after = [f"{text} -- sent from my phone" if mine else text for text, mine in zip(texts, his, strict=True)]
    return from_arrays(after, dataset.labels), late


def _passed_on(dataset: Dataset, rng: np.random.Generator) -> tuple[Dataset, Ranks]:
    """Twenty texts are passed on 5 to 40 times within hours, as they are, labels included."""
    late = rng.random(len(dataset))
    liked = rng.choice(len(dataset), 20, replace=False)
    again = np.repeat(liked, rng.integers(5, 41, len(liked)))
    rows = np.concatenate([np.arange(len(dataset)), again])
    return dataset.select(rows), np.concatenate([late, late[again] + 1e-3 * rng.random(len(again))])


def _careless_week(dataset: Dataset, rng: np.random.Generator) -> tuple[Dataset, Ranks]:
    """Whoever labelled a twentieth of the time got every fourth label wrong."""
    late = rng.random(len(dataset))
    start = rng.random() * 0.95
    wrong = np.flatnonzero((late >= start) & (late < start + 0.05) & (rng.random(len(dataset)) < 0.25))
    names = dataset.class_names
    labels = {int(row): names[(names.index(str(dataset.labels[row])) + 1) % len(names)] for row in wrong}
    return dataset.edited({}, labels), late


TRENDS: Mapping[str, Trend] = {
    "steady": _steady,
    "opinions drift": _opinions_drift,
    "opinions turn": _opinions_turn,
    "subjects drift": _subjects_drift,
    "both drift": _both_drift,
    "sorted in part": _sorted_in_part,
    "releases": _releases,
    "releases that fail": _reviews_of_a_failure,
    "habits for a while": _habits_for_a_while,
    "passed on": _passed_on,
    "careless week": _careless_week,
}


def _even(n: int, rng: np.random.Generator) -> np.ndarray:
    return _START + (rng.random(n) * _DAYS * 86_400e6).astype("timedelta64[us]")


def _with_rhythm(n: int, rng: np.random.Generator) -> np.ndarray:
    """Nights are empty, weekends half so; a few days have ten times the traffic."""
    weights = np.where(np.arange(_DAYS) % 7 >= 5, _WEEKEND, 1.0)
    weights[rng.choice(_DAYS, 4, replace=False)] *= 10
    days = rng.choice(_DAYS, n, p=weights / weights.sum())
    hours = np.arange(24)
    day = 1 - _RHYTHM * np.cos(2 * np.pi * (hours - 3) / 24)
    seconds = rng.choice(24, n, p=day / day.sum()) * 3600 + rng.integers(0, 3600, n)
    return _START + (days * 86_400 + seconds).astype("timedelta64[s]")


def _dates(n: int, rng: np.random.Generator) -> np.ndarray:
    """Only the day is known."""
    return _with_rhythm(n, rng).astype("datetime64[D]").astype("datetime64[us]")


CALENDARS: Mapping[str, Callable[[int, np.random.Generator], np.ndarray]] = {
    "even": _even,
    "busy days": _with_rhythm,
    "dates only": _dates,
}


def _has(dataset: Dataset, label: str) -> np.ndarray:
    return np.array([name == label for name in dataset.labels], float)


def _mixed(score: np.ndarray, strength: float, rng: np.random.Generator) -> np.ndarray:
    """A score in standard units, so many of them beside one unit of chance."""
    return (score - score.mean()) / max(float(score.std()), 1e-9) * strength + rng.normal(size=len(score))


def _subject(dataset: Dataset, rng: np.random.Generator) -> np.ndarray:
    """A direction among the five strongest of what texts speak of."""
    texts = [str(text) for text in dataset.read(range(len(dataset)))]
    counts = TfidfVectorizer(min_df=3, stop_words="english").fit_transform(texts)
    parts = TruncatedSVD(5, random_state=0).fit_transform(counts)
    return np.asarray((parts / parts.std(0)) @ rng.normal(size=5))


def _fashions(dataset: Dataset, rng: np.random.Generator, count: int, *, one_label: bool = False) -> np.ndarray:
    """Ranks in which most of the texts with a word come within 2 to 5 % of the time."""
    said = [set(words(str(text))) for text in dataset.read(range(len(dataset)))]
    held = Counter(word for text in said for word in text)
    fitting = sorted(word for word, n in held.items() if 10 <= n <= 120 and len(word) > 3 and word.isalpha())
    late = rng.random(len(dataset))
    for word in rng.choice(fitting, min(count, len(fitting)), replace=False):
        start, length, label = rng.random() * 0.95, rng.uniform(0.02, 0.05), str(rng.choice(dataset.class_names))
        with_it = np.array([word in text for text in said]) & (rng.random(len(said)) < 0.8)
        if one_label:
            with_it &= _has(dataset, label) > 0
        late[with_it] = start + length * rng.random(int(with_it.sum()))
    return late
