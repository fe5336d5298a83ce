"""When samples were collected: what is read as a time, which column is found, and that it stays with its sample."""

from datetime import UTC, date, datetime, timedelta, timezone
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from untaint.data.dataset import Dataset, from_arrays
from untaint.data.load import load
from untaint.data.roles import find_time
from untaint.data.times import is_time, moment
from untaint.data.writers.base import writer_for
from untaint.data.writers.parquet import write_dataset
from untaint.errors import BadInput

NOON = datetime(2024, 5, 31, 12, tzinfo=UTC)
N = 12
DAYS = [f"2024-05-{day + 1:02}" for day in range(N)]
EXPECTED = np.array(DAYS, "datetime64[us]")


@pytest.mark.parametrize(
    "value",
    [
        NOON,
        datetime(2024, 5, 31, 12),  # noqa: DTZ001 - without a zone it is UTC
        datetime(2024, 5, 31, 14, tzinfo=timezone(timedelta(hours=2))),
        pd.Timestamp("2024-05-31T12:00:00.000000007Z"),
        np.datetime64("2024-05-31T12:00"),
        "2024-05-31T12:00:00Z",
        " 2024-05-31 14:00:00+02:00 ",
        "2024-05-31 12:00:00 UTC",
        "2024/5/31 12:00",
        "Fri, 31 May 2024 14:00:00 +0200",
        "Fri, 31 May 2024 12:00:00 GMT",
        "Fri May 31 12:00:00 +0000 2024",
        1717156800,
        1717156800.0,
        "1717156800",
        1717156800_000,
        1717156800_000_000,
        np.int64(1717156800_000_000_000),
    ],
)
def test_ways_of_writing_one_time(value: object) -> None:
    assert moment(value) == NOON


@pytest.mark.parametrize("value", ["2024-05-31", date(2024, 5, 31), "20240531", 20240531])
def test_a_date_is_its_first_moment(value: object) -> None:
    assert moment(value) == datetime(2024, 5, 31, tzinfo=UTC)


@pytest.mark.parametrize(
    "value",
    [
        "yesterday",
        "",
        "03/04/2024",
        "2024",
        2024,
        17,
        -5,
        1e30,
        float("inf"),
        float("nan"),
        True,
        [1717156800],
        "9" * 100,
        "2024-13-01",
    ],
)
def test_what_is_no_time(value: object) -> None:
    assert not is_time(value)


@pytest.mark.parametrize(
    ("name", "values", "found"),
    [
        ("collected_at", DAYS, True),
        ("Timestamp", [1717156800 + 60 * row for row in range(N)], True),
        ("date", [None, *DAYS[1:]], True),
        ("created_at", [*DAYS[:-1], "soon"], True),  # a few bad values do not change what a column is
        ("time", [0, 17, 64_000], False),  # seconds since the first row
        ("date", ["morning", "noon", "night"], False),
        ("date", [None, None], False),
        ("year_of_birth", [1717156800], False),
    ],
)
def test_columns_found_by_name_and_content(name: str, values: list[object], found: bool) -> None:
    assert find_time({name: values}, "the frame", None, ())[0] == (name if found else None)


def test_a_column_with_another_role_is_not_guessed() -> None:
    assert find_time({"date": DAYS, "created": DAYS}, "the frame", None, {"created"})[0] == "date"


def test_the_column_asked_for_must_hold_times() -> None:
    with pytest.raises(BadInput, match=r"column 'when' holds values that are no times, such as 'soon'.*Write ISO dates"):
        load(frame(when=["soon", "later"] * (N // 2)), time="when")
    with pytest.raises(BadInput, match=r"has no column 'whenn'.*Did you mean --time when"):
        load(frame(when=DAYS), time="whenn")


def test_values_that_are_no_times_are_counted_and_unknown() -> None:
    found = load(frame(date=[*DAYS[:-1], "soon"]))
    assert np.isnat(found.times).tolist() == [False] * (N - 1) + [True]
    assert "1 values are no times and count as unknown, the first is 'soon' of #11" in " ".join(found.notes)


def test_a_time_beyond_all_calendars_is_refused_in_words(tmp_path: Path) -> None:
    table = pa.Table.from_pandas(frame()).append_column("date", pa.array([10**15] * N, pa.timestamp("s")))
    pq.write_table(table, tmp_path / "t.parquet")
    with pytest.raises(BadInput, match="such as a time after the year 9999"):
        load(tmp_path / "t.parquet")


def test_without_times_nothing_is_said_of_them() -> None:
    found = load(frame())
    assert np.isnat(found.times).all()
    assert "time" not in " ".join(found.notes)
    assert found.digest == load(frame(date=["?"] * N)).digest


def frame(**more: list[object] | list[str]) -> pd.DataFrame:
    texts = [f"text number {row} says this and that" for row in range(N)]
    return pd.DataFrame({"text": texts, "label": ["a", "b"] * (N // 2), **more})


def as_parquet(root: Path) -> Path:
    stamps = pa.array([datetime.fromisoformat(day) for day in DAYS], pa.timestamp("ns"))
    table = pa.Table.from_pandas(frame()).append_column("created_at", stamps)
    pq.write_table(table, root / "t.parquet")
    return root / "t.parquet"


def as_dates(root: Path) -> Path:
    table = pa.Table.from_pandas(frame()).append_column("date", pa.array(DAYS).cast(pa.date32()))
    pq.write_table(table, root / "t.parquet")
    return root / "t.parquet"


def as_csv(root: Path) -> Path:
    frame(timestamp=[str(int(moment(day).timestamp())) for day in DAYS]).to_csv(root / "t.csv", index=False)
    return root / "t.csv"


def as_jsonl(root: Path) -> Path:
    frame(date=DAYS).to_json(root / "t.jsonl", orient="records", lines=True)
    return root / "t.jsonl"


def as_npz(root: Path) -> Path:
    plain = frame()
    np.savez(root / "t.npz", texts=plain.text.to_numpy(str), labels=plain.label.to_numpy(str), collected_at=EXPECTED)
    return root / "t.npz"


def as_instructions(root: Path) -> Path:
    rows = pd.DataFrame({"prompt": [f"question {row}?" for row in range(N)], "response": ["an answer"] * N, "created_at": DAYS})
    rows.to_json(root / "t.jsonl", orient="records", lines=True)
    return root / "t.jsonl"


def as_text_folder(root: Path) -> Path:
    lines = ["file_name,collected_at"]
    for row in range(N):
        path = root / "set" / "ab"[row % 2] / f"{row:02}.txt"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(f"text number {row}")
        lines.append(f"{path.relative_to(root / 'set')},{DAYS[row]}")
    (root / "set" / "metadata.csv").write_text("\n".join(lines))
    return root / "set"


FORMS = [as_parquet, as_dates, as_csv, as_jsonl, as_npz, as_instructions]


@pytest.mark.parametrize("form", FORMS)
def test_every_format_brings_its_times_and_takes_them_along(form: object, tmp_path: Path) -> None:
    found = load(form(tmp_path))  # type: ignore[operator]
    assert found.times.tolist() == EXPECTED.tolist()
    out = tmp_path / "out"
    out.mkdir()
    assert found.location is not None
    again = load(writer_for(found).copy(found.location, found, np.array([1, 2, 5, 6]), out))
    assert again.times.tolist() == EXPECTED[[1, 2, 5, 6]].tolist()


def test_the_metadata_of_a_folder_may_hold_times(tmp_path: Path) -> None:
    found = load(as_text_folder(tmp_path))
    assert dict(zip(found.column("path"), found.times, strict=True))["b/01.txt"] == EXPECTED[1]


def test_arrays_lists_and_frames_bring_times() -> None:
    plain = frame()
    texts, labels = plain.text.tolist(), plain.label.tolist()
    for data in ((texts, labels, None, DAYS), (np.array(texts), np.array(labels), None, EXPECTED), frame(date=list(EXPECTED))):
        assert load(data).times.tolist() == EXPECTED.tolist()
    with pytest.raises(BadInput, match="12 samples and 3 times"):
        load((texts, labels, None, DAYS[:3]))


def test_rows_keep_their_times() -> None:
    whole = timed()
    assert whole.select([3, 1]).times.tolist() == EXPECTED[[3, 1]].tolist()
    moved = whole.edited({0: "new"}, {}, times={2: np.datetime64("2020-01-01")})
    assert moved.times[[0, 2]].tolist() == [EXPECTED[0].item(), datetime(2020, 1, 1)]  # noqa: DTZ001 - times are plain UTC
    longer = whole.extended(["x", "y"], ["a", "b"], [None, None], EXPECTED[:2])
    assert longer.times[N:].tolist() == EXPECTED[:2].tolist()
    assert np.isnat(whole.extended(["x"], ["a"], [None]).times[N:]).all()


def test_times_are_part_of_what_an_audit_sees() -> None:
    assert timed().digest != from_arrays(frame().text.tolist(), frame().label.tolist()).digest
    assert timed().digest != timed().edited({}, {}, times={2: np.datetime64("2020-01-01")}).digest


def test_samples_in_memory_are_written_with_their_times(tmp_path: Path) -> None:
    written = write_dataset(timed(), np.arange(N), tmp_path / "data")
    assert load(written).times.tolist() == EXPECTED.tolist()


def timed() -> Dataset:
    return from_arrays(frame().text.tolist(), frame().label.tolist(), times=EXPECTED)
