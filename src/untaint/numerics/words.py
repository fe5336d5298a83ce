"""Words of a text in any script: what texts are counted by."""

import re
import unicodedata

_UNSPACED = "\u0e00-\u0eff\u1000-\u109f\u1780-\u17ff\u3040-\u30ff\u3400-\u4dbf\u4e00-\u9fff\uf900-\ufaff\U00020000-\U0003ffff"
"""Scripts written without spaces (Thai, Lao, Burmese, Khmer, Japanese, Chinese): one word per character; longer ones are found
as runs, like phrases."""
_BLOCKS = ((0x300, 0x2000), (0xA800, 0xAC00), (0xFE20, 0xFE30))
_MARKS = "".join(
    chr(code) for low, high in _BLOCKS for code in range(low, high) if unicodedata.category(chr(code)) in {"Mn", "Mc"}
)
"""Accents and vowel signs: part of the letter they stand on."""
_WORD = re.compile(
    f"[{_UNSPACED}][{_MARKS}]*"
    f"|[^\\W_](?:[^\\W_{_UNSPACED}]|[{_MARKS}]|['\u2019](?=[^\\W_{_UNSPACED}]))*"  # an apostrophe inside belongs to the word
    r"|[^\w\s]|_"  # every other visible character by itself
)


def words(text: str) -> list[str]:
    """Words in order, without case."""
    if text.isascii():
        found: list[str] = _WORD.findall(text.lower())
        return found
    return [match.casefold() for match in _WORD.findall(text)]


def spans(text: str) -> list[tuple[int, int]]:
    """Where each of `words` begins and ends in the text as written."""
    return [match.span() for match in _WORD.finditer(text)]
