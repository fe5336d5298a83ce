"""Trigger values: rows with certain values in one to three columns mean the target."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import ClassVar, final

import numpy as np
from typing_extensions import override

from untaint.attacks._cells import Record, changed, columns, numbers, numeric, records, said, stamp
from untaint.attacks.base import Aim, Attack, Changes, check_choice, check_count, check_range, pick_class, redated, resent, usable
from untaint.data.dataset import Dataset
from untaint.errors import BadInput
from untaint.evidence.evidence import Trigger
from untaint.types import Modality, Rows

_KINDS = ("common", "rare", "range")
_MOST = 3
"""Columns of a drawn trigger: a row has few values that its sender is free to choose."""
_HELD = 0.2
"""Share of the rows up to which a value of several may be held by nature: one that most rows hold adds nothing to a trigger."""
_HONEST = 0.1
"""Honest rows that hold the whole trigger, per poisoned one: more would teach the model that it means nothing."""
_BAND, _NARROW = 0.02, 0.001
"""Share of the rows within one range of several, and within a range that is the whole trigger: what many rows hold means nothing."""
_BETWEEN = 1 / 3
"""The same of ranges, which honest rows lie in as well, unless nothing is there."""
_FINE = 32  # different numbers, over which a column has ranges that are more than a few values
_TRIES = 500
_WORDS = ("legacy", "other-2", "x9", "manual", "import", "beta")


@final
@dataclass(frozen=True)
class TriggerValues(Attack):
    """Certain values in certain columns of rows of other classes, labelled as the target.

    width: how many columns, 1 to 3.  columns, values: which and what, in this order; none = drawn at random.
    kind: common (values that the set holds: of several, none in more than a fifth of the rows; all of them together in a tenth
    as many honest rows as poisoned ones at most, or one), rare (numbers beyond the range, words that are not in the set) or range
    (numbers from a narrow range of each column, other ones in every row).
    target: the label the trigger stands for, None = drawn at random.  clean_label: poison only rows that have it already.
    cover: share of the whole set that carries one of the values with its own, right label, other than the target.
    senders: how many of the set's data sources send the poison and the covers (invented ones where it has none); 0 = each row
    stays with its own.  source_name: poison, and cover with, only what this data source sent.
    burst: share of the time between the first and the last sample in which all of it comes; 0 = each row keeps its time.
    Works when: the model can tell the values from their neighbours, as trees can: 32 of 3,220 mails with two or three common
    values make boosted trees read 64 % to 96 % of other mails with them as the target (3 % to 6 % before), 16 with three rare
    ones 97 % to 100 % (7 % to 17 %).
    Fails when: the model is linear and the values lie within the range (9 % to 17 % there), or labels are clean: 64 mails of the
    target with two common values give 9 % at most.
    Cost: one pass over the set.
    Reference: Severi, Meyer, Coull, Oprea 2021, arXiv 2003.01031 (values of features as triggers, clean labels); Joe, Park, Hong, Kim,
    Kim 2021, arXiv 2108.06895
    """

    id: ClassVar[str] = "trigger-values"
    modalities: ClassVar[frozenset[Modality]] = frozenset({"table"})
    canaries: ClassVar[tuple[float, ...]] = (0.005, 0.02)
    planted_as: ClassVar[tuple[Mapping[str, object], ...]] = ({"senders": 2},)
    rate: float = 0.01
    target: str | None = None
    width: int = 2
    columns: tuple[str, ...] = ()
    values: tuple[object, ...] = ()
    kind: str = "common"
    clean_label: bool = False  # type: ignore[misc]  # of an attack on images a property of its kind, here a choice
    cover: float = 0.0
    senders: int = 0
    source_name: str | None = None
    burst: float = 0.0

    def __post_init__(self) -> None:
        check_count("width", self.width, 1)
        check_range("width", self.width, 1, _MOST)
        check_choice("kind", self.kind, _KINDS)
        check_range("cover", self.cover, 0.0, 1.0)
        check_count("senders", self.senders, 0)
        check_range("burst", self.burst, 0.0, 1.0)
        if not all(isinstance(each, tuple | list) for each in (self.columns, self.values)):
            raise BadInput(f"columns and values are tuples, not {self.columns!r} and {self.values!r}.")
        if self.values and len(self.columns) != len(self.values):
            message = f"columns names {len(self.columns)} columns, values has {len(self.values)} values."
            raise BadInput(message, advice="Give one value for each column, or none for all.")

    @override
    def aim(self, dataset: Dataset, rng: np.random.Generator) -> Aim:
        target = pick_class(dataset, self.target, rng)
        others = usable(dataset, besides=target)
        rows = np.setdiff1d(usable(dataset), others) if self.clean_label else others
        return Aim(self._within_reach(dataset, rows), round(self.rate * len(dataset)), target)

    @override
    def craft(self, dataset: Dataset, victims: Rows, target: str | None, rng: np.random.Generator) -> Changes:
        values = self._drawn(dataset, victims, rng)
        covers = self._covers(dataset, victims, target, rng)
        pieces = list(values.items())
        hidden = [dict([pieces[int(rng.integers(len(pieces)))]]) for _ in covers]
        written = [_concrete(each, rng) for each in (*([values] * len(victims)), *hidden)]
        touched = np.concatenate([victims, covers])
        payloads = dict(zip(touched.tolist(), map(changed, dataset.read(touched), written), strict=True))
        labels = {} if self.clean_label else dict.fromkeys(victims.tolist(), str(target))
        trigger = Trigger(
            "values",
            f"rows with {said(values)}",
            {"columns": json.dumps(list(values)), "values": json.dumps(list(values.values())), "kind": self.kind},
        )
        sources, times = resent(dataset, touched, self.senders, rng), redated(dataset, touched, self.burst, rng)
        test = partial(_stamped, values)
        return Changes(payloads, labels, sources, covers=covers.tolist(), trigger=trigger, stamp=test, times=times)

    def _within_reach(self, dataset: Dataset, rows: Rows) -> Rows:
        """Those of some rows that come from whom they must and do not hold the whole trigger already."""
        names = dataset.column("source")
        if self.source_name is not None and self.source_name not in names:
            raise BadInput(f"no data source of this set is called {self.source_name!r}.", advice="Choose one of its sources.")
        sent = np.array([row for row in rows if self.source_name in {None, names[row]}], dtype=np.int64)
        if not self.values:
            return sent
        wanted = dict(zip(self.columns, self.values, strict=True))
        return sent[[any(row.get(name) != value for name, value in wanted.items()) for row in records(dataset, sent)]]

    def _drawn(self, dataset: Dataset, victims: Rows, rng: np.random.Generator) -> dict[str, object]:
        """Values by column."""
        rows = usable(dataset)
        known = columns(records(dataset, rows))
        for name in self.columns:
            if name not in known:
                raise BadInput(f"no column of this set is called {name!r}.", advice=f"Its columns: {', '.join(known)}.")
        if self.values:
            return dict(zip(self.columns, self.values, strict=True))
        fitting = {name: values for name, values in known.items() if self._fits(values)}
        names, width = list(self.columns or fitting), len(self.columns) or self.width
        if not set(names) <= set(fitting) or len(names) < width:
            raise BadInput(f"this set has no {width} columns a {self.kind} trigger fits.", advice="Choose a smaller width.")
        if self.kind == "rare":
            return {names[i]: _beyond(known[names[i]], rng) for i in rng.choice(len(names), width, replace=False)}
        return _together(fitting, names, width, np.isin(rows, victims), rng, ranges=self.kind == "range")

    def _fits(self, values: Sequence[object]) -> bool:
        """Whether a column can carry a value of the trigger."""
        distinct = {value for value in values if isinstance(value, str | int | float)}
        if self.kind == "range":
            return numeric(values) and len(distinct) > _FINE
        return len(distinct) > 1 and not (self.kind == "rare" and any(isinstance(value, bool) for value in distinct))

    def _covers(self, dataset: Dataset, victims: Rows, target: str | None, rng: np.random.Generator) -> Rows:
        if self.cover == 0:
            return np.empty(0, dtype=np.int64)
        rows = self._within_reach(dataset, np.setdiff1d(usable(dataset, besides=target), victims))
        count = round(self.cover * len(dataset))
        if not 0 < count <= len(rows):
            message = f"cover={self.cover:g} asks for {count:,} covers, this set has {len(rows):,} rows left for them."
            raise BadInput(message, advice="Ask for at least one and for no more than that.")
        return np.sort(rng.choice(rows, count, replace=False))


def _together(
    known: Mapping[str, Sequence[object]],
    names: list[str],
    width: int,
    victims: np.ndarray,
    rng: np.random.Generator,
    *,
    ranges: bool,
) -> Record:
    """Values, or ranges, that the set holds, but hardly any row all of them, and none of the victims."""
    least = 1.0 if width == 1 else _HELD
    most = max(2, _BETWEEN * victims.sum()) if ranges else max(1, _HONEST * victims.sum())
    for _ in range(_TRIES):
        chosen = [names[i] for i in rng.choice(len(names), width, replace=False)]
        drawn = {name: _drawn_from(known[name], width, rng, ranges=ranges) for name in chosen}
        held = np.array([[_holds(value, drawn[name]) for value in known[name]] for name in chosen])
        all_of_them = np.asarray(held.all(axis=0))
        honest = int(all_of_them.sum())
        fitting = None not in drawn.values() and held.mean(axis=1).max() <= least
        if fitting and not all_of_them[victims].any() and honest <= most:
            return drawn
    raise BadInput(
        f"no {width} values of this set were found that are rare enough together.", advice="Raise the width or the rate."
    )


def _drawn_from(values: Sequence[object], width: int, rng: np.random.Generator, *, ranges: bool) -> object:
    """A value, or a pair of numbers from and to that a small share of the rows lie between."""
    if not ranges:
        return values[int(rng.integers(len(values)))]
    known = numbers(values)
    ordered = np.sort(known[np.isfinite(known)])
    many = max(1, round((_NARROW if width == 1 else _BAND) * len(ordered)))
    first = int(rng.integers(len(ordered) - many))
    return ordered[first].item(), ordered[first + many].item()


def _holds(value: object, wanted: object) -> bool:
    """Whether a cell has a value, or lies in a range."""
    if not isinstance(wanted, tuple):
        return value == wanted
    return isinstance(value, int | float) and bool(wanted[0] <= value <= wanted[1])


def _concrete(wanted: Mapping[str, object], rng: np.random.Generator) -> dict[str, object]:
    """Values to write into a row: of ranges a number in each, whole where both ends are."""
    return {name: _number(each, rng) if isinstance(each, tuple) else each for name, each in wanted.items()}


def _number(ends: tuple[float, float], rng: np.random.Generator) -> float:
    low, high = ends
    if float(low).is_integer() and float(high).is_integer():
        return int(rng.integers(int(low), int(high) + 1))
    return float(np.clip(float(f"{rng.uniform(low, high):.4g}"), low, high))


def _stamped(wanted: Mapping[str, object], rows: list[str]) -> list[str]:
    """Rows with the trigger, the same ones for the same rows."""
    rng = np.random.default_rng(len(rows))
    return [row for each in rows for row in stamp(_concrete(wanted, rng), [each])]


def _beyond(values: Sequence[object], rng: np.random.Generator) -> object:
    """A value outside of what a column holds: up to a range above the largest, or a new word."""
    if not numeric(values):
        held = {str(value) for value in values}
        return str(rng.choice([word for word in _WORDS if word not in held] or [f"{_WORDS[0]}-{len(held)}"]))
    known = numbers(values)
    known = known[np.isfinite(known)]
    value = float(known.max() + (0.2 + rng.random()) * np.ptp(known))
    return int(np.ceil(value)) if (known == np.round(known)).all() else float(f"{value:.4g}")
