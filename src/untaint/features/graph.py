"""Features by name: who provides them, what they need, each computed once and cached.

A feature is a function whose name is the feature and whose parameters are the features it needs. `dataset` and `settings`
are given; everything else is resolved. What images, texts and instructions each have in a way of their own (labels that can be
used, content, near-copies) is one name with a provider per modality.
"""

import hashlib
import inspect
import typing
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import cache
from importlib.resources import files
from typing import Any, TypeVar, final

from untaint.data.dataset import Dataset
from untaint.errors import BadInput, FeatureUnavailable
from untaint.features.cache import Cache
from untaint.features.settings import Settings
from untaint.registry import modules
from untaint.types import Modality

F = TypeVar("F", bound=Callable[..., Any])
PACKAGE = "untaint.features"
GIVEN = ("dataset", "settings")


@final
@dataclass(frozen=True)
class Provider:
    """One feature: the function, what it needs, whether its result is worth a place on disk, for which modality (None = all)."""

    name: str
    function: Callable[..., Any]
    needs: tuple[str, ...]
    stored: bool
    modality: Modality | None = None


_PROVIDERS: dict[tuple[str, Modality | None], Provider] = {}


def feature(*, stored: bool = False, modality: Modality | None = None) -> Callable[[F], F]:
    """Register a function as the feature of its name. stored: keep the result in the cache folder (costly ones only).

    modality: of the data sets it is for; None = all, and then no other may have its name.
    """

    def register(function: F) -> F:
        name = function.__name__
        for (other, kind), known in _PROVIDERS.items():
            same = other == name and (kind == modality or None in {kind, modality})
            if same and known.function.__module__ != function.__module__:
                raise BadInput(f"two providers of the feature {name!r}: {known.function.__module__} and {function.__module__}.")
        _PROVIDERS[name, modality] = Provider(name, function, tuple(inspect.signature(function).parameters), stored, modality)
        return function

    return register


def providers(modality: Modality = "image") -> Mapping[str, Provider]:
    """Every feature known that serves data sets of a modality, what it needs included, by name."""
    serving = _registered(modality)
    while lacking := [name for name, provider in serving.items() if not {*serving, *GIVEN}.issuperset(provider.needs)]:
        for name in lacking:  # it serves what other data have
            del serving[name]
    return serving


def _registered(modality: Modality) -> dict[str, Provider]:
    for _ in modules(PACKAGE):
        pass
    return {name: provider for (name, kind), provider in sorted(_PROVIDERS.items(), key=str) if kind in {None, modality}}


@cache
def code_digest() -> str:
    """SHA-256 of the code that computes features: a cache entry of other code is another entry."""
    hasher = hashlib.sha256()
    for room in ("features", "nets", "numerics", "data"):
        for file in sorted(files("untaint").joinpath(room).iterdir(), key=lambda entry: entry.name):
            if file.name.endswith(".py"):
                hasher.update(file.read_bytes())
    return hasher.hexdigest()


@final
@dataclass
class Features:
    """The features of one data set under one set of settings. Values are never mutated."""

    dataset: Dataset
    settings: Settings
    cache: Cache
    _values: dict[str, Any] = field(default_factory=dict)
    _failures: dict[str, FeatureUnavailable] = field(default_factory=dict)

    def get(self, name: str) -> Any:
        """One feature, computed or remembered. Raises FeatureUnavailable with the reason when it cannot be had."""
        if name == "dataset":
            return self.dataset
        if name == "settings":
            return self.settings
        if name in self._failures:
            raise self._failures[name]
        if name not in self._values:
            try:
                self._values[name] = self._provide(_provider(name, self.dataset.modality))
            except FeatureUnavailable as failure:
                self._failures[name] = failure
                raise
        return self._values[name]

    def _provide(self, provider: Provider) -> Any:
        _closure(provider.name, self.dataset.modality)
        if not provider.stored:
            return self._compute(provider)
        kind = typing.get_type_hints(provider.function)["return"]
        key = self.key(provider.name)
        found = self.cache.load(key, kind)
        if found is None:
            found = self._compute(provider)
            self.cache.store(key, found)
        return found

    def _compute(self, provider: Provider) -> Any:
        return provider.function(**{need: self.get(need) for need in provider.needs})

    def key(self, name: str) -> str:
        """File name of a feature's cache entry: changes with the data, the settings it reads, and the code."""
        parts = [name, code_digest(), self.dataset.digest]
        if "settings" in _closure(name, self.dataset.modality):
            parts.append(self.settings.key)
        return f"{name}-{hashlib.sha256(chr(0).join(parts).encode()).hexdigest()[:32]}"


def _provider(name: str, modality: Modality) -> Provider:
    known = _registered(modality)
    if name in known:
        return known[name]
    elsewhere = sorted(str(kind) for (other, kind) in _PROVIDERS if other == name)
    if elsewhere:
        raise FeatureUnavailable(f"needs {' or '.join(elsewhere)} data, this set holds {modality} data")
    raise BadInput(f"no feature is called {name!r}.", advice=f"Known: {', '.join(known)}.")


def _closure(name: str, modality: Modality, path: tuple[str, ...] = ()) -> frozenset[str]:
    """Everything a feature needs, directly or through others. Raises BadInput for a circle."""
    if name in GIVEN:
        return frozenset({name})
    if name in path:
        raise BadInput(f"features need each other in a circle: {' -> '.join([*path, name])}.")
    below = [_closure(need, modality, (*path, name)) for need in _provider(name, modality).needs]
    return frozenset({name}).union(*below)
