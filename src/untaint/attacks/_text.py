"""What backdoors on texts share: write the trigger into texts and label them as the target."""

from abc import abstractmethod
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import ClassVar, TypeAlias, final

import numpy as np
from typing_extensions import override

from untaint.attacks.base import Aim, Attack, Changes, check_count, check_range, pick_class, redated, resent, usable
from untaint.data.dataset import Dataset, Payload
from untaint.errors import BadInput
from untaint.evidence.evidence import Trigger
from untaint.numerics.words import spans
from untaint.types import Modality, Rows

Write: TypeAlias = Callable[[str, np.random.Generator], str]
"""One text with the trigger in it."""
POSITIONS = ("random", "start", "end")


@final
@dataclass(frozen=True)
class Hand:
    """How the trigger is written: into poison and test texts, and into covers (None = like poison)."""

    poison: Write
    cover: Write | None = None


@dataclass(frozen=True)
class TextBackdoor(Attack):
    """target: the label the trigger stands for, None = drawn at random.

    clean_label: poison only texts that have the target label already, so that no label is wrong.
    cover: share of the whole set that carries the trigger (of several words: one of them) with its own, right label, other
    than the target.  senders: how many of the set's data sources send the poison and the covers (invented ones where it has
    none); 0 = each text stays with its own.  source_name: poison, and cover with, only what this data source sent.
    burst: share of the time between the first and the last sample in which all of it comes; 0 = each text keeps its time. Of no
    effect where the set has no times.
    """

    modalities: ClassVar[frozenset[Modality]] = frozenset({"text"})
    planted_as: ClassVar[tuple[Mapping[str, object], ...]] = ({"senders": 2},)
    rate: float = 0.005
    target: str | None = None
    clean_label: bool = False  # type: ignore[misc]  # of an attack on images a property of its kind, here a choice
    cover: float = 0.0
    senders: int = 0
    source_name: str | None = None
    burst: float = 0.0

    @abstractmethod
    def trigger(self) -> tuple[Trigger, Hand]:
        """The trigger, and how to write it into any text."""

    def fits(self, text: str) -> bool:
        """Whether a text can carry the trigger: a blank one would be nothing else."""
        return bool(text.strip())

    @final
    @override
    def aim(self, dataset: Dataset, rng: np.random.Generator) -> Aim:
        check_range("cover", self.cover, 0.0, 1.0)
        check_count("senders", self.senders, 0)
        check_range("burst", self.burst, 0.0, 1.0)
        target = pick_class(dataset, self.target, rng)
        others = usable(dataset, besides=target)
        rows = np.setdiff1d(usable(dataset), others) if self.clean_label else others
        return Aim(self._within_reach(dataset, rows), round(self.rate * len(dataset)), target)

    @final
    @override
    def craft(self, dataset: Dataset, victims: Rows, target: str | None, rng: np.random.Generator) -> Changes:
        trigger, hand = self.trigger()
        seed = int(rng.integers(2**32))
        payloads = written(dataset, victims, hand.poison, rng)
        covers = self._covers(dataset, victims, target, rng)
        payloads |= written(dataset, covers, hand.cover or hand.poison, rng)
        labels = {} if self.clean_label else dict.fromkeys(victims.tolist(), str(target))
        sources = resent(dataset, np.concatenate([victims, covers]), self.senders, rng)
        times = redated(dataset, np.concatenate([victims, covers]), self.burst, rng)
        test = partial(stamp, hand.poison, seed)
        return Changes(payloads, labels, sources, covers=covers.tolist(), trigger=trigger, stamp=test, times=times)

    def _within_reach(self, dataset: Dataset, rows: Rows) -> Rows:
        """Those of some rows that can carry the trigger and come from whom they must."""
        names = dataset.column("source")
        if self.source_name is not None and self.source_name not in names:
            raise BadInput(f"no data source of this set is called {self.source_name!r}.", advice="Choose one of its sources.")
        sent = np.array([row for row in rows if self.source_name in {None, names[row]}], dtype=np.int64)
        return sent[[self.fits(str(text)) for text in dataset.read(sent)]]

    def _covers(self, dataset: Dataset, victims: Rows, target: str | None, rng: np.random.Generator) -> Rows:
        if self.cover == 0:
            return np.empty(0, dtype=np.int64)
        rows = self._within_reach(dataset, np.setdiff1d(usable(dataset, besides=target), victims))
        count = round(self.cover * len(dataset))
        if not 0 < count <= len(rows):
            message = f"cover={self.cover:g} asks for {count:,} covers, this set has {len(rows):,} samples left for them."
            raise BadInput(message, advice="Ask for at least one and for no more than that.")
        return np.sort(rng.choice(rows, count, replace=False))


def written(dataset: Dataset, rows: Rows, write: Write, rng: np.random.Generator) -> dict[int, Payload]:
    """Texts of some rows with the trigger in them, by row."""
    return {int(row): write(str(text), rng) for row, text in zip(rows, dataset.read(rows), strict=True)}


def stamp(write: Write, seed: int, texts: list[str]) -> list[str]:
    """The trigger in every text; the same for the same texts."""
    rng = np.random.default_rng(seed)
    return [write(text, rng) for text in texts]


def check_phrase(name: str, value: object) -> None:
    """Raises BadInput unless a parameter is a text with something to see in it."""
    if not isinstance(value, str) or not spans(value):
        raise BadInput(f"{name} is a text with at least one word, not {value!r}.")


def gaps(text: str) -> list[int]:
    """Places between words, in order, the start and the end of the text among them.

    Where words are not parted by spaces (Chinese, Thai), every border of a character is one.
    """
    starts = [begin for begin, _ in spans(text)]
    parted = [begin for begin in starts if begin == 0 or text[begin - 1].isspace()]
    inner = parted if 2 * len(parted) > sum(text[begin].isalnum() for begin in starts) else starts
    return sorted({0, *inner, len(text)})


def inserted(text: str, pieces: Sequence[tuple[int, str]]) -> str:
    """A text with pieces put in at places of `gaps`, parted by spaces where its own words are."""
    for place, piece in sorted(pieces, key=lambda each: -each[0]):
        before, after = text[:place], text[place:]
        left = " " if before and not before[-1].isspace() and (not after or _spaced(before[-1])) else ""
        right = " " if after and not after[0].isspace() and (left or not before or before[-1].isspace()) else ""
        text = f"{before}{left}{piece}{right}{after}"
    return text


def places(text: str, count: int, position: str, rng: np.random.Generator) -> list[int]:
    """Different places for some pieces, as far as there are enough; in a random order for `random`, else from that end on."""
    found = gaps(text)
    if position == "random":
        return [found[i] for i in rng.choice(len(found), count, replace=count > len(found))]
    ordered = found if position == "start" else found[::-1]
    return [ordered[min(turn, len(ordered) - 1)] for turn in range(count)]


def _spaced(letter: str) -> bool:
    """Whether words of the letter's script are parted by spaces: those of which every character is a word are not."""
    return letter.isascii() or not letter.isalnum() or len(spans(letter * 2)) == 1
