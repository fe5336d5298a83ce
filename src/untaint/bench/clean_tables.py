"""Random clean tables of many kinds: what an audit must stay silent on."""

import json
from collections import Counter
from collections.abc import Callable, Mapping
from typing import Any, TypeAlias

import numpy as np

from untaint.bench.clean_texts import copies, sloppy, uneven
from untaint.bench.corpora import with_sources
from untaint.data.dataset import Dataset

SIZES = {500: 0.15, 1000: 0.2, 2000: 0.25, 5000: 0.25, 12_000: 0.15}
"""Rows, and how often: large sets cost most."""
SOURCES = (0, 0, 6, 20, 100)
RAREST: tuple[float | None, ...] = (None, None, 0.1, 0.02)
"""Share of the rows that one class is thinned out to; None = as it is."""
_STRONG = (0.02, 0.1)
"""Share of the rows that hold the value of a shortcut, from and to."""
_SURE = (0.9, 1.0)
"""Share of them that are of its class: a diagnosis code that is written down after the diagnosis is sure."""
_LEAK = (0.01, 0.1)
"""Share of rows that a leaking column is wrong about, from and to."""
_RULED = (0.005, 0.03)
"""Share of the rows that an honest rule decides, from and to: less is not worth a rule, more is what the classes are about."""
_ABOVE = (0.6, 0.97)  # quantiles from which a rule on numbers holds
_FREQUENT = 20  # values of a column that a rule may be about
_TRIES = 200
_LEAST = 8  # rows that a class keeps, however rare it is made

Nuisance: TypeAlias = Callable[[Dataset, np.random.Generator], Dataset]


def drawn(
    sets: Mapping[str, Callable[[], Dataset]], rng: np.random.Generator, sizes: Mapping[int, float] = SIZES
) -> tuple[dict[str, str | int | float], Dataset]:
    """A clean set and what it is. sizes: rows, and how often."""
    name = str(rng.choice(sorted(sets)))
    whole, size = sets[name](), int(rng.choice(list(sizes), p=list(sizes.values())))
    rarest, count = RAREST[int(rng.integers(len(RAREST)))], int(rng.choice(SOURCES))
    dataset = whole.select(_thinned(whole, min(size, len(whole)), rarest, rng))
    if count:
        dataset = with_sources(dataset, count, rng)
    nuisance = str(rng.choice(sorted(NUISANCES if count else WITHOUT_SOURCES)))
    changed = NUISANCES[nuisance](dataset, rng)
    facts: dict[str, str | int | float] = {"corpus": name, "n": len(changed), "sources": count, "nuisance": nuisance}
    return {**facts, "rarest": rarest or 0.0}, changed


def shortcut(dataset: Dataset, rng: np.random.Generator) -> Dataset:
    """A column more, in which one value goes with one class for real, whatever the other columns say."""
    names, labels = dataset.class_names, np.array([str(label) for label in dataset.labels])
    target = names[int(rng.integers(len(names)))]
    holders = int(rng.uniform(*_STRONG) * len(dataset))
    of_class, others = np.flatnonzero(labels == target), np.flatnonzero(labels != target)
    right = min(len(of_class) // 2, round(holders * rng.uniform(*_SURE)))
    wrong = min(len(others), round(right * (1 / rng.uniform(*_SURE) - 1)))
    held = {*rng.choice(of_class, right, replace=False).tolist(), *rng.choice(others, wrong, replace=False).tolist()}
    codes = rng.integers(10, 40, len(dataset))
    return _with_column(dataset, "code", [99 if row in held else int(codes[row]) for row in range(len(dataset))])


def leaking(dataset: Dataset, rng: np.random.Generator) -> Dataset:
    """A column more, a word that says the class of nearly every row: one written down with the label, or after it."""
    names = dataset.class_names
    wrong = rng.random(len(dataset)) < rng.uniform(*_LEAK)
    said = [names.index(str(label)) for label in dataset.labels]
    other = rng.integers(len(names), size=len(dataset))
    return _with_column(dataset, "status", [f"s{other[row] if wrong[row] else said[row]}" for row in range(len(dataset))])


def ruled(dataset: Dataset, rng: np.random.Generator) -> Dataset:
    """All rows with two values, or ranges, are of one class: a rule that honest people follow, whatever the other columns say."""
    rows = _rows(dataset)
    sides = {name: _sides([row[name] for row in rows], rng) for name in rows[0]}
    names, n = [name for name, sets in sides.items() if len(sets)], len(rows)
    if len(names) < 2:
        return dataset
    target = _rarer(dataset, rng)
    decided = np.array([str(label) != target for label in dataset.labels])
    for _ in range(_TRIES):
        one, other = (sides[name][int(rng.integers(len(sides[name])))] for name in rng.choice(names, 2, replace=False))
        both = np.flatnonzero(one & other)
        if _RULED[0] * n <= len(both) <= _RULED[1] * n and decided[both].mean() >= 1 / 2:
            return dataset.edited({}, dict.fromkeys(both.tolist(), target))
    return dataset


def failing(dataset: Dataset, rng: np.random.Generator) -> Dataset:
    """Two columns say -999 together in rows of one class: instruments that fail together are a fault, whatever the rest says."""
    rows = _rows(dataset)
    numbers = [name for name, value in rows[0].items() if isinstance(value, int | float) and not isinstance(value, bool)]
    if len(numbers) < 2:
        return dataset
    pair = rng.choice(numbers, 2, replace=False)
    failed = rng.permutation(len(rows))[: max(8, round(rng.uniform(*_RULED) * len(rows)))]
    one_alone = rng.permutation(np.setdiff1d(np.arange(len(rows)), failed))[: int(rng.integers(3) * len(failed))]
    for row in failed:
        rows[row] |= dict.fromkeys(pair, -999)
    for row in one_alone:
        rows[row][pair[int(rng.integers(2))]] = -999
    payloads = {place: json.dumps(row, ensure_ascii=False) for place, row in enumerate(rows)}
    return dataset.edited(payloads, dict.fromkeys(failed.tolist(), _rarer(dataset, rng)))


def rule_of_source(dataset: Dataset, rng: np.random.Generator) -> Dataset:
    """One source gives all its rows with a certain value, or in a range, one class, as no other source does."""
    names = np.array([str(name) for name in dataset.column("source")])
    rows = _rows(dataset)
    sides = [side for name in rows[0] for side in _sides([row[name] for row in rows], rng)]
    mine = names == rng.choice(np.unique(names))
    held = [side & mine for side in sides if _LEAST <= (side & mine).sum() < mine.sum()]
    if not held:
        return dataset
    ruled_by = np.flatnonzero(held[int(rng.integers(len(held)))])
    return dataset.edited({}, dict.fromkeys(ruled_by.tolist(), str(rng.choice(dataset.class_names))))


def heavy(dataset: Dataset, rng: np.random.Generator) -> Dataset:
    """A column more, of sums of money with a tail as heavy as those of fortunes (Pareto, exponent 1.2), unrelated to labels."""
    return _with_column(dataset, "fortune", [float(f"{1000 * (1 + value):.6g}") for value in rng.pareto(1.2, len(dataset))])


def numbered(dataset: Dataset, rng: np.random.Generator) -> Dataset:
    """A column more, of numbers that name the rows."""
    return _with_column(dataset, "number", (10_000_000 + rng.permutation(len(dataset))).tolist())


def kinds_of_source(dataset: Dataset, rng: np.random.Generator) -> Dataset:
    """Sources that write one column their own way: half of them round it, the largest has a value of its own in another."""
    names = [str(name) for name in dataset.column("source")]
    rough = {name for name in sorted(set(names)) if rng.random() < 0.5}
    largest = max(sorted(set(names)), key=names.count)
    rows = [json.loads(str(row)) for row in dataset.read(range(len(dataset)))]
    numbers = [key for key, value in rows[0].items() if isinstance(value, float)]
    for row, name in zip(rows, names, strict=True):
        for key in numbers[:1]:
            if name in rough and row[key] is not None:
                row[key] = float(f"{row[key]:.2g}")
        row["channel"] = "app" if name == largest else str(rng.choice(["web", "shop", "phone"]))
    payloads = {place: json.dumps(row, ensure_ascii=False) for place, row in enumerate(rows)}
    return dataset.edited(payloads, {})


def _rows(dataset: Dataset) -> list[dict[str, Any]]:
    return [json.loads(str(row)) for row in dataset.read(range(len(dataset)))]


def _rarer(dataset: Dataset, rng: np.random.Generator) -> str:
    """A class for the rows of a rule: the rarest half of the time, as frauds and faults are, else any."""
    names, counts = np.unique([str(label) for label in dataset.labels], return_counts=True)
    return str(names[counts.argmin()] if rng.random() < 0.5 else rng.choice(names))


def _sides(values: list[Any], rng: np.random.Generator) -> list[np.ndarray]:
    """What a rule may ask of a column: each of its frequent values, and of numbers being above some value."""
    n, words = len(values), Counter(value for value in values if value is not None)
    common = [value for value, count in words.most_common(_FREQUENT) if count >= _RULED[0] * n]
    found = [np.array([value == each for each in values]) for value in common]
    numbers = np.array([value if isinstance(value, int | float) else np.nan for value in values], float)
    if np.isfinite(numbers).mean() > 1 / 2:
        limit = np.nanquantile(numbers, rng.uniform(*_ABOVE))
        found.append(numbers > limit)
    return [side for side in found if 0 < side.sum() <= n / 2]


NUISANCES: Mapping[str, Nuisance] = {
    "none": lambda dataset, _rng: dataset,
    "copies": copies,
    "sloppy labels": sloppy,
    "strong shortcut": shortcut,
    "leak": leaking,
    "rule of two values": ruled,
    "instruments that fail together": failing,
    "rule of one source": rule_of_source,
    "heavy tail": heavy,
    "numbers that name rows": numbered,
    "uneven sources": uneven,
    "kinds of source": kinds_of_source,
}
WITHOUT_SOURCES = tuple(name for name in NUISANCES if name not in {"uneven sources", "kinds of source", "rule of one source"})


def _thinned(whole: Dataset, size: int, rarest: float | None, rng: np.random.Generator) -> np.ndarray:
    """Rows of a subsample in which one class, drawn at random, has no more than a share."""
    rows = rng.permutation(len(whole))
    if rarest is None:
        return rows[:size]
    rare = str(rng.choice(whole.class_names))
    is_rare = np.array([whole.labels[row] == rare for row in rows])
    few = max(_LEAST, round(rarest * size))
    return rng.permutation(np.concatenate([rows[is_rare][:few], rows[~is_rare][: size - few]]))


def _with_column(dataset: Dataset, name: str, values: list[object]) -> Dataset:
    payloads = dataset.read(range(len(dataset)))
    changed = [
        json.dumps({**json.loads(str(row)), name: value}, ensure_ascii=False) for row, value in zip(payloads, values, strict=True)
    ]
    return dataset.edited(dict(enumerate(changed)), {})
