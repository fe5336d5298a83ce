"""What an encoder of sentences adds to audits of texts: labels judged right, poison found, at what cost.

    make data                                                fetch the corpora first
    python benchmarks/text_encoder.py                        3,000 film snippets, 20 sources, seeds 0 to 2
    python benchmarks/text_encoder.py --corpus tweets --attacks style --encoder mine.onnx

Word vectors and the encoder judge the same texts, clean and poisoned. Writes OUTPUT/text_encoder.md and .json.
"""

import os

os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
os.environ["OMP_NUM_THREADS"] = "1"
os.environ["OPENBLAS_NUM_THREADS"] = "1"

import argparse
import json
from collections import defaultdict
from pathlib import Path
from typing import Any

import numpy as np

from untaint.attacks.base import Poisoned
from untaint.audit.settings import AuditSettings
from untaint.bench.corpora import CORPORA, DATA, with_sources
from untaint.bench.detection import audited
from untaint.bench.tables import markdown, mean, percent
from untaint.bench.text_suite import chosen, poisoned
from untaint.bench.text_truth import senders
from untaint.bench.victim import detection_rates
from untaint.data.dataset import Dataset
from untaint.errors import UntaintError
from untaint.features.settings import BUDGETS

RESULTS = Path(__file__).parent / "results"
CLEAN = "clean"


def compared(given: argparse.Namespace, seed: int) -> list[dict[str, Any]]:
    """A row per set and judge."""
    whole, rng = CORPORA[given.corpus](given.data), np.random.default_rng(seed)
    clean = with_sources(whole.select(np.sort(rng.permutation(len(whole))[: given.size])), given.sources, rng)
    rows = []
    for name in (CLEAN, *given.attacks):
        attack, made = (None, None) if name == CLEAN else poisoned(name, clean, seed)
        for encoder in (None, given.encoder):
            row = measured(
                clean if made is None else made.dataset,
                made,
                AuditSettings(budget=given.budget, seed=seed, encoder=encoder),
                attack,
            )
            rows.append({"set": name, "seed": seed, "judge": encoder or "word vectors", **row})
            print(rows[-1], flush=True)
    return rows


def measured(dataset: Dataset, made: Poisoned | None, settings: AuditSettings, attack: Any) -> dict[str, Any]:
    """How well content is judged, and what the audit finds. Content counts where the label is not the attacker's."""
    done = audited(dataset, settings)
    content, labels = (done.first.features.get(name) for name in ("content", "labels"))
    mask = np.zeros(len(dataset), bool) if made is None else made.mask
    honest = (labels >= 0) & ~mask
    rates = detection_rates(mask, done.flagged)
    blamed = [] if made is None else senders(attack, made, done.verdict).accused
    return {
        "right": float((content.probabilities.argmax(1) == labels)[honest].mean()),
        "contradicted": float(content.contradicted[honest].mean()),
        "tpr": None if made is None else rates.tpr,
        "fpr": rates.fpr,
        "verdict": done.verdict.answer,
        "honest_accused": len(blamed),
        "cpu_s": round(done.cpu_s, 1),
        "cpu_ms_a_text": round(done.cpu_s / len(dataset) * 1000, 2),
    }


def report(rows: list[dict[str, Any]], given: argparse.Namespace) -> str:
    """A line per set and judge, means over seeds."""
    groups: dict[tuple[str, str], list[dict[str, Any]]] = defaultdict(list)
    for row in rows:
        groups[row["set"], row["judge"]].append(row)
    table = [
        {
            "set": name,
            "judge of meaning": judge,
            "labels judged right": percent(mean(row["right"] for row in part)),
            "contradicted": percent(mean(row["contradicted"] for row in part)),
            "called poisoned": f"{sum(row['verdict'] == 'poisoned' for row in part)} of {len(part)}",
            "TPR mean": percent(mean(row["tpr"] for row in part)),
            "worst": percent(min((row["tpr"] for row in part if row["tpr"] is not None), default=None)),
            "FPR mean": percent(mean(row["fpr"] for row in part)),
            "honest sources accused": sum(row["honest_accused"] for row in part),
            "CPU ms a text": f"{mean(row['cpu_ms_a_text'] for row in part):.1f}",
            "times word vectors": f"{_ratio(part, groups[name, 'word vectors']):.1f}",
        }
        for (name, judge), part in groups.items()
    ]
    facts = f"{given.corpus}, {given.size:,} texts, {given.sources} sources, seeds {', '.join(map(str, given.seeds))}"
    return f"# Texts: word vectors or an encoder of sentences\n\n{facts}, budget {given.budget}.\n\n{markdown(table)}\n"


def _ratio(part: list[dict[str, Any]], base: list[dict[str, Any]]) -> float:
    """CPU time against that of word vectors on the same sets."""
    return float(sum(row["cpu_s"] for row in part) / sum(row["cpu_s"] for row in base))


def main() -> None:
    """Compare and write."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, default=DATA, help="folder of the packages (%(default)s)")
    parser.add_argument("--corpus", choices=CORPORA, default="movie snippets")
    parser.add_argument("--encoder", default="all-minilm-l6-v2")
    parser.add_argument("--size", type=int, default=3000)
    parser.add_argument("--sources", type=int, default=20)
    parser.add_argument(
        "--attacks", nargs="+", default=["template", "style"], metavar="PART", help="whose name holds any of these"
    )
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1, 2])
    parser.add_argument("--budget", choices=BUDGETS, default="fast")
    parser.add_argument("--output", type=Path, default=RESULTS, help="folder (%(default)s)")
    given = parser.parse_args()
    try:
        given.attacks = [name for name in chosen(tuple(given.attacks)) if not name.startswith("flood")]
        rows = [row for seed in given.seeds for row in compared(given, seed)]
    except UntaintError as error:
        raise SystemExit(f"error: {error}") from None
    given.output.mkdir(parents=True, exist_ok=True)
    (given.output / "text_encoder.json").write_text(json.dumps(rows, indent=1) + "\n")
    (given.output / "text_encoder.md").write_text(report(rows, given))
    print(f"\n{report(rows, given)}")


if __name__ == "__main__":
    main()
