"""What is set aside keeps its time, and so does what stays and what goes back."""

from pathlib import Path

import numpy as np
import pytest
from tests.unit.quarantine.cases import audited

from untaint.data.dataset import Dataset, from_arrays
from untaint.data.load import load
from untaint.quarantine.hold import hold
from untaint.quarantine.restore import restore

N, HELD = 24, [2, 7, 11]
TIMES = np.datetime64("2024-05-01T10:00:00", "us") + np.arange(N).astype("timedelta64[h]")


def in_memory(_folder: Path) -> Dataset:
    return from_arrays([f"text {row} of this set" for row in range(N)], ["a", "b"] * (N // 2), times=TIMES)


def from_a_file(folder: Path) -> Dataset:
    """The column is called like nothing that is known, so it must be asked for when the parts are read back as well."""
    lines = [f'"text {row} of this set",{"ab"[row % 2]},{TIMES[row]}Z' for row in range(N)]
    (folder / "set.csv").write_text("\n".join(["text,label,moment_of_truth", *lines]) + "\n")
    return load(folder / "set.csv", time="moment_of_truth")


@pytest.mark.parametrize("build", [in_memory, from_a_file])
def test_times_stay_with_their_samples(build: object, tmp_path: Path) -> None:
    data: Dataset = build(tmp_path)  # type: ignore[operator]
    held = hold(data, audited(data, HELD), tmp_path / "out")
    assert times(held.clean, data).tolist() == np.delete(TIMES, HELD).tolist()
    assert times(held.quarantine / "data", data).tolist() == TIMES[HELD].tolist()
    restore(tmp_path / "out", ["all"])
    assert times(held.clean, data).tolist() == TIMES.tolist()


def times(part: Path, data: Dataset) -> np.ndarray:
    file = part / "set.csv"
    return load(file if file.exists() else part, time=data.columns.time).times
