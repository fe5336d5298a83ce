"""What a seal holds, that it is the same however it is made, and everything that can be wrong with data, folders and seals."""

import gzip
import io
import json
import os
import tarfile
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given
from hypothesis import strategies as st

from untaint.data.load import load
from untaint.errors import BadInput, CannotWrite
from untaint.provenance import manifest, records, scan
from untaint.provenance.merkle import root_of
from untaint.provenance.plan import tasks_for
from untaint.provenance.seal import init, reader_for, seal, settings
from untaint.provenance.sealed import Sealed, from_statement, read_seal
from untaint.provenance.sources import Sources
from untaint.provenance.verify import verify

ROWS = [
    {"text": f"text number {n} – says this", "label": n % 3, "source": f"s{n % 4}", "url": f"https://a.org/{n}", "n": n}
    for n in range(60)
]


def jsonl(path: Path, rows: list[dict[str, object]] = ROWS) -> Path:
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    return path


PLAIN = "".join(json.dumps(row) + "\n" for row in ROWS)


def shards(path: Path) -> None:
    path.mkdir()
    for part in range(3):
        pq.write_table(pa.Table.from_pylist(ROWS[part * 20 : part * 20 + 20]), path / f"train-{part}.parquet")
    (path / "README").write_text("shards")


def tar(path: Path) -> None:
    with tarfile.open(path, "w") as archive:
        for n, row in enumerate(ROWS):
            members = {"txt": str(row["text"]), "cls": str(row["label"]), "json": json.dumps({"source": row["source"]})}
            for suffix, text in members.items():
                member = tarfile.TarInfo(f"{n:03d}.{suffix}")
                member.size = len(text.encode())
                archive.addfile(member, io.BytesIO(text.encode()))


def folder_of(suffix: str) -> Callable[[Path], None]:
    def write(path: Path) -> None:
        names = [f"{'ab'[n % 2]}/{n}.{suffix}" for n in range(12)]
        for n, name in enumerate(names):
            (path / name).parent.mkdir(parents=True, exist_ok=True)
            (path / name).write_bytes(b"not UTF-8 \xff" if n == 3 else f"file {n}".encode())
        (path / "metadata.csv").write_text("file_name,source\n" + "".join(f"{name},s{n}\n" for n, name in enumerate(names)))

    return write


WRITERS: dict[str, Callable[[Path], object]] = {
    "a.jsonl": lambda path: path.write_text("\n" + PLAIN + "{broken\n"),
    "a.jsonl.gz": lambda path: path.write_bytes(gzip.compress(PLAIN.encode())),
    "a.json": lambda path: path.write_text(json.dumps(ROWS, indent=1)),
    "a.csv": lambda path: pd.DataFrame(ROWS).to_csv(path, index=False),
    "a.parquet": lambda path: pq.write_table(pa.Table.from_pylist(ROWS), path, row_group_size=25),
    "a.npz": lambda path: np.savez(path, x=np.random.default_rng(0).integers(0, 256, (60, 8, 8), np.uint8), y=np.arange(60) % 3),
    "shards": shards,
    "a.tar": tar,
    "texts": folder_of("txt"),
    "pictures": folder_of("png"),
}


def written(name: str, folder: Path) -> Path:
    """The same rows in a format."""
    WRITERS[name](folder / name)
    return folder / name


@pytest.mark.parametrize("name", ["a.jsonl", "a.jsonl.gz", "a.json", "a.csv", "a.parquet", "shards", "a.tar", "a.npz", "texts"])
def test_a_manifest_can_be_joined_with_an_audit(name: str, tmp_path: Path) -> None:
    """Ids, labels, sources and places are those of the reader that an audit takes."""
    path = written(name, tmp_path)
    made = seal(path)
    rows, dataset = made.manifest.take(np.arange(made.sealed.size)).to_pylist(), load(path)
    assert [row["id"].hex() for row in rows] == dataset.ids
    assert [row["label"] for row in rows] == dataset.labels
    assert [row["source"] for row in rows] == dataset.column("source")
    names = made.files(["name"]).column("name").to_pylist()
    if name in {"a.jsonl", "a.csv"}:
        assert [f"{names[row['file']]}:{row['number']}" for row in rows] == dataset.column("path")
    if name in {"a.parquet", "shards"}:
        assert [f"{names[row['file']]}#{row['number']}" for row in rows] == dataset.column("path")
    assert verify(path).sound


def test_a_table_too(tmp_path: Path) -> None:
    path = tmp_path / "table.csv"
    pd.DataFrame({"a": np.arange(60) / 7, "b": np.arange(60) % 5, "label": np.arange(60) % 2}).to_csv(path, index=False)
    rows = seal(path).manifest.take(np.arange(60)).to_pylist()
    assert [row["id"].hex() for row in rows] == load(path).ids


def test_pictures_and_their_metadata(tmp_path: Path) -> None:
    made = seal(written("pictures", tmp_path), chosen=settings(format="image-folder"))
    rows = made.manifest.take(np.arange(12)).to_pylist()
    assert [(row["label"], row["source"]) for row in rows][:3] == [("a", "s0"), ("a", "s10"), ("a", "s2")]


def test_splits_and_files_that_no_reader_knows(tmp_path: Path) -> None:
    for split in ("train", "test"):
        for n in range(4):
            target = tmp_path / "set" / split / "ab"[n % 2] / f"{n}.png"
            target.parent.mkdir(parents=True, exist_ok=True)
            target.write_bytes(f"{split} {n}".encode())
    rows = seal(tmp_path / "set").manifest.take(np.arange(8)).to_pylist()
    assert [(row["split"], row["label"]) for row in rows] == [(split, label) for split in ("test", "train") for label in "aabb"]
    (tmp_path / "model").mkdir()
    (tmp_path / "model/weights.safetensors").write_bytes(b"w" * 100)
    (tmp_path / "model/config.json").write_text("{}")
    made = seal(tmp_path / "model")
    assert (made.sealed.format, made.sealed.size) == ("mixed", 2)
    (tmp_path / "model/weights.safetensors").write_bytes(b"w" * 99 + b"x")
    assert verify(tmp_path / "model").changes.lines() == ["1 sample changed in content: weights.safetensors"]


@pytest.mark.parametrize("name", ["a.jsonl", "a.csv", "a.parquet", "pictures"])
def test_the_root_is_the_same_however_the_work_is_cut(name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = written(name, tmp_path)
    first = seal(path).sealed
    monkeypatch.setattr(records, "_BLOCK", 200)
    monkeypatch.setattr(records, "_PIECE", 7)
    monkeypatch.setattr(manifest, "_GROUP", 5)
    monkeypatch.setattr(manifest, "_PART", 23)
    again = seal(path, replace=True)
    assert again.sealed.root == first.root
    assert len(again.sealed.parts) > len(first.parts) or name == "pictures"
    rows = again.manifest.take(np.arange(first.size)).to_pylist()
    assert [row for batch in again.manifest.batches(start=3) for row in batch.to_pylist()] == rows[3:]
    again.check()
    assert again.files().column("rows").to_pylist() == seal(path, replace=True).files().column("rows").to_pylist()
    assert verify(path).sound


def test_several_processes_give_the_same_seal(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from untaint.provenance import work

    monkeypatch.setattr(work, "_ALONE", 0.0)
    monkeypatch.setattr(records, "_BLOCK", 2000)
    (tmp_path / "all").mkdir()
    for name in ("a.jsonl", "a.csv", "a.parquet", "a.tar", "a.npz"):
        written(name, tmp_path / "all")
    one = seal(tmp_path / "all").sealed
    two = seal(tmp_path / "all", chosen=settings(2), replace=True).sealed
    assert one.size == 242  # a set that only its reader can cut is one sample among others
    assert (one.root, [part.sha256 for part in one.parts]) == (two.root, [part.sha256 for part in two.parts])


class Stopped(RuntimeError):
    """Of the tests."""


def test_a_stopped_sealing_goes_on(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path, whole = jsonl(tmp_path / "a.jsonl"), jsonl(tmp_path / "b.jsonl")
    monkeypatch.setattr(records, "_BLOCK", 500)
    monkeypatch.setattr(manifest, "_PART", 10)
    expected = seal(whole).sealed
    done: list[int] = []

    def report(_what: str, rows: int, _total: int) -> None:
        done.append(rows)
        if rows > 35 and len(done) < 100:
            raise Stopped

    chosen = settings()
    with pytest.raises(Stopped):
        seal(path, chosen=type(chosen)(chosen.request, None, 1, report))
    assert not (tmp_path / "a.jsonl.untaint/statement.json").exists()
    done.clear()
    made = seal(path, chosen=type(chosen)(chosen.request, None, 1, lambda _w, rows, _t: done.append(rows)))
    assert min(rows for rows in done if rows) > 30  # what was finished is not done again
    assert (made.sealed.root, made.sealed.parts) == (expected.root, expected.parts)
    assert verify(path).sound
    with pytest.raises(BadInput, match="holds a seal already"):
        seal(path)


def test_a_stopped_sealing_of_data_that_changed_begins_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = jsonl(tmp_path / "a.jsonl")
    monkeypatch.setattr(records, "_BLOCK", 500)
    monkeypatch.setattr(manifest, "_PART", 10)
    reader = reader_for(path, settings(), Sources())
    folder = tmp_path / "a.jsonl.untaint/partial"

    def half(count: int) -> Iterator[object]:
        for place, task in enumerate(tasks_for(reader.plan, reader.path, reader.context, lambda _entry: None)):
            if place == count:
                raise Stopped
            yield task

    folder.mkdir(parents=True)
    key = "another key"
    with pytest.raises(Stopped):
        scan.Scan(folder, key, lambda *_: None).run(lambda: half(12), 1)  # type: ignore[arg-type, return-value]
    assert (folder / "journal.json").exists()
    jsonl(path, ROWS[::-1])
    assert seal(path).sealed.root == seal(jsonl(tmp_path / "c.jsonl", ROWS[::-1])).sealed.root


def test_an_older_seal_is_kept(tmp_path: Path) -> None:
    path = jsonl(tmp_path / "a.jsonl")
    first = seal(path).sealed
    jsonl(path, ROWS[:50])
    second = seal(path, replace=True)
    kept = list((second.folder / "earlier").iterdir())
    assert [read_seal(folder).sealed.root for folder in kept] == [first.root]
    assert second.sealed.size == 50


def test_the_root_is_that_of_the_leaves_as_documented(tmp_path: Path) -> None:
    """By hand, from what `leaves` says."""
    import hashlib

    def sha(data: bytes) -> bytes:
        return hashlib.sha256(data).digest()

    path = jsonl(
        tmp_path / "a.jsonl", [{"text": "one text of two", "label": "x", "lang": "en"}, {"text": "the other", "label": "y"}]
    )
    absent = sha(b"untaint.absent/v1")
    rest = sha(b'{"lang":"en"}')
    contents = [sha(b"untaint.content/v1" + sha(b"one text of two") + rest), sha(b"the other")]
    labels = [sha(b"untaint.label/v1:" + label) for label in (b"x", b"y")]
    found = [sha(b"\x00" + content + label + absent * 3) for content, label in zip(contents, labels, strict=True)]
    assert seal(path).sealed.root == root_of(found).hex()


def test_names_with_anything_in_them(tmp_path: Path) -> None:
    root = tmp_path / "files"
    (root / "a:b").mkdir(parents=True)
    names = [b"a:b/c:1:2", b"line\nbreak", b"not utf-8 \xff", b"back\\slash", b"not utf-8 \\udcff", "ü".encode()]
    for name in names:
        with open(os.path.join(os.fsencode(root), name), "wb") as file:  # noqa: PTH118, PTH123 - names as bytes
            file.write(name)
    (root / "loop").symlink_to(root)
    (root / "a:b/up").symlink_to("../a:b")
    os.mkfifo(root / "pipe")
    made = seal(root)
    assert made.sealed.size == 6
    assert verify(root).sound
    with open(os.path.join(os.fsencode(root), b"not utf-8 \xff"), "wb") as file:  # noqa: PTH118, PTH123
        file.write(b"x")
    assert verify(root).changes.lines() == ["1 sample changed in content: not utf-8 \\udcff"]


def test_sources_by_column_host_path_and_default(tmp_path: Path) -> None:
    rows: list[dict[str, object]] = [
        {"text": "text number one", "label": "a", "source": "said", "url": "https://img.shop.example/1"},
        {"text": "text number two", "label": "b", "source": None, "url": "https://img.shop.example/2"},
        {"text": "text number three", "label": "b", "source": None, "url": "https://elsewhere.example/2"},
    ]
    path = jsonl(tmp_path / "a.jsonl", rows)
    file = init(path)
    assert 'name = "said"' in file.read_text()
    with pytest.raises(CannotWrite, match="is there already"):
        init(path)
    text = 'schema = "untaint.sources/v1"\ndefault = "house"\n[[source]]\nname = "shop"\nkind = "live-url"\nhosts = ["*.shop.example"]\n'
    file.write_text(text)
    made = seal(path)
    assert made.manifest.take(np.arange(3), ["source"]).column("source").to_pylist() == ["said", "shop", "house"]
    assert verify(path).sound
    file.write_text(text.replace("*.shop", "*.other"))
    found = verify(path)
    assert found.changes.lines() == ["1 sample now claimed from another source: a.jsonl:2 shop → house"]
    assert found.notes == ("sources.toml was edited since the data were sealed",)


@pytest.mark.parametrize(
    ("damage", "message"),
    [
        (lambda s: (s / "statement.json").unlink(), "holds no seal"),
        (lambda s: (s / "statement.json").write_text("{"), "is not a JSON object"),
        (lambda s: edit(s, lambda text: text.replace("untaint.seal/v1", "untaint.seal/v2")), "has the schema 'untaint.seal/v2'.*Update untaint"),
        (lambda s: edit(s, lambda text: text.replace('"created":"20', '"created":"30')), "the clock here says"),
        (lambda s: edit(s, lambda text: text.replace('"size":', '"sizes":')), "is no statement of a seal"),
        (lambda s: edit(s, lambda text: text.replace('"rows":60', '"rows":59')), "do not add up"),
        (lambda s: edit(s, lambda text: text.replace('"root":"', '"root":"x')), "is no SHA-256"),
        (lambda s: append(s / "manifest/part-00000.parquet"), "is not the manifest that was sealed"),
        (lambda s: (s / "manifest/part-00000.parquet").unlink(), "part-00000.parquet cannot be read"),
        (lambda s: append(s / "files.parquet"), "is not the table that was sealed"),
        (lambda s: (s / "files.parquet").unlink(), "is not the table that was sealed"),
        (lambda s: append(s / "tiles/0/000.p/60"), "1,921 bytes, not 1,920"),
        (lambda s: (s / "tiles/0/000.p/60").write_bytes(b"\0" * 1920), "is not the one that was sealed"),
        (lambda s: (s / "tiles/0/000.p/60").unlink(), "000.p/60 is missing"),
        (lambda s: (s / "sources.toml").write_text("x"), "cannot be read as TOML"),
    ],
)  # fmt: skip
def test_a_damaged_seal_is_an_error_and_no_pass(damage: object, message: str, tmp_path: Path) -> None:
    path = jsonl(tmp_path / "a.jsonl")
    folder = seal(path).folder
    damage(folder)  # type: ignore[operator]
    jsonl(path, ROWS[:50])
    with pytest.raises(BadInput, match=message):
        verify(path)


def edit(folder: Path, change: object) -> None:
    path = folder / "statement.json"
    path.write_text(change(path.read_text()))  # type: ignore[operator]


def append(path: Path) -> None:
    path.write_bytes(path.read_bytes() + b"x")


def test_data_that_cannot_be_sealed(tmp_path: Path) -> None:
    with pytest.raises(BadInput, match="no such file or folder"):
        seal(tmp_path / "nothing")
    os.mkfifo(tmp_path / "pipe")
    with pytest.raises(BadInput, match="neither a file nor a folder"):
        seal(tmp_path / "pipe")
    path = jsonl(tmp_path / "a.jsonl")
    with pytest.raises(BadInput, match="has no column 'labl'.*Did you mean --label label"):
        seal(path, chosen=settings(label="labl"))
    with pytest.raises(BadInput, match="unknown format 'x'"):
        seal(path, chosen=settings(format="x"))
    (tmp_path / "folder").mkdir()
    (tmp_path / "folder/x.bin").write_bytes(b"x")
    with pytest.raises(BadInput, match="lies inside the data"):
        seal(tmp_path / "folder", tmp_path / "folder/seal")
    (tmp_path / "cut.parquet").write_bytes(b"PAR1 and no more")
    with pytest.raises(BadInput, match=r"cut.parquet is not a readable Parquet file"):
        seal(tmp_path / "cut.parquet")
    with pytest.raises(BadInput, match="is the seal of 'a.jsonl'|holds no seal"):
        verify(jsonl(tmp_path / "b.jsonl"))


def test_a_file_that_is_exchanged_while_it_is_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from untaint.provenance import listing, plan

    root = tmp_path / "files"
    root.mkdir()
    (root / "a.bin").write_bytes(b"a" * 100)
    real = listing.listed

    def slow(path: Path) -> Iterator[listing.Entry]:
        for entry in real(path):
            (root / "a.bin").unlink()
            (root / "a.bin").symlink_to("/etc/hostname")
            yield entry

    monkeypatch.setattr(plan, "listed", slow)
    with pytest.raises(BadInput, match="a.bin (was changed while|.*cannot be read)"):
        seal(root)


def test_empty_data_have_a_seal_too(tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    made = seal(tmp_path / "empty")
    assert made.sealed.size == 0
    assert verify(tmp_path / "empty").sound
    (tmp_path / "empty/x").touch()
    assert not verify(tmp_path / "empty").sound


@given(st.binary(max_size=200) | st.text(max_size=200).map(str.encode))
def test_no_statement_makes_a_traceback(content: bytes) -> None:
    with suppress(BadInput):
        assert isinstance(from_statement(content, "x"), Sealed)
