"""What the end-to-end tests share: the command line in this process, sets of digits in every format, fingerprints of folders."""

import contextlib
import csv
import hashlib
import io
import json
import os
import struct
import sys
import tarfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, final

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from untaint.cli import app
from untaint.data.images import encode_png


@final
@dataclass(frozen=True)
class Outcome:
    """What a command left: exit code, standard output, standard error."""

    code: int
    out: str
    err: str


@final
@dataclass(frozen=True)
class Labelled:
    """Images (n, h, w) uint8 and their labels; poisoned: which rows an attacker touched."""

    images: np.ndarray
    labels: np.ndarray
    poisoned: np.ndarray


def untaint(*arguments: object, cwd: Path | None = None) -> Outcome:
    """Run one command as the entry point does."""
    out, err, argv = io.StringIO(), io.StringIO(), sys.argv
    sys.argv = ["untaint", *map(str, arguments)]
    try:
        with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err), _inside(cwd):
            app.run()
    except SystemExit as stop:
        return Outcome(int(stop.code or 0), out.getvalue(), err.getvalue())
    finally:
        sys.argv = argv
    raise AssertionError("the entry point always exits")


@contextlib.contextmanager
def _inside(folder: Path | None) -> Iterator[None]:
    before = Path.cwd()
    os.chdir(folder or before)
    try:
        yield
    finally:
        os.chdir(before)


def refused(outcome: Outcome, *words: str) -> None:
    """Exit code 2 and one line that names what is wrong."""
    assert outcome.code == 2, outcome
    assert outcome.err.startswith("untaint: ")
    assert outcome.err.count("\n") == 1, outcome.err
    assert "Traceback" not in outcome.err
    for word in words:
        assert word in outcome.err, outcome.err


def audit_json(folder: Path) -> dict[str, Any]:
    document: dict[str, Any] = json.loads((folder / "audit.json").read_text(encoding="utf-8"))
    return document


def samples(folder: Path) -> pa.Table:
    return pq.read_table(folder / "samples.parquet")


def flagged(folder: Path) -> np.ndarray:
    mask: np.ndarray = np.array(samples(folder).column("flagged").to_pylist(), bool)
    return mask


def alarms(folder: Path) -> list[dict[str, Any]]:
    return [finding for finding in audit_json(folder)["findings"] if finding["alarm"]]


def fingerprint(path: Path) -> Mapping[str, tuple[str, int]]:
    """Digest and time of every file at or below a path."""
    files = [path] if path.is_file() else sorted(found for found in path.rglob("*") if found.is_file())
    return {str(file): (hashlib.sha256(file.read_bytes()).hexdigest(), file.stat().st_mtime_ns) for file in files}


def pngs(images: np.ndarray) -> list[bytes]:
    return [encode_png(image[:, :, None]) for image in images]


def npz(folder: Path, images: np.ndarray, labels: Sequence[object] | np.ndarray, name: str = "set.npz", **more: Any) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    np.savez(folder / name, images=images, labels=np.asarray(labels), **more)
    return folder / name


def parquet(folder: Path, cells: Sequence[bytes], labels: Sequence[object], **more: Sequence[object]) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    pq.write_table(pa.table({"image": list(cells), "label": list(map(str, labels)), **more}), folder / "set.parquet")
    return folder / "set.parquet"


def image_folder(folder: Path, images: np.ndarray, labels: Sequence[object]) -> Path:
    for row, (data, label) in enumerate(zip(pngs(images), labels, strict=True)):
        path = folder / "photos" / str(label) / f"{row:05}.png"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(data)
    return folder / "photos"


def csv_paths(folder: Path, images: np.ndarray, labels: Sequence[object]) -> Path:
    (folder / "pictures").mkdir(parents=True)
    with (folder / "list.csv").open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file)
        writer.writerow(["image", "label"])
        for row, (data, label) in enumerate(zip(pngs(images), labels, strict=True)):
            (folder / "pictures" / f"{row}.png").write_bytes(data)
            writer.writerow([f"pictures/{row}.png", label])
    return folder / "list.csv"


def jsonl_paths(folder: Path, images: np.ndarray, labels: Sequence[object]) -> Path:
    (folder / "pictures").mkdir(parents=True)
    lines = []
    for row, (data, label) in enumerate(zip(pngs(images), labels, strict=True)):
        (folder / "pictures" / f"{row}.png").write_bytes(data)
        lines.append(json.dumps({"image": f"pictures/{row}.png", "label": int(label)}))  # type: ignore[call-overload]
    (folder / "list.jsonl").write_text("\n".join(lines) + "\n", encoding="utf-8")
    return folder / "list.jsonl"


def idx(folder: Path, images: np.ndarray, labels: Sequence[object]) -> Path:
    (folder / "mnist").mkdir(parents=True)
    for name, array in (("train-images-idx3-ubyte", images), ("train-labels-idx1-ubyte", np.asarray(labels, np.uint8))):
        head = struct.pack(f">HBB{array.ndim}I", 0, 8, array.ndim, *array.shape)
        (folder / "mnist" / name).write_bytes(head + array.tobytes())
    return folder / "mnist"


def webdataset(folder: Path, images: np.ndarray, labels: Sequence[object]) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    with tarfile.open(folder / "set.tar", "w") as tar:
        for row, (data, label) in enumerate(zip(pngs(images), labels, strict=True)):
            add(tar, f"{row:06}.png", data)
            add(tar, f"{row:06}.cls", str(label).encode())
    return folder / "set.tar"


def add(tar: tarfile.TarFile, name: str, content: bytes) -> None:
    info = tarfile.TarInfo(name)
    info.size = len(content)
    tar.addfile(info, io.BytesIO(content))


def saved_dataset(folder: Path, images: np.ndarray, labels: Sequence[object]) -> Path:
    import datasets

    cells = [{"bytes": data, "path": None} for data in pngs(images)]
    features = datasets.Features({"image": datasets.Image(), "label": datasets.Value("int64")})
    columns = {"image": cells, "label": [int(label) for label in labels]}  # type: ignore[call-overload]
    datasets.Dataset.from_dict(columns, features=features).save_to_disk(folder / "saved")
    return folder / "saved"


def _parquet(folder: Path, images: np.ndarray, labels: Sequence[object]) -> Path:
    return parquet(folder, pngs(images), labels)


FORMATS: Mapping[str, Callable[[Path, np.ndarray, Sequence[object]], Path]] = {
    "image-folder": image_folder,
    "parquet": _parquet,
    "csv": csv_paths,
    "jsonl": jsonl_paths,
    "npz": npz,
    "idx": idx,
    "webdataset": webdataset,
    "hf-disk": saved_dataset,
}
