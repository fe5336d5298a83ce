"""One poisoned point among thousands, one step: what it does to a network, and to the same network when its training is hardened."""

import copy
import hashlib
import json
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, TypeAlias, final

import torch
from torch import Tensor, nn
from torch.nn import functional
from torch.utils.data import DataLoader, TensorDataset

from untaint import api
from untaint.demo import one_point_page
from untaint.demo.one_point_results import Outcome, Row, Shown
from untaint.demo.one_point_victim import (
    BATCH,
    EMBEDDED,
    TUNED,
    Point,
    Task,
    accuracy,
    answers,
    far_embedding,
    far_image,
    find_task,
    in_range,
    kept,
    network,
    trained,
)
from untaint.training import compose
from untaint.training.base import Run
from untaint.training.clip import Clip
from untaint.training.engines.loader import HardenedLoader
from untaint.training.engines.session import Session, Ways
from untaint.training.guard import Guard

WAYS: Mapping[str, str] = {
    "no defence": "plain",
    "hardened": f"{Guard.id} + {Clip.id}",
    "guard off": Clip.id,
    "clip off": Guard.id,
}
"""Recipes under the names they have in the table: the one that stands by default, and it with each of its layers switched off."""
EMBEDDING, IMAGE = 1e5, 1e6
"""Times the way between two classes' means. A mean follows any row that is large enough (Blanchard et al. 2017, NeurIPS 30, lemma 1)."""
FOLLOWED = 60  # steps drawn in the report: enough to see whether a network comes back by itself
_STEP = "one step of the optimizer"

Say: TypeAlias = Callable[[str], None]
Progress: TypeAlias = Callable[[str, int, int], None]


@final
@dataclass(frozen=True)
class Victim:
    """A trained network and what it is trained further on. inputs (n, ...), codes (n,): images, or features where those are frozen."""

    name: str
    net: nn.Module
    inputs: Tensor
    codes: Tensor
    tested: Tensor
    truth: Tensor
    step: bool = True
    """Whether the optimizer takes a step after the batch; False: a forward pass is all there is."""


def run_one_point(data: Path, out: Path, seed: int, say: Say, progress: Progress) -> Shown:
    """Run it; pages and figures go to `out`, trained networks to the folder around it, where the next run finds them."""
    task = find_task(data)
    return shown(task, out, seed, say, progress)


def shown(task: Task, out: Path, seed: int, say: Say, progress: Progress) -> Shown:
    """The same for a given task."""
    say(f"1. Training two small networks on {task.name}, as anybody would (kept in {out.parent} for the next time).")
    whole, head, normed = _victims(task, out.parent, seed, progress)
    say("2. One point in one batch: undefended, hardened, and with each layer of the defence switched off.")
    named = task.names
    linear = head.net if isinstance(head.net, nn.Linear) else nn.Linear(1, 1)
    far = far_embedding(linear, head.inputs, head.codes, EMBEDDING)
    image, ordinary = far_image(task, IMAGE), in_range(task.images, task.codes, far.of, far.to)
    close = in_range(head.inputs, head.codes, far.of, far.to)
    called = f"of '{named[far.of]}' called '{named[far.to]}'"
    planned = [
        (head, far, f"one embedding {called}, × {EMBEDDING:,.0f}", False),
        (whole, image, f"one image × {IMAGE:,.0f}", False),
        (whole, far_image(task, float("nan")), "one image of NaN", False),
        (normed, image, f"one image × {IMAGE:,.0f}", False),
        (head, close, f"control: one usual embedding {called}", True),
        (whole, ordinary, f"control: one usual image {called}", True),
    ]
    rows = []
    for done, (victim, point, what, control) in enumerate(planned):
        progress("points", done, len(planned))
        rows.append(_row(victim, point, what, control=control, curve=done == 0))
    result = Shown(task.name, len(task.images), len(task.tested), tuple(rows), out / "report.html")
    (out / "one_point.json").write_text(json.dumps([asdict(row) for row in rows], indent=1), encoding="utf-8")
    result.report.write_text(one_point_page.page(result), encoding="utf-8")
    return result


def _victims(task: Task, folder: Path, seed: int, progress: Progress) -> tuple[Victim, Victim, Victim]:
    """The whole network; its head on frozen features; one with batch normalisation, of which only a forward pass is asked."""
    nets = []
    for batch_norm, what in ((False, "training"), (True, "training, with batch normalisation")):
        told = hashlib.sha256(f"{task.digest} {seed} {batch_norm} {network(task, batch_norm=batch_norm)}".encode())
        file = folder / f"one-point-{told.hexdigest()[:12]}.npz"

        def train(batch_norm: bool = batch_norm, what: str = what) -> nn.Sequential:
            return trained(task, seed, lambda done, steps: progress(what, done, steps), batch_norm=batch_norm)

        nets.append(kept(file, network(task, batch_norm=batch_norm), train))
    plain, normed = nets
    images, codes = task.images[:EMBEDDED], task.codes[:EMBEDDED]
    features, tested = answers(plain[0], images), answers(plain[0], task.tested)
    return (
        Victim(f"whole network, {_STEP}", plain, images, codes, task.tested, task.truth),
        Victim(f"features frozen, {_STEP}", plain[1], features, codes, tested, task.truth),
        Victim("batch normalisation, no step", normed, images, codes, task.tested, task.truth, step=False),
    )


def _row(victim: Victim, point: Point, what: str, *, control: bool, curve: bool) -> Row:
    before = accuracy(victim.net, victim.tested, victim.truth)
    outcomes = {way: outcome(victim, point, recipe, curve=curve) for way, recipe in WAYS.items()}
    return Row(victim.name, what, control, before, outcomes)


def outcome(victim: Victim, point: Point, recipe: str, *, curve: bool) -> Outcome:
    """What a copy of the victim is worth after the first batch of further training, in which the point takes the place of a row."""
    net = copy.deepcopy(victim.net).train()
    optimizer = torch.optim.SGD(net.parameters(), TUNED, momentum=0.9)
    steps = FOLLOWED if curve else 1
    inputs, codes = victim.inputs[: steps * BATCH].clone(), victim.codes[: steps * BATCH].clone()
    inputs[0], codes[0] = point.value, point.to
    loader = _hardened(net, optimizer, DataLoader(TensorDataset(inputs, codes), BATCH), recipe)
    seen = [accuracy(net, victim.tested, victim.truth)] if curve else []
    for batch, truth in loader:
        answer = net(batch)
        if victim.step:
            optimizer.zero_grad()
            functional.cross_entropy(answer, truth).backward()
            optimizer.step()
        seen.append(accuracy(net, victim.tested, victim.truth))
    after = seen[1 if curve else 0]
    return Outcome(after, tuple(_did(loader.session.record())), tuple(seen) if curve else ())


def _hardened(net: nn.Module, optimizer: torch.optim.Optimizer, loader: Any, recipe: str) -> HardenedLoader:
    """As `untaint.harden`, but without the guard that it adds by itself before batch normalisation: here it is to be missed."""
    if Guard.id in recipe:
        return api.harden(net, optimizer, loader, recipe)[2]
    return HardenedLoader(loader, Session(net, optimizer, compose.recipe(recipe), Run(), Ways(), None))


def _did(record: Mapping[str, Any]) -> list[str]:
    """What stopped the point, in words."""
    said = [f"dropped {count} row: {reason}" for reason, count in record["reasons_dropped"].items()]
    said += [f"refused an update: {each['reason']}" for each in record["updates_refused"]]
    for name, facts in record["facts"].items():
        if name.startswith(Clip.id) and facts["not_finite"]:
            said.append(f"{facts['not_finite']} row counted nothing: its gradient was no number")
    return said
