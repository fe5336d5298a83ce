"""Delimited files read by columns wherever they are plain: the same index, cells and texts as record after record."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from tests.same import assert_same

from untaint.data.columns import columns_of
from untaint.data.dataset import Dataset
from untaint.data.load import load
from untaint.data.readers import _stretches
from untaint.data.readers._lines import opened, read_lines
from untaint.data.readers._stretches import plain
from untaint.data.readers.base import Request
from untaint.data.readers.delimited import find_layout

HEAD = "a,b,word,label\n"


def lines(count: int = 300) -> list[str]:
    rng = np.random.default_rng(0)
    words = ["red", "green blue", "ü", '"in quotes"', '"with, a comma"', '""', "", "x'y"]
    return [
        f"{rng.normal():.4f},{rng.integers(0, 50)},{words[rng.integers(len(words))]},{'yn'[rng.integers(2)]}"
        for _ in range(count)
    ]


def with_line(*odd: str) -> Callable[[], str]:
    return lambda: HEAD + "\n".join([*lines(150), *odd, *lines(151)]) + "\n"


FILES: dict[str, Callable[[], str]] = {
    "plain": with_line(),
    "no line break at the end": lambda: with_line()().rstrip("\n"),
    "windows": lambda: with_line()().replace("\n", "\r\n"),
    "blank lines": with_line("", "", "1,2,x,y", ""),
    "blank at both ends": lambda: "\n\n" + with_line()() + "\n\n\n",
    "a quote inside": with_line('1,2,a "b" c,y'),
    "doubled quotes": with_line('1,2,"say ""hi""",y'),
    "line breaks in a field": with_line('1,2,"two\nlines\n\nand more",y', "3,4,z,n"),
    "never closed": with_line('1,2,"open,y'),
    "too few fields": with_line("1,2,y", "1"),
    "too many fields": with_line("1,2,x,y,z"),
    "lone carriage return": with_line("1,2,a\rb,y"),
    "zero byte": with_line("1,2,a\0b,y"),
    "text after a quote": with_line('1,2,"a"b,y'),
    "spaces": with_line(" 1 , 2, x ,y"),
    "infinity and words": with_line("inf,2,x,y", "oops,NaN,x,y", "1e5,+3,x,y"),
    "no header": lambda: "\n".join(f"{row % 7},{row * 1.5},{row % 2}" for row in range(300)),
    "byte order mark": lambda: "\ufeff" + with_line()(),
    "semicolons": lambda: with_line()().replace(",", ";"),
    "quoted header": lambda: '"a","b","wo""rd","label"\n' + "\n".join(lines()),
}


def written(folder: Path, name: str) -> Path:
    path = folder / "data.csv"
    content = FILES[name]().encode()
    path.write_bytes(content.replace(b"1,2,a\rb,y", b"1,2,a\rb,y"))
    return path


def one_by_one(path: Path, label: str | None) -> Dataset:
    layout = find_layout(path)
    file, recipe = opened(path, Request(label), layout.records, layout.parse, list(layout.columns))
    return read_lines(file, recipe, layout.records, layout.parse, "csv")


def quiet(_what: str, _done: int, _total: int) -> None:
    return


@pytest.mark.parametrize("block", [1 << 22, 700])
@pytest.mark.parametrize("name", FILES)
def test_the_same_as_record_after_record(name: str, block: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(_stretches, "_BLOCK", block)
    path, label = written(tmp_path, name), "2" if name == "no header" else "label"
    found, expected = load(path, label=label), one_by_one(path, label)
    assert found.index.equals(expected.index)
    assert found.runs() is not None
    assert_same(columns_of(found, quiet), columns_of(expected, quiet))
    assert found.read([0, 150, len(found) - 1]) == expected.read([0, 150, len(found) - 1])


def test_bytes_that_are_no_text_are_kept(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(_stretches, "_BLOCK", 700)
    path = tmp_path / "data.csv"
    path.write_bytes(with_line("1,2,bad,y")().encode().replace(b"bad", b"b\xffd"))
    found, expected = load(path), one_by_one(path, None)
    assert found.index.equals(expected.index)
    assert found.index.column("unreadable").null_count == len(found) - 1


@pytest.mark.parametrize("block", [b"1,x\n2,y", b'1,"x"\n2,"a,b"\n', b"1,\n,2\n", b'"",""\r\n1,2\r\n'])
def test_plain_lines(block: bytes) -> None:
    found = plain(block, ["a", "b"], ",")
    assert found is not None
    assert found.num_rows == 2


@pytest.mark.parametrize(
    "block", [b"1\n", b"1,2,3\n", b'1,a"b\n', b'"a,"b",c"\n', b"1,2\n\n", b"\n1,2\n", b"1,\xff\n", b"1,\0\n"]
)
def test_lines_that_are_not_plain(block: bytes) -> None:
    assert plain(block, ["a", "b"], ",") is None
