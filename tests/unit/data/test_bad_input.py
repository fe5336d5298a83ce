"""What cannot be used is refused with a reason and advice; what can be kept is kept, row by row, with the reason."""

import gzip
import io
import os
import pickle
import struct
import tarfile
import zlib
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from untaint.data.images import decode
from untaint.data.load import load
from untaint.errors import BadInput

TABLE = {"text": ["one good film", "two bad films", "three films seen"], "label": ["a", "b", "a"]}


def _chunk(kind: bytes, data: bytes) -> bytes:
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))


BOMB = (
    b"\x89PNG\r\n\x1a\n"
    + _chunk(b"IHDR", struct.pack(">IIBBBBB", 90_000, 90_000, 8, 0, 0, 0, 0))
    + _chunk(b"IDAT", b"x\x9c")
    + _chunk(b"IEND", b"")
)


def _tar(path: Path, *members: tuple[tarfile.TarInfo, bytes]) -> Path:
    with tarfile.open(path, "w") as archive:
        for member, data in members:
            member.size = len(data)
            archive.addfile(member, io.BytesIO(data))
    return path


def _member(name: str, kind: bytes = tarfile.REGTYPE, link: str = "") -> tarfile.TarInfo:
    member = tarfile.TarInfo(name)
    member.type, member.linkname = kind, link
    return member


def _samples(pictures: list[bytes]) -> list[tuple[tarfile.TarInfo, bytes]]:
    found = []
    for row, picture in enumerate(pictures):
        found += [(_member(f"{row}.png"), picture), (_member(f"{row}.cls"), str(row % 2).encode())]
    return found


def _missing(root: Path) -> Path:
    return root / "nothing" / "here"


def _empty_folder(root: Path) -> Path:
    (root / "empty").mkdir()
    return root / "empty"


def _empty_file(root: Path) -> Path:
    (root / "data.csv").touch()
    return root / "data.csv"


def _header_only(root: Path) -> Path:
    (root / "data.csv").write_text("text,label\n")
    return root / "data.csv"


def _empty_parquet(root: Path) -> Path:
    pq.write_table(pa.table({"text": pa.array([], pa.string()), "label": pa.array([], pa.string())}), root / "data.parquet")
    return root / "data.parquet"


def _one_class(root: Path) -> Path:
    (root / "data.jsonl").write_text('{"text": "a b", "label": 1}\n' * 3)
    return root / "data.jsonl"


def _no_label(root: Path) -> Path:
    pq.write_table(pa.table({"text": TABLE["text"], "mood": TABLE["label"]}), root / "data.parquet")
    return root / "data.parquet"


def _all_distinct(root: Path) -> Path:
    (root / "data.csv").write_text("text,label\n" + "".join(f"some words,{i}\n" for i in range(30)))
    return root / "data.csv"


def _truncated_parquet(root: Path) -> Path:
    pq.write_table(pa.table(TABLE), root / "data.parquet")
    (root / "data.parquet").write_bytes((root / "data.parquet").read_bytes()[:-20])
    return root / "data.parquet"


def _broken_page(root: Path) -> Path:
    pq.write_table(
        pa.table({"text": TABLE["text"] * 500, "label": TABLE["label"] * 500}), root / "data.parquet", compression="zstd"
    )
    whole = (root / "data.parquet").read_bytes()
    (root / "data.parquet").write_bytes(whole[:4] + b"\xff" * 80 + whole[84:])
    return root / "data.parquet"


def _truncated_gz(root: Path) -> Path:
    (root / "data.jsonl.gz").write_bytes(gzip.compress(b'{"text": "a b", "label": 1}\n' * 50)[:-9])
    return root / "data.jsonl.gz"


def _truncated_zst(root: Path) -> Path:
    with pa.output_stream(str(root / "data.csv.zst"), compression="zstd") as packed:
        packed.write(b"text,label\n" + os.urandom(5000).hex().encode())
    (root / "data.csv.zst").write_bytes((root / "data.csv.zst").read_bytes()[:-30])
    return root / "data.csv.zst"


def _truncated_npz(root: Path) -> Path:
    np.savez(root / "data.npz", x=np.zeros((4, 9, 9), np.uint8), y=np.arange(4))
    (root / "data.npz").write_bytes((root / "data.npz").read_bytes()[:-40])
    return root / "data.npz"


def _object_npz(root: Path) -> Path:
    np.savez(root / "data.npz", x=np.array([{}, {}], dtype=object), y=np.arange(2))
    return root / "data.npz"


def _pickle_by_name(root: Path) -> Path:
    (root / "data.pkl").write_bytes(b"anything")
    return root / "data.pkl"


def _pickle_by_content(root: Path) -> Path:
    (root / "data.csv").write_bytes(pickle.dumps([1, 2]))
    return root / "data.csv"


def _object_npy(root: Path) -> Path:
    np.save(root / "data.npy", np.array([{}], dtype=object))
    return root / "data.npy"


def _unknown(root: Path) -> Path:
    (root / "data.xyz").write_text("hello")
    return root / "data.xyz"


def _short_idx(root: Path) -> Path:
    (root / "train-images-idx3-ubyte").write_bytes(b"\0\0\x08\x03" + struct.pack(">III", 10, 9, 9) + b"\0" * 700)
    (root / "train-labels-idx1-ubyte").write_bytes(b"\0\0\x08\x01" + struct.pack(">I", 10) + bytes(range(10)))
    return root


def _lying_idx(root: Path) -> Path:
    _short_idx(root)
    (root / "train-images-idx3-ubyte").write_bytes(b"\0\0\x08\x03" + b"\xff" * 12 + b"\0" * 700)
    return root


def _splits_as_classes(root: Path) -> Path:
    for name in ("train/cat/a.png", "test/cat/b.png"):
        (root / name).parent.mkdir(parents=True)
        (root / name).write_bytes(b"x")
    return root


def _splits_without_train(root: Path) -> Path:
    (root / "dataset_dict.json").write_text('{"splits": ["test", "extra"]}')
    return root


def _state_leads_out(root: Path) -> Path:
    (root / "state.json").write_text('{"_data_files": [{"filename": "../secret.arrow"}]}')
    return root


def _utf16(root: Path) -> Path:
    (root / "data.csv").write_bytes("text,label\na,b\n".encode("utf-16"))
    return root / "data.csv"


def _same_names(root: Path) -> Path:
    (root / "data.csv").write_text("label,label\n1,2\n")
    return root / "data.csv"


REFUSED: list[tuple[Callable[[Path], Path], str]] = [
    (_missing, "no such file or folder"),
    (_empty_folder, "empty folder"),
    (_empty_file, "empty file"),
    (_header_only, "is empty"),
    (_empty_parquet, "is empty"),
    (_one_class, "one class only"),
    (_no_label, "no label column; its columns are 'text', 'mood'"),
    (_all_distinct, "looks like an id"),
    (_truncated_parquet, "data.parquet is not a readable Parquet file"),
    (_broken_page, "data.parquet is not a readable Parquet file"),
    (_truncated_gz, "truncated or broken"),
    (_truncated_zst, "truncated or broken"),
    (_truncated_npz, "not a readable .npz"),
    (_object_npz, "pickled Python objects"),
    (_pickle_by_name, "is a pickle"),
    (_pickle_by_content, "is a pickle"),
    (_object_npy, "is a pickle"),
    (_unknown, "no known format"),
    (_short_idx, "truncated or broken"),
    (_lying_idx, "truncated or broken"),
    (_splits_as_classes, "holds the splits test, train"),
    (_splits_without_train, "holds the splits test, extra"),
    (_state_leads_out, "outside the folder"),
    (_utf16, "UTF-16"),
    (_same_names, "two columns called 'label'"),
]


@pytest.mark.parametrize(("make", "words"), REFUSED, ids=[make.__name__ for make, _ in REFUSED])
def test_refused_with_advice(make: Callable[[Path], Path], words: str, tmp_path: Path) -> None:
    with pytest.raises(BadInput) as error:
        load(make(tmp_path))
    assert words in error.value.message
    assert error.value.advice


@pytest.mark.parametrize(
    "member",
    [
        _member("../evil.png"),
        _member("/etc/evil.png"),
        _member("a/../../evil.png"),
        _member("..\\evil.png"),
        _member("evil.png", tarfile.SYMTYPE, "/etc/passwd"),
        _member("evil.png", tarfile.LNKTYPE, "0.png"),
        _member("evil.png", tarfile.CHRTYPE),
        _member("evil.png", tarfile.FIFOTYPE),
    ],
    ids=lambda member: f"{member.name}-{member.type.decode()}",
)
def test_an_archive_made_to_attack_is_refused(member: tarfile.TarInfo, pictures: list[bytes], tmp_path: Path) -> None:
    path = _tar(tmp_path / "data.tar", *_samples(pictures), (member, b""))
    with pytest.raises(BadInput, match="member") as error:
        load(path)
    assert repr(member.name) in str(error.value)


@pytest.mark.parametrize("cut", [0.3, 0.5, 0.77])
def test_a_truncated_archive_is_refused(cut: float, pictures: list[bytes], tmp_path: Path) -> None:
    path = _tar(tmp_path / "data.tar", *_samples(pictures))
    path.write_bytes(path.read_bytes()[: int(path.stat().st_size * cut)])
    with pytest.raises(BadInput, match="not a readable tar file"):
        load(path)


def test_an_archive_cut_between_members_is_refused(pictures: list[bytes], tmp_path: Path) -> None:
    path = _tar(tmp_path / "data.tar", *_samples(pictures))
    with tarfile.open(path) as archive:
        path.write_bytes(path.read_bytes()[: archive.getmembers()[-2].offset])
    with pytest.raises(BadInput, match="no end mark"):
        load(path)


def test_an_archive_with_a_broken_header_is_refused(pictures: list[bytes], tmp_path: Path) -> None:
    path = _tar(tmp_path / "data.tar", *_samples(pictures))
    with tarfile.open(path) as archive:
        offset = archive.getmembers()[8].offset
    whole = bytearray(path.read_bytes())
    whole[offset + 150] ^= 0xFF
    path.write_bytes(whole)
    with pytest.raises(BadInput, match="broken header"):
        load(path)


def test_samples_hidden_behind_the_end_of_an_archive_are_refused(pictures: list[bytes], tmp_path: Path) -> None:
    path = _tar(tmp_path / "data.tar", *_samples(pictures))
    path.write_bytes(path.read_bytes() * 2)
    with pytest.raises(BadInput, match="data after the end"):
        load(path)


def test_a_tar_sample_with_broken_fields_is_kept(pictures: list[bytes], tmp_path: Path) -> None:
    dataset = load(_tar(tmp_path / "data.tar", *_samples(pictures), (_member("9.png"), pictures[0]), (_member("9.json"), b"{")))
    assert "json cannot be read" in str(dataset.column("unreadable")[-1])
    assert dataset.read([8]) == [pictures[0]]


@pytest.mark.parametrize(
    ("picture", "words"),
    [
        (BOMB, "decompression bomb"),
        (b"", "no image"),
        (b"no picture", "not a readable image"),
        (b"\x89PNG\r\n\x1a\n" + b"\0" * 40, "not a readable"),
    ],
    ids=["bomb", "empty", "text", "broken"],
)
def test_an_unusable_picture_is_a_row_with_a_reason(picture: bytes, words: str, pictures: list[bytes], tmp_path: Path) -> None:
    table = pa.table({"image": [*pictures, picture], "label": [0, 1] * 4 + [0]})
    pq.write_table(table, tmp_path / "data.parquet")
    dataset = load(tmp_path / "data.parquet")
    assert words in str(dataset.column("unreadable")[8])
    assert dataset.column("unreadable")[:8] == [None] * 8
    assert dataset.read([8]) == [picture]
    with pytest.raises(BadInput):
        decode(picture)


@pytest.mark.parametrize("cut", [0.2, 0.5, 0.9])
def test_a_truncated_picture_is_a_row_with_a_reason(cut: float, pictures: list[bytes], tmp_path: Path) -> None:
    for row, picture in enumerate([*pictures, pictures[0][: int(len(pictures[0]) * cut)]]):
        file = tmp_path / str(row % 2) / f"{row}.png"
        file.parent.mkdir(exist_ok=True)
        file.write_bytes(picture)
    dataset = load(tmp_path)
    reasons = dict(zip(dataset.column("path"), dataset.column("unreadable"), strict=True))
    assert len(dataset) == 9
    assert "not a readable image" in str(reasons.pop("0/8.png"))
    assert set(reasons.values()) == {None}


def test_a_set_without_one_readable_row_is_refused(tmp_path: Path) -> None:
    (tmp_path / "data.csv").write_text("path,label\na.png,0\nb.png,1\n")
    with pytest.raises(BadInput, match="none of its 2 samples can be read; the first: 'a.png' is missing"):
        load(tmp_path / "data.csv")


def test_links_out_of_an_image_folder_are_not_followed(pictures: list[bytes], tmp_path: Path) -> None:
    outside, root = tmp_path / "outside", tmp_path / "root"
    for row, picture in enumerate(pictures):
        for folder in (root / str(row % 2), outside):
            folder.mkdir(parents=True, exist_ok=True)
            (folder / f"{row}.png").write_bytes(picture)
    (root / "0" / "linked.png").symlink_to(outside / "1.png")
    (root / "0" / "inside.png").symlink_to(root / "1" / "1.png")
    (root / "1" / "all").symlink_to(outside)
    os.mkfifo(root / "1" / "pipe.png")
    dataset = load(root)
    reasons = dict(zip(dataset.column("path"), dataset.column("unreadable"), strict=True))
    assert len(dataset) == 12
    assert "is not followed" in str(reasons["0/linked.png"])
    assert "is not followed" in str(reasons["1/all/"])
    assert "not a regular file" in str(reasons["1/pipe.png"])
    assert reasons["0/inside.png"] is None
    assert dataset.read([dataset.column("path").index("0/linked.png")]) == [b""]


def test_paths_in_a_table_stay_in_its_folder(pictures: list[bytes], tmp_path: Path) -> None:
    (tmp_path / "secret.png").write_bytes(pictures[1])
    folder = tmp_path / "data"
    folder.mkdir()
    (folder / "a.png").write_bytes(pictures[0])
    (folder / "link.png").symlink_to(tmp_path / "secret.png")
    names = [
        "a.png",
        "../secret.png",
        str(tmp_path / "secret.png"),
        "link.png",
        "https://example.org/a.png",
        "gone.png",
        "\0.png",
    ]
    lines = ["path,label", *(f"{name},{row % 2}" for row, name in enumerate(names))]
    (folder / "data.csv").write_text("\n".join(lines))
    dataset = load(folder / "data.csv")
    reasons = dataset.column("unreadable")
    assert reasons[0] is None
    assert all("points outside the data folder" in str(reason) for reason in reasons[1:4])
    assert "nothing is fetched" in str(reasons[4])
    assert "missing" in str(reasons[5])
    assert reasons[6] is not None
    assert dataset.read(range(7)) == [pictures[0]] + [b""] * 6


def test_broken_lines_are_rows_with_their_number(tmp_path: Path) -> None:
    (tmp_path / "data.jsonl").write_bytes(
        b'{"text":"a b","label":0}\n\n{"text":\n[1]\n{"text":"caf\xe9","label":1}\n{"text":"c d","label":1}'
    )
    dataset = load(tmp_path / "data.jsonl")
    reasons = list(map(str, dataset.column("unreadable")))
    assert len(dataset) == 5
    assert reasons[0] == reasons[4] == "None"
    assert reasons[1].startswith("line 3: not JSON")
    assert reasons[2].startswith("line 4: expected a JSON object")
    assert reasons[3].startswith("line 5: not UTF-8")
    assert dataset.read([1, 3]) == ['{"text":\n', '{"text":"caf\xe9","label":1}\n']
    assert dataset.column("path")[4] == "data.jsonl:6"


def test_broken_csv_records_are_rows_with_their_number(tmp_path: Path) -> None:
    body = b'text,label\n"a, b",0\nc d,e,1\ncaf\xe9 x,1\n5" pipe,1\n"two\nlines",0\nx y,1\n"open,0\nz z,1\n'
    (tmp_path / "data.csv").write_bytes(body)
    dataset = load(tmp_path / "data.csv")
    assert list(zip(dataset.labels, dataset.column("unreadable"), strict=True)) == [
        ("0", None),
        (None, "line 3: expected 2 fields, got 3"),
        (None, "line 4: not UTF-8 (invalid continuation byte)"),
        ("1", None),
        ("0", None),
        ("1", None),
        (None, "line 9: not CSV (a quote is opened and never closed)"),
        ("1", None),
    ]
    assert dataset.read([0, 3, 4, 7]) == ["a, b", '5" pipe', "two\nlines", "z z"]


def test_numbers_that_are_not_finite_mark_their_row(tmp_path: Path) -> None:
    images = np.random.default_rng(0).random((40, 9, 9))
    images[3, 0, 0], images[5, 1, 1], images[7, 2, 2] = np.nan, np.inf, 1e6
    np.savez(tmp_path / "data.npz", images=images, labels=np.arange(40) % 2)
    reasons = load(tmp_path / "data.npz").column("unreadable")
    assert [row for row, reason in enumerate(reasons) if reason] == [3, 5, 7]
    assert "not finite" in str(reasons[3])
    assert "outside 0..1" in str(reasons[7])


def test_table_cells_that_are_not_finite_mark_their_row(tmp_path: Path) -> None:
    (tmp_path / "data.csv").write_text("age,income,label\n1,2.5,a\n,inf,b\n3,nan,a\n")
    dataset = load(tmp_path / "data.csv")
    assert dataset.modality == "table"
    assert dataset.column("unreadable") == [None, "not finite (column 'income')", None]
    assert dataset.read([0, 2]) == ['{"age": 1, "income": 2.5}', '{"age": 3, "income": null}']


def test_rows_without_a_label_are_kept(tmp_path: Path) -> None:
    (tmp_path / "data.csv").write_text("text,label\na b,x\nc d,\ne f,y\n")
    assert load(tmp_path / "data.csv").labels == ["x", None, "y"]


def test_a_lone_surrogate_is_kept_and_marked(tmp_path: Path) -> None:
    (tmp_path / "data.jsonl").write_text('{"text":"a b","label":0}\n{"text":"a \\ud800","label":"\\ud800"}\n')
    dataset = load(tmp_path / "data.jsonl")
    assert dataset.column("unreadable")[1] == "text is not valid Unicode (a lone surrogate)"
    assert dataset.labels == ["0", "\\ud800"]


def test_a_file_that_shrinks_after_indexing_is_noticed(tmp_path: Path) -> None:
    path = tmp_path / "data.csv"
    path.write_text("text,label\na b,x\nc d,y\n")
    dataset = load(path)
    path.write_text("text,label\n")
    with pytest.raises(BadInput, match="has changed"):
        dataset.read([1])


def test_two_formats_in_one_folder_need_a_choice(pictures: list[bytes], tmp_path: Path) -> None:
    for label in ("a", "b"):
        (tmp_path / label).mkdir()
        (tmp_path / label / "1.png").write_bytes(pictures[0])
    pq.write_table(pa.table(TABLE), tmp_path / "data.parquet")
    with pytest.raises(BadInput, match="could be read as image-folder, parquet"):
        load(tmp_path)
    assert len(load(tmp_path, format="image-folder")) == 2
    assert len(load(tmp_path, format="parquet")) == 3
    with pytest.raises(BadInput, match="unknown format 'hub'"):
        load(tmp_path, format="hub")
