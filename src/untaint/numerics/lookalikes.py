"""Letters of other scripts that look like Latin ones: a small table for the scripts whose letters are mistaken most often.

Source: the Unicode Consortium's Technical Standard 39, data file of confusable characters; of it the single letters of
Cyrillic and Greek that most fonts draw like a Latin letter of the alphabet.
"""

from collections.abc import Mapping

CYRILLIC: Mapping[str, str] = {
    "a": "а",
    "c": "с",
    "e": "е",
    "i": "і",
    "j": "ј",
    "o": "о",
    "p": "р",
    "s": "ѕ",
    "x": "х",
    "y": "у",
    "d": "ԁ",
    "h": "һ",
    "A": "А",
    "B": "В",
    "C": "С",
    "E": "Е",
    "H": "Н",
    "I": "І",
    "J": "Ј",
    "K": "К",
    "M": "М",
    "O": "О",
    "P": "Р",
    "S": "Ѕ",
    "T": "Т",
    "X": "Х",
    "Y": "У",
}
"""Latin letter → Cyrillic one."""
GREEK: Mapping[str, str] = {
    "o": "ο",
    "v": "ν",
    "A": "Α",
    "B": "Β",
    "E": "Ε",
    "H": "Η",
    "I": "Ι",
    "K": "Κ",
    "M": "Μ",
    "N": "Ν",
    "O": "Ο",
    "P": "Ρ",
    "T": "Τ",
    "X": "Χ",
    "Y": "Υ",
    "Z": "Ζ",
}
"""Latin letter → Greek one."""
LATIN: Mapping[str, str] = {other: latin for table in (CYRILLIC, GREEK) for latin, other in table.items()}
"""Cyrillic or Greek letter → the Latin one it looks like."""
