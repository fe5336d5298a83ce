"""The main job on all of Fashion-MNIST: find BadNets poison with no hints, clean, retrain; and stay silent on clean data.

    python benchmarks/vision_main.py                      every part, about 40 minutes on two cores
    python benchmarks/vision_main.py --part poisoned      TPR, FPR, target, ASR and accuracy before and after, at 0.3, 1 and 5 %;
                                     --target Bag         asr_floor is that of a network never poisoned: images that look like the
                                                          target anyway (shirts, for T-shirt/top)
    python benchmarks/vision_main.py --part clean         the clean set and 20 subsamples of 10,000
    python benchmarks/vision_main.py --part cost          audit time over proxy training time, peak memory, fresh processes

Results go to benchmarks/results/vision_main.md and .json.
"""

import os

os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")

import argparse
import json
import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np

from untaint import api
from untaint.bench.sources import fashion_mnist
from untaint.bench.tables import markdown
from untaint.bench.victim import detection_rates, measure
from untaint.data.dataset import Dataset
from untaint.evidence.finding import AuditResult
from untaint.nets.fit import FitPlan

RATES = (0.003, 0.01, 0.05)
ATTACK = "badnets"
VICTIM = FitPlan(steps=4700, patience=100)
"""Ten epochs of 60,000: long enough to implant 180 poisoned images."""
RESULTS = Path(__file__).parent / "results"


def flagged(result: AuditResult) -> np.ndarray:
    """Which rows an audit flagged."""
    mask: np.ndarray = result.samples.column("flagged").to_numpy()
    return mask


def poisoned(seed: int, attack: str, target: str) -> list[dict[str, Any]]:
    """One row per rate: what the audit found, and what a victim learns before and after."""
    train, test = fashion_mnist()
    stamp = api.attack(train, attack, seed=seed, rate=RATES[0], target=target).stamp
    base = measure(train, test, stamp, target, VICTIM)
    rows = []
    for rate in RATES:
        made = api.attack(train, attack, seed=seed, rate=rate, target=target)
        started = time.perf_counter()
        result = api.audit(made.dataset, seed=seed)
        seconds = time.perf_counter() - started
        rates = detection_rates(made.mask, flagged(result), made.covers)
        before = measure(made.dataset, test, made.stamp, made.target, VICTIM)
        kept = made.dataset.select(np.flatnonzero(~flagged(result)))
        after = measure(kept, test, made.stamp, made.target, VICTIM)
        alarms = [finding for finding in result.verdict.findings if finding.alarm]
        rows.append(
            {
                "attack": attack,
                "rate": rate,
                "verdict": result.verdict.answer,
                "target": made.target,
                "found_target": alarms[0].target_label if alarms else None,
                "tpr": rates.tpr,
                "fpr": rates.fpr,
                "asr_before": before.asr,
                "asr_after": after.asr,
                "asr_floor": base.asr,
                "accuracy_clean_training": base.clean_accuracy,
                "accuracy_before": before.clean_accuracy,
                "accuracy_after": after.clean_accuracy,
                "audit_seconds": round(seconds, 1),
            }
        )
        print(rows[-1], flush=True)
    return rows


def clean(repeats: int = 20, size: int = 10_000) -> list[dict[str, Any]]:
    """The whole clean set and disjoint-as-possible subsamples of it."""
    train, _ = fashion_mnist()
    sets: list[tuple[str, Dataset, int]] = [("all 60,000", train, 0)]
    for seed in range(repeats):
        rows = np.random.default_rng(1000 + seed).permutation(len(train))[:size]
        sets.append((f"10,000, subsample {seed}", train.select(np.sort(rows)), seed))
    found = []
    for name, data, seed in sets:
        result = api.audit(data, seed=seed)
        share = result.n_flagged / result.n_samples
        found.append({"set": name, "verdict": result.verdict.answer, "flagged": share, "p_value": result.verdict.p_value})
        print(found[-1], flush=True)
    return found


def cost() -> dict[str, Any]:
    """Audit and proxy training in fresh processes, one after the other, each twice; the least time of each counts."""
    times = {name: min(_timed(name)[0] for _ in range(2)) for name in ("train", "audit")}
    memory = _timed("audit")[1]
    found = {**times, "ratio": times["audit"] / times["train"], "peak_rss_gb": memory}
    print(found, flush=True)
    return found


def _timed(job: str) -> tuple[float, float]:
    """Seconds of the job itself and peak RSS in GB of its process."""
    with tempfile.TemporaryDirectory() as folder:
        command = [sys.executable, __file__, "--job", job, "--folder", folder]
        seconds, rss = map(float, subprocess.run(command, check=True, capture_output=True, text=True).stdout.split()[-2:])
    return seconds, rss


def job(name: str, folder: Path) -> None:
    """One timed job on the BadNets 1 % set: the whole command's work from file to report, or only the proxy's training."""
    from untaint.bench.victim import stacked
    from untaint.nets.training import observe

    train, _ = fashion_mnist()
    made = api.attack(train, ATTACK, seed=0, rate=0.01)
    started = time.perf_counter()
    if name == "audit":
        api.audit(made.dataset, out=folder / "audit")
    else:
        labels = np.array([made.dataset.class_names.index(str(label)) for label in made.dataset.labels])
        rows = np.arange(len(labels))
        started = time.perf_counter()
        observe(stacked(made.dataset, rows), labels, rows, 0, lambda _what, _done, _total: None)
    print(time.perf_counter() - started, resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1e6)


def main() -> None:
    """Run the parts asked for and write the tables."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--part", choices=("poisoned", "clean", "cost", "all"), default="all")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--attack", default=ATTACK)
    parser.add_argument("--target", default="Bag")
    parser.add_argument("--job", help=argparse.SUPPRESS)
    parser.add_argument("--folder", type=Path, help=argparse.SUPPRESS)
    parser.add_argument("--out", type=Path, default=RESULTS / "vision_main")
    given = parser.parse_args()
    if given.job:
        job(given.job, given.folder)
        return
    record = given.out.with_suffix(".json")
    results: dict[str, Any] = json.loads(record.read_text()) if record.exists() else {}
    if given.part in ("poisoned", "all"):
        name = f"{given.attack} towards {given.target}, seed {given.seed}"
        results[name] = poisoned(given.seed, given.attack, given.target)
    if given.part in ("clean", "all"):
        results["clean"] = clean()
    if given.part in ("cost", "all"):
        results["cost"] = [cost()]
    record.parent.mkdir(exist_ok=True)
    record.write_text(json.dumps(results, indent=1))
    given.out.with_suffix(".md").write_text(
        "\n\n".join(f"## {name}\n\n{markdown(rows)}" for name, rows in results.items()) + "\n"
    )


if __name__ == "__main__":
    main()
