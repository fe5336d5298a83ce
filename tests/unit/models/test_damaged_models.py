"""Files of every format with bytes changed, cut out, doubled: findings, never an error, and never for long."""

import json
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from untaint.bench import honest_models
from untaint.bench.hostile_models.base import archive, called, checkpoint, field, named, pickled, text
from untaint.bench.hostile_models.corpus import CORPUS
from untaint.models.formats import contents, zips
from untaint.models.formats.notes import Notes
from untaint.models.formats.pickles import Pickles
from untaint.models.formats.window import Broken, Window

LONGEST = 5.0
"""Seconds a small damaged file may take, on a machine that has other work; usual are milliseconds."""


def _tensors() -> bytes:
    storage = b"(" + text("storage") + named("torch", "FloatStorage") + text("0") + text("cpu") + b"K\x04tQ"
    hooks = called("collections", "OrderedDict")
    tensor = called("torch._utils", "_rebuild_tensor_v2", storage, b"K\x00", b"K\x04\x85", b"K\x01\x85", b"\x89", hooks)
    return checkpoint(pickled(b"}" + text("weight") + tensor + b"s"), {"model/data/0": bytes(16), "model/byteorder": b"little"})


def _safetensors() -> bytes:
    header = json.dumps({"a": {"dtype": "F32", "shape": [2], "data_offsets": [0, 8]}, "__metadata__": {"format": "pt"}}).encode()
    return len(header).to_bytes(8, "little") + header + bytes(8)


def _case(name: str) -> bytes:
    made = next(case for case in CORPUS if case.name == name).build("canary")
    return made if isinstance(made, bytes) else next(iter(made.values()))


def _written(name: str) -> Callable[[Path], bytes]:
    return lambda folder: dict(honest_models.HONEST)[name](folder).read_bytes()


def _h5(folder: Path) -> bytes:
    h5py = pytest.importorskip("h5py")
    with h5py.File(folder / "m.h5", "w") as file:
        file.attrs["model_config"] = json.dumps({"class_name": "Sequential", "config": {"layers": []}})
        file.create_dataset("dense/kernel", data=np.ones((4, 2)), chunks=(2, 2), compression="gzip")
    return (folder / "m.h5").read_bytes()


EXAMPLES: dict[str, Callable[[Path], bytes]] = {
    "torch": lambda _folder: _tensors(),
    "safetensors": lambda _folder: _safetensors(),
    "npz": _written("numpy: npz"),
    "npy": _written("numpy: npy"),
    "joblib": _written("joblib: plain"),
    "zlib": _written("joblib: zlib"),
    "xz": _written("joblib: xz"),
    "hdf5": _h5,
    "keras": lambda _folder: _case("get_file"),
    "saved model": lambda _folder: _case("WriteFile in a function"),
    "onnx": lambda _folder: _case("operator in a branch"),
    "gguf": lambda _folder: _case("template by parts"),
    "tar": lambda _folder: _case("PyTorch's first layout"),
    "legacy": lambda _folder: _case("legacy: keys"),
    "template": lambda _folder: b'{"chat_template": "{% for m in messages %}{{ m.role ~ m[\'content\'] }}{% endfor %}"}',
    "skops": lambda _folder: _case("skops: operator"),
}
PIECES = [
    b"",
    b"\0",
    b"\xff" * 8,
    b"\x7f\xff\xff\xff",
    b"PK\x03\x04",
    b"PK\x05\x06",
    b".",
    b"(",
    b"\x80\x02",
    b"{{",
    b"'",
    b"[" * 3000,
    b"9" * 30,
]


@st.composite
def damaged(draw: st.DrawFn, example: bytes) -> bytes:
    content = example
    for _ in range(draw(st.integers(1, 4))):
        start = draw(st.integers(0, len(content)))
        end = draw(st.integers(start, min(len(content), start + 12)))
        piece = draw(st.sampled_from([*PIECES, content[start:end] * 2]) | st.binary(max_size=8))
        content = content[:start] + piece + content[end:]
    return content


@pytest.mark.parametrize("name", EXAMPLES)
def test_damage_is_found_or_harmless(name: str, tmp_path: Path) -> None:
    example = EXAMPLES[name](tmp_path)

    @settings(max_examples=40)
    @given(damaged(example) | st.binary(max_size=60))
    def looked_at(content: bytes) -> None:
        started = time.process_time()
        notes = Notes(contents.look)
        contents.look(Window.of(content), "model.json" if name == "template" else "model", notes, 0)
        assert time.process_time() - started < LONGEST
        assert all(flaw.what and flaw.advice for flaw in notes.flaws.values())
        assert not any(flaw.what.startswith(contents.FAULT) for flaw in notes.flaws.values())

    looked_at()


def _flaws(content: bytes) -> list[str]:
    notes = Notes(contents.look)
    contents.look(Window.of(content), "", notes, 0)
    return [f"{flaw.severity} {flaw.rule}" for flaw in notes.flaws.values()]


@pytest.mark.parametrize("size", [4, 30, 100, 300, -1])
def test_what_is_cut_short_is_found(size: int) -> None:
    assert any(found.startswith("high") for found in _flaws(_tensors()[:size]))


def test_what_is_whole_is_not() -> None:
    assert _flaws(_tensors()) == []
    assert _flaws(_safetensors()) == []


def test_every_changed_byte_of_the_listing_is_found() -> None:
    """Any byte of an archive's own bookkeeping, and of a stored pickle: the checksum or the second listing tells, or nothing changes."""
    whole = _tensors()
    seen = zips.read(Window.of(whole), "", Notes(contents.look))
    harmless = 0
    for place in range(len(whole)):
        changed = bytearray(whole)
        changed[place] ^= 0x41
        if not _flaws(bytes(changed)):
            harmless += 1
            notes = Notes(contents.look)
            again = zips.read(Window.of(bytes(changed)), "", notes)
            content = [(member.name, bytes(member.packed.get(0, member.packed.size))) for member in again.members]
            assert content == [(member.name, bytes(member.packed.get(0, member.packed.size))) for member in seen.members]
    assert harmless < 200  # versions, dates and attributes, which no loader looks at


def test_archives_within_archives_end() -> None:
    content = pickled(b"}")
    for _ in range(8):
        content = archive({"x": content})
    assert "high nested-archive" in _flaws(content)


def test_a_graph_within_graphs_ends() -> None:
    node = field(4, "If")
    for _ in range(100):
        node = field(4, "If") + field(5, field(1, "then_branch") + field(6, field(1, node) + field(2, "g")))
    content = field(1, 8) + field(7, field(1, node) + field(2, "g"))
    assert any(found.startswith("high") for found in _flaws(content))


def test_a_window_does_not_reach_out() -> None:
    content = Window(b"0123456789", 2, 6)
    assert content.get(0, 4) == b"2345"
    assert (content.find(b"6", 0), content.find(b"5", 0), content.rfind(b"2", 0)) == (-1, 3, 0)
    for at, size in ((0, 5), (-1, 2), (3, 2), (0, -1)):
        with pytest.raises(Broken):
            content.get(at, size)
        with pytest.raises(Broken):
            content.part(at, size)


def test_a_format_cut_short_is_no_fault() -> None:
    """An array of joblib whose format has a state of one part."""
    dtype = called("numpy", "dtype", text("f8"), b"\x89", b"\x88") + b"K\x03\x85b"
    state = b"}(" + text("subclass") + named("numpy", "ndarray") + text("shape") + b"K\x01\x85" + text("dtype") + dtype + b"u"
    found = _flaws(pickled(named("joblib.numpy_pickle", "NumpyArrayWrapper") + b")\x81" + state + b"b" + bytes(8)))
    assert "high pickle-state" in found


def test_a_fault_of_a_reader_is_a_finding(monkeypatch: pytest.MonkeyPatch) -> None:
    def fails(*_: object) -> bool:
        raise IndexError("a place that is not there")

    monkeypatch.setattr(contents, "acts", fails)
    assert _flaws(_safetensors()) == ["high malformed"]


def test_what_is_named_again_and_again_is_looked_into_once() -> None:
    """A file of PyTorch within a pickle, called for two thousand times."""
    inner = _tensors()
    looked = 0

    def look(*_: object) -> None:
        nonlocal looked
        looked += 1

    notes = Notes(look)
    load = named("torch.storage", "_load_from_bytes") + b"q\x00B" + len(inner).to_bytes(4, "little") + inner + b"q\x01"
    body = b"(" + load + b"h\x00h\x01\x85R" * 2000 + b"t"
    Pickles(Window.of(pickled(body, 3)), "it", notes, 0).scan()
    assert looked == 1


def test_a_place_that_holds_many_members_is_not_read_many_times() -> None:
    whole = bytearray(archive({f"{number:03}": bytes(1000) for number in range(50)}))
    at, first = 0, whole.find(b"PK\x01\x02")
    while (at := whole.find(b"PK\x01\x02", at + 1)) >= 0:
        whole[at + 42 : at + 46] = whole[first + 42 : first + 46]
    assert "high bomb" in _flaws(bytes(whole))


def test_text_without_end_is_read_in_time(tmp_path: Path) -> None:
    started = time.process_time()
    for name, content in (
        ("a.yaml", b"\n" * (4 << 20)),
        ("a.yaml", b" " * (4 << 20)),
        ("a.py", b"(" * (1 << 20)),
        ("a.txt", b"c" * (4 << 20)),
    ):
        notes = Notes(contents.look)
        contents.look(Window.of(content), name, notes, 0)
    assert time.process_time() - started < LONGEST
