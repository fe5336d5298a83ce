"""Tensors of every kind of file, and files that lie about them. Nothing in them is run."""

import contextlib
import io
import json
import pickle
import struct
import zipfile
from collections import OrderedDict
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from safetensors.torch import save_file
from tests.weight_files import header, stored, weights

from untaint.errors import BadInput
from untaint.models.weights import torch_file
from untaint.models.weights.opened import opened
from untaint.models.weights.stored import NotRead, Weights
from untaint.numerics.number_formats import read


def _values(found: Weights, name: str) -> np.ndarray:
    tensor = found.tensors[name]
    return read(tensor.raw(0, tensor.count), tensor.form).reshape(tensor.shape)


@pytest.fixture
def state() -> dict[str, torch.Tensor]:
    net = torch.nn.Sequential(torch.nn.Conv2d(3, 4, 3), torch.nn.BatchNorm2d(4), torch.nn.Linear(4, 2))
    base = torch.randn(3, 5)
    return {
        **net.state_dict(),
        "half": base.half(),
        "brain": base.bfloat16(),
        "turned": base.t(),
        "part": base[1:, 2:],
        "eighth": base.to(torch.float8_e4m3fn),
        "bytes": torch.arange(6, dtype=torch.int8),
        "flags": torch.tensor([True, False]),
        "scalar": torch.tensor(3.5),
        "empty": torch.zeros(0, 3),
    }


def _checked(found: Weights, state: dict[str, torch.Tensor], prefix: str = "") -> None:
    for name, tensor in state.items():
        assert found.tensors[prefix + name].shape == tuple(tensor.shape)
        np.testing.assert_array_equal(_values(found, prefix + name).astype(float), tensor.double().numpy())


@pytest.mark.parametrize("new", [True, False])
def test_torch_files_zip_and_legacy(state: dict[str, torch.Tensor], tmp_path: Path, new: bool) -> None:
    torch.save(state, tmp_path / "m.pt", _use_new_zipfile_serialization=new)
    _checked(opened(tmp_path / "m.pt"), state)


def test_a_checkpoint_with_an_optimizer_and_a_whole_module(state: dict[str, torch.Tensor], tmp_path: Path) -> None:
    torch.save({"epoch": 3, "model": OrderedDict(state), "more": [1, "x"]}, tmp_path / "c.pt")
    _checked(opened(tmp_path / "c.pt"), state, "model.")
    net = torch.nn.Sequential(torch.nn.Linear(3, 4), torch.nn.BatchNorm1d(4))
    torch.save(net, tmp_path / "m.pt")
    _checked(opened(tmp_path / "m.pt"), net.state_dict())


def test_safetensors_and_numpy(state: dict[str, torch.Tensor], tmp_path: Path) -> None:
    save_file({name: tensor.contiguous() for name, tensor in state.items()}, tmp_path / "m.safetensors")
    _checked(opened(tmp_path / "m.safetensors"), state)
    plain = {name: tensor for name, tensor in state.items() if name not in {"brain", "eighth"}}
    arrays: dict[str, Any] = {name: tensor.numpy() for name, tensor in plain.items()}
    np.savez(tmp_path / "m.npz", **arrays)
    _checked(opened(tmp_path / "m.npz"), plain)
    np.savez_compressed(tmp_path / "c.npz", **arrays)
    _checked(opened(tmp_path / "c.npz"), plain)
    np.save(tmp_path / "f.npy", np.asfortranarray(np.arange(6.0).reshape(2, 3)))
    np.testing.assert_array_equal(_values(opened(tmp_path / "f.npy"), "array"), np.arange(6.0).reshape(2, 3))


def _h5(path: Path) -> Path:
    h5py = pytest.importorskip("h5py")
    with h5py.File(path, "w") as file:
        file["layers/dense/vars/0"] = np.arange(6, dtype="f4").reshape(2, 3)
        file["layers/dense/vars/1"] = np.arange(3, dtype="f2")
        file["flags"], file["whole"], file["scalar"] = np.array([True, False]), np.arange(4), 3.5
        file["optimizer/vars/0"] = np.zeros(5)
        file["words"] = "text"
        file.create_dataset("chunks", data=np.zeros((20, 20)), chunks=(5, 5), compression="gzip")
        file["elsewhere"] = h5py.ExternalLink("/etc/hostname", "x")
    return path


def test_hdf5_and_keras_archives(tmp_path: Path) -> None:
    path = _h5(tmp_path / "model.weights.h5")
    with zipfile.ZipFile(tmp_path / "m.keras", "w") as archive:
        archive.write(path, "model.weights.h5")
        archive.writestr("config.json", "{}")
    for file in (path, tmp_path / "m.keras"):
        found = opened(file)
        np.testing.assert_array_equal(_values(found, "layers/dense/vars/0"), np.arange(6).reshape(2, 3))
        assert {name: tensor.form.name for name, tensor in found.tensors.items()} == {
            "layers/dense/vars/0": "float32",
            "layers/dense/vars/1": "float16",
            "flags": "bool",
            "whole": "int64",
            "scalar": "float64",
        }
        assert [note.split(":")[0] for note in found.notes] == ["chunks", "words", "state of an optimizer"]


def test_hdf5_cut_or_changed_anywhere_is_refused_or_read_as_something(tmp_path: Path) -> None:
    content = _h5(tmp_path / "m.h5").read_bytes()
    rng = np.random.default_rng(0)
    for _ in range(60):
        broken = bytearray(content[: int(rng.integers(1, len(content) + 1))])
        for at in rng.integers(0, len(broken), 3).tolist():
            broken[at] = int(rng.integers(256))
        (tmp_path / "b.h5").write_bytes(broken)
        with contextlib.suppress(BadInput):
            _read_all(tmp_path / "b.h5")


def test_kernels_are_matrices_whatever_the_order_of_their_axes(tmp_path: Path) -> None:
    shapes = {"torch": (64, 32, 3, 3), "keras": (3, 3, 32, 64), "experts": (8, 48, 40), "vector": (7,), "places": (1, 36, 64)}
    found = opened(stored(tmp_path / "m.safetensors", {name: np.zeros(shape, np.float32) for name, shape in shapes.items()}))
    assert {name: tensor.matrix for name, tensor in found.tensors.items()} == {
        "torch": (64, 288, 32),
        "keras": (288, 64, 64),
        "experts": (384, 40, 40),
        "vector": (7, 1, 1),
        "places": (36, 64, 64),
    }


def test_shards_and_their_index(tmp_path: Path) -> None:
    arrays = weights()
    first = {name: arrays[name] for name in ("embed", "conv")}
    rest = {name: array for name, array in arrays.items() if name not in first}
    stored(tmp_path / "a.safetensors", first)
    stored(tmp_path / "b.safetensors", rest)
    index = tmp_path / "model.safetensors.index.json"
    listed = {**dict.fromkeys(first, "a.safetensors"), **dict.fromkeys(rest, "b.safetensors")}
    index.write_text(json.dumps({"weight_map": listed}))
    found = opened(tmp_path)
    for name, array in arrays.items():
        np.testing.assert_array_equal(_values(found, name), array)
    index.write_text(json.dumps({"weight_map": {**listed, "gone": "a.safetensors"}}))
    with pytest.raises(BadInput, match="'gone' is not in a.safetensors"):
        opened(tmp_path)
    index.write_text(json.dumps({"weight_map": {"x": "../a.safetensors"}}))
    with pytest.raises(BadInput, match="not beside it"):
        opened(tmp_path)


HUGE = 100 * 2**30
LIES = {
    "a thousand axes": b'{"a":{"dtype":"U8","shape":[' + b"1," * 999 + b'1],"data_offsets":[0,1]}}',
    "a header longer than the file": struct.pack("<Q", HUGE) + b"{}",
    "a header that is no JSON": struct.pack("<Q", 8) + b"{nothing",
    "100 GB in a shape": b'{"a":{"dtype":"F32","shape":[26843545600],"data_offsets":[0,4]}}',
    "100 GB in a place": b'{"a":{"dtype":"F32","shape":[26843545600],"data_offsets":[0,107374182400]}}',
    "a name twice": b'{"a":{"dtype":"U8","shape":[1],"data_offsets":[0,1]},"a":{"dtype":"U8","shape":[1],"data_offsets":[0,1]}}',
    "an overlap": b'{"a":{"dtype":"U8","shape":[4],"data_offsets":[0,4]},"b":{"dtype":"U8","shape":[2],"data_offsets":[2,4]}}',
    "a gap": b'{"a":{"dtype":"U8","shape":[2],"data_offsets":[2,4]}}',
    "a negative shape": b'{"a":{"dtype":"U8","shape":[-4],"data_offsets":[0,4]}}',
    "a truth for a number": b'{"a":{"dtype":"U8","shape":[true],"data_offsets":[0,1]}}',
    "an unknown type": b'{"a":{"dtype":"F33","shape":[4],"data_offsets":[0,4]}}',
    "no tensor": b"{}",
    "a list": b"[1]" + b" " * 9,
    "deep nesting": b'{"a":' + b"[" * 100_000,
}


@pytest.mark.parametrize("lie", LIES)
def test_safetensors_that_lie(lie: str, tmp_path: Path) -> None:
    text = LIES[lie]
    path = tmp_path / "m.safetensors"
    if text[:1] in b"{[":
        header(path, text, b"\0" * 4)
    else:
        path.write_bytes(text)
    with pytest.raises(BadInput):
        opened(path)


@pytest.mark.parametrize("kept", [0, 7, 40, 0.5, 0.99])
@pytest.mark.parametrize("kind", ["m.safetensors", "m.pt", "l.pt", "m.npz", "m.npy"])
def test_files_cut_short(kind: str, kept: float, tmp_path: Path) -> None:
    arrays = weights()
    path = tmp_path / kind
    state = {name: torch.from_numpy(array) for name, array in arrays.items()}
    if kind == "m.safetensors":
        stored(path, arrays)
    elif kind.endswith(".pt"):
        torch.save(state, path, _use_new_zipfile_serialization=kind == "m.pt")
    elif kind == "m.npz":
        np.savez(path, **arrays)  # type: ignore[arg-type]
    else:
        np.save(path, arrays["embed"])
    content = path.read_bytes()
    path.write_bytes(content[: int(kept * len(content)) if kept < 1 else int(kept)])
    with pytest.raises(BadInput):
        _read_all(path)


def _read_all(path: Path) -> None:
    for tensor in opened(path).tensors.values():
        tensor.raw(0, tensor.count)


class _Canary:
    def __reduce__(self) -> tuple[object, ...]:
        return (Path.touch, (Path(__file__).parent / "canary",))


def test_code_in_a_checkpoint_is_not_run(tmp_path: Path) -> None:
    torch.save({"w": torch.ones(3), "evil": _Canary()}, tmp_path / "m.pt")
    np.testing.assert_array_equal(_values(opened(tmp_path / "m.pt"), "w"), [1, 1, 1])
    assert not (Path(__file__).parent / "canary").exists()


def _torch_zip(path: Path, content: bytes, numbers: bytes = b"\0" * 16) -> Path:
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("m/data.pkl", content)
        archive.writestr("m/data/0", numbers)
    return path


def _claimed(shape: tuple[int, ...], strides: tuple[int, ...]) -> bytes:
    """The pickle of a state dict with one tensor of any shape."""
    whole = io.BytesIO()
    torch.save({"w": torch.ones(2, 2)}, whole)
    with zipfile.ZipFile(whole) as archive:
        content = archive.read(next(name for name in archive.namelist() if name.endswith("data.pkl")))

    def numbers(values: tuple[int, ...]) -> bytes:
        return b"(" + b"".join(b"J" + struct.pack("<i", value) for value in values) + b"t"

    assert content.count(b"K\x02K\x02\x86") == 1
    assert content.count(b"K\x02K\x01\x86") == 1
    return content.replace(b"K\x02K\x02\x86", numbers(shape)).replace(b"K\x02K\x01\x86", numbers(strides))


def test_torch_tensors_that_claim_more_than_is_stored(tmp_path: Path) -> None:
    assert opened(_torch_zip(tmp_path / "m.pt", _claimed((2, 2), (2, 1)))).tensors["w"].count == 4
    for shape, strides in (((2**30, 2**30), (0, 0)), ((2, 3), (3, 1)), ((2, 2), (5, 1)), ((2**30, 100), (100, 1))):
        with pytest.raises(BadInput, match="claims"):
            opened(_torch_zip(tmp_path / "m.pt", _claimed(shape, strides)))


@pytest.mark.parametrize(
    "content",
    [
        b"\x80\x02",
        b"\x80\x02].",
        b"\x80\x02a.",
        b"\x80\x02(K\x01",
        b"\x80\x02h\x05.",
        b"\x80\x02" + b"(" * 5000 + b".",
        b"garbage",
    ],
)
def test_pickles_that_are_none(content: bytes, tmp_path: Path) -> None:
    with pytest.raises(BadInput):
        opened(_torch_zip(tmp_path / "m.pt", content))


def test_a_few_bytes_that_describe_more_than_can_be_walked_through(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch_file, "_MOST_PARTS", 50_000)
    doubled = b"\x80\x02]q\x00" + b"".join(b"2\x86" for _ in range(50)) + b"."
    with pytest.raises(BadInput, match="parts"):
        opened(_torch_zip(tmp_path / "m.pt", doubled))
    itself = b"\x80\x02]q\x00(h\x00h\x00h\x00e."
    with pytest.raises(BadInput, match="parts"):
        opened(_torch_zip(tmp_path / "m.pt", itself))


def test_what_is_no_checkpoint_is_said_to_be_none(tmp_path: Path) -> None:
    (tmp_path / "g.gguf").write_bytes(b"GGUF" + b"\0" * 40)
    (tmp_path / "p.pkl").write_bytes(pickle.dumps([1, 2]))
    (tmp_path / "t.txt").write_text("hello, this is text")
    np.save(tmp_path / "o.npy", np.array([object()], dtype=object), allow_pickle=True)
    for name in ("g.gguf", "p.pkl", "t.txt"):
        with pytest.raises(NotRead):
            opened(tmp_path / name)
    with pytest.raises(BadInput, match="pickles"):
        opened(tmp_path / "o.npy")
    with pytest.raises(BadInput, match="no such file"):
        opened(tmp_path / "nowhere")


def test_a_compressed_array_that_grows_without_end_is_refused(tmp_path: Path) -> None:
    with zipfile.ZipFile(tmp_path / "m.npz", "w", zipfile.ZIP_DEFLATED) as archive:
        held = io.BytesIO()
        np.save(held, np.zeros(10))
        archive.writestr("a.npy", held.getvalue())
    content = bytearray((tmp_path / "m.npz").read_bytes())
    at = content.rindex(b"PK\x01\x02")
    content[at + 24 : at + 28] = struct.pack("<I", 2**31)
    (tmp_path / "m.npz").write_bytes(content)
    with pytest.raises(BadInput):
        opened(tmp_path / "m.npz")
