"""What an audit of texts finds: every attack of untaint.bench.text_suite, on several corpora, sizes, sources and seeds.

    make data                                                          fetch the corpora first
    python benchmarks/text.py                                          12,000 texts of each corpus, with and without sources
    python benchmarks/text.py --corpora tweets mixed --attacks rare flood --seeds 0 1 2 3 4 --sources 0 20
    python benchmarks/text.py --victim                                 ASR and accuracy poisoned, cleaned, never poisoned
    python benchmarks/text.py --clean 300                              how often clean texts are called poisoned

Each cell is a corpus x size x attack x sources x seed; the seed draws texts, sources, target, trigger and victims. Sources are
contributors as busy as Zipf's law says; 0 = no column of sources; `mixed` is four collections that are sources themselves.
Results are written after every cell: OUTPUT/text.jsonl holds one line per cell, text.md the tables, text.json the cells behind
them; for --clean text_clean.*. A run that was stopped goes on where it was, if neither code nor options have changed.
"""

import os

os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
os.environ["OMP_NUM_THREADS"] = "1"  # one cell per core: CPU seconds must not hold threads that wait for each other
os.environ["OPENBLAS_NUM_THREADS"] = "1"

from collections.abc import Mapping
from functools import cache, partial
from itertools import product
from pathlib import Path

from untaint.attacks.base import Poisoned
from untaint.bench.clean_texts import drawn
from untaint.bench.corpora import CORPORA, mixed
from untaint.bench.sweep import Record, Subject
from untaint.bench.sweep_command import main
from untaint.bench.tables import mean, percent
from untaint.bench.text_suite import chosen, poisoned
from untaint.bench.text_truth import phrases
from untaint.bench.text_victim import measure_texts
from untaint.data.dataset import Dataset

MIXED = "mixed"
COLLECTIONS = -1
"""What `sources` says of texts that are four collections."""


@cache
def corpus(name: str, folder: Path) -> Dataset:
    """All of one corpus, once per process."""
    return mixed(folder) if name == MIXED else CORPORA[name](folder)


def trained(sets: Mapping[str, Dataset], test: Dataset, made: Poisoned) -> Record:
    """Accuracy and ASR of a classifier on each set."""
    return {name: measure_texts(part, test, made.stamp, made.target)._asdict() for name, part in sets.items()}


def cured(cells: list[Record]) -> Record:
    """ASR and accuracy of the victims."""
    titles = {"asr": "ASR", "accuracy": "accuracy"}
    pairs = product(titles, ("poisoned", "cleaned", "never"))
    return {f"{titles[key]} {part}": percent(mean(cell["victim"][part][key] for cell in cells)) for key, part in pairs}


TEXTS = Subject(
    file="text",
    title="Texts",
    noun="texts",
    corpora=(*CORPORA, MIXED),
    load=corpus,
    least_tested=400,
    size=12_000,
    chosen=chosen,
    poisoned=poisoned,
    trigger="phrases",
    named=phrases,
    trained=trained,
    cured=cured,
    drawn=drawn,
    kinds=("corpus", "sources", "nuisance", "imbalance"),
    fixed={MIXED: COLLECTIONS},
    said={0: "none", COLLECTIONS: "4 collections"},
)

if __name__ == "__main__":
    main(TEXTS, __doc__, Path(__file__).parent / "results", partial(print, flush=True))
