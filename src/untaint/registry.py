"""Members of a kind (detectors, attacks, readers …): found by folder scan and entry points, rebuilt from their `spec`."""

import ast
import dataclasses
import importlib
import inspect
import pkgutil
import re
from collections.abc import Iterator, Mapping
from functools import cache
from importlib.metadata import entry_points
from typing import Any, ClassVar, Protocol, TypeVar, runtime_checkable

from untaint.errors import BadInput


@runtime_checkable
class Member(Protocol):
    """Anything with an `id` that names its class in the registry."""

    id: ClassVar[str]


M = TypeVar("M", bound=Member)


def modules(package: str) -> Iterator[Any]:
    """Every module of a package's folder, imported, `base` and private ones left out."""
    folder = importlib.import_module(package)
    for found in pkgutil.iter_modules(folder.__path__):
        if found.name != "base" and not found.name.startswith("_"):
            yield importlib.import_module(f"{package}.{found.name}")


@cache
def members(base: type[M], package: str) -> Mapping[str, type[M]]:
    """All final subclasses of `base` in `package` and in the entry-point group of the same name, by id.

    Raises BadInput when two members claim one id.
    """
    found: dict[str, type[M]] = {}
    local = [vars(module) for module in modules(package)]
    plugins = [{point.name: point.load()} for point in entry_points(group=package)]
    for namespace in [*local, *plugins]:
        for value in namespace.values():
            if inspect.isclass(value) and issubclass(value, base) and not inspect.isabstract(value):
                _claim(found, value)
    return dict(sorted(found.items()))


def _claim(found: dict[str, type[M]], value: type[M]) -> None:
    if found.setdefault(value.id, value) is not value:
        first = found[value.id]
        message = f"two members are called {value.id!r}: {first.__module__} and {value.__module__}."
        raise BadInput(message, advice="Uninstall one of the two plug-ins.")


def spec(member: object) -> str:
    """`spectral(rank=1)`: the id and every parameter; cache key and provenance in one."""
    fields = dataclasses.fields(member)  # type: ignore[arg-type]
    arguments = ", ".join(f"{field.name}={getattr(member, field.name)!r}" for field in fields)
    return f"{member.id}({arguments})"  # type: ignore[attr-defined]


def build(base: type[M], package: str, text: str, **defaults: object) -> M:
    """The member a spec describes: `badnets` or `badnets(rate=0.01, target='3')`; literals only, nothing is evaluated.

    Raises BadInput for an unknown id, an unknown parameter, or arguments that are not literals.
    """
    match = re.fullmatch(r"\s*([a-z0-9-]+)\s*(?:\((.*)\))?\s*", text, re.DOTALL)
    known = members(base, package)
    if match is None or match[1] not in known:
        raise BadInput(f"unknown {base.__name__.lower()} {text!r}.", advice=f"Known: {', '.join(known)}.")
    chosen = known[match[1]]
    arguments = {**defaults, **_literals(text, match[2] or "")}
    fields = {field.name for field in dataclasses.fields(chosen)}
    if unknown := sorted(set(arguments) - fields):
        raise BadInput(f"{match[1]} has no parameter {unknown[0]!r}.", advice=f"It has: {', '.join(sorted(fields)) or 'none'}.")
    return chosen(**arguments)


def _literals(text: str, arguments: str) -> dict[str, object]:
    advice = "Write them as name=value with plain numbers or quoted text."
    try:
        call = ast.parse(f"f({arguments})", mode="eval").body
        if not isinstance(call, ast.Call) or not isinstance(call.func, ast.Name) or call.args:
            raise BadInput(f"cannot read the parameters of {text!r}.", advice=advice)
        return {str(word.arg): ast.literal_eval(word.value) for word in call.keywords}
    except (SyntaxError, ValueError) as error:
        raise BadInput(f"cannot read the parameters of {text!r}: {error}.", advice=advice) from error
