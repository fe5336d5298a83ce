"""Robust means of what workers send: vectors, tensors, or whole models as mappings of arrays. PyTorch is touched only where it is used."""

import sys
from collections import Counter
from collections.abc import Hashable, Mapping, Sequence
from dataclasses import dataclass
from math import prod
from typing import Any, TypeAlias, final

import numpy as np

from untaint.errors import BadInput
from untaint.numerics.aggregation import CAP, TRIMMED_MEAN, capped, combined, rule_named, sound, usual_f

Form: TypeAlias = tuple[tuple[Hashable, tuple[int, ...], str], ...]
"""Names, shapes and types of numbers of the parts of an update: one that calls weights whole numbers would have all of them rounded."""


_REAL = "fiub"  # floating point, whole numbers, flags


@final
@dataclass(frozen=True)
class Combined:
    """value: like one update.  kept: places of the updates that went into the rule; the others held what is not finite, or another form."""

    value: Any
    kept: tuple[int, ...]


def robust_mean(
    updates: Any, rule: str = TRIMMED_MEAN, f: int | None = None, *, mix: bool = False, weights: Any = None, cap: float = CAP
) -> Any:
    """One update out of several of which at most f are bad, whatever these hold; of the same type, on the same device.

    updates: an array or tensor (n, ...), a row per worker; or a sequence with one update per worker: an array, a tensor, a mapping such
    as a `state_dict`, or a sequence of arrays. Numbers of floating point are judged together, as one long vector in float32, or float64
    where any part is; whole numbers (counters of batches) become their rounded median.
    rule: mean, median, trimmed-mean, geometric-median, krum, multi-krum or centered-clipping.  f: None = a tenth, at least one where that
    is a minority.  mix: nearest-neighbour mixing before the rule, for workers whose data honestly differ.
    weights: how much each worker says it counts, say its number of rows; none counts more than `cap` times the median.
    An update that holds NaN or infinities, or has other names, shapes or types than most, is left out and counts as one of the f.
    Tensors on an accelerator are combined on the CPU. Raises TooManyBad (a BadInput) when 2f >= n or more than f are left out.
    """
    return combine_updates(updates, rule, f, mix=mix, weights=weights, cap=cap).value


def combine_updates(
    updates: Any, rule: str = TRIMMED_MEAN, f: int | None = None, *, mix: bool = False, weights: Any = None, cap: float = CAP
) -> Combined:
    """`robust_mean`, and which updates went into it."""
    rule_named(rule)
    listed = _listed(updates)
    if not len(listed):
        raise BadInput("There are no updates to aggregate.", advice="Pass one per worker.")
    claims = None if weights is None else capped(np.asarray(weights, np.float64), cap)
    expected = usual_f(len(listed)) if f is None else f
    if not isinstance(listed, Sequence) and _form({None: listed}) and _is_float(listed):  # its rows lie there already
        left = sound(_numbers(listed).reshape(len(listed), prod(listed.shape[1:])), expected, claims)
        return Combined(_like(listed[0], combined(left, rule, mix=mix)), tuple(left.kept.tolist()))
    given = [_parts(update) for update in listed]
    forms = [_form(parts) for parts in given]
    form = Counter(forms).most_common(1)[0][0]
    fit = [place for place, own in enumerate(forms) if own == form]
    example = given[fit[0]]
    floats = [name for name, part in example.items() if _is_float(part)]
    kind = np.float64 if any(_numbers(example[name]).dtype == np.float64 for name in floats) else np.float32
    left = sound(_rows(given, fit, floats, kind), expected, claims)
    whole = dict(_cut(combined(left, rule, mix=mix), {name: example[name] for name in floats}))
    rest = {name: part for name, part in example.items() if name not in whole}
    for name, part in rest.items():
        middle = np.median([_numbers(given[place][name]) for place in left.kept], axis=0)
        whole[name] = _like(part, np.rint(middle))
    return Combined(_shaped_as(listed[fit[0]], {name: whole[name] for name in example}), tuple(left.kept.tolist()))


def _listed(updates: Any) -> Any:
    if isinstance(updates, Mapping | str | bytes) or not hasattr(updates, "__len__") or not hasattr(updates, "__getitem__"):
        raise BadInput(
            f"Updates to aggregate come as {type(updates).__name__}.",
            advice="Pass an array (n, ...) or a sequence with one update per worker.",
        )
    if not isinstance(updates, Sequence) and not np.ndim(updates):
        raise BadInput("Updates to aggregate are a single number.", advice="Pass an array (n, ...), a row per worker.")
    return updates


def _parts(update: Any) -> dict[Hashable, Any]:
    if isinstance(update, Mapping):
        return dict(update)
    if isinstance(update, list | tuple):
        return dict(enumerate(update))
    return {None: update}


def _shaped_as(example: Any, parts: dict[Hashable, Any]) -> Any:
    if isinstance(example, Mapping):
        return parts
    return list(parts.values()) if isinstance(example, list | tuple) else parts[None]


def _form(parts: Mapping[Hashable, Any]) -> Form:
    for name, part in parts.items():
        if (_is_tensor(part) and not part.is_complex()) or (
            isinstance(part, np.ndarray | np.generic) and part.dtype.kind in _REAL
        ):
            continue
        said = "an update" if name is None else f"'{name}' of an update"
        raise BadInput(f"{said} is {type(part).__name__}, not an array of numbers.", advice="Pass arrays or tensors.")
    return tuple((name, tuple(part.shape), str(part.dtype)) for name, part in parts.items())


def _is_tensor(part: Any) -> bool:
    torch = sys.modules.get("torch")  # whoever holds a tensor has imported it
    return torch is not None and isinstance(part, torch.Tensor)


def _is_float(part: Any) -> bool:
    return bool(part.is_floating_point()) if _is_tensor(part) else bool(np.issubdtype(part.dtype, np.floating))


def _numbers(part: Any) -> np.ndarray:
    if not _is_tensor(part):
        return np.asarray(part)
    held = part.detach().cpu()
    return np.asarray(held.float() if held.is_floating_point() and held.element_size() < 4 else held)  # NumPy has no bfloat16


def _like(example: Any, numbers: np.ndarray) -> Any:
    shaped = numbers.reshape(tuple(example.shape))
    if not _is_tensor(example):
        return shaped.astype(example.dtype)
    return sys.modules["torch"].from_numpy(np.array(shaped)).to(example.device, example.dtype)


def _rows(given: Sequence[Mapping[Hashable, Any]], fit: Sequence[int], names: Sequence[Hashable], kind: type) -> np.ndarray:
    """(n, d), a row per update; NaN for those of another form."""
    sizes = [prod(given[fit[0]][name].shape) for name in names]
    rows: np.ndarray = np.full((len(given), sum(sizes)), np.nan, kind)
    ends = np.cumsum(sizes)
    for place in fit:
        for name, size, end in zip(names, sizes, ends, strict=True):
            rows[place, end - size : end] = _numbers(given[place][name]).reshape(-1)
    return rows


def _cut(vector: np.ndarray, examples: Mapping[Hashable, Any]) -> list[tuple[Hashable, Any]]:
    parts: list[tuple[Hashable, Any]] = []
    start = 0
    for name, example in examples.items():
        size = prod(example.shape)
        parts.append((name, _like(example, vector[start : start + size])))
        start += size
    return parts
