"""What per-row clipping costs: a step of a loop hardened with `clip` beside a plain step and beside Opacus 1.6.0, in one run.

    pip install --no-deps --target data/opacus opacus==1.6.0 opt_einsum
    python benchmarks/hardening_cost.py [--opacus data/opacus] [--repeats 20] [--runs 3]

Networks: 784-256-10 with ReLU; and conv 3x3 (16), ReLU, pool, conv 3x3 (32), ReLU, pool, linear, on 28x28. SGD with momentum on random
images. One thread. All contenders take one step in turn, many times over; a time is the least CPU time of a step, since the clock depends
on what else the machine does. A ratio is of the least times of one run; of several runs the best and the worst are told. Ours is the whole
of what a user's loop does after `untaint.harden(..., "clip(norm=1.0)")`: the loader, the hooks, the rows' norms. Opacus is given the same
bound and no noise. Gradients are compared with a loop over rows, one backward pass each, in float64 and float32. Writes
benchmarks/results/hardening_cost.md.
"""

import os

os.environ["OMP_NUM_THREADS"] = "1"

import argparse
import copy
import importlib
import platform
import sys
import time
import warnings
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional
from torch.utils.data import DataLoader, TensorDataset

import untaint
from untaint.bench.tables import markdown

RESULTS = Path(__file__).parent / "results"
DATA = Path(__file__).parent.parent / "data"
BOUND = 1.0
BARS = {("MLP 784-256-10", 256): 1.15, ("CNN 16-32", 256): 1.6}
ROWS = (64, 256)
NETS: Mapping[str, Callable[[], nn.Module]] = {
    "MLP 784-256-10": lambda: nn.Sequential(nn.Flatten(), nn.Linear(784, 256), nn.ReLU(), nn.Linear(256, 10)),
    "CNN 16-32": lambda: nn.Sequential(
        nn.Conv2d(1, 16, 3), nn.ReLU(), nn.MaxPool2d(2), nn.Conv2d(16, 32, 3), nn.ReLU(), nn.MaxPool2d(2),
        nn.Flatten(), nn.Linear(800, 10),
    ),
}  # fmt: skip
Step = Callable[[], None]


def batch(rows: int) -> tuple[Tensor, Tensor]:
    """Random images and codes."""
    chance = torch.Generator().manual_seed(0)
    return torch.rand(rows, 1, 28, 28, generator=chance), torch.randint(0, 10, (rows,), generator=chance)


def endless(rows: int) -> Iterator[tuple[Tensor, Tensor]]:
    """The same batch for ever, as a loader that costs nothing."""
    held = batch(rows)
    while True:
        yield held


def plain(net: nn.Module, rows: int) -> Step:
    """A step of an ordinary loop."""
    optimizer = torch.optim.SGD(net.parameters(), 0.01, momentum=0.9)
    loader = endless(rows)

    def step() -> None:
        inputs, codes = next(loader)
        optimizer.zero_grad()
        functional.cross_entropy(net(inputs), codes).backward()
        optimizer.step()

    return step


def ours(net: nn.Module, rows: int) -> Step:
    """The same, hardened."""
    optimizer = torch.optim.SGD(net.parameters(), 0.01, momentum=0.9)
    net, optimizer, hardened = untaint.harden(net, optimizer, endless(rows), recipe=f"clip(norm={BOUND})")
    loader = iter(hardened)

    def step() -> None:
        inputs, codes = next(loader)
        optimizer.zero_grad()
        functional.cross_entropy(net(inputs), codes).backward()
        optimizer.step()

    return step


def opacus(mode: str) -> Callable[[nn.Module, int], Step]:
    """Opacus, no noise."""

    def made(net: nn.Module, rows: int) -> Step:
        PrivacyEngine = importlib.import_module("opacus").PrivacyEngine  # noqa: N806  # a class

        inputs, codes = batch(rows)
        optimizer: Any = torch.optim.SGD(net.parameters(), 0.01, momentum=0.9)
        criterion: Any = nn.CrossEntropyLoss()
        given: dict[str, Any] = {"module": net, "optimizer": optimizer, "noise_multiplier": 0.0, "max_grad_norm": BOUND}
        given |= {"data_loader": DataLoader(TensorDataset(inputs, codes), rows), "poisson_sampling": False}
        if mode == "ghost":
            wrapped, optimizer, criterion, _ = PrivacyEngine().make_private(**given, criterion=criterion, grad_sample_mode=mode)
        else:
            wrapped, optimizer, _ = PrivacyEngine().make_private(**given, grad_sample_mode=mode)

        def step() -> None:
            optimizer.zero_grad()
            criterion(wrapped(inputs), codes).backward()
            optimizer.step()

        return step

    return made


def times(
    net: nn.Module, rows: int, contenders: Mapping[str, Callable[[nn.Module, int], Step]], repeats: int
) -> dict[str, float]:
    """Least milliseconds of CPU per step; after a warm-up all take turns."""
    steps = {name: make(copy.deepcopy(net), rows) for name, make in contenders.items()}
    least = dict.fromkeys(steps, float("inf"))
    for turn in range(repeats + 2):
        for name, step in steps.items():
            start = time.process_time()
            step()
            took = time.process_time() - start
            if turn >= 2:
                least[name] = min(least[name], 1000 * took)
    return least


def line_of(what: str, runs: Sequence[Mapping[str, float]], bar: float | None) -> dict[str, object]:
    """Least times of all runs, and how many times a plain step of the same run each took, from the best run to the worst."""
    line: dict[str, object] = {"network, batch": what, "plain": f"{min(run['plain'] for run in runs):.2f} ms"}
    for name in list(runs[0])[1:]:
        ratios = [run[name] / run["plain"] for run in runs]
        line[name] = f"{min(run[name] for run in runs):.2f} ms, {min(ratios):.2f}-{max(ratios):.2f}×"
    held = [run["untaint clip"] <= (bar or 0) * run["plain"] for run in runs]
    line["bar for ours"] = "–" if bar is None else f"{bar:g}×: met in {sum(held)} of {len(runs)} runs"
    return line


def loop_over_rows(net: nn.Module, inputs: Tensor, codes: Tensor) -> Tensor:
    """(d,) mean of the rows' gradients, each shortened to the bound: one backward pass per row."""
    total = torch.zeros(sum(p.numel() for p in net.parameters()), dtype=inputs.dtype)
    for row in range(len(codes)):
        net.zero_grad()
        functional.cross_entropy(net(inputs[row : row + 1]), codes[row : row + 1]).backward()
        flat = torch.cat([p.grad.flatten() for p in net.parameters() if p.grad is not None])
        total += flat * min(1.0, BOUND / float(flat.norm()))
    return total / len(codes)


def apart(net: nn.Module, rows: int, kind: torch.dtype) -> float:
    """Largest difference from that loop in any number of the gradient."""
    inputs, codes = batch(rows)
    inputs, net = inputs.to(kind), copy.deepcopy(net).to(kind)
    wanted = loop_over_rows(net, inputs, codes)
    optimizer = torch.optim.SGD(net.parameters(), 0.0)
    _, _, loader = untaint.harden(net, optimizer, [(inputs, codes)], recipe=f"clip(norm={BOUND})")
    for given, truth in loader:
        net.zero_grad()
        functional.cross_entropy(net(given), truth).backward()
    found = torch.cat([p.grad.flatten() for p in net.parameters() if p.grad is not None])
    return float((found - wanted).abs().max())


def main() -> None:
    """As the module says."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--opacus", type=Path, default=DATA / "opacus")
    parser.add_argument("--repeats", type=int, default=20)
    parser.add_argument("--runs", type=int, default=3)
    given = parser.parse_args()
    torch.set_num_threads(1)
    torch.manual_seed(0)
    warnings.simplefilter("ignore")  # Opacus': hooks on inputs without gradients
    contenders: dict[str, Callable[[nn.Module, int], Step]] = {"plain": plain, "untaint clip": ours}
    if (given.opacus / "opacus").is_dir():
        sys.path.insert(0, str(given.opacus))
        contenders |= {f"Opacus {mode}": opacus(mode) for mode in ("hooks", "ghost", "functorch")}
    lines: list[dict[str, object]] = []
    equal: list[dict[str, object]] = []
    for name, make in NETS.items():
        net = make()
        for rows in ROWS:
            runs = [times(net, rows, contenders, given.repeats) for _ in range(given.runs)]
            lines.append(line_of(f"{name}, {rows}", runs, BARS.get((name, rows))))
            print(lines[-1], flush=True)
        differences = {str(kind): apart(net, 64, kind) for kind in (torch.float32, torch.float64)}
        line: dict[str, object] = {"network": name}
        line |= {f"largest difference, {kind.split('.')[1]}": f"{value:.1e}" for kind, value in differences.items()}
        equal.append(line)
    text = ["# What per-row clipping costs\n", (__doc__ or "").split("\n\n")[2].replace("\n", " ").strip() + "\n"]
    called = f"`python benchmarks/hardening_cost.py --repeats {given.repeats} --runs {given.runs}`"
    text += [f"{called}; torch {torch.__version__}, {platform.machine()}, one thread.\n"]
    text += [markdown(lines) + "\n", "## The same gradients\n", "Of 64 rows, against a loop over them.\n", markdown(equal) + "\n"]
    (RESULTS / "hardening_cost.md").write_text("\n".join(text), encoding="utf-8")


if __name__ == "__main__":
    main()
