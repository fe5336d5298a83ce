"""Collections of real tables everybody can get: some come with scikit-learn, the others in packages that `make data` fetches."""

import json
import sys
from collections.abc import Callable, Mapping
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pandas as pd
from sklearn.datasets import load_breast_cancer, load_digits, load_wine

from untaint.bench.corpora import DATA, with_sources
from untaint.bench.r_data import from_database, from_file
from untaint.data.dataset import Dataset, from_arrays
from untaint.errors import BadInput, UntaintError

_LIBRARY = Path("usr") / "lib" / "R" / "site-library"


class InR(NamedTuple):
    """A data frame in an R package: its Debian package, its name there, and the column of labels."""

    package: str
    name: str
    label: str


def in_r(which: InR, folder: Path = DATA) -> Dataset:
    """A table of an R package. Raises BadInput when it has not been fetched, MissingExtra without rdata."""
    short = which.package.removeprefix("r-cran-")
    root = folder / which.package / _LIBRARY / short / "data"
    file, database = root / f"{which.name}.rda", root / "Rdata"
    if not file.exists() and not database.with_suffix(".rdx").exists():
        raise BadInput(f"no tables: {root} is missing.", advice="Fetch them with `make data`, or name the folder they lie in.")
    frame = from_file(file, which.name) if file.exists() else from_database(database, which.name)
    return table(frame.rename(columns=str), which.label)


def bundled(loader: Callable[..., Any], _folder: Path = DATA) -> Dataset:
    """A table that comes with scikit-learn."""
    bunch = loader(as_frame=True)
    names = bunch.target_names
    return table(bunch.data.assign(label=[str(names[code]) for code in bunch.target]), "label")


def as_csv(dataset: Dataset, path: Path) -> None:
    """Write a table as people have it: a column for each value, then the label, and the source where there is one."""
    rows = [json.loads(str(row)) for row in dataset.read(range(len(dataset)))]
    frame = pd.DataFrame(rows, dtype=object).assign(label=pd.Series(dataset.labels, dtype=object))
    if dataset.index.column("source").null_count < len(dataset):
        frame = frame.assign(source=pd.Series(dataset.column("source"), dtype=object))
    frame.to_csv(path, index=False)


def table(frame: pd.DataFrame, label: str) -> Dataset:
    """A data frame as a set, in a fixed random order (some come sorted by label); rows without a label are left out."""
    known = frame[frame[label].notna()].sample(frac=1.0, random_state=0)
    columns = {str(name): _values(known[name]) for name in known.columns if name != label}
    rows = [json.dumps(dict(zip(columns, row, strict=True)), ensure_ascii=False) for row in zip(*columns.values(), strict=True)]
    return replace(from_arrays(rows, known[label].astype(str).tolist()), modality="table")


CORPORA: Mapping[str, Callable[[Path], Dataset]] = {
    "breast cancer": partial(bundled, load_breast_cancer),
    "wine": partial(bundled, load_wine),
    "digits": partial(bundled, load_digits),
    "spam": partial(in_r, InR("r-cran-kernlab", "spam", "type")),
    "income": partial(in_r, InR("r-cran-kernlab", "income", "INCOME")),
    "credit": partial(in_r, InR("r-cran-modeldata", "credit_data", "Status")),
    "lending": partial(in_r, InR("r-cran-modeldata", "lending_club", "Class")),
    "churn": partial(in_r, InR("r-cran-modeldata", "mlc_churn", "churn")),
    "phone churn": partial(in_r, InR("r-cran-modeldata", "wa_churn", "churn")),
    "attrition": partial(in_r, InR("r-cran-modeldata", "attrition", "Attrition")),
    "letters": partial(in_r, InR("r-cran-mlbench", "LetterRecognition", "lettr")),
    "shuttle": partial(in_r, InR("r-cran-mlbench", "Shuttle", "Class")),
    "satellite": partial(in_r, InR("r-cran-mlbench", "Satellite", "classes")),
}
"""569 to 58,000 rows of 9 to 64 columns, 2 to 26 classes, numbers and words, with and without missing values; no sources."""


def _values(column: pd.Series) -> list[object]:
    """Numbers as they are, whole ones whole, all else as words; None = missing."""
    missing = column.isna().to_numpy()
    if pd.api.types.is_bool_dtype(column) or not pd.api.types.is_numeric_dtype(column):
        return [None if gone else str(value) for gone, value in zip(missing, column, strict=True)]
    numbers = column.to_numpy(np.float64, na_value=np.nan)
    whole = bool((numbers[~missing] == np.round(numbers[~missing])).all())
    return [None if gone else int(value) if whole else float(value) for gone, value in zip(missing, numbers, strict=True)]


def _main(name: str, path: str, sources: str = "0") -> None:
    """`python -m untaint.bench.table_corpora credit credit.csv 20`: a table as a file to try things on, sent by 20 invented sources."""
    try:
        found = CORPORA[name](DATA)
        count = int(sources)
        as_csv(with_sources(found, count, np.random.default_rng(0)) if count else found, Path(path))
    except KeyError:
        raise SystemExit(f"no table is called {name!r}; there are {', '.join(CORPORA)}.") from None
    except UntaintError as error:
        raise SystemExit(f"error: {error}") from None


if __name__ == "__main__":
    _main(*sys.argv[1:])
