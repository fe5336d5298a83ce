"""Which tensor of a model is which of another: by name, else by content, else by the same name under another prefix."""

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from typing import final

from untaint.models.weights.pieces import pieces
from untaint.models.weights.stored import Stored, Weights


@final
@dataclass(frozen=True)
class Pair:
    """The same tensor before and after."""

    old: Stored
    new: Stored

    @property
    def renamed(self) -> bool:
        """Whether it goes by another name."""
        return self.old.name != self.new.name

    @property
    def comparable(self) -> bool:
        """Whether its numbers can be laid side by side: same shape, or more or fewer rows of the same."""
        return self.old.shape == self.new.shape or (
            len(self.old.shape) == len(self.new.shape) > 0 and self.old.shape[1:] == self.new.shape[1:]
        )


@final
@dataclass(frozen=True)
class Pairing:
    """pairs: in the order of the new model.  added, removed: tensors only one of them has."""

    pairs: tuple[Pair, ...]
    added: tuple[Stored, ...]
    removed: tuple[Stored, ...]


def paired(old: Weights, new: Weights) -> Pairing:
    """Lay two models side by side. Reads the numbers only of tensors whose name the other lacks."""
    found = {name: Pair(old.tensors[name], tensor) for name, tensor in new.tensors.items() if name in old.tensors}
    left_old = {name: tensor for name, tensor in old.tensors.items() if name not in new.tensors}
    left_new = {name: tensor for name, tensor in new.tensors.items() if name not in old.tensors}
    for match in (_by_content, _by_prefix):
        for before, after in match(left_old, left_new):
            found[after] = Pair(left_old.pop(before), left_new.pop(after))
    pairs = tuple(found[name] for name in new.tensors if name in found)
    return Pairing(pairs, tuple(left_new.values()), tuple(left_old.values()))


def _by_content(old: Mapping[str, Stored], new: Mapping[str, Stored]) -> list[tuple[str, str]]:
    waiting: dict[tuple[object, ...], list[str]] = {}
    wanted = {_outline(tensor) for tensor in new.values()}
    for name, tensor in old.items():
        if tensor.count and _outline(tensor) in wanted:
            waiting.setdefault((_outline(tensor), digest(tensor)), []).append(name)
    known = {outline for outline, _ in waiting}
    pairs = []
    for name, tensor in new.items():
        if _outline(tensor) in known:
            same = waiting.get((_outline(tensor), digest(tensor)), [])
            if same:
                pairs.append((same.pop(0), name))
    return pairs


def _by_prefix(old: Mapping[str, Stored], new: Mapping[str, Stored]) -> list[tuple[str, str]]:
    """Names that differ by what stands in front of all of them, such as `module.` or `model.`."""
    if not old or not new:
        return []
    for longer, shorter, turn in ((new, old, False), (old, new, True)):
        fronts = {name[: -len(end)] for end in list(shorter)[:1] for name in longer if name.endswith(end) and name != end}
        for front in sorted(fronts):
            pairs = [(name, front + name) for name in shorter if front + name in longer]
            alike = all(shorter[a].shape == longer[b].shape for a, b in pairs)
            if alike and 2 * len(pairs) > len(shorter):
                return [(b, a) for a, b in pairs] if turn else pairs
    return []


def _outline(tensor: Stored) -> tuple[str, tuple[int, ...]]:
    return tensor.form.name, tensor.shape


def digest(tensor: Stored) -> bytes:
    """SHA-256 of its bytes."""
    found = hashlib.sha256()
    for start, count in pieces(tensor.count, 1):
        found.update(tensor.raw(start, count).data)
    return found.digest()
