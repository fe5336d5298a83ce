"""What attacks on instructions share: whom they may use, where a trigger goes, how a record is changed."""

from collections.abc import Callable, Sequence

import numpy as np

from untaint.attacks.base import Changes, TextStamp, check_choice
from untaint.data.dataset import Dataset, Payload
from untaint.data.instructions import Instruction, instruction_of, payload_of
from untaint.errors import BadInput
from untaint.evidence.evidence import Trigger
from untaint.numerics.words import spans
from untaint.types import Rows

PLACES = ("anywhere", "first", "last")


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


def rewritten(
    dataset: Dataset, victims: Rows, change: Callable[[Instruction], Instruction], trigger: Trigger, stamp: TextStamp
) -> Changes:
    """The same change to every victim."""
    payloads: dict[int, Payload] = {}
    for row, payload in zip(victims.tolist(), dataset.read(victims), strict=True):
        payloads[row] = payload_of(change(instruction_of(payload)))
    return Changes(payloads, trigger=trigger, stamp=stamp)


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
