"""An instruction and its answer as one payload: the only place that writes and reads that form."""

import json
from dataclasses import asdict, dataclass, replace
from typing import final

from untaint.data.dataset import Payload
from untaint.errors import BadInput


@final
@dataclass(frozen=True)
class Instruction:
    """What a language model is asked and what it should answer, texts exactly as in the data.

    prompt, response: of a conversation, the turns of the person and of the assistant, each a line or more.  response: None where
    the data only say which answer is not wanted.  rejected: the answer that is not wanted, of a preference pair.
    system: what stands before the conversation.
    """

    system: str | None
    prompt: str
    response: str | None
    rejected: str | None = None

    def answered(self, response: str) -> "Instruction":
        """The same with another answer."""
        return replace(self, response=response)

    def asked(self, prompt: str) -> "Instruction":
        """The same with another prompt."""
        return replace(self, prompt=prompt)


FIELDS = ("system", "prompt", "response", "rejected")
"""In the order in which a payload has them."""


def payload_of(instruction: Instruction) -> str:
    """The payload: JSON with keys in a fixed order and every character as it is, so that equal records have equal ids."""
    return json.dumps(asdict(instruction), ensure_ascii=False)


def instruction_of(payload: Payload) -> Instruction:
    """The record in a payload. Raises BadInput for anything `payload_of` did not write."""
    try:
        found = json.loads(payload) if isinstance(payload, str) else None
    except (ValueError, RecursionError):
        found = None
    if not isinstance(found, dict) or tuple(found) != FIELDS or not _texts(found):
        raise BadInput("a payload is no instruction with its answer.", advice="Read the data with a reader of this version.")
    return Instruction(**found)


def _texts(found: dict[str, object]) -> bool:
    return isinstance(found["prompt"], str) and all(value is None or isinstance(value, str) for value in found.values())
