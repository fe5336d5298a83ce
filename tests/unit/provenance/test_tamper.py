"""Seventy kinds of change, one at a time: `verify` names what changed and nothing else. Expected: counts of samples, counts of files."""

import csv
import gzip
import io
import json
import os
import shutil
import tarfile
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from PIL import Image

from untaint.provenance.seal import seal
from untaint.provenance.strict import listing_digest, rows_of_folder
from untaint.provenance.verify import Tier, verify

Change = Callable[[Path], object]


def picture(seed: int) -> bytes:
    out = io.BytesIO()
    Image.fromarray(np.random.default_rng(seed).integers(0, 256, (8, 8, 3), np.uint8)).save(out, "PNG")
    return out.getvalue()


@pytest.fixture(scope="module")
def originals(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder of pictures with a repository and a link in it, and the same 40 texts as JSON lines, CSV and Parquet; all sealed."""
    root = tmp_path_factory.mktemp("sealed")
    pictures = root / "pictures"
    for place in range(12):
        path = pictures / ("cat" if place % 2 else "dog") / f"{place}.png"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(picture(place))
    (pictures / ".git").mkdir()
    (pictures / ".git/config").write_text("[core]")
    (pictures / "run.sh").write_text("true")
    (pictures / "run.sh").chmod(0o644)
    (pictures / "latest").symlink_to("cat/1.png")
    (pictures / "caf\u00e9").write_text("a name with an accent")
    rows: list[dict[str, object]] = [
        {
            "text": f"text number {n} says this and that",
            "label": "pn"[n % 2],
            "source": f"s{n % 4}",
            "url": f"https://s{n % 4}.org/{n}",
            "split": "train" if n % 5 else "test",
            "transform": "none",
            "collected_at": f"2026-10-{1 + n % 9:02d}",
        }
        for n in range(40)
    ]
    (root / "texts.jsonl").write_text(jsonl(rows))
    with (root / "texts.csv").open("w", newline="") as file:
        writer = csv.DictWriter(file, rows[0])
        writer.writeheader()
        writer.writerows(rows)
    pq.write_table(pa.Table.from_pylist(rows), root / "texts.parquet", row_group_size=16)
    (root / "texts.jsonl.gz").write_bytes(gzip.compress(jsonl(rows).encode(), 1, mtime=1))
    (root / "texts.tar").write_bytes(tar([(f"{n:02d}", str(row["text"]), str(row["label"])) for n, row in enumerate(rows)]))
    (root / "files").mkdir()
    for part in range(2):
        (root / f"files/part-{part}.jsonl").write_text(jsonl(rows[part * 20 : part * 20 + 20]))
    for place in range(12):
        path = root / "splits" / ("train" if place < 8 else "test") / ("cat" if place % 2 else "dog") / f"{place}.png"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(picture(place))
    for name in SETS:
        assert (seal(root / name).sealed.size) == (12 if name in {"pictures", "splits"} else 40)
    return root


SETS = ("pictures", "splits", "files", "texts.jsonl", "texts.csv", "texts.parquet", "texts.jsonl.gz", "texts.tar")


def tar(samples: list[tuple[str, str, str]]) -> bytes:
    """Name, text and label of each."""
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w") as archive:
        for name, text, label in samples:
            for suffix, content in (("txt", text), ("cls", label)):
                member = tarfile.TarInfo(f"{name}.{suffix}")
                member.size = len(content)
                archive.addfile(member, io.BytesIO(content.encode()))
    return out.getvalue()


def state(path: Path) -> bytes:
    """What lies there: names, modes, links and contents."""
    return listing_digest(rows_of_folder(path))


def jsonl(rows: list[dict[str, object]]) -> str:
    return "".join(json.dumps(row) + "\n" for row in rows)


def on_rows(change: Callable[[list[dict[str, object]]], object], name: str = "texts.jsonl") -> Change:
    """A change of the records of a file."""

    def apply(root: Path) -> None:
        path = root / name
        if name.endswith(".jsonl"):
            rows = [json.loads(line) for line in path.read_text().splitlines()]
            path.write_text(jsonl(changed(rows)))
        elif name.endswith(".csv"):
            with path.open(newline="") as file:
                rows = list(csv.DictReader(file))
            with path.open("w", newline="") as file:
                rows = changed(rows)
                writer = csv.DictWriter(file, rows[0])
                writer.writeheader()
                writer.writerows(rows)
        else:
            pq.write_table(pa.Table.from_pylist(changed(pq.read_table(path).to_pylist())), path, row_group_size=16)

    def changed(rows: list[dict[str, object]]) -> list[dict[str, object]]:
        found = change(rows)
        return found if isinstance(found, list) else rows

    return apply


def flip_byte(path: Path) -> None:
    data = bytearray(path.read_bytes())
    data[-3] ^= 1
    path.write_bytes(bytes(data))


def keep_times(change: Callable[[Path], object]) -> Callable[[Path], None]:
    def apply(path: Path) -> None:
        found = path.stat()
        change(path)
        os.utime(path, ns=(found.st_atime_ns, found.st_mtime_ns))

    return apply


def exchange(one: Path, other: Path) -> None:
    kept = one.read_bytes()
    one.write_bytes(other.read_bytes())
    other.write_bytes(kept)


def swap_labels(rows: list[dict[str, object]]) -> None:
    rows[4]["label"], rows[7]["label"] = rows[7]["label"], rows[4]["label"]


def many_at_once(rows: list[dict[str, object]]) -> list[dict[str, object]]:
    for n in (3, 5, 6):
        rows[n]["label"] = "x"
    rows[20]["text"] = "something else"
    added = [rows[0] | {"text": f"new {n}"} for n in range(12)]
    return [*rows[:9], *added, *rows[11:]]


def resource(rows: list[dict[str, object]]) -> None:
    for row in rows:
        row["source"] = "forum"


def relink(path: Path, target: str) -> None:
    path.unlink()
    path.symlink_to(target)


def in_text(change: Callable[[str], str], name: str = "texts.jsonl") -> Change:
    """A change of the characters of a file; line ends stay."""

    def apply(root: Path) -> None:
        text = (root / name).read_bytes().decode()
        (root / name).write_bytes(change(text).encode())

    return apply


def rename_column(rows: list[dict[str, object]]) -> list[dict[str, object]]:
    return [{("category" if name == "label" else name): value for name, value in row.items()} for row in rows]


def link_hard(path: Path, target: Path) -> None:
    path.unlink()
    os.link(target, path)


def make_sparse(path: Path) -> None:
    """As long as it was, its last half a hole."""
    size = path.stat().st_size
    os.truncate(path, size // 2)
    os.truncate(path, size)


def move_record(one: Path, other: Path) -> None:
    """The last record of a file becomes the last of another."""
    lines = one.read_text().splitlines(keepends=True)
    one.write_text("".join(lines[:-1]))
    other.write_text(other.read_text() + lines[-1])


def rewrite_rows(path: Path) -> None:
    """The same rows in other row groups, compressed otherwise."""
    pq.write_table(pq.read_table(path), path, row_group_size=7, compression="gzip")


def in_tar(path: Path, change: Callable[[list[tuple[str, str, str]]], object]) -> None:
    with tarfile.open(path) as archive:
        parts = [(member.name, (archive.extractfile(member) or io.BytesIO()).read().decode()) for member in archive]
    found = [(name[:-4], text, label) for (name, text), (_, label) in zip(parts[::2], parts[1::2], strict=True)]
    change(found)
    path.write_bytes(tar(found))


def exchange_in_tar(samples: list[tuple[str, str, str]]) -> None:
    samples[3] = (samples[3][0], "bought and brought in", samples[3][2])


def replace_by_link(path: Path) -> None:
    shutil.move(path, path.with_name("hidden"))
    path.symlink_to("hidden")


P = "pictures"
CASES: dict[str, tuple[Change, dict[str, int], dict[str, int]]] = {
    "byte of a picture": (lambda r: flip_byte(r / P / "cat/3.png"), {"content": 1}, {}),
    "byte, modification time restored": (lambda r: keep_times(flip_byte)(r / P / "cat/3.png"), {"content": 1}, {}),
    "picture truncated": (lambda r: (r / P / "cat/3.png").write_bytes((r / P / "cat/3.png").read_bytes()[:-9]), {"content": 1}, {}),
    "picture added": (lambda r: (r / P / "cat/99.png").write_bytes(picture(99)), {"added": 1}, {}),
    "picture removed": (lambda r: (r / P / "dog/4.png").unlink(), {"removed": 1}, {}),
    "picture renamed": (lambda r: (r / P / "dog/4.png").rename(r / P / "dog/4b.png"), {}, {"renamed": 1}),
    "picture renamed into another place of the order": (lambda r: (r / P / "dog/4.png").rename(r / P / "dog/z.png"), {}, {"renamed": 1}),
    "picture moved to another class": (lambda r: (r / P / "dog/4.png").rename(r / P / "cat/4.png"), {"label": 1}, {}),
    "two pictures of two classes exchanged": (lambda r: exchange(r / P / "dog/4.png", r / P / "cat/3.png"), {"label": 2}, {}),
    "two pictures of one class exchanged": (lambda r: exchange(r / P / "dog/4.png", r / P / "dog/6.png"), {}, {"swapped": 2}),
    "mode": (lambda r: (r / P / "run.sh").chmod(0o755), {}, {"mode": 1}),
    "mode of a picture": (lambda r: (r / P / "cat/3.png").chmod(0o600), {}, {"mode": 1}),
    "empty file added": (lambda r: (r / P / "__init__.py").touch(), {}, {"added": 1}),
    "empty folder added": (lambda r: (r / P / "bird").mkdir(), {}, {"added": 1}),
    "file of git added": (lambda r: (r / P / ".git/evil.py").write_text("x"), {}, {"added": 1}),
    "file of git edited": (lambda r: (r / P / ".git/config").write_text("[evil]"), {}, {"content": 1}),
    "set of another format added": (lambda r: pq.write_table(pa.table({"a": [1]}), r / P / "x.parquet"), {}, {"added": 1}),
    "hidden picture added": (lambda r: (r / P / "cat/.hidden.png").write_bytes(picture(98)), {}, {"added": 1}),
    "file that is no sample removed": (lambda r: (r / P / "run.sh").unlink(), {}, {"removed": 1}),
    "link leads elsewhere": (lambda r: relink(r / P / "latest", "/etc/passwd"), {}, {"target": 1}),
    "file replaced by a link to a copy": (lambda r: replace_by_link(r / P / "run.sh"), {}, {"kind": 1, "added": 1}),
    "label flipped": (on_rows(lambda rows: rows[4].update(label="n")), {"label": 1}, {}),
    "two labels swapped": (on_rows(swap_labels), {"label": 2}, {}),
    "text edited": (on_rows(lambda rows: rows[4].update(text="another")), {"content": 1}, {}),
    "label and text": (on_rows(lambda rows: rows[4].update(text="another", label="n")), {"content": 1, "label": 1}, {}),
    "another field edited": (on_rows(lambda rows: rows[4].update(url="https://evil.org")), {"fields": 1}, {}),
    "dated back": (on_rows(lambda rows: rows[4].update(collected_at="2020-01-01")), {"fields": 1}, {}),
    "record added in the middle": (on_rows(lambda rows: rows.insert(17, rows[3] | {"text": "new"})), {"added": 1}, {}),
    "record added twice": (on_rows(lambda rows: rows.append(rows[3])), {"added": 1}, {}),
    "record removed at the start": (on_rows(lambda rows: rows.pop(0)), {"removed": 1}, {}),
    "one removed, one later edited": (on_rows(lambda rows: (rows[30].update(text="another"), rows.pop(2), None)[-1]), {"content": 1, "removed": 1}, {}),
    "records in another order": (on_rows(lambda rows: rows[:10] + rows[10:20][::-1] + rows[20:]), {"order": 9}, {}),
    "claimed from another source": (on_rows(resource), {"source": 40}, {}),
    "moved to another split": (on_rows(lambda rows: rows[1].update(split="test")), {"split": 1}, {}),
    "said to be transformed": (on_rows(lambda rows: rows[1].update(transform="cropped")), {"transform": 1}, {}),
    "last line cut short": (lambda r: (r / "texts.jsonl").write_text((r / "texts.jsonl").read_text()[:-30]), {"content": 1, "label": 1, "source": 1, "split": 1, "transform": 1}, {}),
    "last record cut off": (on_rows(lambda rows: rows[:-1]), {"removed": 1}, {}),
    "white space only": (lambda r: (r / "texts.jsonl").write_text((r / "texts.jsonl").read_text().replace(": ", ":")), {}, {"content": 1}),
    "a key that comes twice": (lambda r: (r / "texts.jsonl").write_text((r / "texts.jsonl").read_text().replace('{"text"', '{"text": "poison", "text"', 1)), {}, {"content": 1}),
    "many at once": (on_rows(many_at_once), {"label": 3, "content": 1, "added": 12, "removed": 2}, {}),
    "label in CSV": (on_rows(lambda rows: rows[4].update(label="n"), "texts.csv"), {"label": 1}, {}),
    "text in CSV": (on_rows(lambda rows: rows[4].update(text="a, \"quoted\"\nline"), "texts.csv"), {"content": 1}, {}),
    "label in Parquet": (on_rows(lambda rows: rows[4].update(label="n"), "texts.parquet"), {"label": 1}, {}),
    "row of Parquet removed": (on_rows(lambda rows: rows.pop(17), "texts.parquet"), {"removed": 1}, {}),
    "row groups of Parquet written anew": (lambda r: rewrite_rows(r / "texts.parquet"), {}, {"content": 1}),
    "rows of Parquet in another order": (on_rows(lambda rows: rows[:30] + rows[30:][::-1], "texts.parquet"), {"order": 9}, {}),
    "Parquet cut short": (lambda r: os.truncate(r / "texts.parquet", (r / "texts.parquet").stat().st_size - 9), {"removed": 40}, {}),
    "one record moved to the start": (on_rows(lambda rows: rows.insert(0, rows.pop(20))), {"order": 1}, {}),
    "column of labels renamed": (on_rows(rename_column), {"label": 40, "fields": 40}, {}),
    "column of labels renamed in CSV": (on_rows(rename_column, "texts.csv"), {}, {"columns": 1}),
    "column of labels renamed in Parquet": (on_rows(rename_column, "texts.parquet"), {"label": 40, "fields": 40}, {}),
    "another column called label": (on_rows(lambda rows: rows[0].update(labels="n")), {"fields": 1}, {}),
    "byte order mark": (in_text(lambda text: "\ufeff" + text), {}, {"content": 1}),
    "byte order mark in CSV": (in_text(lambda text: "\ufeff" + text, "texts.csv"), {}, {"content": 1}),
    "line ends of Windows": (in_text(lambda text: text.replace("\n", "\r\n")), {}, {"content": 1}),
    "line ends of Unix in CSV": (in_text(lambda text: text.replace("\r\n", "\n"), "texts.csv"), {}, {"content": 1}),
    "letters as escapes": (in_text(lambda text: text.replace("this", "\\u0074his")), {}, {"content": 1}),
    "another encoding": (lambda r: (r / "texts.jsonl").write_bytes((r / "texts.jsonl").read_text().replace("text number 3 ", "téxt number 3 ").encode("latin-1")), {"content": 1, "label": 1, "source": 1, "split": 1, "transform": 1}, {}),
    "record in two places": (on_rows(lambda rows: rows.insert(5, rows[30])), {"added": 1}, {}),
    "copy of a picture": (lambda r: shutil.copy(r / P / "cat/3.png", r / P / "cat/3b.png"), {"added": 1}, {}),
    "hard link to a picture": (lambda r: os.link(r / P / "cat/3.png", r / P / "cat/3b.png"), {"added": 1}, {}),
    "picture replaced by a hard link to another": (lambda r: link_hard(r / P / "cat/3.png", r / P / "cat/5.png"), {"content": 1}, {}),
    "second half of a picture a hole": (lambda r: make_sparse(r / P / "cat/3.png"), {"content": 1}, {}),
    "second half a hole, modification time restored": (lambda r: keep_times(make_sparse)(r / P / "cat/3.png"), {"content": 1}, {}),
    "capital letter in a name": (lambda r: (r / P / "cat/3.png").rename(r / P / "cat/3.PNG"), {}, {"renamed": 1}),
    "capital letter in a class": (lambda r: (r / P / "cat").rename(r / P / "Cat"), {"label": 6}, {"added": 1, "removed": 1}),
    "name of the same letters, composed otherwise": (lambda r: (r / P / "caf\u00e9").rename(r / P / "cafe\u0301"), {}, {"renamed": 1}),
    "folder replaced by a link to it": (lambda r: replace_by_link(r / P / ".git"), {}, {"kind": 1, "renamed": 1, "added": 1}),
    "picture moved to another split": (lambda r: (r / "splits/train/cat/3.png").rename(r / "splits/test/cat/3.png"), {"split": 1}, {}),
    "record moved to another file": (lambda r: move_record(r / "files/part-0.jsonl", r / "files/part-1.jsonl"), {"order": 1}, {}),
    "two files of records exchanged": (lambda r: exchange(r / "files/part-0.jsonl", r / "files/part-1.jsonl"), {}, {"swapped": 2}),
    "file of records renamed": (lambda r: (r / "files/part-0.jsonl").rename(r / "files/part-2.jsonl"), {}, {"renamed": 1}),
    "compressed otherwise": (lambda r: (r / "texts.jsonl.gz").write_bytes(gzip.compress((r / "texts.jsonl").read_bytes(), 9)), {}, {"content": 1}),
    "compressed file cut short": (lambda r: os.truncate(r / "texts.jsonl.gz", 200), {"removed": 40}, {}),
    "text of a sample in a tar exchanged": (lambda r: in_tar(r / "texts.tar", exchange_in_tar), {"content": 1}, {}),
    "sample in a tar removed": (lambda r: in_tar(r / "texts.tar", lambda samples: samples.pop(3)), {"removed": 1}, {}),
    "label of a sample in a tar flipped": (lambda r: in_tar(r / "texts.tar", lambda samples: samples.append((*samples.pop()[:2], "x"))), {"label": 1}, {}),
    "samples in a tar renamed": (lambda r: in_tar(r / "texts.tar", lambda samples: samples.append(("zz", *samples.pop()[1:]))), {}, {"content": 1}),
}  # fmt: skip


def copied(originals: Path, target: Path) -> Path:
    """What was sealed, at another place with other times and inodes."""
    shutil.copytree(originals, target, symlinks=True)
    return target


@pytest.mark.parametrize("name", SETS)
def test_nothing_is_found_where_nothing_changed(name: str, originals: Path, tmp_path: Path) -> None:
    found = verify(copied(originals, tmp_path / "copy") / name)
    assert found.sound
    assert found.root == found.seal.sealed.root
    assert found.changes.lines() == []


@pytest.mark.parametrize("case", CASES)
def test_a_change_is_named(case: str, originals: Path, tmp_path: Path) -> None:
    change, samples, files = CASES[case]
    root = copied(originals, tmp_path / "copy")
    before = {name: state(root / name) for name in SETS}
    change(root)
    (name,) = (name for name in SETS if state(root / name) != before[name])
    found = verify(root / name)
    assert not found.sound
    assert dict(found.changes.samples) == samples
    assert dict(found.changes.files) == files
    assert found.changes.unclear == 0
    assert found.changes.lines()


@pytest.mark.parametrize("name", ["pictures", "texts.jsonl", "texts.parquet"])
def test_the_quick_tier_reads_nothing_where_nothing_was_written(name: str, originals: Path) -> None:
    found = verify(originals / name, tier="quick")
    assert found.sound
    assert found.root == found.seal.sealed.root
    assert found.notes[0].startswith("15 files were not read" if name == "pictures" else "1 file was not read")


@pytest.mark.parametrize(
    "case", ["byte, modification time restored", "picture added", "file of git edited", "mode", "label flipped"]
)
def test_the_quick_tier_sees_what_was_written(case: str, tmp_path: Path, originals: Path) -> None:
    """The copy is sealed anew, as a copy is read in full."""
    change, samples, files = CASES[case]
    name = "texts.jsonl" if case == "label flipped" else "pictures"
    root = copied(originals, tmp_path / "copy")
    seal(root / name, replace=True)
    change(root)
    found = verify(root / name, tier="quick")
    assert dict(found.changes.samples) == samples
    assert dict(found.changes.files) == files


def test_a_label_in_the_metadata_of_a_folder(tmp_path: Path) -> None:
    root = tmp_path / "pictures"
    root.mkdir()
    lines = ["file_name,label,license"]
    for n in range(6):
        (root / f"{n}.png").write_bytes(picture(n))
        lines.append(f"{n}.png,{'ab'[n % 2]},free")
    (root / "metadata.csv").write_text("\n".join(lines))
    seal(root)
    assert verify(root).sound
    (root / "metadata.csv").write_text("\n".join(lines).replace("2.png,a", "2.png,b").replace("4.png,a,free", "4.png,a,none"))
    tiers: tuple[Tier, ...] = ("full", "quick")
    for tier in tiers:
        found = verify(root, tier=tier)
        assert dict(found.changes.samples) == {"label": 1, "fields": 1}
        assert dict(found.changes.files) == {"content": 1}
