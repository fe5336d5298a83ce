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
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path
from typing import Any, final

import numpy as np
import torch
from threadpoolctl import threadpool_limits

from untaint.bench.tables import markdown
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


def raced(rival: Rival, rows: np.ndarray, f: int, repeats: int) -> dict[str, object]:
    """A line of the table."""
    line: dict[str, object] = {"rule": rival.name, "in ByzFL": rival.called}
    apart = 0.0
    for kind, vectors in (("array", rows), ("tensor", torch.from_numpy(rows))):
        ours, theirs = np.inf, np.inf
        start = time.monotonic()
        for _ in range(repeats):
            if np.isfinite(ours) and time.monotonic() - start > PATIENCE:
                break
            own, mine = timed(lambda v=vectors: rival.ours(v, f))  # type: ignore[misc]
            other, its = timed(lambda v=vectors: rival.theirs(v, f))  # type: ignore[misc]
            ours, theirs = min(ours, own), min(theirs, other)
            apart = max(apart, float(np.abs(mine - its).max()))
        line |= {
            f"{kind}: ByzFL ms": f"{theirs:.1f}",
            f"{kind}: ours ms": f"{ours:.1f}",
            f"{kind}: times": round(theirs / ours, 1),
        }
        print(f"n={len(rows)} {rival.name}, {kind}: ByzFL {theirs:.1f} ms, ours {ours:.1f} ms", file=sys.stderr)
    return line | {"largest difference": f"{apart:.0e}" + ("" if apart <= EQUAL else " (differs)")}


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


def one_bad(peer: Any) -> list[dict[str, object]]:
    """Lines of the table of one bad vector of 21."""
    honest = np.random.default_rng(0).normal(1, 0.1, (20, 50)).astype(np.float32)
    lines: list[dict[str, object]] = []
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
        line: dict[str, object] = {"rule": name}
        for who, call in (("ours", ours), ("ByzFL", theirs)):
            for bad in BAD:
                rows = np.vstack([honest, np.full((1, 50), bad, np.float32)])
                line[f"{who} {bad:g}"] = "" if call is None else error(lambda c=call, r=rows: c(r), honest)  # type: ignore[misc]
        lines.append(line)
    return lines


def bars(lines: Sequence[Mapping[str, object]]) -> str:
    """What was reached of what was set, a sentence each."""
    said = []
    for line in lines:
        if (name := str(line["rule"])) in BARS:
            values = {kind: float(str(line[f"{kind}: times"])) for kind in ("array", "tensor")}
            words = [f"{kind}s {value} ({'reached' if value >= BARS[name] else 'missed'})" for kind, value in values.items()]
            said.append(f"- {name}, {BARS[name]:.0f} times: {', '.join(words)}.")
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
    text = [
        "# Robust means beside ByzFL\n",
        (
            f"`python benchmarks/hardening_aggregation.py`; ByzFL 0.0.11, NumPy {np.__version__}, torch {version('torch')}, "
            f"Python {platform.python_version()}, one thread, float32, d = {D:,}; least CPU time of at most {repeats} alternating calls.\n"
        ),
    ]
    last: list[dict[str, object]] = []
    for n in SIZES:
        f = n // 10
        rows = vectors_of(n, f)
        last = [raced(rival, rows, f, repeats) for rival in rivals(peer)]
        text += [f"## n = {n}, f = {f}\n", markdown(last) + "\n"]
    text += ["## Bars (n = 100)\n", bars(last) + "\n", ABOUT]
    text += [
        "## One bad vector of 21\n",
        "Distance of the answer from the mean of the 20 honest ones (noise 0.1, d = 50, f = 1): ours, then ByzFL's.\n",
        markdown(one_bad(peer)) + "\n",
    ]
    return "\n".join(text)


ABOUT = """Tensors are what those who train hold: there ByzFL sorts with `torch.sort` and takes medians with `torch.quantile`. Its trimmed
mean of an array is one `np.sort`, which NumPy 2 does with the vector instructions of the processor (AVX-512 here), its median `np.median`.
Ours turns blocks of columns and sorts them with the same instructions. Of its 27 ms at n = 100, looking for what is not finite takes 2,
turning 9, sorting 14. Tried and not faster: `np.partition` instead of sorting (as long for one rank, 200 ms for two), a sorting network
over whole rows (over 100 ms; below 33 rows it wins and is used), turning pairs and fours of numbers at once, other sizes of blocks. A
tenth of ByzFL's time for the trimmed mean of an array would be 3.5 ms; reading the numbers once takes 2.

Tried later, each part alone, least of 9: sorting the numbers' bits as whole numbers takes 9 ms instead of 14, but making bits that sort as
numbers do takes 3 and turning the middle back 1 to 4: 22 to 26 ms in all, no gain. Turning from a compact copy takes 3 instead of 8, and
the copy 4 to 5. Columns cut in halves or fourths (50 or 25 numbers, merged afterwards) sort no faster: 16 and 22 ms, as each call costs
20 ns. Tensors that share the memory turn in 10 to 16 ms (`copy_` of a view) or 32 (`contiguous`). Comparators need 1,700 calls that each
read and write a row: 15 ms at .09 ns a number, the best that one `np.minimum` does in a near cache. Counting what lies below a guess,
five times over, with the exact neighbours of the last guess: not built; 14 ms reckoned, more where numbers tie or an attacker
makes guesses bad.
What is left at 100 rows is 8 ms of turning and 9 of sorting: over a tenth of `np.median`'s 148, and of `np.sort`'s 31 in any case.

ByzFL's geometric median is three Weiszfeld steps from zero, ours goes on until it stands still. Its centered clipping is one step, from
zero; ours makes the matrix of all inner products first, whatever the number of steps.
"""


if __name__ == "__main__":
    main()
