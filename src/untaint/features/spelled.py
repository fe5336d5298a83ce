"""Inputs of a table's network as cells again: what a number in the network's units means to a person."""

from collections.abc import Mapping
from typing import Any

import numpy as np

from untaint.features.inputs import Encoding


def names(encoding: Encoding) -> list[str]:
    """Of every number of an input: the column, and of words which word; empty for what is no table."""
    found: list[str] = []
    for about in encoding.details.get("columns", ()):
        found += [name for name, _ in _parts(about)]
    return found


def cells(encoding: Encoding, row: np.ndarray) -> dict[str, str]:
    """Column by column what a row of numbers (d,) says: the number in its own units, or the likeliest word."""
    found: dict[str, str] = {}
    at = 0
    for about in encoding.details.get("columns", ()):
        size = len(_parts(about))
        part = row[at : at + size]
        found[str(about["name"])] = _cell(about, part) if size else ""
        at += size
    return found


def _parts(about: Mapping[str, Any]) -> list[tuple[str, str]]:
    name = str(about["name"])
    if "hashed" in about:
        return [(f"{name}: word {place}", "") for place in range(int(about["hashed"]))]
    if "words" in about:
        return [(f"{name}: {word}", str(word)) for word in about["words"]]
    return [(name, ""), *([(f"{name} missing", "")] if about["gaps"] else [])]


def _cell(about: Mapping[str, Any], part: np.ndarray) -> str:
    if "hashed" in about:
        return f"word {int(part.argmax())}"
    if "words" in about:
        return str(about["words"][int(part.argmax())])
    return f"{about['middle'] + float(part[0]) * about['spread']:.4g}"
