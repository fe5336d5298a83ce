"""What an audit of tables finds: every attack of untaint.bench.table_suite, on several tables, sizes, sources and seeds.

    make data                                                          fetch the tables first (three ship with scikit-learn)
    python benchmarks/tabular.py                                       up to 5,000 rows of each table, with and without sources
    python benchmarks/tabular.py --corpora spam credit --attacks common leverage --seeds 0 1 2 3 4 --sources 0 20
    python benchmarks/tabular.py --victim                              ASR and accuracy poisoned, cleaned, never poisoned
    python benchmarks/tabular.py --clean 300                           how often clean tables are called poisoned

Each cell is a table x size x attack x sources x seed; the seed draws rows, sources, target, trigger and victims. Sources are
contributors as busy as Zipf's law says; 0 = no column of sources.
Results are written after every cell: OUTPUT/tabular.jsonl holds one line per cell, tabular.md the tables, tabular.json the cells
behind them; for --clean tabular_clean.*. A run that was stopped goes on where it was, if neither code nor options have changed.
"""

import os

os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
os.environ["OMP_NUM_THREADS"] = "1"  # one cell per core: CPU seconds must not hold threads that wait for each other
os.environ["OPENBLAS_NUM_THREADS"] = "1"

from collections.abc import Mapping
from functools import cache, partial
from itertools import product
from pathlib import Path

import numpy as np

from untaint.attacks.base import Poisoned
from untaint.bench.clean_tables import drawn
from untaint.bench.sweep import Record, Subject
from untaint.bench.sweep_command import main
from untaint.bench.table_corpora import CORPORA
from untaint.bench.table_suite import chosen, poisoned
from untaint.bench.table_truth import conjunctions, tpr_at
from untaint.bench.table_victim import VICTIMS, measure_tables
from untaint.bench.tables import mean, percent
from untaint.data.dataset import Dataset
from untaint.evidence.evidence import Evidence


@cache
def corpus(name: str, folder: Path) -> Dataset:
    """All of one corpus, once per process."""
    return CORPORA[name](folder)


def ranked(mask: np.ndarray, consensus: Evidence) -> Record:
    """What a list of doubtful labels finds at 1 % of honest rows."""
    return {"tpr_1": tpr_at(mask, consensus.scores, 0.01)}


def trained(sets: Mapping[str, Dataset], test: Dataset, made: Poisoned) -> Record:
    """Accuracy and ASR of two classifiers on each set."""
    tried = {name: measure_tables(part, test, made.stamp, made.target) for name, part in sets.items()}
    return {victim: {name: found[victim]._asdict() for name, found in tried.items()} for victim in VICTIMS}


def cured(cells: list[Record]) -> Record:
    """ASR and accuracy of the victims."""
    titles = {"asr": "ASR", "accuracy": "accuracy"}
    columns = product(VICTIMS, titles, ("poisoned", "cleaned", "never"))
    return {
        f"{victim}: {titles[key]} {part}": percent(mean(cell["victim"][victim][part][key] for cell in cells))
        for victim, key, part in columns
    }


TABLES = Subject(
    file="tabular",
    title="Tables",
    noun="rows",
    corpora=tuple(CORPORA),
    load=corpus,
    least_tested=100,
    size=5000,
    chosen=chosen,
    poisoned=poisoned,
    trigger="trigger",
    named=conjunctions,
    trained=trained,
    cured=cured,
    drawn=drawn,
    kinds=("corpus", "sources", "nuisance", "rarest"),
    fixed={},
    said={0: "none"},
    ranked=ranked,
    listed={"at 1 %": "tpr_1"},
)

if __name__ == "__main__":
    main(TABLES, __doc__, Path(__file__).parent / "results", partial(print, flush=True))
