"""Random clean tables of many kinds: what an audit must stay silent on."""

import json
from collections.abc import Callable, Mapping
from typing import TypeAlias

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
_LEAST = 8  # rows that a class keeps, however rare it is made

Nuisance: TypeAlias = Callable[[Dataset, np.random.Generator], Dataset]


def drawn(sets: Mapping[str, Callable[[], Dataset]], rng: np.random.Generator) -> tuple[dict[str, str | int | float], Dataset]:
    """A clean set and what it is."""
    name = str(rng.choice(sorted(sets)))
    whole, size = sets[name](), int(rng.choice(list(SIZES), p=list(SIZES.values())))
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


NUISANCES: Mapping[str, Nuisance] = {
    "none": lambda dataset, _rng: dataset,
    "copies": copies,
    "sloppy labels": sloppy,
    "strong shortcut": shortcut,
    "heavy tail": heavy,
    "numbers that name rows": numbered,
    "uneven sources": uneven,
    "kinds of source": kinds_of_source,
}
WITHOUT_SOURCES = tuple(name for name in NUISANCES if name not in {"uneven sources", "kinds of source"})


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
