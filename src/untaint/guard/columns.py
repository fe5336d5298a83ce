"""A guard in front of a model of tables: cells unlike the audited data are refused, clipped or taken for missing."""

import json
import logging
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any, ClassVar, Literal, NamedTuple, Self, final, get_args

import numpy as np
import pandas as pd
import pyarrow as pa
from scipy.stats import binom
from sklearn.base import BaseEstimator, OneToOneFeatureMixin, TransformerMixin
from sklearn.utils.validation import check_is_fitted, validate_data

from untaint.data import schema as schemas
from untaint.data.dataset import Dataset, from_arrays
from untaint.data.schema import Pinned, Schema
from untaint.errors import BadInput, CannotWrite, UnfitInput
from untaint.guard.cells import Cells, Unfit

OnUnfit = Literal["refuse", "clip", "missing"]
_NAMED = 3  # cells named in a refusal
_ALPHA = 0.001
"""Chance that the missing cells of a batch are called more, over all columns, although they are as rare as before."""
_MORE = 0.05
"""Share of the rows that must be missing beyond what was learned: in large batches any difference is significant."""
_LOG = logging.getLogger("untaint.guard")


class More(NamedTuple):
    """A column that is missing more often than it was: shares learned and seen, and how likely chance does that."""

    learned: float
    seen: float
    p_value: float


@final
class ColumnGuard(OneToOneFeatureMixin, TransformerMixin, BaseEstimator):  # type: ignore[misc]  # scikit-learn has no types
    """A transformer of scikit-learn that learns what columns hold, and stands before a model at serving time.

    It learns the kind of each column (number, truth, date, words), the range of numbers, the words, whether and how often cells are
    missing. What does not fit (out of range, NaN, Inf, of another kind, a word never seen, missing where none was) is

    - on_unfit="refuse": refused with UnfitInput (a ValueError) that names rows and columns;
    - "clip": given the nearest number that fits; what has none (words, texts in place of numbers) is made missing;
    - "missing": made missing.

    slack: numbers may be outside what was seen by so many times the width of its range, yet not negative where none was.
    The last two ways are told to the logger `untaint.guard`; `judge` says every cell. Learn on audited data (`from_audit`, or
    the clean part): a guard learned on poisoned rows lets their like pass. It answers for single cells and not for what they mean
    together: values of a trigger that are each ordinary pass.

    Works on data frames (the columns must be those learned) and on arrays of two dimensions. Saved as JSON, no pickle.

    Example:
        guard = ColumnGuard(on_unfit="clip").fit(frame)
        model = make_pipeline(guard, SimpleImputer(strategy="median"), RobustScaler(), LogisticRegression()).fit(frame, labels)
        guard.judge(requests)      # [Unfit(row=4, column='Price', value='-1', why='is outside 0 to 22280')]

    """

    id: ClassVar[str] = "untaint.guard/v1"

    def __init__(self, on_unfit: OnUnfit = "refuse", slack: float = 1.0) -> None:
        self.on_unfit = on_unfit
        self.slack = slack

    def fit(self, X: Any, y: object = None) -> Self:  # noqa: ARG002, N803 - the names of scikit-learn
        """Learn from a data frame, or an array (n, d) of numbers or objects. Raises BadInput for unusable parameters."""
        _check(self.on_unfit, self.slack)
        frame = self._frame(X, reset=True)
        rows = [json.dumps(row, ensure_ascii=False, default=str) for row in _records(frame)]
        table = replace(from_arrays(rows, [None] * len(rows)), modality="table")
        self.pinned_ = _pinned(schemas.infer(table, _quiet), self.slack, [str(name) for name in frame.columns])
        return self

    def transform(self, X: Any) -> Any:  # noqa: N803
        """Rows a model may be given, of the same shape and kind. Raises UnfitInput where cells do not fit and are refused."""
        check_is_fitted(self)
        _check(self.on_unfit, self.slack)
        frame = self._frame(X, reset=False)
        cells = self._cells(frame)
        bad = sum(int((~each.fits).sum()) for each in cells)
        if bad:
            said = self._said(cells, bad)
            if self.on_unfit == "refuse":
                advice = "Look at them with `judge`, or make the guard clip them or take them for missing (on_unfit)."
                raise UnfitInput(said, advice=advice)
            _LOG.warning("%s %s: %s", bad, "clipped or made missing" if self.on_unfit == "clip" else "made missing", said)
        columns = {place: each.put(clip=self.on_unfit == "clip") for place, each in enumerate(cells)}
        out = pd.DataFrame(columns, copy=False).set_axis(frame.columns, axis=1).set_axis(frame.index, axis=0)
        return out if isinstance(X, pd.DataFrame) else np.array(out)

    def judge(self, X: Any) -> list[Unfit]:  # noqa: N803
        """Every cell that does not fit, by row and column; nothing is refused or changed."""
        check_is_fitted(self)
        return sorted(unfit for each in self._cells(self._frame(X, reset=False)) for unfit in each.found())

    def missing_more(self, X: Any) -> dict[str, More]:  # noqa: N803
        """Columns of a batch that are missing by at least .05 of the rows more than they were, beyond chance (binomial)."""
        check_is_fitted(self)
        found, n = {}, len(X)
        for pinned, cells in zip(self.pinned_, self._cells(self._frame(X, reset=False)), strict=True):
            count = int(cells.missing.sum())
            chance = float(binom.sf(count - 1, n, pinned.missing))
            if count / n - pinned.missing >= _MORE and chance * len(self.pinned_) <= _ALPHA:
                found[pinned.name] = More(pinned.missing, count / n, chance)
        return found

    @classmethod
    def from_schema(cls, schema: Schema | str | Path, on_unfit: OnUnfit = "refuse") -> "ColumnGuard":
        """A guard that holds to a pinned schema (`untaint schema DATA --out FILE`), limits as they are written there."""
        pinned = schema if isinstance(schema, Schema) else schemas.read(Path(schema))
        _check(on_unfit, 0)
        return _named(cls(on_unfit), pinned, None)

    @classmethod
    def from_audit(cls, dataset: Dataset, samples: pa.Table, on_unfit: OnUnfit = "refuse", slack: float = 1.0) -> "ColumnGuard":
        """A guard learned from the rows that an audit did not accuse.

        dataset: the table that was audited.  samples: `audit(…).samples`, or the samples.parquet of its folder as an Arrow table.
        Raises BadInput when they are not of the same rows.
        """
        if samples.num_rows != len(dataset) or samples.column("id").to_pylist() != dataset.ids:
            raise BadInput("the audit was made of other data.", advice="Give the data set that was audited.")
        kept = np.flatnonzero(~samples.column("flagged").to_numpy(zero_copy_only=False).astype(bool))
        _check(on_unfit, slack)
        return _named(cls(on_unfit, slack), schemas.infer(dataset.select(kept), _quiet), slack)

    def save(self, path: str | Path) -> None:
        """Write what was learned as JSON, to read, to change by hand, and to `load`. Raises CannotWrite."""
        check_is_fitted(self)
        document = {
            "schema": self.id,
            "on_unfit": self.on_unfit,
            "slack": self.slack,
            "named": hasattr(self, "feature_names_in_"),
            "pinned": {"schema": Schema.id, "columns": [asdict(column) for column in self.pinned_]},
        }
        try:
            Path(path).write_text(json.dumps(document, indent=2) + "\n", encoding="utf-8")
        except OSError as error:
            raise CannotWrite(f"cannot write {path}: {error.strerror or error}.", advice="Name another file.") from error

    @classmethod
    def load(cls, path: str | Path) -> "ColumnGuard":
        """A guard as it was saved. Raises BadInput for anything else."""
        advice = "Give a file that ColumnGuard.save wrote, or a schema to ColumnGuard.from_schema."
        try:
            found = json.loads(Path(path).read_text("utf-8"))
        except (OSError, ValueError) as error:
            raise BadInput(f"{path} is no guard: {error}.", advice=advice) from error
        if not isinstance(found, dict) or found.get("schema") != cls.id:
            raise BadInput(f"{path} is no guard of untaint.", advice=advice)
        guard = cls.from_schema(schemas.parse(found.get("pinned"), Path(path)), found.get("on_unfit", "refuse"))
        guard.slack = found.get("slack", 1.0)
        _check(guard.on_unfit, guard.slack)
        if not found.get("named", True):
            del guard.feature_names_in_
        return guard

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.input_tags.allow_nan = tags.input_tags.string = tags.input_tags.categorical = True
        tags.transformer_tags.preserves_dtype = ["float64", "float32"]
        return tags

    def _frame(self, X: Any, *, reset: bool) -> pd.DataFrame:  # noqa: N803
        """The rows as columns. Raises ValueError as scikit-learn does for other columns than those learned."""
        if isinstance(X, pd.DataFrame):
            if len(doubled := X.columns[X.columns.duplicated()]):
                raise BadInput(f"two columns are called {doubled[0]!r}.", advice="Rename one of them.")
            validate_data(self, X, reset=reset, skip_check_array=True)
            if len(X) == 0:
                raise UnfitInput("the data frame has 0 rows (a minimum of 1 is required).")
            return X
        array = validate_data(self, X, reset=reset, dtype=None, ensure_all_finite=False)
        return pd.DataFrame(array, columns=[f"x{number}" for number in range(array.shape[1])])

    def _cells(self, frame: pd.DataFrame) -> list[Cells]:
        return [Cells(pinned, frame.iloc[:, place]) for place, pinned in enumerate(self.pinned_)]

    def _said(self, cells: list[Cells], bad: int) -> str:
        first = sorted(unfit for each in cells if not each.fits.all() for unfit in each.found())[:_NAMED]
        named = "; ".join(f"row {each.row}, column {each.column!r}: {each.value!r} {each.why}" for each in first)
        return f"{bad:,} cell{'s do' if bad > 1 else ' does'} not fit what was learned ({named}{'; …' if bad > _NAMED else ''})."


def _named(guard: ColumnGuard, schema: Schema, slack: float | None) -> ColumnGuard:
    """A guard that has learned a schema, whose columns are those of a data frame."""
    names = [column.name for column in schema.columns if column.role == "value"]
    guard.feature_names_in_, guard.n_features_in_ = np.array(names, dtype=object), len(names)
    guard.pinned_ = _pinned(schema, slack, names)
    return guard


def _pinned(schema: Schema, slack: float | None, names: list[str]) -> tuple[Pinned, ...]:
    """What each column may hold; slack: how far outside what was seen, None = as the schema says."""
    known = {column.name: column for column in schema.columns if column.role == "value"}
    columns = (known.get(name, Pinned(name, "empty", missing=1.0, may_be_missing=True)) for name in names)
    return tuple(column if slack is None else _widened(column, slack) for column in columns)


def _check(on_unfit: object, slack: object) -> None:
    if on_unfit not in get_args(OnUnfit):
        raise BadInput(f"on_unfit is refuse, clip or missing, not {on_unfit!r}.")
    if isinstance(slack, bool) or not isinstance(slack, int | float) or not 0 <= slack < np.inf:
        raise BadInput(f"slack is a number of at least 0, not {slack!r}.", advice="1 allows as much again as was seen.")


def _records(frame: pd.DataFrame) -> list[dict[str, object]]:
    """Rows as JSON has them: dates as text, nothing where a cell is missing."""
    columns = {}
    for place, name in enumerate(frame.columns):
        column = frame.iloc[:, place]
        column = column.astype(str) if column.dtype.kind in "mM" else column
        columns[str(name)] = column.astype(object).where(frame.iloc[:, place].notna(), None).tolist()
    return [dict(zip(columns, row, strict=True)) for row in zip(*columns.values(), strict=True)]


def _widened(column: Pinned, slack: float) -> Pinned:
    """The limits of a number as far outside what was seen as asked for."""
    if column.kind != "number" or column.seen is None or column.minimum is None or column.maximum is None:
        return column
    low, high = column.seen
    least, most = low - slack * (high - low), high + slack * (high - low)
    return replace(column, minimum=max(0.0, least) if low >= 0 else least, maximum=most)


def _quiet(_what: str, _done: int, _total: int) -> None:
    return
