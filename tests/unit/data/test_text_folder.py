"""Folders of texts: what is a class, what is left out, what cannot be read."""

from pathlib import Path

import numpy as np
import pytest

from untaint.data.load import load
from untaint.data.writers.base import writer_for
from untaint.errors import BadInput


def folder(root: Path, files: dict[str, bytes]) -> Path:
    for name, data in files.items():
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_bytes(data)
    return root


PLAIN = {"neg/0_2.txt": b"bad", "neg/1_1.txt": b"worse", "pos/0_9.txt": b"good", "pos/1_8.txt": "schön\r\n".encode()}


def test_the_folder_is_the_label_and_characters_are_kept(tmp_path: Path) -> None:
    data = load(folder(tmp_path, PLAIN))
    assert data.format == "text-folder"
    assert data.modality == "text"
    assert data.labels == ["neg", "neg", "pos", "pos"]
    assert data.read(range(4)) == ["bad", "worse", "good", "schön\r\n"]


def test_splits_are_not_classes(tmp_path: Path) -> None:
    root = folder(tmp_path, {f"{split}/{name}": text for split in ("train", "test") for name, text in PLAIN.items()})
    with pytest.raises(BadInput, match="holds the splits test, train"):
        load(root)
    assert load(root / "train").labels == ["neg", "neg", "pos", "pos"]


def test_what_is_not_utf8_is_kept_and_told(tmp_path: Path) -> None:
    data = load(folder(tmp_path, PLAIN | {"pos/2.txt": b"caf\xe9", "pos/3.txt": b"\xff\xfeh\0i\0"}))
    assert data.column("unreadable")[4:] == ["not UTF-8: byte 0xe9 at place 3", "not UTF-8: byte 0xff at place 0"]
    assert data.read([4]) == ["caf\xe9"]


def test_empty_texts_and_nul_are_texts(tmp_path: Path) -> None:
    data = load(folder(tmp_path, PLAIN | {"neg/2.txt": b"", "neg/3.txt": b"a\0b"}))
    assert data.column("unreadable") == [None] * 6
    assert data.read([2, 3]) == ["", "a\0b"]


def test_links_out_of_the_folder_are_not_followed(tmp_path: Path) -> None:
    root = folder(tmp_path / "data", PLAIN)
    (tmp_path / "secret.txt").write_text("secret")
    (root / "pos" / "2.txt").symlink_to(tmp_path / "secret.txt")
    data = load(root)
    assert "is not followed" in str(data.column("unreadable")[4])
    assert data.read([4]) == [""]


def test_metadata_name_label_and_source(tmp_path: Path) -> None:
    rows = "file_name,label,source\na/1.txt,x,shop\na/2.txt,y,\nb/1.txt,x,site\n"
    texts = {"a/1.txt": b"one", "a/2.txt": b"two", "b/1.txt": b"three"}
    data = load(folder(tmp_path, texts | {"metadata.csv": rows.encode()}))
    assert data.labels == ["x", "y", "x"]
    assert data.column("source") == ["shop", None, "site"]


@pytest.mark.parametrize(
    "files",
    [
        {"data.csv": b"text,label\ngood,a\nbad,b\n", "README.txt": b"about"},
        {"a/1.png": b"x", "a/1.txt": b"caption", "b/2.png": b"x"},
        {"1.txt": b"no class", "2.txt": b"no class"},
    ],
)
def test_other_folders_with_texts_in_them_are_not_claimed(files: dict[str, bytes], tmp_path: Path) -> None:
    from untaint.data.load import readers

    assert not readers()["text-folder"].claims(folder(tmp_path, files))


def test_clean_writes_the_files_again(tmp_path: Path) -> None:
    root = folder(tmp_path / "in", PLAIN | {"notes.md": b"not a sample", "pos/2.txt": b"caf\xe9"})
    (tmp_path / "out").mkdir()
    data = load(root)
    written = writer_for(data).copy(root, data, np.array([0, 3, 4]), tmp_path / "out")
    found = {str(file.relative_to(written)): file.read_bytes() for file in written.rglob("*") if file.is_file()}
    assert found == {"neg/0_2.txt": b"bad", "pos/1_8.txt": "schön\r\n".encode(), "pos/2.txt": b"caf\xe9"}
