"""Repairs by name, one or several in a row."""

import re
from collections.abc import Sequence
from dataclasses import replace
from typing import Final

from untaint.models.repair.base import PACKAGE, Given, Repair, Repaired
from untaint.models.repair.distillation import Distillation
from untaint.registry import build, spec

DEFAULT: Final = Distillation.id
"""What is done when nobody asks for anything else: the one configuration that the benchmark holds to its bars."""


def chosen(text: str) -> tuple[Repair, ...]:
    """`distillation`, or several joined by +, each with its parameters in brackets. Raises BadInput for one that is unknown."""
    return tuple(build(Repair, PACKAGE, part) for part in re.split(r"\+(?![^(]*\))", text))  # type: ignore[type-abstract]


def described(parts: Sequence[Repair]) -> str:
    """All of it, parameters included."""
    return " + ".join(spec(part) for part in parts)


def repaired(parts: Sequence[Repair], given: Given) -> Repaired:
    """One repair after the other; each begins with what the one before left."""
    module, steps, facts = given.module, 0, dict[str, object]()
    for part in parts:
        done = part.apply(replace(given, module=module))
        module, steps = done.module, steps + done.steps
        facts |= {f"{part.id}: {name}": value for name, value in done.facts.items()}
    return Repaired(module, steps, facts)
