"""Data sets and batches that are checked while they are read: torch's, Hugging Face's, or anything that has items.

Wrap a data set before pictures are decoded or changed: what is compared are the bytes, texts or arrays of the payload.
"""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any, TypeAlias, TypedDict, final

import numpy as np
from typing_extensions import Unpack

from untaint.data.readers._recipe import Recipe
from untaint.errors import BadInput
from untaint.provenance.leaves import FIELDS
from untaint.provenance.on_read import Checker, Claimed
from untaint.provenance.pins import pins_in
from untaint.provenance.sealed import STATEMENT

Pick: TypeAlias = str | int | Callable[[Any], Any]
"""How a part of an item is got: a key, a place, or a function."""


@final
class Picks(TypedDict, total=False):
    """Which part of an item is what.

    payload: bytes, text or an array; the first place where it is not said.  label, source, transform, split: left out = not checked.
    names: class names, where labels are their numbers.
    """

    payload: Pick
    label: Pick
    source: Pick
    transform: Pick
    split: Pick
    names: Sequence[str]


@final
class CheckedDataset:
    """A map-style data set (torch's or Hugging Face's) whose every item is checked before it is handed on."""

    def __init__(self, dataset: Any, checker: Checker, picks: "Picks | _AsSealed") -> None:
        self._dataset, self._checker, self._picks = dataset, checker, picks

    def __len__(self) -> int:
        return len(self._dataset)

    def __getitem__(self, index: Any) -> Any:
        item = self._dataset[index]
        if isinstance(index, int | np.integer):
            _check(self._checker, item, self._picks)
        else:
            _check_batch(self._checker, item, self._picks)
        return item

    def __getitems__(self, indices: list[int]) -> Any:
        """What torch asks a whole batch by."""
        return [self[index] for index in indices]

    def __getattr__(self, name: str) -> Any:
        if name.startswith("_"):
            raise AttributeError(name)
        return getattr(self._dataset, name)


def checked(dataset: Any, checker: Checker, **picks: Unpack[Picks]) -> CheckedDataset:
    """A data set that checks what is read from it."""
    return CheckedDataset(dataset, checker, picks)


def checked_as_sealed(dataset: Any, checker: Checker) -> CheckedDataset:
    """The same of items that are records with the columns that were sealed: payload, and label, source and split where there are any.

    Raises BadInput where the seal does not say which column is what, or pictures lie in files that records name.
    """
    return CheckedDataset(dataset, checker, _as_sealed(dataset, checker))


def batches(found: Iterable[Any], checker: Checker, **picks: Unpack[Picks]) -> Iterator[Any]:
    """Batches (columns of equal length, by key or place) that are checked one by one before they are handed on."""
    for batch in found:
        _check_batch(checker, batch, picks)
        yield batch


@final
@dataclass(frozen=True)
class _AsSealed:
    """Reads records as a seal does. split: column, None = there is none."""

    recipe: Recipe
    split: str | None

    @cached_property
    def columns(self) -> Sequence[str]:
        """That are looked at."""
        roles = self.recipe.roles
        return [name for name in (*roles.payload, roles.label, roles.source, self.split) if name is not None]

    def __call__(self, record: Any) -> tuple[object, Claimed]:
        """Payload and claims of a record."""
        found = {name: _picked(record, name) for name in self.columns}
        roles, claimed = self.recipe.roles, Claimed()
        if roles.label is not None:
            claimed["label"] = self.recipe.label(found)
        if roles.source is not None:
            claimed["source"] = self.recipe.source(found)
        if self.split is not None:
            claimed["split"] = found[self.split]
        return self.recipe.read(found)[0], claimed


def _as_sealed(dataset: Any, checker: Checker) -> _AsSealed:
    seal = checker.seal
    pin = pins_in(seal.sealed.reading, str(seal.folder / STATEMENT)).every
    if pin is None or pin.roles.kind == "path":
        message = f"{seal.folder} does not say which part of an item is the payload."
        raise BadInput(message, advice='Say it: checked(dataset, checker, payload="text", label="label").')
    features = getattr(dataset, "features", None)
    known = {name: getattr(kind, "names", None) for name, kind in features.items()} if isinstance(features, Mapping) else {}
    return _AsSealed(pin.reading(None, {name: names for name, names in known.items() if names}).recipe, pin.split)


def _check(checker: Checker, item: Any, picks: Picks | _AsSealed) -> None:
    if isinstance(picks, _AsSealed):
        payload, claimed = picks(item)
    else:
        payload, claimed = _picked(item, picks.get("payload", 0)), Claimed()
        if "label" in picks:
            claimed["label"] = _named(_picked(item, picks["label"]), picks.get("names"))
        for field in ("source", "transform", "split"):
            if field in picks:
                claimed[field] = _picked(item, picks[field])
    checker.check(payload, **claimed)


def _check_batch(checker: Checker, batch: Any, picks: Picks | _AsSealed) -> None:
    if isinstance(picks, _AsSealed):
        wanted: dict[str, Pick] = {name: name for name in picks.columns}
    else:
        wanted = {"payload": picks.get("payload", 0)}
        wanted |= {name: pick for name, pick in picks.items() if name in FIELDS}  # type: ignore[misc]
    columns = {name: _picked(batch, pick) for name, pick in wanted.items()}
    if len({len(column) for column in columns.values()}) > 1:
        told = ", ".join(f"{len(column)} of {name}" for name, column in columns.items())
        raise BadInput(f"a batch has {told}.", advice="Give columns of one length.")
    own: Picks | _AsSealed = picks
    if not isinstance(picks, _AsSealed):
        own = Picks(**{**picks, **{name: name for name in wanted}})  # type: ignore[typeddict-item]
    for row in zip(*columns.values(), strict=True):
        _check(checker, dict(zip(columns, row, strict=True)), own)


def _picked(item: Any, pick: Pick) -> Any:
    if callable(pick):
        return pick(item)
    try:
        return item[pick]
    except (KeyError, IndexError, TypeError) as error:
        raise BadInput(f"an item has no {pick!r}.", advice="Name its key or place, or give a function.") from error


def _named(label: Any, names: Sequence[str] | None) -> Any:
    value = label.item() if hasattr(label, "item") else label
    return names[value] if names is not None and isinstance(value, int) and 0 <= value < len(names) else value
