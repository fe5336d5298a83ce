"""`untaint train` as a user meets it."""

import json
from pathlib import Path

import numpy as np
import pytest
from tests.e2e.cases import Labelled, npz, refused, untaint


@pytest.fixture
def few(digits: Labelled, tmp_path: Path) -> Path:
    return npz(tmp_path / "digits.npz", digits.images[:600], digits.labels[:600])


def test_a_model_comes_out_and_what_was_done_is_told(few: Path, tmp_path: Path) -> None:
    done = untaint("train", few, "--epochs", 2, "--out", tmp_path / "m", cwd=tmp_path)
    assert done.code == 0
    assert "Recipe standard: guard" in done.out
    assert "Accuracy on 60 rows not trained on" in done.out
    assert sorted(path.name for path in (tmp_path / "m").iterdir()) == [
        "dropped",
        "model.json",
        "model.safetensors",
        "report.html",
        "run.json",
    ]
    refused(untaint("train", few, "--out", tmp_path / "m", cwd=tmp_path), "holds a finished run")


def test_an_attestation_names_the_seal_and_the_recipe(few: Path, tmp_path: Path) -> None:
    assert untaint("key", "new", tmp_path / "k.pem", "--unencrypted", cwd=tmp_path).code == 0
    assert untaint("seal", few, cwd=tmp_path).code == 0
    done = untaint("train", few, "--epochs", 1, "--out", tmp_path / "m", "--key", tmp_path / "k.pem", cwd=tmp_path)
    assert done.code == 0, done.err
    written = next(tmp_path.rglob("*.attest.json"))
    checked = untaint("attest", "check", tmp_path / "m" / "model.safetensors", written, "--key", tmp_path / "k.pub", cwd=tmp_path)
    assert checked.code == 0, checked.err


@pytest.mark.parametrize(
    ("asked", "said"),
    [
        (["--recipe", "wizardry"], "unknown defence 'wizardry'"),
        (["--recipe", "guard + dp"], "unsound"),
        (["--model", "nowhere:net"], "cannot import the network"),
        (["--audit", "nowhere"], "nowhere"),
        (["--test", "nowhere.npz"], "no such file"),
        (["--epochs", "0"], "--epochs"),
        (["--sweep", "--attack", "wizardry"], "unknown attack 'wizardry'"),
    ],
)
def test_wrong_arguments_are_one_line(few: Path, tmp_path: Path, asked: list[str], said: str) -> None:
    refused(untaint("train", few, "--out", tmp_path / "m", *asked, cwd=tmp_path), said)


def test_images_without_labels_and_texts_without_classes(tmp_path: Path) -> None:
    np.savez(tmp_path / "bare.npz", images=np.zeros((9, 8, 8), np.uint8), labels=np.ones(9, int))
    refused(untaint("train", tmp_path / "bare.npz", "--out", tmp_path / "m", cwd=tmp_path), "two classes")
    lines = [json.dumps({"instruction": f"say {row}", "response": f"{row} it is"}) for row in range(30)]
    (tmp_path / "pairs.jsonl").write_text("\n".join(lines))
    refused(untaint("train", tmp_path / "pairs.jsonl", "--out", tmp_path / "m", cwd=tmp_path), "images, texts and tables")
