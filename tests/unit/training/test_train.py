"""From a data set to a model: images, tables, texts; stopped and taken up; told and drawn."""

import json
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import torch
from torch import nn

from untaint import api
from untaint.bench.sources import digits
from untaint.data.dataset import Dataset
from untaint.errors import BadInput, CannotWrite
from untaint.features.inputs import encoded, inputs_of
from untaint.training.compose import recipe
from untaint.training.engines import fit as fitting
from untaint.training.engines.fit import Plan, fit
from untaint.training.engines.partitions import CertifiedEnsemble
from untaint.training.engines.train import Asked, train
from untaint.training.engines.trained import Trained

TRAIN, TEST = digits()
SOME = TRAIN.select(np.arange(600))


def _quiet(_what: str, _done: int, _total: int) -> None:
    return


@pytest.fixture(scope="session")
def frauds(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A table of numbers, words and gaps, with a rule to learn and two wrecking rows."""
    rng = np.random.default_rng(0)
    amount, age = rng.lognormal(3, 1, 1500), rng.integers(18, 90, 1500)
    kind = rng.choice(list("abcd"), 1500)
    label = np.where((amount > 30) & np.isin(kind, ["a", "b"]), "fraud", "fine")
    path = tmp_path_factory.mktemp("table") / "frauds.csv"
    lines = [f"{a:.2f},{b},{c},{d}" for a, b, c, d in zip(amount, age, kind, label, strict=True)]
    lines[77] = "1e30,40,a,fine"
    lines[90] = ",40,,fraud"
    path.write_text("amount,age,kind,label\n" + "\n".join(lines) + "\n")
    return path


def test_images_are_learned_and_the_model_is_kept(tmp_path: Path) -> None:
    done = api.train(TRAIN, test=TEST, out=tmp_path / "m", plan=Plan(epochs=25))
    assert done.record.tested is not None
    assert done.record.tested.accuracy > 0.9
    again = Trained.load(tmp_path / "m")
    answers, rows = again.predict(TEST)
    truth = np.array([again.encoding.classes.index(str(TEST.labels[row])) for row in rows])
    assert float((answers == truth).mean()) == pytest.approx(done.record.tested.accuracy)
    document = json.loads((tmp_path / "m" / "run.json").read_text())
    assert document["schema"] == "untaint.training/v1"
    assert len(document["curves"]) == 25
    page = (tmp_path / "m" / "report.html").read_text()
    assert "<script" not in page
    assert page.count("<svg") == 2
    assert not (tmp_path / "m" / "checkpoint.safetensors").exists()


def test_a_table_is_learned_and_its_wrecking_row_is_named(frauds: Path, tmp_path: Path) -> None:
    done = api.train(frauds, label="label", out=tmp_path / "m", plan=Plan(epochs=15))
    assert done.record.tested is not None
    assert done.record.tested.accuracy > 0.85
    (line,) = (tmp_path / "m" / "dropped" / "dropped.jsonl").read_text().splitlines()
    assert json.loads(line)["row"] == 77


def test_rows_of_another_table_become_the_same_inputs(frauds: Path, tmp_path: Path) -> None:
    found = inputs_of(api.load(frauds, label="label"), _quiet)
    some = tmp_path / "some.csv"
    lines = frauds.read_text().splitlines()
    some.write_text("\n".join([lines[0], *lines[101:111], "12.5,30,never seen,fraud"]) + "\n")
    again = encoded(api.load(some, label="label"), found.encoding, _quiet)
    np.testing.assert_array_equal(again.values[:10], found.values[100:110])
    assert np.isfinite(again.values[10]).all()
    some.write_text("amount,label\n1,fine\n2,fraud\n")
    with pytest.raises(BadInput, match="no column 'age', which the model was trained on"):
        encoded(api.load(some, label="label"), found.encoding, _quiet)


def test_texts_are_learned(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    words = [[f"word{place}" for place in range(start, start + 40)] for start in (0, 40)]
    labels = rng.integers(0, 2, 400)
    texts = [" ".join(rng.choice(words[label], 12)) for label in labels]
    path = tmp_path / "texts.parquet"
    pq.write_table(pa.table({"text": texts, "label": [("bad", "good")[label] for label in labels]}), path)
    done = api.train(path, out=tmp_path / "m", plan=Plan(epochs=20))
    assert done.record.tested is not None
    assert done.record.tested.accuracy > 0.9
    answers, _ = Trained.load(tmp_path / "m").predict(api.load(path))
    assert float((answers == labels).mean()) > 0.9


def test_a_certified_ensemble_comes_with_its_curve(tmp_path: Path) -> None:
    done = api.train(TRAIN, test=TEST, recipe="certify(partitions=8)", out=tmp_path / "m")
    tested = done.record.tested
    assert tested is not None
    assert tested.accuracy > 0.9
    assert tested.certified[0] == tested.accuracy
    assert list(tested.certified) == sorted(tested.certified, reverse=True)
    assert CertifiedEnsemble.load(tmp_path / "m" / "ensemble.safetensors").classes == 10
    assert "Certified accuracy" in (tmp_path / "m" / "report.html").read_text()


RECIPES = ["plain", "guard + clip", "guard + augment + trim + clip", "guard + aggregate", "isolate(watched=1)"]


@pytest.mark.parametrize("name", RECIPES)
def test_a_run_that_was_stopped_becomes_what_it_would_have(name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(fitting, "_SAVED", 0.0)
    inputs, plan = inputs_of(SOME, _quiet), Plan(epochs=3, batch=100)
    whole = fit(inputs, name, plan, None, _quiet)

    def stop(_what: str, done: int, _total: int) -> None:
        if done == 8:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        fit(inputs, name, plan, tmp_path, stop)
    resumed = fit(inputs, name, plan, tmp_path, _quiet)
    assert resumed.resumed == 1
    for key, value in whole.model.net.state_dict().items():
        torch.testing.assert_close(resumed.model.net.state_dict()[key], value)
    assert resumed.record["steps"] == whole.record["steps"]


def test_another_run_does_not_go_on_from_there(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(fitting, "_SAVED", 0.0)
    inputs = inputs_of(SOME, _quiet)

    def stop(_what: str, done: int, _total: int) -> None:
        if done == 2:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        fit(inputs, "plain", Plan(epochs=2), tmp_path, stop)
    with pytest.raises(BadInput, match="left by another run"):
        fit(inputs, "plain", Plan(epochs=3), tmp_path, _quiet)
    (tmp_path / "checkpoint.safetensors").write_bytes(b"\x00" * 40)
    with pytest.raises(BadInput, match="no checkpoint that can be read"):
        fit(inputs, "plain", Plan(epochs=2), tmp_path, _quiet)


def test_equal_seeds_give_equal_models() -> None:
    inputs = inputs_of(SOME, _quiet)
    one, other = (fit(inputs, "standard", Plan(epochs=1, seed=4), None, _quiet).model.net.state_dict() for _ in range(2))
    assert all(torch.equal(one[name], other[name]) for name in one)


def test_what_an_audit_flagged_counts_nothing() -> None:
    labels = np.array(SOME.labels)
    wrong = np.arange(0, 600, 4)
    flipped = SOME.edited({}, {int(row): str((int(labels[row]) + 1) % 10) for row in wrong}, {}, {})
    risks = np.zeros(600)
    risks[wrong] = 1.0
    plan = Plan(epochs=30, held_out=0.0)
    _, trusting = train(Asked(flipped, recipe("plain"), plan, TEST), _quiet)
    _, layered = train(Asked(flipped, recipe("plain"), plan, TEST, risks), _quiet)
    assert trusting.tested is not None
    assert layered.tested is not None
    assert layered.tested.accuracy > trusting.tested.accuracy + 0.05


def test_a_network_of_ones_own(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "mine_for_training.py").write_text(
        "from torch import nn\n"
        "def net(shape, classes):\n    return nn.Sequential(nn.Flatten(), nn.Linear(shape[0] * shape[1] * shape[2], classes))\n"
        "def none(shape, classes):\n    return 3\n"
    )
    monkeypatch.chdir(tmp_path)
    done = api.train(SOME, plan=Plan(epochs=2, factory="mine_for_training:net"))
    assert isinstance(done.model, Trained)
    assert isinstance(done.model.net, nn.Sequential)
    with pytest.raises(BadInput, match="made int, no torch module"):
        api.train(SOME, plan=Plan(epochs=2, factory="mine_for_training:none"))
    with pytest.raises(BadInput, match="cannot import the network"):
        api.train(SOME, plan=Plan(epochs=2, factory="not_there:net"))
    sys.modules.pop("mine_for_training", None)


def _unlabelled() -> Dataset:
    return SOME.edited({}, {}, {}, {}).select(np.flatnonzero(np.array(SOME.labels) == "1"))


@pytest.mark.parametrize(
    ("data", "options", "said"),
    [
        (_unlabelled, {}, "at least two classes, this set has 1"),
        (lambda: SOME, {"recipe": "nothing"}, "unknown defence"),
        (lambda: SOME, {"recipe": "guard + certify"}, "beside certify is unsound"),
    ],
)
def test_what_cannot_be_trained_is_refused(data: Callable[[], Dataset], options: dict[str, Any], said: str) -> None:
    with pytest.raises(BadInput, match=said):
        api.train(data(), **options)


def test_a_finished_run_is_not_written_over(tmp_path: Path) -> None:
    api.train(SOME, out=tmp_path, plan=Plan(epochs=1))
    with pytest.raises(CannotWrite, match="holds a finished run"):
        api.train(SOME, out=tmp_path, plan=Plan(epochs=1))


def test_a_folder_that_holds_no_model_is_refused(tmp_path: Path) -> None:
    with pytest.raises(BadInput, match="holds no model that untaint trained"):
        Trained.load(tmp_path)
    (tmp_path / "model.json").write_text('{"modality": "image"}')
    with pytest.raises(BadInput, match="holds no model"):
        Trained.load(tmp_path)
