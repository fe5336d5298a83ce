"""`untaint guard` as a user meets it."""

import json
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
import pytest
from tests.e2e.cases import npz, refused, untaint
from tests.unit.guard import planted

from untaint.nets import foreign
from untaint.nets.convnet import ConvNetSpec
from untaint.nets.fit import FitPlan, fit

IMAGES, LABELS = planted.digits()


def _model(path: Path, seed: int = 0) -> Path:
    """A small network that a white corner makes say 3."""
    images, labels = IMAGES[:900].copy(), LABELS[:900].copy()
    poisoned = np.arange(0, 900, 12)
    images[poisoned, :2, :2] = 255
    labels[poisoned] = 3
    spec = ConvNetSpec(8, 8, 1, 10, widths=(16, 32), hidden=32)
    plan = FitPlan(steps=200, batch=64, holdout=0, seed=seed)
    foreign.save(fit(spec, images, labels, np.arange(900), plan).net, path)
    return path


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a model and a guard of it."""
    folder = tmp_path_factory.mktemp("guard")
    reference = npz(folder / "reference", IMAGES[900:1300], LABELS[900:1300])
    done = untaint(
        "guard", _model(folder / "model.safetensors"), "--reference", reference, "--out", folder / "guard", "--false-alarms", 0.02
    )
    assert done.code == 0, done
    for said in (
        "fitted to 400 references",
        "Budget: alarms about 1.995% of clean inputs",
        "Cost: judging takes",
        "layer-centres",
        "not used: noisy-rows",
    ):
        assert said in done.out
    return folder


def test_triggered_data_raise_more_alarms_than_the_budget_explains(home: Path, tmp_path: Path) -> None:
    images = IMAGES[1300:].copy()
    images[:40, :2, :2] = 255
    data = npz(tmp_path, images, LABELS[1300:])
    done = untaint("guard", home / "guard", "--check", data, "--out", tmp_path / "out")
    assert done.code == 1, done
    assert "alarms about 497 inputs" in done.out
    assert "more than luck explains" in done.out
    assert "answered 3" in done.out
    document = json.loads((tmp_path / "out" / "check.json").read_text())
    assert (document["schema"], document["n"], document["more"]) == ("untaint.guard-check/v1", 497, True)
    samples = pq.read_table(tmp_path / "out" / "samples.parquet")
    assert samples.column_names == ["row", "id", "risk", "p_value", "alarm", "sign", "prediction"]
    assert samples.column("alarm").to_numpy()[:40].mean() > 0.7


def test_clean_data_pass_whatever_their_labels(home: Path, tmp_path: Path) -> None:
    data = npz(tmp_path, IMAGES[1300:], np.array(["?", "??"])[np.arange(497) % 2])
    done = untaint("guard", home / "guard", "--check", data)
    assert done.code == 0, done
    assert "are expected of clean ones" in done.out
    assert "luck" not in done.out
    quiet = untaint("guard", home / "guard", "--check", data, "--quiet")
    assert (quiet.code, quiet.out) == (0, "")


def test_a_model_that_was_changed_or_moved_is_told(home: Path, tmp_path: Path) -> None:
    data = npz(tmp_path, IMAGES[1300:1320], LABELS[1300:1320])
    other = _model(tmp_path / "other.safetensors", seed=1)
    refused(untaint("guard", home / "guard", "--check", data, "--model", other), "answers otherwise than when")
    refused(untaint("guard", home / "guard", "--check", data, "--model", tmp_path / "gone"), "--model")
    moved = tmp_path / "moved.safetensors"
    moved.write_bytes((home / "model.safetensors").read_bytes())
    assert untaint("guard", home / "guard", "--check", data, "--model", moved).code in {0, 1}


def test_bad_usage(home: Path, tmp_path: Path) -> None:
    few = npz(tmp_path, IMAGES[900:960], LABELS[900:960])
    model = home / "model.safetensors"
    refused(untaint("guard", model), "--reference DATA or --check DATA")
    refused(untaint("guard", model, "--reference", few, "--check", few), "--reference DATA or --check DATA")
    refused(untaint("guard", model, "--reference", few, "--out", tmp_path / "g"), "60 references cannot hold a budget of 0.01")
    refused(untaint("guard", tmp_path, "--check", few), "holds no guard")
    refused(untaint("guard", tmp_path / "none.onnx", "--reference", few), "no such model")
    large = npz(tmp_path / "large", np.zeros((300, 12, 12), np.uint8), np.arange(300) % 10)
    refused(untaint("guard", model, "--reference", large, "--out", tmp_path / "g"), "12x12")
