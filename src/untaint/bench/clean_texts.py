"""Random clean sets of texts of many kinds: what an audit must stay silent on."""

from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import replace

import numpy as np
import pyarrow as pa

from untaint.bench.corpora import with_sources
from untaint.data.dataset import Dataset, from_arrays

SIZES = {500: 0.1, 1000: 0.15, 2000: 0.2, 5000: 0.3, 12_000: 0.25}
"""Texts, and how often: large sets cost most."""
SOURCES = (0, 0, 3, 20, 200)
IMBALANCE = (1, 1, 5)
_UNEVEN = 1.0
"""Standard deviation of the log odds by which honest sources differ in how many of their texts are positive: shops with good
and with bad goods have shares from a quarter to three quarters."""

Nuisance = Callable[[Dataset, np.random.Generator], Dataset]


def drawn(sets: Mapping[str, Callable[[], Dataset]], rng: np.random.Generator) -> tuple[dict[str, str | int | float], Dataset]:
    """A clean set and what it is."""
    name = str(rng.choice(sorted(sets)))
    source, size = sets[name](), int(rng.choice(list(SIZES), p=list(SIZES.values())))
    imbalance, count = int(rng.choice(IMBALANCE)), int(rng.choice(SOURCES))
    rows = rng.permutation(len(source))
    rare = str(rng.choice(source.class_names))
    kept = rows[[source.labels[row] != rare or rng.random() < 1 / imbalance for row in rows]][:size]
    dataset = source.select(kept)
    if source.column("source")[0] is not None:
        count = len(set(source.column("source")))
    elif count:
        dataset = with_sources(dataset, count, rng)
    nuisance = str(rng.choice(sorted(NUISANCES if count else WITHOUT_SOURCES)))
    changed = NUISANCES[nuisance](dataset, rng)
    return {"corpus": name, "n": len(changed), "sources": count, "imbalance": imbalance, "nuisance": nuisance}, changed


def copies(dataset: Dataset, rng: np.random.Generator) -> Dataset:
    """A tenth of the texts come twice, labels and sources as they were."""
    again = rng.choice(len(dataset), len(dataset) // 10, replace=False)
    return dataset.select(rng.permutation(np.concatenate([np.arange(len(dataset)), again])))


def uneven(dataset: Dataset, rng: np.random.Generator) -> Dataset:
    """Sources that honestly differ in their share of each class: texts change hands until they do."""
    names = dataset.column("source")
    sizes = Counter(names)
    known = sorted(sizes, key=str)
    lean = rng.normal(0, _UNEVEN, len(known))
    first = dataset.class_names[0]
    signs = np.array([1.0 if label == first else -1.0 for label in dataset.labels])
    weights = np.array([sizes[name] for name in known]) * np.exp(signs[:, None] * lean[None, :] / 2)
    edges = np.cumsum(weights, axis=1) / weights.sum(axis=1, keepdims=True)
    codes = np.minimum((edges < rng.random((len(dataset), 1))).sum(axis=1), len(known) - 1)
    place = dataset.index.schema.get_field_index("source")
    column = pa.array([known[code] for code in codes], pa.string())
    return replace(dataset, index=dataset.index.set_column(place, "source", column))


def signed(dataset: Dataset, rng: np.random.Generator) -> Dataset:
    """One source signs every text of its own, whatever its label."""
    names = dataset.column("source")
    who = str(rng.choice(sorted({str(name) for name in names})))
    texts = [str(text) for text in dataset.read(range(len(dataset)))]
    after = [f"{text} -- sent from my phone" if name == who else text for text, name in zip(texts, names, strict=True)]
    return from_arrays(after, dataset.labels, sources=[str(name) for name in names])


def sloppy(dataset: Dataset, rng: np.random.Generator) -> Dataset:
    """One label in fifty is wrong, wherever it comes from."""
    wrong = np.flatnonzero(rng.random(len(dataset)) < 0.02)
    names = dataset.class_names
    labels = {int(row): names[(names.index(str(dataset.labels[row])) + 1) % len(names)] for row in wrong}
    return dataset.edited({}, labels)


NUISANCES: Mapping[str, Nuisance] = {
    "none": lambda dataset, _rng: dataset,
    "copies": copies,
    "sloppy labels": sloppy,
    "uneven sources": uneven,
    "a source signs": signed,
}
WITHOUT_SOURCES = ("none", "copies", "sloppy labels")
