"""A repair from beginning to end: inputs held back, the network repaired, what changed, and how fast the backdoor comes back."""

from collections.abc import Callable
from dataclasses import dataclass
from time import monotonic
from typing import final

import torch
from torch import Tensor, nn

from untaint.errors import BadInput
from untaint.models.repair._tuning import accuracy, answered, parted
from untaint.models.repair.base import Given, Progress, Repaired, prepared, quiet
from untaint.models.repair.channel_lipschitz import ChannelLipschitz
from untaint.models.repair.course.chosen import DEFAULT, chosen, described, repaired
from untaint.models.repair.course.relapse import FEW, STEPS, relapse
from untaint.nets.subject import Reference, as_tensor

WITHOUT_DATA = ChannelLipschitz.id
"""What is done when there are no clean inputs."""
_NOTABLE = 0.02
"""Loss of clean accuracy from which a person is told to think twice; what a repair is allowed in the field's comparisons."""
_TAUGHT_AGAIN = 0.5  # success from which a backdoor counts as back


@final
@dataclass(frozen=True)
class Triggered:
    """Inputs that carry the trigger, their own labels (n,), and the label the attacker wants for each (n,)."""

    inputs: Reference
    wanted: Tensor


@final
@dataclass(frozen=True)
class Measured:
    """Shares, None = not measured. accuracy: of clean inputs held back.  asr: triggered inputs given the attacker's label.

    robust_accuracy: triggered inputs given their own.
    """

    accuracy: float | None = None
    asr: float | None = None
    robust_accuracy: float | None = None


@final
@dataclass(frozen=True)
class Mended:
    """A repaired network and all about it.

    method: spec of what was done.  used, held_back: clean inputs worked with and measured on.  triggered: inputs ASR was measured on.
    relapse: ASR after each of `relapse_steps` updates on `relapse_samples` poisoned samples; () = no trigger was given.
    notes: what a person should know.
    """

    module: nn.Module
    method: str
    before: Measured
    after: Measured
    used: int
    held_back: int
    triggered: int
    steps: int
    seconds: float
    facts: dict[str, object]
    relapse: tuple[float, ...]
    notes: tuple[str, ...]
    relapse_steps: tuple[int, ...] = STEPS
    relapse_samples: int = FEW


@final
@dataclass(frozen=True)
class Asked:
    """What to repair with.

    reference: clean inputs, None = none, which few methods do without.  method: spec, None = the default.
    test: clean inputs to measure on, None = a fifth of `reference` is held back.  triggered: to measure the attack with.
    """

    reference: Reference | None
    method: str | None = None
    test: Reference | None = None
    triggered: Triggered | None = None
    seed: int = 0


def mend(module: nn.Module, asked: Asked, progress: Progress = quiet) -> Mended:
    """Repair a copy of a network and measure it before and after.

    Raises BadInput for a method, data or a network that do not fit.
    """
    reference, test, triggered, seed = asked.reference, asked.test, asked.triggered, asked.seed
    method = asked.method
    parts = chosen(method or (WITHOUT_DATA if reference is None else DEFAULT))
    if reference is None and any(part.clean for part in parts):
        raise BadInput(f"{described(parts)} needs clean inputs.", advice=f"Give some, or take {WITHOUT_DATA}.")
    given = prepared(module, reference, seed, progress)
    work, apart = _held_back(given, test)
    tried = None if triggered is None else (_like(given, triggered.inputs), triggered.wanted.to(given.inputs.device))
    before = _measured(given.module, apart, tried)
    began = monotonic()
    done = repaired(parts, work)
    seconds = monotonic() - began
    after = _measured(done.module, apart, tried)
    again: tuple[float, ...] = ()
    if tried is not None and apart is not None and len(tried[1]) > 2 * FEW:
        again = tuple(relapse(done.module, apart, (tried[0][0], tried[1]), seed))
    return Mended(
        done.module,
        described(parts),
        before,
        after,
        len(work.labels),
        0 if apart is None else len(apart[1]),
        0 if tried is None else len(tried[1]),
        done.steps,
        seconds,
        dict(done.facts),
        again,
        tuple(_notes(done, before, after, again)),
    )


def _held_back(given: Given, test: Reference | None) -> tuple[Given, tuple[Tensor, Tensor] | None]:
    if test is not None:
        return given, _like(given, test)
    if not len(given.labels):
        return given, None
    rows, apart = parted(given)
    work = Given(given.module, given.inputs[rows], given.labels[rows], given.classes, given.seed, given.progress)
    return work, (given.inputs[apart], given.labels[apart])


def _like(given: Given, reference: Reference) -> tuple[Tensor, Tensor]:
    first = next(given.module.parameters())
    inputs = as_tensor(reference.inputs)
    inputs = inputs.to(first.device, first.dtype) if inputs.is_floating_point() else inputs.to(first.device)
    return inputs, torch.from_numpy(reference.labels).long().to(first.device)


def _measured(
    module: nn.Module, apart: tuple[Tensor, Tensor] | None, tried: tuple[tuple[Tensor, Tensor], Tensor] | None
) -> Measured:
    clean = None if apart is None else accuracy(module, *apart)
    if tried is None:
        return Measured(clean)
    (inputs, truth), wanted = tried
    answers = answered(module, inputs).argmax(1)
    share: Callable[[Tensor], float] = lambda right: float((answers == right).double().mean())  # noqa: E731  # said once, used twice
    return Measured(clean, share(wanted), share(truth))


def _notes(done: Repaired, before: Measured, after: Measured, again: tuple[float, ...]) -> list[str]:
    notes = ["No repair proves a model clean: retrain from data somebody vouches for when you can."]
    if before.accuracy is None or after.accuracy is None:
        notes.append(
            "No clean inputs were given: nothing was measured, and cutting channels alone stopped almost no backdoor where we tried it."
        )
    elif before.accuracy - after.accuracy > _NOTABLE:
        lost = 100 * (before.accuracy - after.accuracy)
        notes.append(f"Clean accuracy fell by {lost:.1f} points: give more clean inputs, or more updates.")
    if after.asr is None:
        notes.append("No triggered inputs were given, so the attack's success is not known, before or after.")
    soon = [step for step, success in zip(STEPS, again, strict=False) if success >= _TAUGHT_AGAIN]
    if soon:
        notes.append(
            f"{FEW} poisoned samples bring the backdoor back in {soon[0]} updates; a network that never had one may be as quick."
        )
    if not done.steps and not any(done.facts.values()):
        notes.append("Nothing was changed.")
    return notes
