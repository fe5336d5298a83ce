"""What a foreign encoder adds to the judgement of content: labels it gets right, honest labels it contradicts, at what cost.

    python benchmarks/encoder.py --data CIFAR-10=train.parquet [--encoder efficientnet-lite0] [--size 10000]

Clean images of Fashion-MNIST (Debian) or of the set named, judged with and without. Writes benchmarks/results/encoder.md.
"""

import os

os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
os.environ.setdefault("OMP_NUM_THREADS", "1")
os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")

import argparse
import time
from pathlib import Path

import numpy as np

from untaint.bench.sources import collected
from untaint.bench.victim import stacked
from untaint.data.dataset import from_arrays
from untaint.features.cache import Cache
from untaint.features.graph import Features
from untaint.features.settings import Settings

RESULTS = Path(__file__).parent / "results"


def main() -> None:
    """Judge and write the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", default="Fashion-MNIST", metavar="NAME=PATH")
    parser.add_argument("--encoder", default="efficientnet-lite0")
    parser.add_argument("--size", type=int, default=10_000)
    parser.add_argument("--seed", type=int, default=0)
    given = parser.parse_args()
    ((name, (train, _)),) = collected((given.data,)).items()
    rows = np.random.default_rng(given.seed).permutation(len(train))[: given.size]
    dataset = from_arrays(stacked(train, rows), [str(train.labels[row]) for row in rows])
    lines = ["| data | images | judge | right | honest labels contradicted | CPU ms an image |", "|---|---|---|---|---|---|"]
    for encoder in (None, given.encoder):
        features, started = Features(dataset, Settings(seed=given.seed, encoder=encoder), Cache(None)), time.process_time()
        content, labels = features.get("content"), features.get("labels")
        cost = (time.process_time() - started) / len(rows) * 1000
        right = (content.probabilities.argmax(1) == labels).mean()
        judge = encoder or "coarse views"
        lines.append(f"| {name} | {len(rows):,} | {judge} | {right:.0%} | {content.contradicted.mean():.0%} | {cost:.1f} |")
        print(lines[-1], flush=True)
    RESULTS.mkdir(exist_ok=True)
    (RESULTS / "encoder.md").write_text("\n".join(lines) + "\n")


if __name__ == "__main__":
    main()
