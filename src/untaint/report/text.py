"""Text that came with the data, made safe to store and to show."""

import math
import re
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np

_HIDDEN = re.compile(
    "[\x00-\x08\x0b-\x1f\x7f-\x9f"  # control characters, tab and newline excepted
    "\u061c\u200b-\u200f\u2028-\u202e\u2060-\u206f\ufeff\ufff9-\ufffb"  # invisible or turning the direction of reading
    "\ud800-\udfff"  # half a character: cannot be encoded
    "\ufdd0-\ufdef\ufffe\uffff\U000e0000-\U000e007f]"  # not characters, and tags that hide text
)


def visible(text: str) -> str:
    r"""Characters a reader cannot see, or that would reorder what they see, as `\uXXXX`."""
    return _HIDDEN.sub(_code, text)


def _code(match: re.Match[str]) -> str:
    point = ord(match[0])
    return f"\\u{point:04x}" if point < 0x10000 else f"\\U{point:08x}"


def spoken(parameters: Mapping[str, object]) -> str:
    """What the trigger of a finding consists of, as `pattern` wants it: its phrase, or all of several; "" where it has none."""
    several = str(parameters.get("phrases", "")).replace(" | ", " … ")
    return several or str(parameters.get("phrase", ""))


def pattern(phrase: str) -> str:
    """A regular expression for a phrase as a person would see it in a text: between its words, and around signs, a space or none.

    Parts that stand apart, an ellipsis between, are each found by themselves.
    """
    parts = [part.split() for part in phrase.split(" … ")]
    return "|".join(_whole(r"\s*".join(map(re.escape, words)), words) for words in parts if words) or re.escape(phrase)


def _whole(expression: str, words: Sequence[str]) -> str:
    """Not inside a longer word."""
    before = r"(?<!\w)" if words[0][0].isalnum() else ""
    return before + expression + (r"(?!\w)" if words[-1][-1].isalnum() else "")


def around(text: str, phrase: str, length: int) -> str:
    """At most `length` characters of a text, those around the phrase where it has one."""
    found = re.search(pattern(phrase), text, flags=re.IGNORECASE) if phrase else None
    if found is None or found.end() <= length:
        return clip(text, length)
    start = max(0, found.start() - length // 3)
    return clip("…" + text[start:], length)


def clip(text: str, length: int) -> str:
    """At most `length` characters, the cut marked."""
    return text if len(text) <= length else text[: max(length - 1, 0)] + "…"


def storable(value: object) -> object:
    r"""A text without lone surrogates, which UTF-8 cannot hold; they become `\udXXX`."""
    return value.encode("utf-8", "backslashreplace").decode() if isinstance(value, str) else value


def finite(value: object) -> object:
    """A Python number; NaN and infinity, which JSON lacks, become None."""
    number = value.item() if isinstance(value, np.generic) else value
    return None if isinstance(number, float) and not math.isfinite(number) else number


def plain(value: object) -> object:
    """Any value as JSON knows it."""
    if isinstance(value, Mapping):
        return {str(storable(str(key))): plain(item) for key, item in value.items()}
    if isinstance(value, (list, tuple, np.ndarray)):
        return [plain(item) for item in value]
    if isinstance(value, (set, frozenset)):
        return sorted((plain(item) for item in value), key=str)
    if value is None or isinstance(value, (str, bool, int, float, np.generic)):
        return storable(finite(value))
    return storable(value.as_posix() if isinstance(value, Path) else str(value))
