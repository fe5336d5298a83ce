"""Class inversion: inputs that a model is sure of, found by its slope, by its probabilities, or by its labels alone."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import final

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional

from untaint.attacks.inversion.oracle import Oracle
from untaint.attacks.inversion.space import Space
from untaint.errors import BadInput
from untaint.nets.subject import Inputs, Subject, evaluating
from untaint.types import Labels

_ENOUGH = 10.0
"""Margin in logits that is as good as certain (1 in 20,000); beyond it only the likeness to a real input counts."""
_RATE, _FASTER = 0.1, 0.3  # of Adam by slope and by answers, for points of size about 1
_START = 0.3  # size of the points a search by slope starts from: nearly grey
_POPULATION, _SPREAD = 12, 1.0
"""Pairs of points tried a round, and how far from the centre in each number. With 4,000 questions a class, 24 pairs at .3 gave pictures
of digits of which a held-out network named 35 %, 12 pairs at .3 (and three times the rate) 80 %, at 1.0 90 %."""
_FIRST = 0.1  # share of the budget spent on points drawn at random, of which the best are started from
_AROUND = 32  # points asked around one, of labels: Kahla et al. use 32
_RADIUS, _GROWTH = 1.0, 1.2

Progress = Callable[[str, int, int], None]


def _quiet(_what: str, _done: int, _total: int) -> None:
    return


@final
@dataclass(frozen=True)
class Recovered:
    """Inputs that stand for classes.

    inputs (m, ...); codes (m,) the class each stands for; queries: inputs the model was asked about, 0 = its slope was used.
    how: in words.
    """

    inputs: Inputs
    codes: Labels
    queries: int
    how: str

    def of(self, code: int) -> Inputs:
        """Those of one class."""
        return self.inputs[self.codes == code]


@final
@dataclass(frozen=True)
class Search:
    """What is searched for. codes: classes.  restarts: inputs of each class.  steps: of a search by slope."""

    codes: Sequence[int]
    restarts: int = 4
    steps: int = 150
    seed: int = 0
    progress: Progress = _quiet

    def __post_init__(self) -> None:
        if self.restarts < 1 or self.steps < 1 or not len(self.codes):
            raise BadInput("an inversion needs at least one class, one start and one step.")

    @property
    def wanted(self) -> Labels:
        """(m,) the class of every input that is searched for."""
        return np.repeat(np.asarray(self.codes, np.int64), self.restarts)


def by_slope(subject: Subject, space: Space, search: Search) -> Recovered:
    """With the weights in hand: Adam on the margin of a class, on jittered inputs, beside how likely an input is.

    Raises BadInput for a model without slopes.
    Reference: Fredrikson, Jha, Ristenpart 2015, doi 10.1145/2810103.2813677; priors as in Mahendran, Vedaldi 2015, arXiv 1412.0035
    """
    module = subject.module
    if module is None:
        raise BadInput(f"{subject.name} shows no slope: only its answers can be had.", advice="Say --black-box.")
    generator = torch.Generator().manual_seed(search.seed)
    wanted = torch.from_numpy(search.wanted)
    points = (torch.randn((len(wanted), space.size), generator=generator) * _START).requires_grad_()
    optimizer = torch.optim.Adam([points], _RATE)
    with evaluating(module):
        for step in range(search.steps):
            shown = space.shown(points)
            loss = functional.softplus(_ENOUGH - _margins(module, space.jittered(shown, generator), wanted))
            (slope,) = torch.autograd.grad((loss + space.unlikely(shown)).sum(), points)
            points.grad = slope
            optimizer.step()
            search.progress("inverting by slope", step + 1, search.steps)
    return Recovered(space.given(space.shown(points.detach())), search.wanted, 0, "the slope of its logits")


def by_answers(oracle: Oracle, space: Space, search: Search) -> Recovered:
    """With probabilities only: an evolution strategy with mirrored pairs and ranks, all classes side by side.

    Reference: natural evolution strategies, Wierstra et al. 2014, arXiv 1106.4487; Salimans et al. 2017, arXiv 1703.03864
    """
    generator = torch.Generator().manual_seed(search.seed)
    wanted = search.wanted
    centres = _started(oracle, space, search, generator)
    moments = torch.zeros(2, *centres.shape)
    rounds = max(1, oracle.left() // (2 * _POPULATION * len(wanted)))
    for turn in range(rounds):
        draws = torch.randn((len(wanted), _POPULATION, space.size), generator=generator)
        tried = torch.cat([centres[:, None] + _SPREAD * draws, centres[:, None] - _SPREAD * draws], 1)
        fitness = _fitness(oracle, space, tried.flatten(0, 1), np.repeat(wanted, 2 * _POPULATION), generator)
        ranks = fitness.reshape(len(wanted), -1).argsort(1).argsort(1).float() / (2 * _POPULATION - 1) - 0.5
        slope = ((ranks[:, :_POPULATION] - ranks[:, _POPULATION:])[..., None] * draws).mean(1)
        centres = centres + _adam(moments, slope, turn + 1)
        search.progress("inverting by answers", turn + 1, rounds)
    return Recovered(space.given(space.shown(centres)), wanted, oracle.asked, f"{oracle.asked:,} answers, {oracle.outlet}")


def by_labels(oracle: Oracle, space: Space, search: Search) -> Recovered:
    """With labels only: away from where the label changes, in ever larger circles. A class no random start meets is left out.

    Reference: boundary repulsion, Kahla, Chen, Just, Jia 2022, arXiv 2203.06813
    """
    generator = torch.Generator().manual_seed(search.seed)
    centres, wanted = _met(oracle, space, search, generator)
    if not len(wanted):
        raise BadInput(f"{oracle.asked:,} random inputs met none of the classes.", advice="Raise --queries.")
    radius = torch.full((len(wanted),), _RADIUS)
    best = centres.clone()
    rounds = max(1, oracle.left() // (_AROUND * len(wanted)))
    for turn in range(rounds):
        ways = torch.randn((len(wanted), _AROUND, space.size), generator=generator)
        ways = ways / ways.norm(dim=2, keepdim=True)
        tried = (centres[:, None] + radius[:, None, None] * ways).flatten(0, 1)
        answers = oracle.answers(space.given(space.shown(tried))).argmax(1).reshape(len(wanted), _AROUND)
        out = torch.from_numpy(answers != wanted[:, None])
        inside = ~out.any(1)
        best[inside] = centres[inside]
        radius[inside] *= _GROWTH
        away = -(ways * out[..., None]).mean(1)
        centres = centres + radius[:, None] * away
        search.progress("inverting by labels", turn + 1, rounds)
    return Recovered(space.given(space.shown(best)), wanted, oracle.asked, f"{oracle.asked:,} labels")


def _margins(module: nn.Module, shown: Tensor, wanted: Tensor) -> Tensor:
    """(m,) by how much the wanted class is ahead of the best other one."""
    first = next(module.parameters(), shown)
    answered = module(shown.to(first.device, first.dtype if first.is_floating_point() else None))
    logits = answered.float().to(shown.device)
    own = logits.gather(1, wanted[:, None])[:, 0]
    others = logits.masked_fill(functional.one_hot(wanted, logits.shape[1]).bool(), -torch.inf)
    ahead: Tensor = own - others.max(1).values
    return ahead


def _fitness(oracle: Oracle, space: Space, points: Tensor, codes: Labels, generator: torch.Generator) -> Tensor:
    """(m,) high = the model is sure, and the input likely."""
    shown = space.shown(points)
    margins = torch.from_numpy(oracle.margins(space.given(space.jittered(shown, generator)), codes)).float()
    return -functional.softplus(_ENOUGH - margins) - space.unlikely(shown)


def _started(oracle: Oracle, space: Space, search: Search, generator: torch.Generator) -> Tensor:
    """For every class the best of some points drawn at random, all of which are judged for all classes."""
    number = max(2 * search.restarts, int(oracle.budget * _FIRST))
    points = torch.randn((number, space.size), generator=generator)
    logs = oracle.outlet.logarithms(oracle.answers(space.given(space.shown(points))))
    best = [np.argsort(-logs[:, code], kind="stable")[: search.restarts] for code in search.codes]
    return points[torch.from_numpy(np.concatenate(best))].clone()


def _met(oracle: Oracle, space: Space, search: Search, generator: torch.Generator) -> tuple[Tensor, Labels]:
    """Points with the label of each class that a few draws met: (m, d) and (m,)."""
    number = max(search.restarts, int(oracle.budget * _FIRST * 2))
    points = torch.randn((number, space.size), generator=generator) * 2
    said = oracle.answers(space.given(space.shown(points))).argmax(1)
    rows = [np.flatnonzero(said == code)[: search.restarts] for code in search.codes]
    chosen = np.concatenate(rows)
    return points[torch.from_numpy(chosen)].clone(), said[chosen].astype(np.int64)


def _adam(moments: Tensor, slope: Tensor, turn: int) -> Tensor:
    """A step uphill, by Adam (Kingma, Ba 2015, algorithm 1); moments (2, m, d) are brought up to date."""
    moments[0] = 0.9 * moments[0] + 0.1 * slope
    moments[1] = 0.999 * moments[1] + 0.001 * slope.square()
    first, second = moments[0] / (1 - 0.9**turn), moments[1] / (1 - 0.999**turn)
    step: Tensor = _FASTER * first / (second.sqrt() + 1e-8)
    return step
