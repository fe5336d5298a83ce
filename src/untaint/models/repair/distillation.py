"""Distillation: the suspect teaches a network of its own shape, on inputs that carry no trigger."""

from dataclasses import dataclass
from typing import ClassVar, final

import torch
from torch import Tensor, nn
from torch.nn import functional
from typing_extensions import override

from untaint.models.repair._tuning import Plan, restarted, tuned
from untaint.models.repair._universal import Universals
from untaint.models.repair._views import are_images, broken, moved, windows
from untaint.models.repair.base import Given, Repair, Repaired

_TRUSTED = 0.5
"""Least the teacher must give the classes that are in an input: with less its answer is not taken, the label is."""
_MOVED = 0.5
"""Of the clean inputs: a network that never saw a moved one errs on it, and what the teacher errs on it cannot teach."""
_AGAIN, _BATCHES = 4, 8
"""Batches of mixed inputs are shown this often, each time under other views; so many are at hand. A quarter of the teacher's time."""
_TAUGHT = 0.9
"""Weight of the teacher's answer beside the label's: labels know better where it errs, it knows better what is alike."""
_CUT = 0.5
"""Of pairs of images, how many are cut into each other; the rest are blended. Cut ones are nearer to what the teacher knows: on two
development networks they gave half a point to a point of accuracy."""


@final
@dataclass(frozen=True)
class Distillation(Repair):
    """The suspect teaches a network of its own shape that begins with most of its weights, under whatever might be a trigger.

    The teacher sees clean inputs only, moved and mixed but never bent or patched, and is overruled where it answers a class that is not
    in them. The pupil sees the same under patches, patterns and warps: some drawn at random, some hunted as universal triggers.
    kept: share of the suspect's weights in what the pupil begins with, the rest is new.  hunted: share of a batch under hunted triggers.
    mixed: share of a batch that is two inputs at once.
    Stops: triggers that clean inputs do not carry; with `kept=0` no weight of the suspect is left.
    Does not stop: what the teacher does to clean inputs too (label flips it learned); triggers that natural inputs carry.
    Needs: clean inputs, some 500; 10 of each class or more. Accuracy falls where there are many classes.
    Cost: `steps` updates and a forward pass of the teacher for every fourth: a minute of one core for small networks.
    Reference: Beyer et al. 2022, arXiv 2106.05237 (patient, consistent teachers); Zeng et al. 2022, arXiv 2110.03735 (universal triggers);
    Ash, Adams 2020, arXiv 1910.08475 (new weights mixed into old ones); Yun et al. 2019, arXiv 1905.04899 (images cut into each other)
    """

    id: ClassVar[str] = "distillation"
    steps: int = 480
    rate: float = 2e-3
    kept: float = 0.8
    hunted: float = 0.3
    mixed: float = 0.8

    @override
    def apply(self, given: Given) -> Repaired:
        teacher = given.module
        pupil = restarted(teacher, self.kept, given.seed)
        lesson = _Lesson(teacher, pupil, given, self.hunted, self.mixed)
        tuned(pupil, lesson, given, Plan(self.steps, self.rate), "distilling")
        return Repaired(pupil, self.steps, {"weights kept": self.kept, "answers of the suspect overruled": lesson.overruled()})


class _Lesson:
    """The loss of the pupil on rows of the clean inputs."""

    def __init__(self, teacher: nn.Module, pupil: nn.Module, given: Given, hunted: float, mixed: float) -> None:
        self._teacher, self._pupil, self._given = teacher, pupil, given
        self._rng = torch.Generator(given.inputs.device).manual_seed(given.seed)
        self._share = mixed
        self._dice = torch.Generator().manual_seed(given.seed)
        self._hunted = hunted if are_images(given.inputs) else 0.0
        shape = tuple(given.inputs.shape[1:])
        self._universals = Universals(shape, given.inputs, self._rng) if self._hunted else None  # type: ignore[arg-type]
        self._asked = self._refused = self._step = 0
        self._batches: list[tuple[Tensor, Tensor]] = []

    def __call__(self, rows: Tensor) -> Tensor:
        inputs, wanted = self._batch(rows)
        if self._universals is None:
            return self._loss(broken(inputs, self._rng), wanted)
        self._universals.climb()
        part = round(self._hunted * len(inputs))
        views = torch.cat([self._universals.stamped(inputs[:part]), broken(inputs[part:], self._rng)])
        return self._loss(views, wanted)

    def overruled(self) -> float:
        """Share of the teacher's answers that were not taken."""
        return round(self._refused / max(self._asked, 1), 4)

    def _loss(self, views: Tensor, wanted: Tensor) -> Tensor:
        return -(wanted * functional.log_softmax(self._pupil(views), 1)).sum(1).mean()

    def _batch(self, rows: Tensor) -> tuple[Tensor, Tensor]:
        """Mixed inputs and what is wanted for them: anew every few steps, else one of those at hand."""
        fresh = self._step % _AGAIN == 0
        self._step += 1
        if fresh:
            inputs, labels = self._mixed(rows)
            self._batches = [*self._batches[1 - _BATCHES :], (inputs, self._wanted(inputs, labels))]
            return self._batches[-1]
        return self._batches[int(torch.randint(0, len(self._batches), (1,), generator=self._dice))]

    def _mixed(self, rows: Tensor) -> tuple[Tensor, Tensor]:
        given, count = self._given, len(rows)
        labels = functional.one_hot(given.labels[rows], given.classes).to(torch.get_default_dtype())
        inputs = self._seen(rows)
        if not inputs.is_floating_point():
            return inputs, labels
        other = torch.randint(0, len(given.labels), (count,), generator=self._rng, device=rows.device)
        share = torch.rand(count, generator=self._rng, device=rows.device, dtype=inputs.dtype)
        share = torch.where(
            torch.rand(count, generator=self._rng, device=rows.device) < self._share, share, torch.ones_like(share)
        )
        beside = functional.one_hot(given.labels[other], given.classes).to(labels.dtype)
        part = share.view(-1, *[1] * (inputs.ndim - 1)).expand_as(inputs)
        if are_images(inputs):
            cut = torch.rand(count, generator=self._rng, device=rows.device) < _CUT
            window = windows(share, inputs, self._rng)
            part = torch.where(cut.view(-1, 1, 1, 1), window, part)
            share = torch.where(cut, window.mean((1, 2, 3)), share)
        mixed = torch.lerp(self._seen(other), inputs, part)
        return mixed, torch.lerp(beside, labels, share.to(labels.dtype)[:, None])

    def _seen(self, rows: Tensor) -> Tensor:
        """Clean inputs, half of them moved."""
        inputs = self._given.inputs[rows]
        half = torch.rand(len(rows), generator=self._rng, device=rows.device) < _MOVED
        return torch.where(half.view(-1, *[1] * (inputs.ndim - 1)), moved(inputs, self._rng), inputs)

    @torch.no_grad()
    def _wanted(self, inputs: Tensor, labels: Tensor) -> Tensor:
        answers = self._teacher(inputs).softmax(1).to(labels.dtype)
        trusted = ((labels > 0) * answers).sum(1, keepdim=True) > _TRUSTED
        self._asked += len(inputs)
        self._refused += int((~trusted).sum())
        return torch.where(trusted, torch.lerp(labels, answers, _TAUGHT), labels)
