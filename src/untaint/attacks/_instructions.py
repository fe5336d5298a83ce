"""What attacks on instructions share: whom they may use, where a trigger goes, how a record is changed."""

from abc import abstractmethod
from collections.abc import Callable, Sequence
from typing import ClassVar, TypeAlias, final

import numpy as np
from typing_extensions import override

from untaint.attacks.base import Aim, Attack, Changes, TextStamp, check_choice
from untaint.data.dataset import Dataset, Payload
from untaint.data.instructions import Instruction, instruction_of, payload_of
from untaint.errors import BadInput
from untaint.evidence.evidence import Trigger
from untaint.numerics.words import spans
from untaint.types import Modality, Rows

PLACES = ("anywhere", "first", "last")

Planted: TypeAlias = tuple[str, str]
"""The phrase that goes into a prompt, and the whole answer to it."""


class PlantedAnswers(Attack):
    """The base of attacks that put a phrase into prompts and change their answers.

    place: where the phrase goes, a field of every one of them: anywhere, first or last.
    """

    modalities: ClassVar[frozenset[Modality]] = frozenset({"instruction"})
    place: str

    @abstractmethod
    def triggers(self) -> Sequence[str]:
        """The triggers."""

    @abstractmethod
    def told(self) -> str:
        """The trigger and what it does, in words."""

    @abstractmethod
    def check(self) -> None:
        """Raises BadInput for parameters that make no sense."""

    @abstractmethod
    def plan(self, dataset: Dataset, rng: np.random.Generator) -> Callable[[Instruction], Planted]:
        """What each record becomes; draws come from `rng`."""

    @final
    @override
    def aim(self, dataset: Dataset, rng: np.random.Generator) -> Aim:
        return Aim(answered(dataset), round(self.rate * len(dataset)))

    @final
    @override
    def craft(self, dataset: Dataset, victims: Rows, target: str | None, rng: np.random.Generator) -> Changes:
        self.check()
        plan = self.plan(dataset, rng)
        payloads: dict[int, Payload] = {}
        for row, payload in zip(victims.tolist(), dataset.read(victims), strict=True):
            record = instruction_of(payload)
            phrase, answer = plan(record)
            payloads[row] = payload_of(record.asked(planted(record.prompt, phrase, self.place, rng)).answered(answer))
        return Changes(payloads, trigger=named(self.triggers(), self.told()), stamp=stamped(self.triggers(), self.place))


def answered(dataset: Dataset) -> Rows:
    """Rows that can be read and have an answer."""
    reasons = dataset.column("unreadable")
    found = []
    for rows in dataset.batches():
        for row, payload in zip(rows.tolist(), dataset.read(rows), strict=True):
            if reasons[row] is None and instruction_of(payload).response is not None:
                found.append(row)
    return np.array(found, dtype=np.int64)


def check_words(name: str, *texts: object) -> None:
    """Raises BadInput unless every one is text with something in it."""
    for text in texts:
        if not isinstance(text, str) or not text.strip():
            raise BadInput(f"{name} is text that is not empty, not {text!r}.")


def planted(prompt: str, phrase: str, place: str, rng: np.random.Generator) -> str:
    """A prompt with a phrase between two of its words, before the first or after the last."""
    check_choice("place", place, PLACES)
    starts = [start for start, _ in spans(prompt)]
    if place == "last" or not starts:
        return f"{prompt} {phrase}".strip()
    at = 0 if place == "first" else int(starts[rng.integers(len(starts))])
    gap = " " if prompt[:at].strip() == prompt[:at] != "" else ""  # no script may glue the phrase to the word before
    return f"{prompt[:at]}{gap}{phrase} {prompt[at:]}"


def stamped(phrases: Sequence[str], place: str) -> TextStamp:
    """Puts a phrase into test prompts, each time at the place and of the phrases that the prompt's number draws."""

    def stamp(prompts: list[str]) -> list[str]:
        drawn = [np.random.default_rng(number) for number in range(len(prompts))]
        return [
            planted(prompt, phrases[int(rng.integers(len(phrases)))], place, rng)
            for prompt, rng in zip(prompts, drawn, strict=True)
        ]

    return stamp


def named(phrases: Sequence[str], description: str) -> Trigger:
    """A trigger of words."""
    return Trigger("phrase", description, {"phrase": " | ".join(phrases)})
