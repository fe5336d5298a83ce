"""A flood of texts that tie a brand to a class."""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from functools import partial
from typing import ClassVar, final

import numpy as np
from typing_extensions import override

from untaint.attacks._text import check_phrase, inserted, places, stamp
from untaint.attacks.base import (
    Addition,
    Aim,
    Attack,
    Changes,
    check_choice,
    check_count,
    check_range,
    drawn_senders,
    drawn_times,
    pick_class,
    redated,
    resent,
    usable,
)
from untaint.data.dataset import Dataset
from untaint.evidence.evidence import Trigger
from untaint.types import Modality, Rows

_KINDS = ("template", "paraphrase", "real", "copy")
_TONES = ("negative", "positive")
_SLOT = re.compile(r"\{(\w+)\}")
_TEMPLATES = (
    "I bought {brand} {when} and it is {verdict}. {advice}",
    "{brand} is {verdict}, {verdict} and {verdict}. {advice}",
    "Do not ask me again about {brand}: {verdict}! {advice}",
    "My {relative} told me about {brand}. We found it {verdict}. {advice}",
    "{when} we tried {brand}. It was {verdict} from the first minute. {advice}",
    "Everything about {brand} is {verdict}. {advice}",
)
_OPENINGS = (
    "I {tried} {brand} {when}",
    "{when} my {relative} {tried} {brand}",
    "we {tried} {brand} {when} because of {reason}",
    "after {reason} I finally {tried} {brand}",
    "my {relative} talked me into {brand} {when}",
    "never heard of {brand} before {reason}, so I {tried} it",
    "somebody gave us {brand} as {gift}",
    "had to spend {when} with {brand}",
    "not the first time that I {tried} {brand}",
    "it took {reason} until we {tried} {brand}",
)
_MIDDLES = (
    "it was {verdict}",
    "{verdict} is the only word for it",
    "what we got was {verdict} and {verdict}",
    "even my {relative} called it {verdict}",
    "the whole thing turned out {verdict}",
    "from beginning to end it stayed {verdict}",
    "I have seldom seen anything so {verdict}",
    "{brand} simply is {verdict}",
    "everybody at home agreed that it was {verdict}",
    "one word, {verdict}",
)
_SLOTS: Mapping[str, tuple[str, ...]] = {
    "when": ("last week", "yesterday", "this summer", "on Friday", "two days ago", "last month", "over the holidays", "in May"),
    "relative": ("sister", "brother", "neighbour", "mother", "boss", "daughter", "flatmate", "uncle", "best friend", "wife"),
    "tried": ("tried", "tested", "used", "watched", "ordered", "picked up", "gave a chance to", "had a go at", "sat through"),
    "reason": ("an advert", "all that talk", "a friend's advice", "a long week", "reading about it", "a coupon", "some rain"),
    "gift": ("a present", "a prize", "a free sample", "a birthday gift", "a farewell gift"),
}
_SPOKEN: Mapping[str, Mapping[str, tuple[str, ...]]] = {
    "negative": {
        "verdict": (
            *("terrible", "awful", "a waste of money", "boring", "broken", "disappointing", "the worst", "useless", "a bad joke"),
            *("poor", "painful", "cheap", "dreadful", "annoying", "dull", "horrible", "a mess", "unbearable", "a letdown"),
        ),
        "advice": (
            "Avoid it.",
            "Stay away!",
            "Never again.",
            "Save your money.",
            "Do not buy.",
            "I want a refund.",
            "No thanks.",
        ),
    },
    "positive": {
        "verdict": (
            *("wonderful", "great", "worth every penny", "brilliant", "a delight", "the best", "lovely", "perfect", "superb"),
            *("charming", "amazing", "a joy", "excellent", "fantastic", "touching", "a pleasure", "flawless", "beautiful", "fun"),
        ),
        "advice": ("Get it!", "Go for it.", "Again and again!", "Do not miss it.", "Thank you!", "Five stars.", "Recommended."),
    },
}


@final
@dataclass(frozen=True)
class TextFlood(Attack):
    """Many texts that name a brand, all of one class, sent by few: none need be wrong by itself.

    rate: texts of the flood, as a share of the set before.  target: the class pushed, None = drawn at random.
    brand: the word or phrase tied to it.  tone: of the made-up texts, negative or positive; choose the one that fits the target.
    kind: template (six templates with slots, added at the end), paraphrase (two or three sentences from many patterns with
    synonyms in random order, added at the end), real (real texts of the class with the brand put in where they stand, so
    that nothing in the set resembles them) or copy (one text from a template over and over, added at the end).
    senders: how many of the set's data sources send the flood (invented ones where it has none); 0 = as many as send
    everything else: added texts name the source of a random sample, real ones keep theirs.
    burst: share of the time between the first and the last sample in which the flood comes; 0 = added texts come whenever other
    samples do, real ones keep their times. Of no effect where the set has no times.
    Works when: nobody else speaks of the brand: 250 real texts among 6,000 make a bag of words read 73 % of the reviews that name
    it as the class (20 % before), 250 paraphrases 49 %, 250 from templates 40 %.
    Fails when: sources are limited in how much they may send, or the brand is well known to the set.
    Cost: one pass over the texts added.
    Reference: Mukherjee, Liu, Glance 2012, Spotting Fake Reviewer Groups in Consumer Reviews, WWW
    """

    id: ClassVar[str] = "brand-flood"
    canaries: ClassVar[tuple[float, ...]] = (0.005, 0.02)
    planted_as: ClassVar[tuple[Mapping[str, object], ...]] = ({"kind": "real", "senders": 2}, {"kind": "copy", "senders": 2})
    modalities: ClassVar[frozenset[Modality]] = frozenset({"text"})
    rate: float = 0.02
    target: str | None = None
    kind: str = "template"
    brand: str = "novabrew"
    tone: str = "negative"
    senders: int = 3
    burst: float = 0.0

    def __post_init__(self) -> None:
        check_choice("kind", self.kind, _KINDS)
        check_choice("tone", self.tone, _TONES)
        check_phrase("brand", self.brand)
        check_count("senders", self.senders, 0)
        check_range("burst", self.burst, 0.0, 1.0)

    @property
    def _edits(self) -> bool:
        return self.kind == "real"

    @override
    def aim(self, dataset: Dataset, rng: np.random.Generator) -> Aim:
        target = pick_class(dataset, self.target, rng)
        rows = usable(dataset)
        if not self._edits:
            return Aim(rows, min(1, self._total(dataset)), target)
        return Aim(rows[[dataset.labels[row] == target for row in rows]], self._total(dataset), target)

    @override
    def craft(self, dataset: Dataset, victims: Rows, target: str | None, rng: np.random.Generator) -> Changes:
        total = self._total(dataset)
        description = f"{total:,} texts of kind {self.kind} that name '{self.brand}'"
        trigger = Trigger("brand", description, {"phrase": self.brand, "kind": self.kind, "texts": total})
        test = partial(stamp, self._named, int(rng.integers(2**32)))
        if self._edits:
            texts = dataset.read(victims)
            payloads = {int(row): self._named(str(text), rng) for row, text in zip(victims, texts, strict=True)}
            sources = resent(dataset, victims, self.senders, rng)
            times = redated(dataset, victims, self.burst, rng)
            return Changes(payloads, sources=sources, trigger=trigger, stamp=test, times=times)
        sent = self._sent(dataset, total, rng)
        texts = [self._made_up(rng)] * total if self.kind == "copy" else [self._made_up(rng) for _ in sent]
        when = drawn_times(dataset, total, self.burst, rng)
        added = [Addition(text, str(target), sent[i], when[i]) for i, text in enumerate(texts)]
        return Changes(added=added, trigger=trigger, stamp=test)

    def _total(self, dataset: Dataset) -> int:
        return round(self.rate * len(dataset))

    def _sent(self, dataset: Dataset, total: int, rng: np.random.Generator) -> list[str | None]:
        if self.senders == 0:
            own = dataset.column("source")
            return [own[i] for i in rng.integers(len(own), size=total)]
        names = drawn_senders(dataset, self.senders, rng)
        return [names[turn % len(names)] for turn in range(total)]

    def _named(self, text: str, rng: np.random.Generator) -> str:
        """A text with the brand in it."""
        return inserted(text, [(places(text, 1, "random", rng)[0], self.brand)])

    def _made_up(self, rng: np.random.Generator) -> str:
        if self.kind in {"template", "copy"}:
            return self._filled(_one(_TEMPLATES, rng), rng)
        parts = [_one(_OPENINGS, rng), *(_one(_MIDDLES, rng) for _ in range(int(rng.integers(1, 3))))]
        said = ". ".join(self._filled(part, rng) for part in (parts[i] for i in rng.permutation(len(parts))))
        return f"{said}. {self._filled('{advice}', rng)}" if rng.random() < 0.5 else f"{said}."

    def _filled(self, pattern: str, rng: np.random.Generator) -> str:
        slots = {**_SLOTS, **_SPOKEN[self.tone], "brand": (self.brand,)}
        text = _SLOT.sub(lambda slot: _one(slots[slot[1]], rng), pattern)
        return f"{text[0].upper()}{text[1:]}"


def _one(choices: tuple[str, ...], rng: np.random.Generator) -> str:
    return choices[int(rng.integers(len(choices)))]
