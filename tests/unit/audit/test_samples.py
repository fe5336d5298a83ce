from collections.abc import Mapping

import numpy as np
import pyarrow as pa
from tests.unit.evidence.groups import check

from untaint.audit.samples import samples_table
from untaint.data.dataset import Dataset, from_arrays
from untaint.evidence.evidence import Evidence, Group
from untaint.evidence.verdict import Circumstances, decide
from untaint.features.cache import Cache
from untaint.features.graph import Features
from untaint.features.settings import Settings
from untaint.report.folder import COLUMNS

N = 60


def dataset() -> Dataset:
    images = np.random.default_rng(0).integers(0, 256, (N, 8, 8), np.uint8)
    return from_arrays(images, [str(row % 2) for row in range(N)], sources=[f"s{row % 3}" for row in range(N)])


def table(found: Mapping[str, Evidence], data: Dataset | None = None) -> pa.Table:
    data = data or dataset()
    verdict = decide(found, [check(name) for name in found], Circumstances(N, 1.0, 0.0, 30), 0.01, np.full(N, -1), ())
    return samples_table(data, Features(data, Settings(), Cache(None)), found, verdict)


def scored(scores: np.ndarray, *groups: Group, **more: object) -> Evidence:
    return Evidence(scores.astype(np.float32), "empirical", groups, **more)  # type: ignore[arg-type]


def group(rows: list[int], p_value: float = 1e-9, **more: object) -> Group:
    return Group("backdoor", np.array(rows), 1.0, p_value, 1.0, 0.5, "Because.", 0.9, **more)  # type: ignore[arg-type]


def test_one_row_per_sample_in_input_order() -> None:
    data = dataset()
    found = table({"a": scored(np.arange(N))}, data)
    assert tuple(found.column_names) == (*COLUMNS, "risk_a")
    assert found.column("row").to_pylist() == list(range(N))
    for name in ("id", "path", "label", "source"):
        assert found.column(name).to_pylist() == data.column(name)


def test_high_risk_is_bad() -> None:
    found = table({"a": scored(np.arange(N)), "b": scored(np.zeros(N))})
    risk = np.array(found.column("risk").to_pylist())
    assert (np.diff(risk) >= 0).all()
    assert risk[-1] > risk[0]
    assert ((risk >= 0) & (risk < 0.9)).all()
    assert np.argmax(found.column("risk_a").to_pylist()) == N - 1


def test_flagged_is_what_a_finding_accuses_and_nothing_else() -> None:
    scores = np.arange(N)
    found = table({"a": scored(scores, group([1, 2, 3], target_label="1")), "b": scored(scores, review=np.array([50, 51]))})
    flagged = np.flatnonzero(found.column("flagged").to_pylist()).tolist()
    assert flagged == [1, 2, 3]
    names = found.column("finding").to_pylist()
    assert [row for row, name in enumerate(names) if name == "F1"] == flagged
    assert set(names) == {"F1", None}
    assert all("backdoor towards '1'" in found.column("reason")[row].as_py() for row in flagged)
    assert found.column("reason")[50].as_py() is None


def test_every_flagged_sample_lies_above_every_other() -> None:
    found = table({"a": scored(np.arange(N), group([0, 1, 2]))})
    risk, flagged = np.array(found.column("risk").to_pylist()), np.array(found.column("flagged").to_pylist())
    assert risk[flagged].min() >= 0.9 > risk[~flagged].max()
    assert risk.max() <= 1
    assert max(np.array(found.column("p_value").to_pylist())[flagged]) <= 1e-9


def test_a_shortcut_flags_nobody() -> None:
    natural = Group("backdoor", np.array([1, 2, 3]), 1.0, 1e-99, 1.0, 0.5, "Because.", 0.1)
    assert not any(table({"a": scored(np.arange(N), natural)}).column("flagged").to_pylist())


def test_a_sample_of_two_findings_counts_for_the_first() -> None:
    found = table({"a": scored(np.arange(N), group(list(range(10)), 1e-20), group(list(range(9, 30)), 1e-10))})
    assert found.column("finding").to_pylist()[8:11] == ["F1", "F1", "F2"]


def test_not_assessed_is_nan() -> None:
    scores = np.arange(N, dtype=float)
    scores[[4, 5]] = np.nan
    risk = np.array(table({"a": scored(scores)}).column("risk_a").to_pylist(), float)
    assert np.flatnonzero(np.isnan(risk)).tolist() == [4, 5]


def test_what_no_detector_assessed_has_no_risk() -> None:
    one, two = np.arange(N, dtype=float), np.arange(N, dtype=float)
    one[[4, 5]] = two[[5, 6]] = np.nan
    found = table({"a": scored(one), "b": scored(two)})
    for name in ("risk", "p_value"):
        assert np.flatnonzero(np.isnan(np.array(found.column(name).to_pylist(), float))).tolist() == [5]


def test_a_suggested_label_is_kept() -> None:
    found = table({"a": scored(np.arange(N), suggested={7: "1"})})
    assert [row for row, label in enumerate(found.column("suggested_label").to_pylist()) if label == "1"] == [7]


def test_an_unreadable_row_says_why() -> None:
    data = from_arrays([b"broken" if row == 9 else np.full((8, 8), row, np.uint8) for row in range(N)], ["0", "1"] * (N // 2))
    found = table({"a": scored(np.arange(N))}, data)
    assert [row for row, why in enumerate(found.column("unreadable").to_pylist()) if why] == [9]
    assert "not a readable image" in found.column("reason")[9].as_py()
    assert np.isnan(found.column("risk")[9].as_py())


def test_evidence_is_not_touched() -> None:
    result = scored(np.arange(N), group([1, 2]))
    result.scores.setflags(write=False)
    result.groups[0].members.setflags(write=False)
    before = result.scores.copy()
    table({"a": result})
    np.testing.assert_array_equal(result.scores, before)
