"""Characters in a text that a reader does not see, or takes for others: which there are, honest uses left out."""

import re
import unicodedata
from collections.abc import Iterator
from functools import cache
from typing import Literal, TypeAlias

from untaint.numerics.lookalikes import LATIN

Kind: TypeAlias = Literal[
    "look-alike letters",
    "zero-width characters inside words",
    "characters that reverse the reading direction",
    "invisible tags",
    "zero-width characters between words",
    "direction marks",
    "soft hyphens",
    "control characters",
    "private-use characters",
]
PLANTED: frozenset[Kind] = frozenset(
    {
        "look-alike letters",
        "zero-width characters inside words",
        "characters that reverse the reading direction",
        "invisible tags",
    }
)
"""Kinds without an everyday reason; the others come with copies from the web, fonts with icons, and old files."""

_ZERO_WIDTH = "\u034f\u180e\u200b\u200c\u200d\u2060\u2061\u2062\u2063\u2064\u3164\ufeff\uffa0"
_MARKS = "\u061c\u200e\u200f\u202a\u202b\u202c\u2066\u2067\u2068\u2069"
_OVERRIDES = "\u202d\u202e"
_TAGS = "\U000e0001\U000e0020-\U000e007f"
_SELECTORS = "\ufe00-\ufe0f\U000e0100-\U000e01ef"
_OF_KIND: tuple[tuple[Kind, str], ...] = (
    ("direction marks", _MARKS),
    ("soft hyphens", "\u00ad"),
    ("control characters", "\x00-\x08\x0e-\x1f\x7f-\x84\x86-\x9f\ufff9-\ufffb"),
    ("private-use characters", "\ue000-\uf8ff\U000f0000-\U000ffffd\U00100000-\U0010fffd"),
)
_PLAIN = [(kind, re.compile(f"[{letters}]")) for kind, letters in _OF_KIND]
_CONTROL = _PLAIN[2][1]  # the only kind that ASCII has
_HIDDEN = re.compile(f"[{_ZERO_WIDTH}]")
_FLAG = re.compile("\U0001f3f4[\U000e0020-\U000e007e]{1,8}\U000e007f")
"""A black flag, the code of a region in tags, and the tag that ends it: the emoji of England, Scotland, Wales."""
_TAGGED = re.compile(f"[{_TAGS}]+")
_SMUGGLED = re.compile(f"[{_SELECTORS}]{{3,}}")
"""Variation selectors choose how one character looks: a row of them chooses nothing and can carry any bytes."""
_REVERSED = re.compile(f"[{_OVERRIDES}][^{_OVERRIDES}\u202c\n]*")
_OTHER = "\u0370-\u03ff\u0400-\u052f"  # Greek and Cyrillic
_BORDER = re.compile(f"[A-Za-z][{_OTHER}]|[{_OTHER}][A-Za-z]")
_LATIN = str.maketrans(dict(LATIN))
_RUN = re.compile(r"[^\W\d_]+")
_FORMULA = "ν"
"""The frequency, as in hν: the one look-alike that stands beside a Latin letter in honest texts."""
_EITHER = frozenset({*LATIN, *LATIN.values()})
"""Letters that a text can hold without being of their script."""
_JOINING = frozenset(
    {
        *("ARABIC", "SYRIAC", "THAANA", "NKO", "MONGOLIAN", "DEVANAGARI", "BENGALI", "GURMUKHI", "GUJARATI", "ORIYA", "TAMIL"),
        *("TELUGU", "KANNADA", "MALAYALAM", "SINHALA", "THAI", "LAO", "TIBETAN", "MYANMAR", "KHMER", "BALINESE", "JAVANESE"),
    }
)
"""Scripts that write with joiners, non-joiners, or invisible borders of words."""
_ANY = re.compile(
    f"[{_ZERO_WIDTH}{_OVERRIDES}{_TAGS}{''.join(letters for _, letters in _OF_KIND)}]|{_SMUGGLED.pattern}|{_BORDER.pattern}"
)


def signs(text: str) -> dict[Kind, list[str]]:
    """Characters by kind, one entry per occurrence; kinds that do not occur are left out.

    Not counted: joiners in emoji and in scripts that use them, a byte-order mark at the start of a line, flags, words with letters
    of two scripts where the text has whole words of both.
    """
    if (_CONTROL if text.isascii() else _ANY).search(text) is None:
        return {}
    found: dict[Kind, list[str]] = {kind: pattern.findall(text) for kind, pattern in _PLAIN}
    for match in _HIDDEN.finditer(text):
        if (kind := _zero_width(text, match.start())) is not None:
            found.setdefault(kind, []).append(match[0])
    found["look-alike letters"] = list(_lookalikes(text))
    found["characters that reverse the reading direction"] = [
        match[0][0] for match in _REVERSED.finditer(text) if _turns(match[0])
    ]
    found["invisible tags"] = [letter for run in _invisible(text) for letter in run]
    return {kind: letters for kind, letters in found.items() if letters}


def plain(text: str) -> str:
    """The text as a reader sees it: look-alike letters replaced by those they look like, what has no width left out."""
    seen = _TAGGED.sub("", _HIDDEN.sub("", text))
    return seen.translate(_LATIN) if _BORDER.search(seen) else seen


def message(text: str) -> str:
    """What its invisible tags spell: those of ASCII as letters, others as dots."""
    return "".join(_spelled(letter) for run in _invisible(text) for letter in run)


def named(letter: str) -> str:
    """`U+200B ZERO WIDTH SPACE`; characters without a name by their number alone."""
    name = unicodedata.name(letter, "")
    return f"U+{ord(letter):04X} {name}".rstrip()


def _zero_width(text: str, place: int) -> Kind | None:
    before, after = text[place - 1 : place], text[place + 1 : place + 2]
    if text[place] == "\ufeff" and before in {"", "\n", "\r"}:
        return None
    if any(script(letter) in _JOINING for letter in (before, after) if letter):
        return None
    inside = before.isalnum() and after.isalnum()
    pictures = any(unicodedata.category(letter) in {"So", "Sk", "Mn"} for letter in (before, after) if letter)
    return "zero-width characters inside words" if inside else None if pictures else "zero-width characters between words"


def _lookalikes(text: str) -> Iterator[str]:
    """Letters of another script inside words, all of which look like letters of the word's own."""
    if _BORDER.search(text) is None:
        return
    runs = _RUN.findall(text)
    whole = {script(run[0]) for run in runs if not _EITHER.issuperset(run) and len({script(letter) for letter in run}) == 1}
    for run in runs:
        scripts = [script(letter) for letter in run]
        latin = scripts.count("LATIN")
        if latin in {0, len(run)} or (_FORMULA in run and len(run) == 2):
            continue
        minority = [letter for letter, own in zip(run, scripts, strict=True) if (own == "LATIN") != (2 * latin >= len(run))]
        like = set(LATIN) if 2 * latin >= len(run) else set(LATIN.values())
        if set(minority) <= like and not {script(letter) for letter in minority} & whole:
            yield from minority


def _turns(passage: str) -> bool:
    """Whether an override reverses words: written from left to right, at least two letters of them."""
    return sum(letter.isalpha() and unicodedata.bidirectional(letter) == "L" for letter in passage) >= 2


def _invisible(text: str) -> list[str]:
    without_flags = _FLAG.sub("", text)
    return [*_TAGGED.findall(without_flags), *_SMUGGLED.findall(without_flags)]


def _spelled(letter: str) -> str:
    code = ord(letter) - 0xE0000
    return chr(code) if 0x20 <= code < 0x7F else "" if code in {1, 0x7F} else "."


@cache
def script(letter: str) -> str:
    """The script of a letter by the first word of its name; empty for what has none."""
    return unicodedata.name(letter, "").split(" ")[0] if letter.isalpha() or unicodedata.category(letter)[0] == "M" else ""
