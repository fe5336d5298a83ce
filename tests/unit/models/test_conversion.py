import hashlib
import json
import pickle
import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from tests.e2e.cases import untaint

from untaint import api
from untaint.bench.hostile_models.corpus import CORPUS
from untaint.errors import BadInput, CannotWrite
from untaint.models.conversion import UnsafeModel, converted
from untaint.models.formats.scan import scan
from untaint.provenance import keys, policy

torch = pytest.importorskip("torch")
safetensors = pytest.importorskip("safetensors.torch")


def _state() -> dict[str, Any]:
    torch.manual_seed(0)
    weight = torch.randn(6, 4)
    return {
        "embedding": weight,
        "head": weight,
        "turned": weight.t(),
        "part": weight[2:4, 1:3],
        "half": torch.randn(3).to(torch.bfloat16),
        "whole": torch.arange(3),
        "truth": torch.tensor([True, False]),
        "empty": torch.zeros(0, 2),
        "number": torch.tensor(2.0),
        "parameter": torch.nn.Parameter(torch.ones(2)),
    }


@pytest.mark.parametrize("how", ["zip", "legacy", "pickle", "protocol 4"])
def test_numbers_are_the_same(how: str, tmp_path: Path) -> None:
    state, path = _state(), tmp_path / "m.pt"
    if how == "pickle":
        path = tmp_path / "m.pkl"
        path.write_bytes(pickle.dumps(state))
    else:
        torch.save(state, path, _use_new_zipfile_serialization=how != "legacy", pickle_protocol=4 if how == "protocol 4" else 2)
    done = converted(path, tmp_path / "out.safetensors")
    read = safetensors.load_file(tmp_path / "out.safetensors")
    assert set(read) == set(state)
    for name, tensor in state.items():
        assert read[name].dtype == tensor.dtype
        assert torch.equal(read[name], tensor.detach())
    assert done.left_out == ()
    assert done.tensors == len(state)
    if how != "pickle":  # there every tensor carries a file of its own
        assert done.shared == {"embedding": ("head",)}
    assert hashlib.sha256((tmp_path / "out.safetensors").read_bytes()).hexdigest() == done.digest
    assert not scan(tmp_path / "out.safetensors").flaws


@pytest.mark.parametrize("kind", ["npz", "npz, compressed", "npy", "joblib", "pickle"])
def test_arrays_of_numpy(kind: str, tmp_path: Path) -> None:
    held = {"a": np.arange(6.0).reshape(2, 3), "b": np.asfortranarray(np.arange(6).reshape(3, 2)), "c": np.arange(3, dtype=">f4")}
    path = tmp_path / "m"
    if kind == "npy":
        held = {"array": held["b"]}
        path = tmp_path / "m.npy"
        np.save(path, held["array"])
    elif kind.startswith("npz"):
        path = tmp_path / "m.npz"
        held.pop("c")  # big-endian numbers in .npy are refused
        save: Any = np.savez_compressed if "compressed" in kind else np.savez
        save(path, **held)
    elif kind == "joblib":
        pytest.importorskip("joblib").dump(held, path, compress=3)
    else:
        path.write_bytes(pickle.dumps(held, 5))
    converted(path, tmp_path / "out.safetensors")
    read = safetensors.load_file(tmp_path / "out.safetensors")
    assert {name: tensor.tolist() for name, tensor in read.items()} == {name: array.tolist() for name, array in held.items()}


def test_part_of_a_checkpoint(tmp_path: Path) -> None:
    state = {"a": torch.ones(2)}
    torch.save({"model": state, "optimizer": {"m": torch.zeros(3)}, "epoch": 3, "size": torch.Size([1])}, tmp_path / "m.pt")
    done = converted(tmp_path / "m.pt", tmp_path / "out.safetensors", only="model")
    assert set(safetensors.load_file(tmp_path / "out.safetensors")) == {"a"}
    assert done.left_out == (
        "size: no tensor of plain numbers, not read",
        "1 numbers and texts that are no tensors, such as epoch",
        "1 tensors outside model, not asked for",
    )
    with pytest.raises(BadInput, match=r"no tensor of .* is called weights\.…\. Names begin with: model, optimizer"):
        converted(tmp_path / "m.pt", tmp_path / "other.safetensors", only="weights")
    assert not (tmp_path / "other.safetensors").exists()


@pytest.mark.parametrize(
    "name", ["os.system", "hooks of a tensor", "bad checksum", "header of 100 GB", "auto_map", "array of objects"]
)
def test_what_is_unsafe_is_refused(name: str, tmp_path: Path) -> None:
    case = next(case for case in CORPUS if case.name == name)
    path = case.write(tmp_path, tmp_path / "canary")
    with pytest.raises(UnsafeModel, match="is not converted") as refused:
        api.convert(path, tmp_path / "out.safetensors")
    assert refused.value.flaws
    assert not list(tmp_path.glob("out*"))
    assert not (tmp_path / "canary").exists()


def test_what_is_no_tensor_is_said(tmp_path: Path) -> None:
    (tmp_path / "m.pkl").write_bytes(pickle.dumps({"epoch": 3}))
    with pytest.raises(BadInput, match="holds no tensor of plain numbers .*epoch"):
        converted(tmp_path / "m.pkl", tmp_path / "out.safetensors")


def test_the_record_binds_old_to_new(tmp_path: Path) -> None:
    torch.save({"a": torch.ones(2)}, tmp_path / "m.pt")
    made = api.convert(tmp_path / "m.pt", tmp_path / "out.safetensors")
    assert made.attestation is None
    record = json.loads(made.record.read_bytes())
    for name, path in (("from", tmp_path / "m.pt"), ("to", made.path)):
        assert record[name]["sha256"] == hashlib.sha256(path.read_bytes()).hexdigest()
    assert record["schema"] == "untaint.conversion/v1"
    described = (
        (Path(__file__).parents[3] / "docs" / "formats.md")
        .read_text(encoding="utf-8")
        .split("## The record of a conversion")[1]
        .split("\n## ")[0]
    )
    assert set(re.findall(r"^\| `(\w+)`", described, re.MULTILINE)) == set(record)
    assert safetensors.safe_open(made.path, "pt").metadata()["converted_from_sha256"] == record["from"]["sha256"]
    with pytest.raises(CannotWrite, match="is there already"):
        api.convert(tmp_path / "m.pt", tmp_path / "out.safetensors")


def test_the_attestation_names_the_old_file(tmp_path: Path) -> None:
    torch.save({"a": torch.ones(2)}, tmp_path / "m.pt")
    key = keys.generate()
    made = api.convert(tmp_path / "m.pt", tmp_path / "out.safetensors", signers=[key])
    assert made.attestation is not None
    asked = policy.of_key(key.public, "me")
    checked = api.check_attestations(made.path, [made.attestation], asked)
    assert checked.problems == ()
    base = checked.trainings[0].material("base-model")
    assert base is not None
    assert base.digest["sha256"] == hashlib.sha256((tmp_path / "m.pt").read_bytes()).hexdigest()
    assert checked.trainings[0].parameters["made_by"] == "untaint convert"
    made.path.write_bytes(made.path.read_bytes()[:-1] + b"\1")
    assert api.check_attestations(made.path, [made.attestation], asked).problems


def test_the_command(tmp_path: Path) -> None:
    weight = torch.ones(2)
    torch.save({"a": weight, "b": weight, "epoch": 3}, tmp_path / "m.pt")
    done = untaint("convert", "m.pt", "--out", "m.safetensors", cwd=tmp_path)
    assert (done.code, done.out) == (0, "2 tensors written to m.safetensors, bound to m.pt in m.safetensors.conversion.json\n")
    assert "left out: 1 numbers and texts that are no tensors, such as epoch" in done.err
    assert "shared, written 2 times: a, b" in done.err
    (tmp_path / "bad.pt").write_bytes(b"cos\nsystem\n(S'true'\ntR.")
    refused = untaint("convert", "bad.pt", "--out", "bad.safetensors", cwd=tmp_path)
    assert refused.code == 1
    assert refused.err.splitlines() == ["critical: bad.pt byte 0: it imports os.system", "bad.pt was not converted."]
    assert untaint("convert", "absent.pt", "--out", "x.safetensors", cwd=tmp_path).code == 2
