"""`untaint repair` as a user meets it."""

import json
from pathlib import Path

import numpy as np
import pytest
import torch
from tests.e2e.cases import npz, refused, untaint

import untaint as package
from untaint.nets import foreign
from untaint.nets.convnet import ConvNet, ConvNetSpec

RNG = np.random.default_rng(0)
LABELS = np.arange(120) % 2
IMAGES = (RNG.integers(0, 100, (120, 8, 8)) + 100 * LABELS[:, None, None]).astype(np.uint8)


@pytest.fixture
def model(tmp_path: Path) -> Path:
    """A network that never learned anything: what is tried here is the way there and back."""
    path = tmp_path / "model.safetensors"
    torch.manual_seed(0)
    foreign.save(ConvNet(ConvNetSpec(8, 8, 1, 2, widths=(4,), hidden=8)), path)
    return path


@pytest.fixture
def data(tmp_path: Path) -> Path:
    return npz(tmp_path / "clean", IMAGES, LABELS)


def test_a_model_is_repaired_measured_and_written(model: Path, data: Path, tmp_path: Path) -> None:
    before = model.read_bytes()
    stamped = IMAGES.copy()
    stamped[:, :2, :2] = 255
    triggered = npz(tmp_path / "stamped", stamped, LABELS)
    out = tmp_path / "repaired"
    asked = ("--triggered", triggered, "--target", "1", "--method", "distillation(steps=80, rate=1e-2, mixed=0.3)", "--out", out)
    done = untaint("repair", model, "--data", data, *asked)
    assert done.code == 0, done
    assert "Repaired by distillation(steps=80" in done.out
    assert "attack success: " in done.out
    assert model.read_bytes() == before
    found = json.loads((out / "repair.json").read_text())
    assert found["schema"] == "untaint.repair/v1"
    assert found["inputs"] == {"used": 96, "held_back": 24, "triggered": 60}
    assert found["after"]["accuracy"] > 0.9
    assert len(found["relapse"]["asr"]) == len(found["relapse"]["steps"])
    assert found["model"]["repaired"] == "model.safetensors"
    digests = found["model"]["digests"]
    assert digests == {
        "before": foreign.digest(foreign.load(model)),
        "after": foreign.digest(foreign.load(out / "model.safetensors")),
    }
    page = (out / "report.html").read_text()
    assert "How fast the backdoor comes back" in page
    assert "<script" not in page
    refused(untaint("repair", model, "--data", data, "--out", out), "holds a finished repair")


def test_without_data_only_channels_are_cut(model: Path, tmp_path: Path) -> None:
    done = untaint("repair", model, "--out", tmp_path / "repaired")
    assert done.code == 0, done
    assert "Repaired by channel-lipschitz" in done.out
    assert "nothing was measured" in done.out
    assert json.loads((tmp_path / "repaired" / "repair.json").read_text())["after"]["accuracy"] is None


def test_what_does_not_fit_is_refused(model: Path, data: Path, tmp_path: Path) -> None:
    out = tmp_path / "repaired"

    three = npz(tmp_path / "three", IMAGES, np.arange(120) % 3)
    refused(untaint("repair", model, "--data", three, "--out", out), "answers with 2 classes, and the clean inputs have 3")
    refused(untaint("repair", model, "--data", data, "--triggered", data, "--out", out), "belong together")
    refused(
        untaint("repair", model, "--data", data, "--triggered", data, "--target", "9", "--out", out), "no class is called '9'"
    )
    refused(untaint("repair", model, "--data", data, "--out", model.parent), "would replace")
    refused(untaint("repair", model, "--method", "fine-tuning", "--out", out), "needs clean inputs")
    refused(untaint("repair", model, "--data", data, "--method", "exorcism", "--out", out), "exorcism")
    refused(untaint("repair", tmp_path / "nothing.safetensors", "--data", data, "--out", out), "no such file or folder")
    (tmp_path / "weights.bin").write_bytes(b"\x80\x04N.")
    refused(untaint("repair", tmp_path / "weights.bin", "--data", data, "--out", out), "no model that can be repaired")
    assert not (out / "repair.json").exists()


def test_from_python_arrays_and_a_module_do() -> None:
    module = ConvNet(ConvNetSpec(8, 8, 1, 2, widths=(4,), hidden=8))
    done = package.repair(module, (IMAGES, [str(label) for label in LABELS]), method="head-reset(steps=2)")
    assert done.steps == 2
    assert done.before.asr is None
    assert list(done.module.state_dict()) == list(module.state_dict())
