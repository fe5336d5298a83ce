"""Which defences go together, in which order, and the names of those that go well."""

import re
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TypeAlias, final

from untaint.errors import BadInput
from untaint.registry import build, members, spec
from untaint.training.base import PACKAGE, Defence, Stage


@final
@dataclass(frozen=True)
class Recipe:
    """Defences in the order in which they work. name: None = the user's own.  about: what it is for, in a sentence."""

    defences: tuple[Defence, ...]
    name: str | None = None
    about: str = ""

    def spec(self) -> str:
        """What to write to have it again."""
        return " + ".join(spec(defence) for defence in self.defences)


Wanted: TypeAlias = str | Defence | Sequence[Defence] | Recipe
"""A recipe's name, defences joined by `+` such as `guard + clip(norm=1.0)`, a defence, or several."""


@final
@dataclass(frozen=True)
class Named:
    """A recipe with a name, as it is written."""

    text: str
    about: str


RECIPES: Mapping[str, Named] = {
    "plain": Named("", "No defence: what all others are compared with."),
    "standard": Named("guard + clip", "No single row can wreck the model; backdoors of 1 % are weakened, no more. Costs little."),
    "paranoid": Named(
        "guard + jury",
        "For images: labels that contradict them are outvoted before anything is learned. Costs one epoch and honest rows.",
    ),
    "clean-label": Named(
        "guard + augment", "For images whose labels are right and whose pixels may be crafted. Wants more epochs."
    ),
    "private": Named(
        "dp", "Differential privacy: a stated epsilon, and a proof of what a few poisoned rows can do at most. Costs points."
    ),
    "certified": Named(
        "certify", "Each answer comes with the number of poisoned rows it provably withstands; images and tables."
    ),
}
"""By name."""

_ALONE = {Stage.BOUND: "limits every row's gradient", Stage.COMBINE: "makes one gradient of several", Stage.NOISE: "adds noise"}


def defences() -> Mapping[str, type[Defence]]:
    """Every defence known, plug-ins included, by id."""
    return members(Defence, PACKAGE)


def recipe(wanted: Wanted) -> Recipe:
    """The recipe that is asked for, its defences in the order of a step.

    Raises BadInput for an unknown name, and for defences that are unsound together.
    """
    found = _found(wanted)
    ordered = tuple(sorted(found.defences, key=lambda defence: defence.stage))
    _refuse_unsound(ordered)
    return Recipe(ordered, found.name, found.about)


def _found(wanted: Wanted) -> Recipe:
    if isinstance(wanted, Recipe):
        return wanted
    if isinstance(wanted, Defence):
        return Recipe((wanted,))
    if not isinstance(wanted, str):
        return Recipe(tuple(wanted))
    if wanted in RECIPES:
        return Recipe(_built(RECIPES[wanted].text), wanted, RECIPES[wanted].about)
    if not wanted.strip():
        raise BadInput("a recipe is empty.", advice=f"Named ones: {', '.join(RECIPES)}. Without a defence it is called plain.")
    return Recipe(_built(wanted))


def _built(text: str) -> tuple[Defence, ...]:
    parts = re.split(r"\+(?![^()]*\))", text) if text.strip() else []
    try:
        return tuple(build(Defence, PACKAGE, part) for part in parts)  # type: ignore[type-abstract]
    except BadInput as error:
        advice = f"{error.advice} Recipes: {', '.join(RECIPES)}; or defences joined by +."
        raise BadInput(error.message, advice=advice.strip()) from error


def _refuse_unsound(ordered: Sequence[Defence]) -> None:
    names = Counter(defence.id for defence in ordered)
    for name, count in names.items():
        if count > 1:
            raise BadInput(f"the recipe holds {name} {count} times.", advice="Name each defence once.")
    for stage, does in _ALONE.items():
        same = [defence.id for defence in ordered if defence.stage == stage]
        if len(same) > 1:
            raise BadInput(
                f"{' and '.join(same)} are unsound together: each {does}, and the second would see only what the first left."
            )
    for defence in ordered:
        _refuse_beside(defence, [other for other in ordered if other is not defence])


def _refuse_beside(defence: Defence, others: Sequence[Defence]) -> None:
    if "private" in defence.traits:
        for other in others:
            if "looks at the data" in other.traits:
                why = "what it does depends on other rows, and no accountant counts that: the stated epsilon would be wrong."
                raise BadInput(f"{other.id} beside {defence.id} is unsound: {why}", advice=f"Leave out {other.id}.")
            if "several gradients" in other.traits:
                why = "the noise is measured for one sum of the rows' gradients, not for a rule over several."
                raise BadInput(f"{other.id} beside {defence.id} is unsound: {why}", advice=f"Leave out {other.id}.")
    if "ensemble" in defence.traits and others:
        why = "its proof holds only where each model depends on its own rows and nothing else."
        raise BadInput(f"{others[0].id} beside {defence.id} is unsound: {why}", advice=f"Use {defence.id} alone.")
