"""The base of all attacks. One rule: an attack turns a data set into a poisoned one plus the whole truth."""

from abc import ABC, abstractmethod
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import count, islice
from typing import Any, ClassVar, TypeAlias, final

import numpy as np

from untaint.data.dataset import Dataset, Payload
from untaint.errors import BadInput
from untaint.evidence.evidence import Trigger
from untaint.registry import spec
from untaint.types import Mask, Modality, Pixels, Rows

PACKAGE = "untaint.attacks"
_UNDATED = np.datetime64("NaT")

PixelStamp: TypeAlias = Callable[[Pixels], Pixels]
"""Puts the trigger on test images, so that the attack success rate can be measured."""
TextStamp: TypeAlias = Callable[[list[str]], list[str]]
"""The same for test texts."""
Stamp: TypeAlias = Callable[[Any], Any]
"""A `PixelStamp` or a `TextStamp`: which of the two follows from the data set's modality."""


@final
@dataclass(frozen=True)
class Poisoned:
    """A poisoned data set and the truth about it.

    mask: rows that are poison: touched or added to make a model err.  covers: rows touched to hide the poison, with their own,
    right label; a defence may keep or drop them, so neither is a hit or a false alarm.  No row is in both; all others are as before.
    trigger, stamp: None for an attack without a trigger.
    target: the label the attacker wants; None for random flips, and for a backdoor that maps every class to the next one.
    source: the one class the attack is meant to work on; None = all but the target.
    more: further target labels, each with its own stamp, of an attack with several triggers.
    """

    dataset: Dataset
    mask: Mask
    covers: Mask
    trigger: Trigger | None = None
    target: str | None = None
    stamp: Stamp | None = None
    source: str | None = None
    more: Mapping[str, Stamp] = field(default_factory=dict)


@final
@dataclass(frozen=True)
class Aim:
    """The rows victims are drawn from, how many are drawn, the label the attacker wants, and the one class he attacks, if one."""

    rows: Rows
    count: int
    target: str | None = None
    source: str | None = None


@final
@dataclass(frozen=True)
class Addition:
    """A sample added at the end of the set. time: when it was collected, NaT = unknown."""

    payload: Payload
    label: str
    source: str | None
    time: np.datetime64 = _UNDATED


@final
@dataclass(frozen=True)
class Changes:
    """Everything an attack does to a data set: other payloads, labels, sources or times, added samples.

    covers: those of the rows with another payload that only hide the poison.
    """

    payloads: Mapping[int, Payload] = field(default_factory=dict)
    labels: Mapping[int, str] = field(default_factory=dict)
    sources: Mapping[int, str] = field(default_factory=dict)
    added: Sequence[Addition] = ()
    covers: Collection[int] = ()
    trigger: Trigger | None = None
    stamp: Stamp | None = None
    more: Mapping[str, Stamp] = field(default_factory=dict)
    times: Mapping[int, np.datetime64] = field(default_factory=dict)


@dataclass(frozen=True)
class Attack(ABC):
    """Fields are the parameters; a subclass says whom it aims at and what it does to them, the rest is done here.

    rate: share of the whole set that is poisoned, unless the attack's manual says of what else.
    """

    id: ClassVar[str]
    modalities: ClassVar[frozenset[Modality]]
    clean_label: ClassVar[bool] = False  # True: poison keeps its own, right label
    canaries: ClassVar[tuple[float, ...]] = ()  # rates at which an audit plants it in a copy to measure its own power
    planted_as: ClassVar[tuple[Mapping[str, object], ...]] = ({},)  # with these parameters, each by itself
    rate: float

    @abstractmethod
    def aim(self, dataset: Dataset, rng: np.random.Generator) -> Aim:
        """Whom to attack."""

    @abstractmethod
    def craft(self, dataset: Dataset, victims: Rows, target: str | None, rng: np.random.Generator) -> Changes:
        """What to do to the victims."""

    @final
    def poison(self, dataset: Dataset, rng: np.random.Generator) -> Poisoned:
        """A poisoned copy and the truth about it; the same for the same state of `rng`. The input is never touched.

        Raises BadInput for parameters that make no sense, alone or on this data set.
        """
        check_rate(self.rate)
        self._check_fit(dataset)
        aim = self.aim(dataset, rng)
        changes = self.craft(dataset, _draw(spec(self), aim, rng), aim.target, rng)
        return _apply(dataset, changes, aim)

    def _check_fit(self, dataset: Dataset) -> None:
        if dataset.modality not in self.modalities:
            message = f"{self.id} works on {' or '.join(sorted(self.modalities))} data, this set holds {dataset.modality} data."
            raise BadInput(message, advice="Choose another attack.")
        if dataset.modality != "instruction" and len(dataset.class_names) < 2:
            message = f"an attack needs at least two classes, this set has {len(dataset.class_names)}."
            raise BadInput(message, advice="Name the column of labels, or give labelled data.")


def check_rate(rate: object) -> None:
    """Raises BadInput unless the rate is a share."""
    number = isinstance(rate, int | float | np.floating) and not isinstance(rate, bool)
    if not number or not 0 < float(rate) <= 1:  # type: ignore[arg-type]  # checked just before
        raise BadInput(f"a poison rate is over 0 and at most 1, not {rate!r}.", advice="Write 1 % as rate=0.01.")


def check_choice(name: str, value: object, known: Sequence[str]) -> None:
    """Raises BadInput unless a parameter has one of the known values."""
    if value not in known:
        raise BadInput(f"{name} is one of {', '.join(map(repr, known))}, not {value!r}.")


def check_count(name: str, value: object, low: int) -> None:
    """Raises BadInput unless a parameter is a whole number of at least `low`."""
    if isinstance(value, bool) or not isinstance(value, int) or value < low:
        raise BadInput(f"{name} is a whole number of at least {low}, not {value!r}.")


def check_range(name: str, value: object, low: float, high: float) -> None:
    """Raises BadInput unless a parameter is a number in low..high."""
    if isinstance(value, bool) or not isinstance(value, int | float) or not low <= value <= high:
        raise BadInput(f"{name} is a number in {low:g}..{high:g}, not {value!r}.")


def pick_class(dataset: Dataset, wanted: str | None, rng: np.random.Generator, *, without: str | None = None) -> str:
    """The class a parameter names, or one drawn at random when it names none.

    Raises BadInput when there is no such class.
    """
    names = [name for name in dataset.class_names if name != without]
    if wanted is None:
        return names[int(rng.integers(len(names)))]
    if wanted not in names:
        raise BadInput(f"{wanted!r} is not a class this attack can use.", advice=f"Choose one of {', '.join(map(repr, names))}.")
    return wanted


def usable(dataset: Dataset, *, besides: str | None = None) -> Rows:
    """Rows that are readable and labelled, without those of one class."""
    reasons = dataset.column("unreadable")
    good = [label is not None and label != besides and why is None for label, why in zip(dataset.labels, reasons, strict=True)]
    return np.flatnonzero(good)


def successors(names: Sequence[str]) -> dict[str, str]:
    """The all-to-all map: every class to the next, the last to the first."""
    return dict(zip(names, [*names[1:], *names[:1]], strict=True))


def invented(dataset: Dataset) -> Iterator[str]:
    """Names of data sources that the set does not know yet."""
    known = set(dataset.column("source"))
    return (name for name in (f"contributor-{i}" for i in count(1)) if name not in known)


def drawn_senders(dataset: Dataset, number: int, rng: np.random.Generator) -> list[str]:
    """Data sources that poison is to come from, drawn from those of the set, or invented where it has none.

    Raises BadInput when the set has some, but fewer.
    """
    known = sorted({name for name in dataset.column("source") if name is not None})
    if not known:
        return list(islice(invented(dataset), number))
    if number > len(known):
        message = f"{number:,} senders are asked for, this set has {len(known):,} data sources."
        raise BadInput(message, advice="Ask for fewer, or for 0: then poison stays with the sources of its victims.")
    return [known[i] for i in rng.choice(len(known), number, replace=False)]


def resent(dataset: Dataset, rows: Rows, number: int, rng: np.random.Generator) -> dict[int, str]:
    """Rows with the data sources that send them now, in turn; nothing for no senders."""
    if number == 0:
        return {}
    names = drawn_senders(dataset, number, rng)
    return {int(row): names[turn % number] for turn, row in enumerate(rng.permutation(rows))}


def drawn_times(dataset: Dataset, number: int, burst: float, rng: np.random.Generator) -> list[np.datetime64]:
    """Times at which poison comes; NaT, nothing drawn, where the set has no times.

    burst: share of the time from the first sample to the last in which all of it comes, at a moment drawn at random; 0 = whenever
    other samples come.  Hours and days are those at which others come, so that no time is odd by itself.
    """
    known = np.sort(dataset.times[~np.isnat(dataset.times)])
    if len(known) == 0:
        return [_UNDATED] * number
    if burst > 0:
        length = (known[-1] - known[0]) * burst
        start = known[0] + (known[-1] - known[0] - length) * rng.random()
        within = known[(known >= start) & (known <= start + length)]
        known = within if len(within) else start + length * rng.random(number)
    return list(known[rng.integers(len(known), size=number)])


def redated(dataset: Dataset, rows: Rows, burst: float, rng: np.random.Generator) -> dict[int, np.datetime64]:
    """Rows with the times of a burst; nothing where there is none: each keeps its own."""
    if burst == 0 or np.isnat(dataset.times).all():
        return {}
    return dict(zip(rows.tolist(), drawn_times(dataset, len(rows), burst, rng), strict=True))


def _draw(what: str, aim: Aim, rng: np.random.Generator) -> Rows:
    if aim.count == 0:
        raise BadInput(f"{what} poisons not a single sample of this set.", advice="Raise the rate.")
    if aim.count > len(aim.rows):
        message = f"{what} needs {aim.count:,} samples to poison, this set has {len(aim.rows):,} it may use."
        raise BadInput(message, advice="Lower the rate or choose another class.")
    return np.sort(rng.choice(aim.rows, aim.count, replace=False))


def _apply(dataset: Dataset, changes: Changes, aim: Aim) -> Poisoned:
    added = changes.added
    mask, covers = np.zeros((2, len(dataset) + len(added)), dtype=bool)
    mask[[*changes.payloads, *changes.labels, *changes.sources, *changes.times, *range(len(dataset), len(mask))]] = True
    covers[list(changes.covers)] = True
    poisoned = dataset.edited(changes.payloads, changes.labels, changes.sources, changes.times)
    if added:
        columns = [each.payload for each in added], [each.label for each in added], [each.source for each in added]
        poisoned = poisoned.extended(*columns, np.array([each.time for each in added], "datetime64[us]"))
    truth = mask & ~covers, covers
    return Poisoned(poisoned, *truth, changes.trigger, aim.target, changes.stamp, source=aim.source, more=changes.more)
