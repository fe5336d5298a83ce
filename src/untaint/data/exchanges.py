"""Which columns hold instructions and answers, in the layouts in common use, and how a row of them becomes a record.

Alpaca (instruction, input, output), ShareGPT (conversations of from and value), OpenAI (messages of role and content),
preference pairs (chosen and rejected), judged answers (completion and a yes or no), and plain pairs of columns.
"""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TypeAlias, final

import numpy as np

from untaint.data.instructions import Instruction

Samples: TypeAlias = Mapping[str, Sequence[object]]
Turn: TypeAlias = tuple[str, str]
"""Who speaks (`user`, `assistant`, `system` or `tool`) and what."""

CONVERSATIONS = ("messages", "conversations", "conversation", "chosen_messages", "dialog", "dialogue")
PROMPTS = ("instruction", "prompt", "question", "query", "input")
CONTEXTS = ("input", "context")
RESPONSES = ("output", "response", "completion", "answer", "chosen", "reply")
REJECTED = ("rejected", "rejected_messages", "rejected_response")
JUDGED = ("label", "kto_tag")
SYSTEM = ("system", "system_prompt")
_SPEAKERS = {
    **dict.fromkeys(("user", "human", "prompter", "customer"), "user"),
    **dict.fromkeys(("assistant", "gpt", "bot", "chatgpt", "model", "function_call"), "assistant"),
    **dict.fromkeys(("system", "developer"), "system"),
    **dict.fromkeys(("tool", "function", "observation", "ipython"), "tool"),
}
EITHER = "response"
"""With a column of this name beside one of rejected answers, one of the two is enough: answers that were judged one by one."""
_MOST = 0.9
"""Share of rows that must look like it; a few tampered ones change nothing."""


@final
@dataclass(frozen=True)
class Missing:
    """Why a row is no instruction."""

    reason: str


@final
@dataclass(frozen=True)
class Layout:
    """The column of each part; None = there is none.  chat: whole conversations.  more: a second part of the prompt.

    judged: a yes or no that says whether the answer is wanted.
    """

    prompt: str | None
    response: str | None
    chat: str | None = None
    more: str | None = None
    rejected: str | None = None
    judged: str | None = None
    system: str | None = None

    @property
    def columns(self) -> tuple[str, ...]:
        """Every column read."""
        parts = (self.system, self.chat, self.prompt, self.more, self.response, self.rejected, self.judged)
        return tuple(name for name in parts if name is not None)

    def read(self, record: Mapping[str, object]) -> Instruction | Missing:
        """The record in a row, or why there is none."""
        system, prompt, response = self._turns(record)
        rejected = _answer(self._spoken(record, self.rejected), record.get(self.rejected)) if self.rejected else None
        if prompt is None:
            return Missing("no turn of a person (a prompt)")
        if response is None and (rejected is None or self.response != EITHER):
            return Missing("no turn of the assistant (an answer)")
        if rejected is None and self.rejected and self.response != EITHER:
            return Missing("no rejected answer")
        if self.judged and (wanted := _yes_or_no(record.get(self.judged))) is not True:
            missing = Missing("nothing says whether the answer is wanted")
            return missing if wanted is None else Instruction(system, prompt, None, response)
        return Instruction(system, prompt, response, rejected)

    def _turns(self, record: Mapping[str, object]) -> tuple[str | None, str | None, str | None]:
        """System, prompt and response."""
        spoken = self._spoken(record, self.chat) + self._spoken(record, self.prompt)
        if not spoken and (text := self._asked(record)):
            spoken = [("user", text)]
        answers = self._spoken(record, self.response)
        if not spoken:  # preference pairs may hold whole conversations and no prompt
            spoken, answers = answers, []
        said = [text for speaker, text in (*spoken, *answers) if speaker == "assistant"]
        said = said[-1:] if self.rejected else said  # a pair differs in its last answer
        plain = _text(record.get(self.response)) if self.response and not answers and not said else None
        systems = [_text(record.get(self.system))] if self.system else []
        systems += [text for speaker, text in spoken if speaker == "system"]
        prompt = "\n".join(text for speaker, text in spoken if speaker in {"user", "tool"})
        return next(filter(None, systems), None), prompt or None, plain or "\n".join(said) or None

    def _spoken(self, record: Mapping[str, object], name: str | None) -> list[Turn]:
        """The turns in a column. Text is a conversation only where no column holds prompts, else it is what somebody said."""
        value = record.get(name) if name else None
        if not isinstance(value, str):
            return _conversation(value)
        if name == self.chat:
            return _conversation(_parsed(value))
        return _transcript(value) if self.prompt is None and self.chat is None else []

    def _asked(self, record: Mapping[str, object]) -> str | None:
        parts = [_text(record.get(name)) for name in (self.prompt, self.more) if name is not None]
        return "\n".join(part for part in parts if part) or None


def find_layout(columns: Samples) -> Layout | None:
    """The layout of a set's columns, None when they hold no instructions.

    A column of labels beside prompt and answer is no layout of these: the set is for a classifier. A column of yes and no is one.
    """
    names = {name.strip().lower(): name for name in columns}
    chat = next((names[name] for name in CONVERSATIONS if name in names and _chats(columns[names[name]])), None)
    rejected = next((names[name] for name in REJECTED if name in names and _given(columns[names[name]])), None)
    prompt = next((names[name] for name in PROMPTS if name in names), None)
    response = next((names[name] for name in RESPONSES if name in names and names[name] != prompt), None)
    judged = next((names[name] for name in JUDGED if name in names), None)
    system = next((names[name] for name in SYSTEM if name in names), None)
    if judged is not None and not all(_yes_or_no(value) is not None for value in columns[judged]):
        return None
    if chat is not None:
        chosen = names.get("chosen") if rejected else None
        return Layout(None, chosen, chat, None, rejected, judged, system)
    if rejected is not None and "chosen" in names:
        return Layout(prompt, names["chosen"], None, None, rejected, None, system)
    if prompt is None or response is None or not (_prose(columns[prompt]) and _prose(columns[response])):
        return None
    more = next((names[name] for name in CONTEXTS if name in names and names[name] not in {prompt, response}), None)
    return Layout(prompt, response, None, more, rejected, judged, system)


def silent_columns(columns: Samples) -> tuple[str, ...]:
    """Columns that by their names would hold instructions, answers or conversations, and hold nothing in any row."""
    wanted = {*CONVERSATIONS, *PROMPTS, *RESPONSES}
    return tuple(name for name, values in columns.items() if name.strip().lower() in wanted and all(map(_nothing, values)))


def _nothing(value: object) -> bool:
    return value is None or (isinstance(value, str | list | tuple | Mapping) and len(value) == 0)


def _conversation(value: object) -> list[Turn]:
    """The turns of a list of messages; [] for anything else."""
    if isinstance(value, Mapping):
        value = [value]
    if isinstance(value, np.ndarray):
        value = value.tolist()
    turns = [_turn(message) for message in value] if isinstance(value, list | tuple) else []
    return [turn for turn in turns if turn is not None]


def _turn(message: object) -> Turn | None:
    if not isinstance(message, Mapping):
        return None
    speaker = _SPEAKERS.get(str(message.get("role", message.get("from"))).lower())
    content = message.get("content", message.get("value"))
    if isinstance(content, list | tuple | np.ndarray):
        parts = [part.get("text", part.get("value")) for part in content if isinstance(part, Mapping)]
        content = "\n".join(part for part in parts if isinstance(part, str))
    return (speaker, content) if speaker is not None and isinstance(content, str) and content else None


def _transcript(text: str) -> list[Turn]:
    """Turns of a text that begins each with a blank line and the speaker, as preference pairs of one string do."""
    turns: list[Turn] = []
    for block in text.split("\n\n"):
        head, found, rest = block.partition(":")
        speaker = _SPEAKERS.get(head.strip().lower()) if found else None
        if speaker is not None:
            turns.append((speaker, rest.removeprefix(" ")))
        elif turns:
            turns[-1] = (turns[-1][0], f"{turns[-1][1]}\n\n{block}")
        elif block.strip():
            return []
    return [turn for turn in turns if turn[1]]


def _answer(spoken: Sequence[Turn], value: object) -> str | None:
    """The last answer of a conversation, or the text itself where it is none."""
    said = [text for speaker, text in spoken if speaker == "assistant"]
    return said[-1] if said else None if spoken else _text(value)


def _text(value: object) -> str | None:
    return value if isinstance(value, str) and value else None


def _parsed(text: str) -> object:
    try:
        return json.loads(text)
    except (ValueError, RecursionError):
        return text


def _yes_or_no(value: object) -> bool | None:
    if isinstance(value, bool | np.bool_):
        return bool(value)
    return {"true": True, "false": False}.get(value.strip().lower()) if isinstance(value, str) else None


def _chats(values: Sequence[object]) -> bool:
    given = [_parsed(value) if isinstance(value, str) else value for value in _given(values)]
    return bool(given) and sum(bool(_conversation(value)) for value in given) >= _MOST * len(given)


def _given(values: Sequence[object]) -> list[object]:
    return [value for value in values if value is not None and not (isinstance(value, str) and not value)]


def _prose(values: Sequence[object]) -> bool:
    """Texts and not numbers or categories of one word, on the whole."""
    texts = [value for value in values if isinstance(value, str) and value and _text_not_number(value)]
    return len(texts) >= _MOST * len(_given(values)) > 0


def _text_not_number(text: str) -> bool:
    try:
        float(text)
    except ValueError:
        return True
    return False
