"""What is kept comes back; what is broken is computed again; nothing in it can run code."""

import errno
import json
import pickle
import zipfile
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NoReturn

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import array_shapes, arrays

from untaint.errors import CannotWrite
from untaint.features.cache import Cache

KINDS = st.sampled_from([np.uint8, np.int64, np.float32, np.float64, np.bool_])
ARRAYS = KINDS.flatmap(lambda kind: arrays(kind, array_shapes(max_dims=3, max_side=4, min_side=0)))
NAMES = st.text(st.characters(exclude_categories=["Cs"]), max_size=8)


@dataclass(frozen=True)
class Entry:
    values: np.ndarray
    number: int
    share: float
    word: str | None
    names: tuple[str, ...]
    reasons: dict[str, str]
    parts: dict[str, np.ndarray] = field(default_factory=dict)


ENTRIES = st.builds(
    Entry,
    ARRAYS,
    st.integers(-(2**60), 2**60),
    st.floats(allow_nan=False),
    st.none() | NAMES,
    st.lists(NAMES, max_size=3).map(tuple),
    st.dictionaries(NAMES, NAMES, max_size=3),
    st.dictionaries(st.sampled_from(["a", "b", "c"]), ARRAYS, max_size=3),
)


def example() -> Entry:
    return Entry(np.arange(6.0), 3, 0.5, "ü", ("x", "y"), {"7": "torn"}, {"a": np.arange(3)})


@given(ARRAYS)
def test_an_array_comes_back(tmp_path_factory: pytest.TempPathFactory, values: np.ndarray) -> None:
    cache = Cache(tmp_path_factory.mktemp("cache"))
    cache.store("key", values)
    found = cache.load("key", np.ndarray)
    assert found is not None
    assert found.dtype == values.dtype
    np.testing.assert_array_equal(found, values)


@given(ENTRIES)
def test_a_dataclass_comes_back(tmp_path_factory: pytest.TempPathFactory, entry: Entry) -> None:
    cache = Cache(tmp_path_factory.mktemp("cache"))
    cache.store("key", entry)
    found = cache.load("key", Entry)
    assert found is not None
    np.testing.assert_array_equal(found.values, entry.values)
    assert (found.number, found.share, found.word, found.names, found.reasons) == (
        entry.number,
        entry.share,
        entry.word,
        entry.names,
        entry.reasons,
    )
    assert list(found.parts) == list(entry.parts)
    for name, part in entry.parts.items():
        np.testing.assert_array_equal(found.parts[name], part)


def test_not_a_number_comes_back(tmp_path: Path) -> None:
    cache = Cache(tmp_path)
    cache.store("key", Entry(np.array([np.nan, 1]), 0, float("nan"), None, (), {}))
    found = cache.load("key", Entry)
    assert found is not None
    assert np.isnan(found.share)
    np.testing.assert_array_equal(found.values, [np.nan, 1])


def test_arrays_that_come_back_cannot_be_changed(tmp_path: Path) -> None:
    cache = Cache(tmp_path)
    cache.store("key", np.arange(5))
    found = cache.load("key", np.ndarray)
    assert found is not None
    with pytest.raises(ValueError, match="read-only"):
        found[0] = 9


def test_without_a_folder_nothing_is_kept(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    Cache(None).store("key", np.arange(3))
    assert Cache(None).load("key", np.ndarray) is None
    assert list(tmp_path.iterdir()) == []


def test_an_absent_entry_is_none(tmp_path: Path) -> None:
    assert Cache(tmp_path).load("key", np.ndarray) is None
    assert Cache(tmp_path / "absent").load("key", np.ndarray) is None


def _cut(file: Path) -> None:
    file.write_bytes(file.read_bytes()[:-9])


def _emptied(file: Path) -> None:
    file.write_bytes(b"")


def _garbage(file: Path) -> None:
    file.write_bytes(bytes(range(256)) * 4)


def _zip_garbage(file: Path) -> None:
    file.write_bytes(b"PK\x03\x04" + bytes(range(100)))


def _removed(file: Path) -> None:
    file.unlink()


@pytest.mark.parametrize("file", ["values.npy", "parts.npz", "plain.json"])
@pytest.mark.parametrize("damage", [_cut, _emptied, _garbage, _zip_garbage, _removed])
def test_a_broken_entry_is_gone_and_can_be_kept_again(tmp_path: Path, file: str, damage: Any) -> None:
    cache = Cache(tmp_path)
    cache.store("key", example())
    damage(tmp_path / "key" / file)
    assert cache.load("key", Entry) is None
    assert not (tmp_path / "key").exists()
    cache.store("key", example())
    assert cache.load("key", Entry) is not None


@pytest.mark.parametrize("text", ["[]", "null", "3", '"word"', "{}", '{"number": 3}'])
def test_facts_of_another_form_are_broken(tmp_path: Path, text: str) -> None:
    cache = Cache(tmp_path)
    cache.store("key", example())
    (tmp_path / "key" / "plain.json").write_text(text)
    assert cache.load("key", Entry) is None


@dataclass
class Bomb:
    """Leaves a file behind when it is unpickled."""

    mark: Path

    def __reduce__(self) -> tuple[Any, tuple[Path]]:
        return Path.touch, (self.mark,)


def test_an_array_of_objects_is_never_unpickled(tmp_path: Path) -> None:
    cache, mark = Cache(tmp_path), tmp_path / "mark"
    bombs = np.array([Bomb(mark)], dtype=object)
    cache.store("key", example())
    np.save(tmp_path / "key" / "values.npy", bombs, allow_pickle=True)
    assert cache.load("key", Entry) is None
    cache.store("key", example())
    np.savez(tmp_path / "key" / "parts.npz", a=bombs)
    assert cache.load("key", Entry) is None
    cache.store("key", np.arange(3))
    (tmp_path / "key" / "value.npy").write_bytes(pickle.dumps(Bomb(mark)))
    assert cache.load("key", np.ndarray) is None
    assert not mark.exists()


def test_an_array_of_objects_is_not_kept(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="allow_pickle"):
        Cache(tmp_path).store("key", np.array([{}], dtype=object))
    assert list(tmp_path.iterdir()) == []


def test_nothing_kept_is_a_pickle(tmp_path: Path) -> None:
    Cache(tmp_path).store("key", example())
    assert sorted(file.name for file in (tmp_path / "key").iterdir()) == ["parts.npz", "plain.json", "values.npy"]
    assert json.loads((tmp_path / "key" / "plain.json").read_text())["word"] == "ü"
    assert zipfile.ZipFile(tmp_path / "key" / "parts.npz").namelist() == ["a.npy"]


def _full(*_args: object, **_more: object) -> NoReturn:
    raise OSError(errno.ENOSPC, "No space left on device")


def _read_only(*_args: object, **_more: object) -> NoReturn:
    raise OSError(errno.EROFS, "Read-only file system")


def test_a_full_disk_is_said_and_leaves_nothing_behind(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(np, "save", _full)
    with pytest.raises(CannotWrite, match="No space left on device.*Free some space"):
        Cache(tmp_path).store("key", example())
    assert list(tmp_path.iterdir()) == []


def test_a_read_only_folder_is_said(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tempfile.mkdtemp", _read_only)
    with pytest.raises(CannotWrite, match="Read-only file system"):
        Cache(tmp_path).store("key", example())


def test_a_file_in_the_way_is_said(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("in the way")
    with pytest.raises(CannotWrite, match="cannot keep features in"):
        Cache(tmp_path / "file").store("key", example())
    (tmp_path / "key").write_text("in the way")
    with pytest.raises(CannotWrite, match="cannot keep features in"):
        Cache(tmp_path).store("key", example())
    assert sorted(file.name for file in tmp_path.iterdir()) == ["file", "key"]


def test_an_entry_another_run_finished_first_stays(tmp_path: Path) -> None:
    cache = Cache(tmp_path)
    cache.store("key", np.arange(3))
    cache.store("key", np.arange(3))
    found = cache.load("key", np.ndarray)
    assert found is not None
    np.testing.assert_array_equal(found, np.arange(3))
    assert [file.name for file in tmp_path.iterdir()] == ["key"]
