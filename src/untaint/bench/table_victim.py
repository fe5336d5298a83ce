"""The victims of an attack on a table: a logistic regression and boosted trees, trained on what they are given."""

import json
from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

import numpy as np
import pandas as pd
from sklearn.compose import make_column_transformer
from sklearn.ensemble import HistGradientBoostingClassifier
from sklearn.impute import SimpleImputer
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import Pipeline, make_pipeline
from sklearn.preprocessing import OneHotEncoder, OrdinalEncoder, StandardScaler

from untaint.attacks.base import TextStamp, usable
from untaint.data.dataset import Dataset

_STEPS = 300  # of the solver: enough for every corpus here
_ROUNDS = 60  # of boosting: accuracy no longer grows
_FEWEST = 5  # rows that hold a word for it to be a column of its own


class TableOutcome(NamedTuple):
    """Accuracy on clean test rows, and the attack success rate; NaN = there is no trigger to try."""

    accuracy: float
    asr: float


def measure_tables(train: Dataset, test: Dataset, stamp: TextStamp | None, target: str | None) -> dict[str, TableOutcome]:
    """Train each victim on one set and try it on another; unlabelled and unreadable rows are left out of both.

    The ASR counts test rows that are not of the target class already.
    """
    frame, labels = _frame(train)
    tested, truth = _frame(test)
    rows = [str(row) for row in test.read(usable(test))]
    stamped = None
    if stamp is not None and target is not None:
        stamped = _parsed(stamp([row for row, label in zip(rows, truth, strict=True) if label != target]))
    outcomes = {}
    for name, make in VICTIMS.items():
        columns = _columns(frame)
        model = make(columns).fit(_typed(frame, columns), labels)
        accuracy = float(np.mean(model.predict(_typed(tested, columns)) == truth))
        asr = float("nan") if stamped is None else float(np.mean(model.predict(_typed(stamped, columns)) == target))
        outcomes[name] = TableOutcome(accuracy, asr)
    return outcomes


Columns = Mapping[str, list[str]]
"""Names of the columns that are numbers and of those that are words."""


def _logistic(columns: Columns) -> Pipeline:
    numbers = make_pipeline(SimpleImputer(keep_empty_features=True), StandardScaler())
    words = OneHotEncoder(min_frequency=_FEWEST, handle_unknown="infrequent_if_exist")
    return make_pipeline(
        make_column_transformer((numbers, columns["numbers"]), (words, columns["words"])), LogisticRegression(max_iter=_STEPS)
    )


def _boosted(columns: Columns) -> Pipeline:
    words = OrdinalEncoder(handle_unknown="use_encoded_value", unknown_value=-1)
    ready = make_column_transformer(("passthrough", columns["numbers"]), (words, columns["words"]))
    return make_pipeline(ready, HistGradientBoostingClassifier(max_iter=_ROUNDS, early_stopping=False, random_state=0))


VICTIMS: Mapping[str, Callable[[Columns], Pipeline]] = {"logistic": _logistic, "boosted": _boosted}


def _frame(dataset: Dataset) -> tuple[pd.DataFrame, np.ndarray]:
    rows = usable(dataset)
    return _parsed([str(row) for row in dataset.read(rows)]), np.array([str(dataset.labels[row]) for row in rows])


def _parsed(rows: list[str]) -> pd.DataFrame:
    found: list[dict[str, Any]] = [json.loads(row) for row in rows]
    return pd.DataFrame(found)


def _columns(frame: pd.DataFrame) -> Columns:
    numbers = [str(name) for name in frame.columns if pd.api.types.is_numeric_dtype(frame[name])]
    return {"numbers": numbers, "words": [str(name) for name in frame.columns if name not in numbers]}


def _typed(frame: pd.DataFrame, columns: Columns) -> pd.DataFrame:
    """Columns as the training rows have them; what is no finite number there is missing, and so is a missing word a word."""
    numbers = frame.reindex(columns=columns["numbers"]).apply(pd.to_numeric, errors="coerce")
    words = frame.reindex(columns=columns["words"]).map(lambda value: "missing" if pd.isna(value) else str(value)).astype(object)
    return pd.concat([numbers.replace([np.inf, -np.inf], np.nan), words], axis=1)
