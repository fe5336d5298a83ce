"""Rows that copy others under another label: pairs of neighbours far closer than neighbours are, who bears which label, and who sent it."""

from dataclasses import dataclass
from typing import final

import numpy as np
from scipy.sparse import coo_matrix
from scipy.sparse.csgraph import connected_components
from scipy.spatial import cKDTree
from scipy.stats import binom

from untaint.evidence.sources import shares
from untaint.features.canvas import Sources
from untaint.features.repeats import Family
from untaint.numerics import mixed_pairs, principal
from untaint.types import Labels, Rows

_NEIGHBOURS = 12
_DIMENSIONS = 16  # to find neighbours in
_CLOSE = (1e-9, 0.05, 0.1, 0.2, 0.3)
"""Distance to the nearest as a share of that to the twelfth, up to which two rows may be copies: equal, moved a little, moved more. Of
honest rows of thirteen real tables at most one in a hundred was nearer than .2 to .6, where not equal."""
_JOINED = 0.1  # of the usual distance of all rows: copies with jitter are their own neighbours, so not of theirs
_SURPRISING = 0.001
"""Chance of so many from one source at which it counts among those that sent the copies."""
_SAME = 0.5  # of the rows of a label are those of another: the two sides of the same pairs
_FEWEST = 8  # mixed pairs; fewer are slips


@final
@dataclass(frozen=True)
class Copied:
    """Rows of a label whose copies bear others. rows, others: (k,) the two sides of the mixed pairs.  same: pairs that share the label.

    p_value: corrected for labels and distances.
    """

    label: int
    rows: Rows
    others: Rows
    same: int
    p_value: float


@final
@dataclass(frozen=True)
class Bound:
    """Copies and who sent them. rows: those of the sources named.  beyond: their share of all, beyond what these sources send of the set.

    chance: of so many from any of them, corrected for all sources.
    """

    copied: Copied
    rows: Rows
    names: tuple[str, ...]
    beyond: float
    chance: float


@final
@dataclass(frozen=True)
class Sent:
    """What one source sent of a label that contradicts the copy somebody else sent. rows: its mixed pairs' sides.

    back: mixed pairs the other way round, where its own copy lacks the label.  share: of what it sent with the label, excess over those.
    """

    source: int
    label: int
    rows: Rows
    back: int
    share: float
    p_value: float


@final
@dataclass(frozen=True)
class Pairs:
    """first, second: (k,) rows, each at most once, closest first.  ratio: (k,) distance by that to the twelfth neighbour."""

    first: Rows
    second: Rows
    ratio: np.ndarray


@final
@dataclass(frozen=True)
class Near:
    """near, apart: (m, 13) candidates for the nearest of each row, by place among the rows, and their distance; inf for itself."""

    rows: Rows
    near: np.ndarray
    apart: np.ndarray

    @property
    def usual(self) -> np.ndarray:
        """(m,) distance to the twelfth."""
        return np.asarray(np.sort(self.apart, axis=1)[:, _NEIGHBOURS - 1])


def neighbours(points: np.ndarray, rows: Rows) -> Near:
    """The nearest of rows (m,) at points (m, d)."""
    leading = principal.leading(points.astype(np.float32), min(_DIMENSIONS, points.shape[1]))
    near = np.asarray(cKDTree(leading).query(leading, k=_NEIGHBOURS + 1)[1])
    apart = np.sqrt(((points[near] - points[:, None]) ** 2).sum(2))
    apart[near == np.arange(len(near))[:, None]] = np.inf
    return Near(rows, near, apart)


def pairs(found: Near) -> Pairs:
    """Each row with its nearest, closest pairs first."""
    closest, place = found.apart.min(1), found.apart.argmin(1)
    ratio = np.where(closest > 0, closest / np.maximum(found.usual, 1e-300), 0.0)
    free, kept = np.ones(len(ratio), bool), []
    for one in np.lexsort((np.arange(len(ratio)), ratio)).tolist():
        other = int(found.near[one, place[one]])
        if ratio[one] > _CLOSE[-1]:
            break
        if free[one] and free[other]:
            free[[one, other]] = False
            kept.append((min(one, other), max(one, other), ratio[one]))
    chosen = np.array(kept).reshape(-1, 3)
    return Pairs(found.rows[chosen[:, 0].astype(int)], found.rows[chosen[:, 1].astype(int)], chosen[:, 2])


def families(found: Near, labels: Labels) -> list[Family]:
    """Rows joined where they lie a tenth as far apart as is usual in the whole set, or nearer; those of more than one, largest first."""
    start, which = np.nonzero(found.apart <= _JOINED * float(np.median(found.usual)))
    graph = coo_matrix((np.ones(len(start)), (start, found.near[start, which])), shape=(len(found.rows),) * 2)
    number = connected_components(graph, directed=False)[1]
    order = np.argsort(number, kind="stable")
    parts = np.split(found.rows[order], np.flatnonzero(np.diff(number[order])) + 1)
    sizes = [np.bincount(labels[part]) for part in parts]
    told = [Family(part, int(size.argmax()), float(size.max() / len(part))) for part, size in zip(parts, sizes, strict=True)]
    return sorted((family for family in told if len(family.rows) > 1), key=lambda family: -len(family.rows))


def contradicting(found: Pairs, labels: Labels) -> list[Copied]:
    """For every label the distance at which mixed pairs are most surprising."""
    known = np.unique(labels[labels >= 0])
    told = []
    for label in known.tolist():
        first, second = labels[found.first] == label, labels[found.second] == label
        best: Copied | None = None
        for limit in _CLOSE:
            near = found.ratio <= limit
            mixed = near & (first ^ second)
            same, neither = int((near & first & second).sum()), int((near & ~first & ~second).sum())
            p_value = min(1.0, mixed_pairs.chance(same, int(mixed.sum()), neither) * len(_CLOSE) * len(known))
            if mixed.sum() >= _FEWEST and (best is None or p_value < best.p_value):
                rows, others = np.where(first, found.first, found.second), np.where(first, found.second, found.first)
                best = Copied(label, rows[mixed], others[mixed], same, p_value)
        told += [best] if best is not None else []
    return told


def bound(found: Copied, sources: Sources) -> Bound:
    """Sources that sent surprisingly many of the rows, and their rows."""
    guilty = [each for each in shares(sources.codes, sources.names, found.rows) if each.p_value <= _SURPRISING]
    names = tuple(each.name for each in guilty)
    codes = [sources.names.index(name) for name in names]
    theirs = found.rows[np.isin(sources.codes[found.rows], codes)]
    beyond = len(theirs) / len(found.rows) - float(np.isin(sources.codes, codes).mean())
    return Bound(found, theirs, names, beyond, max((each.p_value for each in guilty), default=1.0))


def unbound(found: Copied) -> Bound:
    """The same where sources are not known or too few to compare."""
    return Bound(found, found.rows, (), 0.0, 1.0)


def sides(tested: list[Bound]) -> list[Bound]:
    """Of labels that share their mixed pairs the one that few sources sent, or else the one whose rows came later."""
    kept: list[Bound] = []
    for each in sorted(tested, key=lambda one: (one.chance, one.copied.p_value, -float(np.median(one.copied.rows)))):
        if not any(np.isin(each.copied.rows, [other.copied.rows, other.copied.others]).mean() > _SAME for other in kept):
            kept.append(each)
    return kept


def sent(found: Pairs, labels: Labels, codes: np.ndarray) -> list[Sent]:
    """Sources whose side of mixed pairs with others' rows has a label much more often than the others' side (a sign test)."""
    every = np.concatenate([np.stack([found.first, found.second]), np.stack([found.second, found.first])], axis=1)
    mine, other = every[:, (codes[every[0]] >= 0) & (codes[every[0]] != codes[every[1]]) & (labels[every[0]] != labels[every[1]])]
    tests = len(np.unique(codes[codes >= 0])) * len(np.unique(labels[labels >= 0]))
    told = []
    for source, label in np.unique(np.stack([codes[mine], labels[mine]], axis=1), axis=0).tolist():
        own = codes[mine] == source
        for_it, back = own & (labels[mine] == label), int((own & (labels[other] == label)).sum())
        count = int(for_it.sum())
        if count < _FEWEST:
            continue
        p_value = min(1.0, tests * float(binom.sf(count - 1, count + back, 0.5)))
        all_of_it = max(1, int(((codes == source) & (labels == label)).sum()))
        told.append(Sent(source, label, mine[for_it], back, (count - back) / all_of_it, p_value))
    return sorted(told, key=lambda each: each.p_value)
