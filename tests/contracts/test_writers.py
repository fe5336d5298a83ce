"""Every writer, whatever the format: the chosen rows come back, in order, the same each time, and the input is untouched."""

from pathlib import Path

import numpy as np
import pytest
from tests.unit.quarantine.cases import contents, fingerprint
from tests.unit.quarantine.formats import FORMATS, N

from untaint.data.dataset import Dataset
from untaint.data.load import load, readers
from untaint.data.writers.base import PACKAGE, Part, Picks, Writer, part_of, writer_for
from untaint.errors import UntaintError
from untaint.registry import members

WRITERS = members(Writer, PACKAGE)
SUBSETS = ([*range(N)], [row for row in range(N) if row % 5 < 2], [0, 1, 2, 3, 9, 17, 22], [*range(12, N)])


def read_as(path: Path, data: Dataset) -> Dataset:
    return load(
        path, format=writer_for(data).writes, label=data.columns.label, source=data.columns.source, payload=data.columns.payload
    )


def out_of(tmp_path: Path, name: str = "out") -> Path:
    (tmp_path / name).mkdir()
    return tmp_path / name


def test_every_reader_has_a_writer() -> None:
    assert set(WRITERS) == {*readers(), "frame", "memory"}


@pytest.mark.parametrize("writer", WRITERS.values())
def test_a_writer_says_what_it_does(writer: type[Writer]) -> None:
    assert writer.__doc__
    assert writer.__final__  # type: ignore[attr-defined]  # set by typing.final
    assert writer.writes in readers()


@pytest.mark.parametrize("rows", SUBSETS)
@pytest.mark.parametrize("name", FORMATS)
def test_the_chosen_rows_come_back(name: str, rows: list[int], tmp_path: Path) -> None:
    source = FORMATS[name](tmp_path)
    before, data = fingerprint(source), load(source)
    found = read_as(writer_for(data).copy(source, data, np.array(rows), out_of(tmp_path)), data)
    for column in ("id", "label", "source"):
        assert found.column(column) == [data.column(column)[row] for row in rows]
    assert [why is None for why in found.column("unreadable")] == [data.column("unreadable")[row] is None for row in rows]
    assert [repr(payload) for payload in found.read(range(len(rows)))] == [repr(payload) for payload in data.read(rows)]
    assert fingerprint(source) == before


@pytest.mark.parametrize("name", FORMATS)
def test_the_same_bytes_each_time(name: str, tmp_path: Path) -> None:
    source = FORMATS[name](tmp_path)
    data, rows = load(source), np.array([1, 2, 4, 20])
    for out in ("one", "two"):
        writer_for(data).copy(source, data, rows, out_of(tmp_path, out))
    assert contents(tmp_path / "one") == contents(tmp_path / "two")


@pytest.mark.parametrize("name", FORMATS)
def test_two_parts_become_one(name: str, tmp_path: Path) -> None:
    source = FORMATS[name](tmp_path)
    data, held = load(source), np.arange(N) % 5 == 1
    writer = writer_for(data)
    parts = [
        Part(
            writer.copy(source, data, np.flatnonzero(mask), out_of(tmp_path, f"part{number}")),
            int(mask.sum()),
            data.columns.payload,
        )
        for number, mask in enumerate((~held, held))
    ]
    picks = Picks(held.astype(np.int64), np.where(held, np.cumsum(held), np.cumsum(~held)) - 1)
    again = WRITERS[writer.writes]()
    assert read_as(again.write(parts, picks, out_of(tmp_path)), data).digest == data.digest


@pytest.mark.parametrize("name", FORMATS)
def test_a_source_with_other_rows_is_an_error_of_ours(name: str, tmp_path: Path) -> None:
    source = FORMATS[name](tmp_path)
    data = load(source)
    part = part_of(source, data)
    wrong = Part(part.source, N + 5, part.payload, part.dataset)
    with pytest.raises(UntaintError, match="is not what was read before"):
        writer_for(data).write([wrong], Picks(np.zeros(2, np.int64), np.array([0, N + 1])), out_of(tmp_path))
