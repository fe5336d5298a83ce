"""`untaint explain` and `untaint attack inversion` on the command line: what they say, their exit codes."""

from pathlib import Path

import numpy as np
import pytest
from tests.digit_nets import CLASSES, backdoored, seen
from tests.e2e.cases import untaint

from untaint.data.dataset import from_arrays
from untaint.data.writers.parquet import write_dataset
from untaint.nets import foreign


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """`net.safetensors` and `data/data.parquet`."""
    foreign.save(backdoored(), tmp_path / "net.safetensors")
    dataset = from_arrays(seen().inputs[:300], [CLASSES[code] for code in seen().labels[:300]])
    write_dataset(dataset, np.arange(300), tmp_path / "data")
    return tmp_path


def test_explain_a_row(folder: Path) -> None:
    done = untaint("explain", "net.safetensors", "--data", "data/data.parquet", "--row", "3", cwd=folder)
    assert done.code == 0, done.err
    assert "The answer is" in done.out
    assert (folder / "untaint-explain" / "explain.json").is_file()


def test_two_words_are_one_verb_and_the_first_alone_still_another(folder: Path) -> None:
    asked = ("attack", "inversion", "net.safetensors", "--data", "data/data.parquet", "--class", "0", "--labels-only")
    done = untaint(*asked, "--queries", "400", "--out", "found", cwd=folder)
    assert done.code == 0, done.err
    assert "named rightly" in done.out
    assert (folder / "found" / "report.html").is_file()
    poisoned = untaint("attack", "random-flips", "data/data.parquet", "--rate", "0.1", "--out", "poisoned", cwd=folder)
    assert poisoned.code == 0, poisoned.err


@pytest.mark.parametrize(
    "asked",
    [
        ("explain", "net.safetensors", "--data", "data/data.parquet"),
        ("explain", "net.safetensors", "--data", "data/data.parquet", "--base", "net.safetensors"),
        ("explain", "net.safetensors", "--data", "data/data.parquet", "--base", "net.safetensors", "--row", "1"),
        ("attack", "inversion", "net.safetensors", "--data", "data/data.parquet", "--class", "ten"),
        ("attack", "inversion", "none.safetensors", "--data", "data/data.parquet"),
    ],
)
def test_what_makes_no_sense_is_refused_in_a_line(folder: Path, asked: tuple[str, ...]) -> None:
    done = untaint(*asked, cwd=folder)
    assert done.code == 2
    assert done.err.startswith("untaint: ")
    assert "Traceback" not in done.err
