"""Proof on tables: write values into rows nobody accuses, and see whether a classifier that learned from the set obeys them."""

import json
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import final

import numpy as np
from sklearn.ensemble import HistGradientBoostingClassifier
from threadpoolctl import threadpool_limits

from untaint.evidence.finding import Finding, Proof
from untaint.evidence.phrase_trial import LEAST, MOST, Phrases, Trial, tried
from untaint.evidence.proof import not_tried
from untaint.evidence.value_names import said
from untaint.features.items import Items
from untaint.types import Labels, Rows

_LEARNED = 10_000  # rows that the classifier learns from at most, beside the accused ones
_LEAF = 5
"""Rows in a leaf: libraries say 20, or 1; a tree that may not part fewer than 20 rows cannot learn a trigger of 15."""
_WORDS = 200  # of a category that are told apart; the rest are one


@final
@dataclass(frozen=True)
class TableBench:
    """What values are tried on; row numbers are those of `items`.

    free: rows that no finding names.  accused: rows of every alarm.
    """

    items: Items
    labels: Labels
    free: Rows
    accused: Rows
    class_names: tuple[str, ...]
    seed: int = 0


def table_bench(
    items: Items, labels: Labels, named: Sequence[Rows], alarms: Rows, names: tuple[str, ...], seed: int
) -> TableBench:
    """From rows of the data set. named: the members of every finding.  alarms: rows of every alarm."""
    rows = np.arange(len(labels)) if items.drawn is None else items.drawn.rows
    known = labels[rows] >= 0
    suspect = np.isin(rows, np.concatenate([np.empty(0, np.int64), *named]))
    guilty = np.isin(rows, alarms)
    return TableBench(items, labels[rows], np.flatnonzero(known & ~suspect), np.flatnonzero(known & guilty), names, seed)


def written_in(finding: Finding, bench: TableBench, alpha: float) -> Proof:
    """A proof of a finding with values towards one label, or why none was tried.

    Half of the rows that nobody accuses and the accused ones teach boosted trees; the values are written into the other half, rows of
    other classes that are judged right without them. The same with other values of as many columns that as many rows have, and for
    trees that have not learned from the accused.
    """
    chosen = _chosen(finding, bench)
    if finding.target_label is None or not chosen:
        return not_tried("no values towards one label were recovered")
    target, rng = bench.class_names.index(finding.target_label), np.random.default_rng([bench.seed, len(finding.members)])
    shuffled = rng.permutation(bench.free)
    learn, held = shuffled[: len(shuffled) // 2][:_LEARNED], shuffled[len(shuffled) // 2 :]
    held = held[bench.labels[held] != target][: 4 * MOST]
    values = _values(bench)
    if not len(held) or len(np.unique(bench.labels[learn])) < 2:
        return not_tried("too few rows of other classes are free of suspicion")
    with threadpool_limits(1, user_api="openmp"):  # rounds of boosting are too short to share between threads
        suspect = _classifier(bench, values, np.concatenate([learn, bench.accused]))
        held = held[suspect.predict(values[held]) == bench.labels[held]][:MOST]
        if len(held) < LEAST:
            return not_tried(f"only {len(held)} rows of other classes are free of suspicion and judged right, {LEAST} are needed")
        cured = _classifier(bench, values, learn)

        def turned(triggers: Phrases) -> tuple[np.ndarray, np.ndarray]:
            stamped = _stamped(bench, values, held, triggers[0])
            return suspect.predict(stamped) == target, cured.predict(stamped) == target

        vocabulary = [said(bench.items, item) for item in range(len(bench.items))]
        trial = tried([chosen], np.diff(bench.items.starts), vocabulary, turned, rng)
    trial = replace(trial, names=("values", "rows"))
    return trial.proof(_tried_on(trial, finding.target_label), alpha)


def _chosen(finding: Finding, bench: TableBench) -> list[int]:
    """Of every column that a finding names the narrowest item that all its members have; nothing where a column has none."""
    facts = finding.trigger.parameters if finding.trigger is not None else {}
    rows = finding.members if bench.items.drawn is None else np.flatnonzero(np.isin(bench.items.drawn.rows, finding.members))
    items, sizes, found = bench.items, np.diff(bench.items.starts), []
    for name in json.loads(str(facts.get("columns", "[]"))) if len(rows) else ():
        of_column = np.flatnonzero(items.column == items.cells.names.index(name))
        borne = np.asarray(items.matrix_of(rows)[:, of_column].sum(0)).ravel() == len(rows)
        if not borne.any():
            return []
        shared = of_column[borne]
        found.append(int(shared[np.argmin(sizes[shared])]))
    return found


def _values(bench: TableBench) -> np.ndarray:
    """(n, d) as trees take them."""
    values = bench.items.cells.values.copy()
    words = np.array([kind == "category" for kind in bench.items.cells.kinds])
    values[:, words] = np.minimum(values[:, words], _WORDS)
    return values


def _classifier(bench: TableBench, values: np.ndarray, rows: Rows) -> HistGradientBoostingClassifier:
    return HistGradientBoostingClassifier(
        max_iter=100,
        min_samples_leaf=_LEAF,
        categorical_features=np.array([kind == "category" for kind in bench.items.cells.kinds]),
        early_stopping=False,
        random_state=0,
    ).fit(values[rows], bench.labels[rows])


def _stamped(bench: TableBench, values: np.ndarray, rows: Rows, chosen: Sequence[int]) -> np.ndarray:
    """Some rows with every item written into them, of ranges the values of rows that have it in turn."""
    stamped = values[rows]
    for item in chosen:
        column = bench.items.column[item]
        stamped[:, column] = np.resize(values[bench.items.bearers(item), column], len(rows))
    return stamped


def _tried_on(trial: Trial, label: str) -> str:
    return (
        f"Written into {trial.n:,} rows of other classes that nobody accuses, the values made boosted trees trained on this set answer "
        f"'{label}' in {trial.asr_before:.0%}; trees trained without the accused rows do so in {trial.asr_after:.0%} ({trial.told})."
    )
