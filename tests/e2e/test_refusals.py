"""Input that is broken, hostile or not what was meant: one clear line, exit code 2, or an audit that says what it left out."""

import errno
import io
import os
import pickle
import socket
import struct
import tarfile
import zlib
from pathlib import Path
from typing import Any, ClassVar, NoReturn, final

import numpy as np
import pyarrow.parquet as pq
import pytest
from PIL import Image as Pillow
from tests.e2e.cases import (
    Labelled,
    add,
    alarms,
    audit_json,
    csv_paths,
    fingerprint,
    image_folder,
    npz,
    parquet,
    pngs,
    refused,
    samples,
    untaint,
)


@pytest.fixture
def few(digits: Labelled) -> Labelled:
    """400 digits: enough for bad input to show."""
    return Labelled(digits.images[:400], digits.labels[:400], digits.poisoned[:400])


@final
class NoNetwork:
    """Stands for socket.socket; any use fails the test."""

    AF_INET: ClassVar[int] = 2

    def __init__(self, *arguments: object, **named: object) -> None:
        raise AssertionError("the network was used")


def test_a_missing_path_is_never_looked_up(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(socket, "socket", NoNetwork)
    monkeypatch.setattr(socket, "create_connection", NoNetwork)
    refused(untaint("audit", "mnist", cwd=tmp_path), "no such file or folder: mnist", "must be downloaded")
    refused(untaint("audit", "https://example.org/data.parquet", cwd=tmp_path), "no such file or folder")
    refused(untaint("clean", "ylecun/mnist", "--audit", tmp_path, cwd=tmp_path))
    assert not list(tmp_path.iterdir())


def test_an_audit_uses_no_network(poisoned_file: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(socket, "socket", NoNetwork)
    monkeypatch.setattr(socket, "create_connection", NoNetwork)
    assert untaint("audit", poisoned_file, "--budget", "fast", "--out", tmp_path).code == 1


def test_empty_sets(tmp_path: Path) -> None:
    (tmp_path / "folder").mkdir()
    (tmp_path / "file.csv").touch()
    (tmp_path / "head.csv").write_text("image,label\n", encoding="utf-8")
    for name in ("folder", "file.csv", "head.csv"):
        refused(untaint("audit", name, cwd=tmp_path), name)
    refused(untaint("audit", npz(tmp_path, np.zeros((0, 8, 8), np.uint8), [], "none.npz")), "none.npz")


def test_one_class(few: Labelled, tmp_path: Path) -> None:
    refused(
        untaint("audit", npz(tmp_path, few.images, ["7"] * 400), cwd=tmp_path), "set.npz", "'labels'", "one class only", "'7'"
    )


def test_no_label_column(few: Labelled, tmp_path: Path) -> None:
    data = parquet(tmp_path, pngs(few.images), few.labels.tolist())
    refused(untaint("audit", data, "--label", "lable"), "set.parquet", "'lable'", "Did you mean --label label?")
    table = pq.read_table(data).rename_columns(["image", "colour"])
    pq.write_table(table, data)
    refused(untaint("audit", data), "set.parquet", "no label column", "--label NAME")


def test_labels_all_distinct(few: Labelled, tmp_path: Path) -> None:
    refused(untaint("audit", npz(tmp_path, few.images, np.arange(400).tolist())), "'labels'", "distinct")


def test_mixed_sizes_and_modes_work(poisoned: Labelled, tmp_path: Path) -> None:
    cells = pngs(poisoned.images)
    for row in range(0, 60, 3):
        picture = Pillow.fromarray(poisoned.images[row])
        for step, (size, mode) in enumerate(((24, "RGBA"), (16, "RGB"), (20, "P"))):
            buffer = io.BytesIO()
            picture.resize((size, size)).convert(mode).save(buffer, "PNG")
            cells[row + step] = buffer.getvalue() if not poisoned.poisoned[row + step] else cells[row + step]
    outcome = untaint(
        "audit", parquet(tmp_path, cells, poisoned.labels.tolist()), "--budget", "fast", "--out", tmp_path / "audit"
    )
    assert outcome.code == 1, outcome
    found = np.array(samples(tmp_path / "audit").column("flagged").to_pylist())
    assert found[poisoned.poisoned].mean() >= 0.9
    assert any("other sizes" in note for note in audit_json(tmp_path / "audit")["dataset"]["notes"])


def bomb() -> bytes:
    """A PNG of a few bytes that claims 60,000 × 60,000 pixels."""

    def chunk(kind: bytes, content: bytes) -> bytes:
        return struct.pack(">I", len(content)) + kind + content + struct.pack(">I", zlib.crc32(kind + content))

    head = struct.pack(">IIBBBBB", 60_000, 60_000, 8, 0, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", head) + chunk(b"IDAT", zlib.compress(bytes(1000))) + chunk(b"IEND", b"")


def test_unreadable_images_are_reported_and_set_aside(few: Labelled, tmp_path: Path) -> None:
    cells = pngs(few.images)
    cells[3], cells[7], cells[9] = cells[3][:60], bomb(), b"no image"
    data = parquet(tmp_path / "data", cells, few.labels.tolist())
    outcome = untaint("audit", data, "--budget", "fast", "--out", tmp_path / "audit")
    assert outcome.code == 0, outcome
    assert "3 samples could not be read" in outcome.out
    assert audit_json(tmp_path / "audit")["n_unreadable"] == 3
    table = samples(tmp_path / "audit")
    reasons = table.column("unreadable").to_pylist()
    assert [row for row, reason in enumerate(reasons) if reason] == [3, 7, 9]
    assert "limit" in reasons[7]
    assert table.column("flagged").to_pylist().count(True) == 0
    shown = untaint("report", tmp_path / "audit").out
    assert "3 samples" in shown
    held = untaint("clean", data, "--audit", tmp_path / "audit", "--out", tmp_path / "cleaned")
    assert held.code == 0, held
    assert "3 samples in" in held.out
    lines = (tmp_path / "cleaned" / "quarantine" / "reasons.jsonl").read_text(encoding="utf-8")
    assert lines.count('"unreadable: ') == 3


def test_no_readable_image_is_no_pass(few: Labelled, tmp_path: Path) -> None:
    data = image_folder(tmp_path, few.images[:100], few.labels[:100].tolist())
    for path in data.rglob("*.png"):
        path.write_bytes(path.read_bytes()[:50])
    outcome = untaint("audit", data, "--out", tmp_path / "audit", "--budget", "fast")
    refused(outcome, "none of its 100 samples can be read", str(data))


def test_a_truncated_parquet_file(few: Labelled, tmp_path: Path) -> None:
    data = parquet(tmp_path, pngs(few.images), few.labels.tolist())
    data.write_bytes(data.read_bytes()[:-2000])
    refused(untaint("audit", data, cwd=tmp_path), "set.parquet")


@pytest.mark.parametrize("name", ["../../escape", "/tmp/escape"])  # noqa: S108 - a path an attacker would choose
def test_names_that_lead_out_of_a_tar(name: str, few: Labelled, tmp_path: Path) -> None:
    with tarfile.open(tmp_path / "set.tar", "w") as tar:
        for row, data in enumerate(pngs(few.images[:100])):
            add(tar, f"{name if row == 5 else row}.png", data)
            add(tar, f"{name if row == 5 else row}.cls", str(few.labels[row]).encode())
    outcome = untaint("audit", tmp_path / "set.tar", "--out", tmp_path / "audit", "--budget", "fast")
    if outcome.code != 2:
        assert outcome.code in {0, 1}, outcome
        untaint("clean", tmp_path / "set.tar", "--audit", tmp_path / "audit", "--out", tmp_path / "cleaned")
    assert "Traceback" not in outcome.err
    assert not list(tmp_path.parent.glob("escape*"))
    assert not Path(f"{name}.png").exists()


def test_links_in_a_tar_are_not_followed(few: Labelled, tmp_path: Path) -> None:
    secret = tmp_path / "secret.png"
    secret.write_bytes(pngs(few.images[:1])[0])
    with tarfile.open(tmp_path / "set.tar", "w") as tar:
        for row, data in enumerate(pngs(few.images[:100])):
            add(tar, f"{row}.png", data)
            add(tar, f"{row}.cls", str(few.labels[row]).encode())
        link = tarfile.TarInfo("link.png")
        link.type, link.linkname = tarfile.SYMTYPE, str(secret)
        tar.addfile(link)
        add(tar, "link.cls", b"1")
    outcome = untaint("audit", tmp_path / "set.tar", "--out", tmp_path / "audit", "--budget", "fast")
    assert outcome.code in {0, 2}, outcome
    if outcome.code == 0:
        table = samples(tmp_path / "audit").to_pylist()
        assert all(record["unreadable"] for record in table if "link" in (record["path"] or ""))


@pytest.mark.parametrize("value", [np.nan, np.inf])
def test_values_that_are_not_finite(value: float, digits: Labelled, tmp_path: Path) -> None:
    images = digits.images.astype(np.float32) / 255
    images[11, 3, 3] = images[42, 0, 0] = value
    outcome = untaint("audit", npz(tmp_path, images, digits.labels), "--budget", "fast", "--out", tmp_path / "audit")
    assert outcome.code == 1, outcome
    assert audit_json(tmp_path / "audit")["verdict"] == "poisoned"
    (finding,) = alarms(tmp_path / "audit")
    assert finding["kind"] == "leverage"
    assert {example["row"] for example in finding["examples"]} == {11, 42}
    assert "not finite" in finding["explanation"]
    assert np.flatnonzero(samples(tmp_path / "audit").column("flagged").to_pylist()).tolist() == [11, 42]


@pytest.mark.slow
def test_very_many_sources(digits: Labelled, tmp_path: Path) -> None:
    """Every row from a source of its own; 10^5 of them are in the tests of `evidence.sources`."""
    images = np.tile(digits.images[:, ::2, ::2], (12, 1, 1))
    images ^= np.random.default_rng(0).integers(0, 4, images.shape, np.uint8)
    data = npz(tmp_path, images, np.tile(digits.labels, 12), source=np.array([f"user {row}" for row in range(len(images))]))
    outcome = untaint("audit", data, "--source", "source", "--budget", "fast", "--out", tmp_path / "audit")
    assert outcome.code in {0, 1}, outcome
    for name in ("report.html", "audit.json", "audit.sarif"):
        assert (tmp_path / "audit" / name).stat().st_size < 5e6


def test_a_file_that_is_not_utf_8(few: Labelled, tmp_path: Path) -> None:
    data = csv_paths(tmp_path, few.images, ["café" if label else "thé" for label in few.labels])
    data.write_bytes(data.read_text(encoding="utf-8").encode("latin-1"))
    refused(untaint("audit", data, "--out", tmp_path / "audit"), "list.csv", "UTF-8")


def test_a_row_that_is_not_utf_8(few: Labelled, tmp_path: Path) -> None:
    data = csv_paths(tmp_path, few.images, few.labels.tolist())
    lines = data.read_bytes().splitlines(keepends=True)
    lines[8] = b"pictures/7.png,caf\xe9\n"
    data.write_bytes(b"".join(lines))
    outcome = untaint("audit", data, "--out", tmp_path / "audit", "--budget", "fast")
    assert outcome.code == 0, outcome
    reasons = samples(tmp_path / "audit").column("unreadable").to_pylist()
    assert [row for row, reason in enumerate(reasons) if reason] == [7]
    assert "UTF-8" in reasons[7]


def test_a_pickle_is_refused(tmp_path: Path) -> None:
    for name in ("set.pkl", "set.npy", "set.data"):
        (tmp_path / name).write_bytes(pickle.dumps({"images": [1], "labels": [2]}))
        refused(untaint("audit", name, cwd=tmp_path), name, "pickle")


@final
class Ransom:
    """What an attacker would put into a pickle."""

    def __reduce__(self) -> tuple[Any, tuple[str]]:
        return os.mkdir, ("ran",)


def test_objects_in_an_npz_are_refused(few: Labelled, tmp_path: Path) -> None:
    objects = np.empty(400, object)
    objects[:] = [Ransom() for _ in range(400)]
    np.savez(tmp_path / "set.npz", images=few.images, labels=objects)
    refused(untaint("audit", "set.npz", cwd=tmp_path), "set.npz")
    assert not (tmp_path / "ran").exists()


def test_texts_without_a_label_column_are_not_passed_in_silence(tmp_path: Path) -> None:
    words = "\n".join(f"a review number {row} that says something nice" for row in range(300))
    (tmp_path / "reviews.csv").write_text(f"text\n{words}\n", encoding="utf-8")
    refused(untaint("audit", "reviews.csv", cwd=tmp_path), "no label column", "--label")


def test_a_table_is_not_passed_in_silence(tmp_path: Path) -> None:
    rows = "\n".join(f"{row * 0.5},{row % 7},{row % 2}" for row in range(300))
    (tmp_path / "table.csv").write_text(f"amount,day,label\n{rows}\n", encoding="utf-8")
    done = untaint("audit", "table.csv", cwd=tmp_path)
    assert done.code == 0, done
    assert "300 rows of a table" in done.out
    assert "no evidence" in done.out.casefold() or "cannot tell" in done.out.casefold()


def test_usage(clean_file: Path, tmp_path: Path) -> None:
    refused(untaint("audit", clean_file, "--nope"), "--nope", "untaint audit --help")
    refused(untaint("audit"), "data")
    refused(untaint("destroy"), "destroy", "untaint --help")
    refused(untaint("audit", clean_file, "--budget", "huge"), "--budget", "thorough")
    refused(untaint("audit", clean_file, "--fail-on", "sometimes"), "--fail-on", "critical")
    for alpha in (2, 0, 1, -1, "nan"):
        refused(untaint("audit", clean_file, "--out", tmp_path / "audit", f"--alpha={alpha}"), "alpha")
    refused(untaint("audit", clean_file, "--alpha", "small"), "--alpha")
    refused(untaint("audit", clean_file, "--model", "nowhere.safetensors", "--out", tmp_path / "audit"), "nowhere.safetensors")
    refused(untaint("audit", clean_file, "--encoder", "nothing", "--out", tmp_path / "audit"), "nothing", "efficientnet-lite0")
    refused(untaint("audit", clean_file, "--encoder", "nowhere.onnx", "--out", tmp_path / "audit"), "nowhere.onnx")
    refused(untaint("audit", clean_file, "--fluency", "smollm2-135m", "--out", tmp_path / "audit"), "image data", "--fluency")
    refused(untaint("list", "nothing"), "detectors")
    refused(untaint("list", "detectors", "nothing"), "nothing", "value-range")
    refused(untaint("attack", "nothing", clean_file, "--out", tmp_path / "attack"), "nothing", "badnets")
    refused(untaint("attack", "badnets", clean_file, "--rate", "5", "--out", tmp_path / "attack"), "rate")
    refused(untaint("attack", "badnets(size=", clean_file, "--out", tmp_path / "attack"), "badnets")
    refused(untaint("report", tmp_path / "nowhere"), "nowhere")
    for arguments in (("audit", clean_file), ("attack", "badnets", clean_file)):
        refused(untaint(*arguments, "--seed=-1", "--out", tmp_path / "seed"), "--seed")
    refused(untaint("audit", clean_file, "--format", "floppy", "--out", tmp_path / "audit"), "floppy", "webdataset")
    refused(untaint("report", tmp_path, "--format", "pdf"), "pdf", "sarif")
    refused(untaint("restore", tmp_path, "all"), str(tmp_path))


def test_fail_on(poisoned_file: Path, tmp_path: Path) -> None:
    arguments = ("audit", poisoned_file, "--budget", "fast", "--out", tmp_path, "--quiet")
    assert untaint(*arguments, "--fail-on", "never").code == 0
    assert untaint(*arguments, "--fail-on", "info").code == 1


def test_settings_file(poisoned_file: Path, tmp_path: Path) -> None:
    def settings(text: str) -> None:
        (tmp_path / "untaint.toml").write_text(text, encoding="utf-8")

    settings('[audit]\nalpha = 0.001\nbudget = "fast"\nfail-on = "never"\nquiet = true\n')
    outcome = untaint("audit", poisoned_file, cwd=tmp_path)
    assert (outcome.code, outcome.out) == (0, "")
    assert audit_json(tmp_path / "untaint-audit")["alpha"] == 0.001
    assert untaint("audit", poisoned_file, "--fail-on", "high", cwd=tmp_path).code == 1
    settings("[audit]\nalhpa = 0.001\n")
    refused(untaint("audit", poisoned_file, cwd=tmp_path), "untaint.toml", "'alhpa'", "alpha")
    settings("[adit]\n")
    refused(untaint("audit", poisoned_file, cwd=tmp_path), "untaint.toml", "adit")
    settings("alpha = 0.001\n")
    refused(untaint("audit", poisoned_file, cwd=tmp_path), "untaint.toml", "alpha")
    settings("[audit\n")
    refused(untaint("audit", poisoned_file, cwd=tmp_path), "untaint.toml", "TOML")
    settings('[audit]\nalpha = "small"\n')
    refused(untaint("audit", poisoned_file, cwd=tmp_path), "alpha")
    refused(untaint("--config", "other.toml", "audit", poisoned_file, cwd=tmp_path), "other.toml")


def test_output_that_cannot_be_written(clean_file: Path, tmp_path: Path) -> None:
    refused(untaint("audit", clean_file, "--out", "/proc/untaint"), "/proc/untaint", "--out")
    (tmp_path / "file").touch()
    refused(untaint("audit", clean_file, "--out", tmp_path / "file"), "file", "--out")
    refused(untaint("audit", clean_file, "--out", tmp_path / "file" / "below"), "file", "--out")


def test_output_inside_the_data(few: Labelled, tmp_path: Path) -> None:
    data = image_folder(tmp_path, few.images, few.labels.tolist())
    before = fingerprint(data)
    refused(untaint("audit", data, "--out", data / "audit"), "inside the data", "--out")
    refused(untaint("audit", data, "--out", data), "inside the data")
    refused(untaint("attack", "badnets", data, "--out", data / "attack"), "inside the data")
    assert fingerprint(data) == before


def test_a_report_never_replaces_the_data(few: Labelled, tmp_path: Path) -> None:
    data = parquet(tmp_path, pngs(few.images), few.labels.tolist())
    data = data.rename(tmp_path / "samples.parquet")
    before = fingerprint(data)
    refused(untaint("audit", "samples.parquet", "--out", ".", cwd=tmp_path), "samples.parquet", "--out")
    assert fingerprint(data) == before


def test_a_folder_of_two_formats_needs_a_choice(few: Labelled, tmp_path: Path) -> None:
    data = image_folder(tmp_path, few.images, few.labels.tolist())
    parquet(data, pngs(few.images), few.labels.tolist())
    refused(untaint("audit", data, "--out", tmp_path / "audit"), "image-folder", "parquet", "--format")
    outcome = untaint("audit", data, "--format", "parquet", "--budget", "fast", "--out", tmp_path / "audit")
    assert outcome.code == 0, outcome
    assert "read as parquet" in outcome.out


def test_a_full_disk(poisoned_file: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*_: object, **__: object) -> NoReturn:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    with monkeypatch.context() as patch:
        patch.setattr(np, "save", full)
        refused(untaint("audit", poisoned_file, "--budget", "fast", "--out", tmp_path / "one"), "No space left", str(tmp_path))
    assert not list((tmp_path / "one" / "cache").iterdir())
    with monkeypatch.context() as patch:
        patch.setattr(pq, "write_table", full)
        refused(untaint("audit", poisoned_file, "--budget", "fast", "--out", tmp_path / "two"), "No space left", str(tmp_path))
    assert [path.name for path in (tmp_path / "two").iterdir()] == ["cache"]
    assert untaint("audit", poisoned_file, "--budget", "fast", "--out", tmp_path / "two").code == 1


def test_clean_with_the_audit_of_other_data(clean_file: Path, audited: Path, tmp_path: Path) -> None:
    refused(untaint("clean", clean_file, "--audit", audited, "--out", tmp_path / "cleaned"), "other data")
    assert not (tmp_path / "cleaned").exists()


@pytest.mark.parametrize(
    "content", [b"", b"\x00\xff", b"{}", b"[1]", b'{"schema": "untaint.audit/v1"}', b'{"schema": "untaint.audit/v99"}']
)
def test_a_damaged_audit(content: bytes, poisoned_file: Path, audited: Path, tmp_path: Path) -> None:
    damaged = tmp_path / "audit"
    damaged.mkdir()
    for name in ("samples.parquet", "pictures.parquet"):
        (damaged / name).write_bytes((audited / name).read_bytes())
    (damaged / "audit.json").write_bytes(content)
    refused(untaint("report", damaged), "audit.json")
    refused(untaint("clean", poisoned_file, "--audit", damaged, "--out", tmp_path / "cleaned"), "audit.json")


def test_a_broken_cache_entry_is_computed_again(poisoned_file: Path, audited: Path, tmp_path: Path) -> None:
    arguments = ("audit", poisoned_file, "--budget", "fast", "--out", tmp_path)
    untaint(*arguments)
    for path in (tmp_path / "cache").rglob("*.npy"):
        path.write_bytes(path.read_bytes()[:100])
    assert untaint(*arguments).code == 1
    assert samples(tmp_path).equals(samples(audited))
