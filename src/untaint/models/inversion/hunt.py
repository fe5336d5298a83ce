"""Every kind of trigger for every goal: what a network answers to most, measured on images the search never saw."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Literal, final

import numpy as np
import torch
from torch import Tensor

from untaint.models.inversion.asked import Asked
from untaint.models.inversion.marks import Blend, Mark, Patch, Warp, noise_basis, smooth_basis
from untaint.models.inversion.search import Goal, Round, Tried, halved
from untaint.types import Rows

Who = Literal["all", "source", "each"]
"""all: every class is turned into one.  source: one class into another.  each: every class into one of its own."""
Search = Literal["patch", "noise", "smooth", "warp"]
_SEARCHES: tuple[Search, ...] = ("patch", "noise", "smooth", "warp")
_NOISES, _SMOOTHS = 24, 5
"""Pictures of noise mixed, and blobs per side of smooth ones."""
_DRAWN, _LOOKED = 32, 48
"""Pictures and warps drawn at random, and images they are tried on before any is made better."""
_THOROUGH = 12  # classes up to which every goal is searched as well as the best
_SOURCES, _ENDS = 10, 2
"""Classes turned by themselves that are searched to the end, and marks left for each: two may lead elsewhere. With five, what crosses by
nature (sneakers into sandals) left no place for what was learned on one development network of three."""
_DRAWN_GOALS = 8  # goals for which pictures and warps are made better; what answers to none of 32 drawn ones seldom does later
_PAIR = 2  # classes
_TESTED = 150  # held-out images a mark is tried on


@final
@dataclass(frozen=True)
class Candidate:
    """What a mark does to held-out images.

    aims: (k,) what each class is turned into, -1 = is not.  asr: share of the images turned.  strength: median lead of the aim's
    logit on them, in units of the network's own median lead.  n: how many.  rows: which.
    """

    search: Search
    tried: Tried
    who: Who
    aims: np.ndarray
    asr: float
    strength: float
    n: int
    rows: Rows


def hunted(net: Asked, seed: int, told: Callable[[int, int], None] = lambda _done, _total: None) -> list[Candidate]:
    """The best marks of every kind for every goal. Deterministic for a seed, device and thread count."""
    found: list[Candidate] = []
    for at, search in enumerate(_SEARCHES):
        told(at, len(_SEARCHES))
        found += searched(net, search, _goals(net, search), seed)
    told(len(_SEARCHES), len(_SEARCHES))
    return found + _both_ways(net, found)


def _both_ways(net: Asked, found: Sequence[Candidate]) -> list[Candidate]:
    """Of two classes, what patches for one of them do to both: one that was learned class by class may be found as either."""
    if len(net.classes) != _PAIR:
        return []
    patches = [each.tried for each in found if each.search == "patch" and each.who == "all"]
    return [measured(net, "patch", replace(tried, goal=Goal(None, -1)), np.array([1, 0])) for tried in patches]


def searched(net: Asked, search: Search, goals: Sequence[Goal], seed: int) -> list[Candidate]:
    """One search for some goals; for those of another network's candidate, to see what this one gives."""
    generator, rng = torch.Generator().manual_seed(seed), np.random.default_rng([seed, _SEARCHES.index(search)])
    shape = (int(net.images.shape[1]), int(net.images.shape[2]), int(net.images.shape[3]))
    device = net.images.device
    if search == "patch":
        tried = _patches(net, Patch(shape), goals, rng)
    elif search == "warp":
        tried = _drawn_first(net, Warp(shape), torch.randn(_DRAWN, 2, 4, 4, generator=generator), goals, rng)
    else:
        basis = noise_basis(shape, _NOISES, generator, device) if search == "noise" else smooth_basis(shape, _SMOOTHS, device)
        starts = torch.randn(_DRAWN, len(basis), generator=generator)
        tried = _drawn_first(net, Blend(basis, "noisy" if search == "noise" else "smooth"), starts, goals, rng)
    return [measured(net, search, each) for each in tried]


def _goals(net: Asked, search: Search) -> list[Goal]:
    """Every class from all others, anything from each class (patches only: a change of everything is no secret of one class)."""
    goals = [*(Goal(None, code) for code in range(len(net.classes))), Goal(None, -1)]
    if search == "patch" and len(net.classes) > 2:
        goals += [Goal(code, -1) for code in np.unique(net.labels[net.fit]).tolist()]
    return goals


def shrunk(net: Asked, found: Candidate, seed: int) -> Candidate:
    """The best smaller patch within a patch, for the same goal; anything else as it is."""
    mark, goal = found.tried.mark, found.tried.goal
    if not isinstance(mark, Patch):
        return found
    rounds = [Round(3, 12, 4), Round(1, 24, 8)]
    (best,) = halved(net, mark, mark.parts(found.tried.params), [goal], rounds, np.random.default_rng([seed, len(_SEARCHES)]))
    return measured(net, found.search, best, found.aims)


def measured(net: Asked, search: Search, tried: Tried, aims: np.ndarray | None = None) -> Candidate:
    """What a mark does to held-out images. aims: (k,) what each class should become, None = the goal, or what most images become."""
    goal = tried.goal
    who: Who = "each" if goal == Goal(None, -1) else "all" if goal.source is None else "source"
    wanted = _aims(net, tried) if aims is None else aims
    pool = net.held[wanted[net.labels[net.held]] >= 0]
    rows = pool[:: max(1, -(-len(pool) // _TESTED))]
    logits = net.logits(tried.mark.stamp(tried.params, net.images[torch.as_tensor(rows)][None])[0]).cpu().numpy()
    aim = wanted[net.labels[rows]]
    own = logits[np.arange(len(rows)), aim]
    others = logits.copy()
    others[np.arange(len(rows)), aim] = -np.inf
    lead = (own - others.max(1)) / net.margin
    asr = float((lead > 0).mean()) if len(rows) else float("nan")
    strength = float(np.median(lead)) if len(rows) else float("nan")
    return Candidate(search, tried, who, wanted, asr, strength, len(rows), rows)


def _aims(net: Asked, tried: Tried) -> np.ndarray:
    """What each class becomes most often on the images to search with."""
    goal, wanted = tried.goal, np.full(len(net.classes), -1)
    if goal.target >= 0:
        wanted[[goal.source] if goal.source is not None else slice(None)] = goal.target
        wanted[goal.target] = -1
        return wanted
    rows = net.rows_of(net.fit, goal.source, -1)
    if not len(rows):
        return wanted
    answers = net.logits(tried.mark.stamp(tried.params, net.images[torch.as_tensor(rows)][None])[0]).argmax(1).cpu().numpy()
    for code in np.unique(net.labels[rows]):
        turned = answers[(net.labels[rows] == code) & (answers != code)]
        if len(turned):
            wanted[code] = np.bincount(turned).argmax()
    return wanted


def _patches(net: Asked, mark: Patch, goals: Sequence[Goal], rng: np.random.Generator) -> list[Tried]:
    starts, found = mark.places(net.images.device), []
    towards, each, apart = (
        [goal for goal in goals if goal.source is None and goal.target >= 0],
        [goal for goal in goals if goal.source is None and goal.target < 0],
        [goal for goal in goals if goal.source is not None],
    )
    if towards:
        found += halved(net, mark, starts, towards, _rounds(len(towards), 10, 1), rng)
    if apart:
        found += halved(net, mark, starts, apart, _rounds(len(apart), _SOURCES, _ENDS), rng)
    if each:
        found += halved(net, mark, starts, each, [Round(8, 12, 1), Round(3, 16, 4), Round(2, 32, 6)], rng)
    return found


def _rounds(goals: int, last: int, ends: int) -> list[Round]:
    """last: goals that are searched to the end.  ends: marks left for each of them."""
    few = goals <= _THOROUGH
    first = Round(10, 4, 1) if few else Round(6, 2, 1)
    return [first, Round(3, 8, 2, max(last, 10) if few else 16), Round(2, 16, 4, last), Round(ends, 24, 6, last)]


def _drawn_first(net: Asked, mark: Mark, drawn: Tensor, goals: Sequence[Goal], rng: np.random.Generator) -> list[Tried]:
    """Marks drawn at random are tried for all goals at once; only the best for each are made better."""
    starts = drawn.to(net.images.device)
    order = _best_drawn(net, mark, starts, goals, rng)
    best = torch.stack([starts[torch.as_tensor(row[:3].copy(), device=starts.device)] for row in order])
    rounds = [Round(2, 12, 2, _DRAWN_GOALS), Round(1, 16, 8, _DRAWN_GOALS // 2), Round(1, 32, 4)]
    return halved(net, mark, best, goals, rounds, rng)


def _best_drawn(net: Asked, mark: Mark, starts: Tensor, goals: Sequence[Goal], rng: np.random.Generator) -> np.ndarray:
    """(goals, marks) numbers of the marks, the strongest for each goal first."""
    rows = rng.choice(net.fit, min(_LOOKED, len(net.fit)), replace=False)
    images, labels = net.images[torch.as_tensor(rows)], net.labels[rows]
    scores = np.empty((len(goals), len(starts)))
    for at in range(len(starts)):
        with torch.no_grad():
            stamped = mark.stamp(starts[at : at + 1], images[None])[0]
        logs = torch.log_softmax(net.logits(stamped), 1).cpu().numpy()
        own = logs[np.arange(len(rows)), labels]
        for place, goal in enumerate(goals):
            scores[place, at] = logs[labels != goal.target, goal.target].mean() if goal.target >= 0 else -own.mean()
    return np.argsort(-scores, axis=1)
