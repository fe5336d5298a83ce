"""Robust means of n vectors: time and answers beside ByzFL 0.0.11 in one run, and what one bad vector of 21 does to either.

    pip install --no-deps --target data/byzfl byzfl==0.0.11
    python benchmarks/hardening_aggregation.py [--byzfl data/byzfl] [--repeats 9]

ByzFL's `__init__` imports torchvision, matplotlib and seaborn for data sets and plots. It is installed without them, into a folder of
its own, and only its `byzfl.aggregators` is imported, past that `__init__`. Both libraries get the same float32
numbers, as a NumPy array and as a torch tensor, on one thread. A time is the least CPU time of several calls, since the clock depends
on what else the machine does; calls of both alternate. ByzFL computes distances and sorts on the tensor itself, ours always in NumPy.
Writes benchmarks/results/hardening_aggregation.md.
"""

import argparse
import importlib
import platform
import sys
import time
import types
import warnings
from collections.abc import Callable
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path
from typing import Any, final

import numpy as np
import torch
from threadpoolctl import threadpool_limits

from untaint.numerics import aggregation_distances as distances
from untaint.numerics.aggregation import aggregate, mixed, sound
from untaint.training.engines.updates import robust_mean

RESULT = Path(__file__).parent / "results" / "hardening_aggregation.md"
D = 100_000
SIZES = (20, 100)
EQUAL = 1e-5
TAU = 100.0  # ByzFL's default
BARS = {"median": 10.0, "trimmed-mean": 10.0, "nearest-neighbour mixing": 5.0}  # times faster, at n = 100
PATIENCE = 10.0  # seconds after which a slow pair is not repeated
BAD = (1e3, 1e30, np.inf, np.nan)


@final
@dataclass(frozen=True)
class Rival:
    """One rule of both. ours, theirs: (vectors, f) -> vector or vectors; theirs makes ByzFL's object anew, which keeps state."""

    name: str
    called: str
    ours: Callable[[Any, int], Any]
    theirs: Callable[[Any, int], Any]


def byzfl_from(folder: Path) -> Any:
    """Its rules and pre-aggregations, without what else the package would import."""
    place = folder / "byzfl"
    if not place.is_dir():
        sys.exit(f"There is no byzfl in {folder}: pip install --no-deps --target {folder} byzfl==0.0.11")
    package = types.ModuleType("byzfl")
    package.__path__ = [str(place)]
    sys.modules["byzfl"] = package
    return importlib.import_module("byzfl.aggregators")


def by_rule(rule: str, *, mix: bool = False) -> Callable[[Any, int], Any]:
    """Ours, for arrays and tensors."""

    def call(vectors: Any, f: int) -> Any:
        if isinstance(vectors, np.ndarray):
            return aggregate(vectors, f, rule, mix=mix)
        return robust_mean(vectors, rule, f, mix=mix)

    return call


def mixing(vectors: Any, f: int) -> Any:
    """Nearest-neighbour mixing alone."""
    rows = vectors if isinstance(vectors, np.ndarray) else vectors.numpy()
    found = mixed(sound(rows, f)).rows
    return found if isinstance(vectors, np.ndarray) else torch.from_numpy(found)


def clipping_from_zero(vectors: Any, f: int) -> Any:
    """Centered clipping as ByzFL's default has it: one step from zero."""
    rows = sound(vectors if isinstance(vectors, np.ndarray) else vectors.numpy(), f).rows
    found = distances.centered_clipping(distances.space(rows, np.zeros(rows.shape[1], rows.dtype)), TAU, 1)
    return found if isinstance(vectors, np.ndarray) else torch.from_numpy(found)


def rivals(peer: Any) -> list[Rival]:
    """What is compared."""
    return [
        Rival("mean", "Average", by_rule("mean"), lambda x, _: peer.Average()(x)),
        Rival("median", "Median", by_rule("median"), lambda x, _: peer.Median()(x)),
        Rival("trimmed-mean", "TrMean", by_rule("trimmed-mean"), lambda x, f: peer.TrMean(f)(x)),
        Rival("geometric-median", "GeometricMedian", by_rule("geometric-median"), lambda x, _: peer.GeometricMedian()(x)),
        Rival("krum", "Krum", by_rule("krum"), lambda x, f: peer.Krum(f)(x)),
        Rival("multi-krum", "MultiKrum", by_rule("multi-krum"), lambda x, f: peer.MultiKrum(f)(x)),
        Rival("centered clipping from 0", "CenteredClipping", clipping_from_zero, lambda x, _: peer.CenteredClipping(tau=TAU)(x)),
        Rival("nearest-neighbour mixing", "NNM", mixing, lambda x, f: peer.NNM(f)(x)),
        Rival(
            "mixing, then trimmed-mean",
            "NNM, TrMean",
            by_rule("trimmed-mean", mix=True),
            lambda x, f: peer.TrMean(f)(peer.NNM(f)(x)),
        ),
    ]


def vectors_of(n: int, f: int) -> np.ndarray:
    """n - f alike, and f elsewhere."""
    rng = np.random.default_rng(n)
    rows = rng.standard_normal((n, D)).astype(np.float32)
    rows[:f] = 3 * rows[:f] + 1
    return rows


def timed(call: Callable[[], Any]) -> tuple[float, np.ndarray]:
    """CPU milliseconds, and the answer."""
    start = time.process_time()
    answer = call()
    return 1e3 * (time.process_time() - start), np.asarray(answer)


def raced(rival: Rival, rows: np.ndarray, f: int, repeats: int) -> list[str]:
    """A line of the table."""
    cells: list[str] = []
    apart = 0.0
    for vectors in (rows, torch.from_numpy(rows)):
        ours, theirs = np.inf, np.inf
        start = time.monotonic()
        for _ in range(repeats):
            if np.isfinite(ours) and time.monotonic() - start > PATIENCE:
                break
            own, mine = timed(lambda v=vectors: rival.ours(v, f))  # type: ignore[misc]
            other, its = timed(lambda v=vectors: rival.theirs(v, f))  # type: ignore[misc]
            ours, theirs = min(ours, own), min(theirs, other)
            apart = max(apart, float(np.abs(mine - its).max()))
        cells += [f"{theirs:.1f}", f"{ours:.1f}", f"**{theirs / ours:.1f}**"]
        print(f"n={len(rows)} {rival.name}: ByzFL {theirs:.1f} ms, ours {ours:.1f} ms", file=sys.stderr)
    return [rival.name, rival.called, *cells, f"{apart:.0e}" + ("" if apart <= EQUAL else " (differs)")]


def error(call: Callable[[], Any], honest: np.ndarray) -> str:
    """Distance of an answer from the mean of the honest."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            answer = np.asarray(call(), np.float64)
        except Exception as problem:  # noqa: BLE001  # whatever the peer raises is its result
            return type(problem).__name__
        away = float(np.linalg.norm(answer - honest.mean(axis=0)))
    return f"{away:.2g}" if np.isfinite(away) else f"**{away}**"


def one_bad(peer: Any) -> list[list[str]]:
    """Lines of the table of one bad vector of 21."""
    honest = np.random.default_rng(0).normal(1, 0.1, (20, 50)).astype(np.float32)
    lines = []
    pairs: list[tuple[str, Callable[[Any], Any] | None, Callable[[Any], Any] | None]] = [
        ("mean", lambda x: aggregate(x, 1, "mean"), peer.Average()),
        ("median", lambda x: aggregate(x, 1, "median"), peer.Median()),
        ("trimmed mean", lambda x: aggregate(x, 1), peer.TrMean(1)),
        ("geometric median", lambda x: aggregate(x, 1, "geometric-median"), peer.GeometricMedian()),
        ("Krum", lambda x: aggregate(x, 1, "krum"), peer.Krum(1)),
        ("multi-Krum", lambda x: aggregate(x, 1, "multi-krum"), peer.MultiKrum(1)),
        ("centered clipping", lambda x: aggregate(x, 1, "centered-clipping"), peer.CenteredClipping(tau=10.0)),
        ("mixing, trimmed mean", lambda x: aggregate(x, 1, mix=True), lambda x: peer.TrMean(1)(peer.NNM(1)(x))),
        ("mixing, median", lambda x: aggregate(x, 1, "median", mix=True), lambda x: peer.Median()(peer.NNM(1)(x))),
        ("Meamed", None, peer.Meamed(1)),
        ("Clipping, mean", None, lambda x: peer.Average()(peer.Clipping(c=10.0)(x.copy()))),
        ("ARC, mean", None, lambda x: peer.Average()(peer.ARC(1)(x.copy()))),
    ]
    for name, ours, theirs in pairs:
        cells = []
        for call in (ours, theirs):
            for bad in BAD:
                rows = np.vstack([honest, np.full((1, 50), bad, np.float32)])
                cells.append("" if call is None else error(lambda c=call, r=rows: c(r), honest))  # type: ignore[misc]
        lines.append([name, *cells])
    return lines


def table(head: list[str], lines: list[list[str]]) -> str:
    """Markdown."""
    return "\n".join("| " + " | ".join(cells) + " |" for cells in [head, ["---"] * len(head), *lines])


def bars(lines: list[list[str]]) -> str:
    """What was reached of what was set, a sentence each."""
    said = []
    for cells in lines:
        if cells[0] in BARS:
            array, tensor = (float(cells[place].strip("*")) for place in (4, 7))
            bar = BARS[cells[0]]
            words = ["reached" if value >= bar else "**missed**" for value in (array, tensor)]
            said.append(f"- {cells[0]}, {bar:.0f} times: arrays {array} ({words[0]}), tensors {tensor} ({words[1]}).")
    return "\n".join(said)


def main() -> None:
    """Run it."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--byzfl", type=Path, default=Path("data/byzfl"))
    parser.add_argument("--repeats", type=int, default=9)
    chosen = parser.parse_args()
    torch.set_num_threads(1)
    with threadpool_limits(1):
        RESULT.write_text(report(byzfl_from(chosen.byzfl), chosen.repeats), encoding="utf-8")


def report(peer: Any, repeats: int) -> str:
    """All of it."""
    head = [
        "rule",
        "in ByzFL",
        "array: ByzFL ms",
        "ours ms",
        "times",
        "tensor: ByzFL ms",
        "ours ms",
        "times",
        "largest difference",
    ]
    text = [
        "# Robust means beside ByzFL\n",
        (
            f"`python benchmarks/hardening_aggregation.py`; ByzFL 0.0.11, NumPy {np.__version__}, torch {version('torch')}, "
            f"Python {platform.python_version()}, one thread, float32, d = {D:,}; least CPU time of at most {repeats} alternating calls.\n"
        ),
    ]
    last: list[list[str]] = []
    for n in SIZES:
        f = n // 10
        rows = vectors_of(n, f)
        last = [raced(rival, rows, f, repeats) for rival in rivals(peer)]
        text += [f"## n = {n}, f = {f}\n", table(head, last) + "\n"]
    text += ["## Bars (n = 100)\n", bars(last) + "\n", ABOUT]
    labels = [f"{bad:g}" for bad in BAD]
    text += [
        "## One bad vector of 21\n",
        "Distance of the answer from the mean of the 20 honest ones (noise 0.1, d = 50, f = 1): ours, then ByzFL's.\n",
        table(["rule", *(f"ours {label}" for label in labels), *(f"ByzFL {label}" for label in labels)], one_bad(peer)) + "\n",
    ]
    return "\n".join(text)


ABOUT = """ByzFL's trimmed mean of an array is `np.sort` along the rows, which NumPy 2 does with vector instructions (AVX-512 here); ours
sorts the same numbers the same way after turning them block by block, and what is left to gain is memory traffic. Tensors are what its
users hold: there it sorts with `torch.sort` and takes medians with `torch.quantile`. ByzFL's geometric median is three Weiszfeld steps
from zero, ours goes on until it stands still.
"""


if __name__ == "__main__":
    main()
