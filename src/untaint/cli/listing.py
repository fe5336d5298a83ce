"""`untaint list`."""

import dataclasses
import inspect
from collections.abc import Callable
from enum import StrEnum
from typing import Annotated, Any

import typer


class Kinds(StrEnum):
    """What can be listed."""

    detectors = "detectors"
    attacks = "attacks"
    defences = "defences"
    checks = "checks"
    repairs = "repairs"
    signs = "signs"
    recipes = "recipes"
    formats = "formats"
    features = "features"


def listing(
    kind: Annotated[Kinds, typer.Argument(help="What to list.", show_default=False)],
    name: Annotated[str | None, typer.Argument(help="Show the whole manual page of one.", show_default=False)] = None,
) -> None:
    """List detectors, attacks, defences, recipes, checks and repairs of models, signs of a guard, formats or features.

    With a name, its manual page.

    Examples:  `untaint list detectors`   `untaint list attacks badnets`
    """
    from untaint.errors import BadInput

    pages = _PAGES[kind]()
    if name is None:
        width = max(map(len, pages))
        for member, page in pages.items():
            typer.echo(f"{member:<{width}}  {page.splitlines()[0]}")
    elif name in pages:
        typer.echo(f"{name}\n\n{pages[name]}")
    else:
        raise BadInput(f"no {kind.value[:-1]} is called {name!r}.", advice=f"Known: {', '.join(pages)}.")


def _detectors() -> dict[str, str]:
    from untaint.detectors.base import detectors

    return {name: _manual(kind) for name, kind in detectors().items()}


def _attacks() -> dict[str, str]:
    from untaint.attacks.base import PACKAGE, Attack
    from untaint.registry import members

    return {name: _manual(kind) for name, kind in members(Attack, PACKAGE).items()}


def _defences() -> dict[str, str]:
    from untaint.training.compose import defences

    return {name: _manual(kind) for name, kind in defences().items()}


def _checks() -> dict[str, str]:
    from untaint.errors import MissingExtra

    try:
        from untaint.models.base import checks

        found = checks()
    except ModuleNotFoundError as error:
        if error.name != "torch":
            raise
        raise MissingExtra("Checks of models", "torch") from error
    return {name: _manual(kind) for name, kind in found.items()}


def _repairs() -> dict[str, str]:
    from untaint.models.repair.base import repairs

    return {name: _manual(kind) for name, kind in repairs().items()}


def _signs() -> dict[str, str]:
    from untaint.guard.signs.base import signs

    return {name: _manual(kind) for name, kind in signs().items()}


def _recipes() -> dict[str, str]:
    from untaint.training.compose import RECIPES

    return {name: f"{each.about}\n\nMade of: {each.text or 'nothing'}" for name, each in RECIPES.items()}


def _formats() -> dict[str, str]:
    from untaint.data.load import readers

    return {name: f"{reader.summary}\n\n{inspect.getdoc(reader) or ''}" for name, reader in readers().items()}


def _features() -> dict[str, str]:
    from untaint.features.graph import providers
    from untaint.types import MODALITIES

    told: dict[str, str] = {}
    for modality in MODALITIES:
        for name, provider in providers(modality).items():
            manual = inspect.getdoc(provider.function) or ""
            if manual not in told.get(name, ""):  # one name, a provider per modality
                told[name] = "\n\n".join(filter(None, [told.get(name), manual]))
    return dict(sorted(told.items()))


def _manual(kind: Any) -> str:
    fields = [f"  {field.name} = {field.default!r}" for field in dataclasses.fields(kind)]
    parameters = "\n\nParameters and their defaults:\n" + "\n".join(fields) if fields else ""
    return f"{inspect.getdoc(kind)}{parameters}"


_PAGES: dict[Kinds, Callable[[], dict[str, str]]] = {
    Kinds.detectors: _detectors,
    Kinds.attacks: _attacks,
    Kinds.defences: _defences,
    Kinds.checks: _checks,
    Kinds.repairs: _repairs,
    Kinds.signs: _signs,
    Kinds.recipes: _recipes,
    Kinds.formats: _formats,
    Kinds.features: _features,
}
