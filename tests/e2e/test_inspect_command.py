"""`untaint inspect` as a user meets it."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from tests.e2e.cases import Labelled, npz, refused, untaint
from tests.weight_files import header, stored, weights


def _document(folder: Path) -> dict[str, Any]:
    found: dict[str, Any] = json.loads((folder / "inspect.json").read_text())
    assert found["schema"] == "untaint.inspect/v1"
    return found


def _edited() -> dict[str, np.ndarray]:
    arrays = weights()
    arrays["dense"] = arrays["dense"] + np.outer(np.linspace(0.1, 0.2, 96), np.linspace(-0.2, 0.1, 64)).astype(np.float32)
    return arrays


def test_an_edited_model_fails_and_is_named(tmp_path: Path) -> None:
    base, model = stored(tmp_path / "base.safetensors", weights()), stored(tmp_path / "new.safetensors", _edited())
    done = untaint("inspect", model, "--base", base, "--out", tmp_path / "out", cwd=tmp_path)
    assert done.code == 1, done
    assert "Answer: tampered." in done.out
    assert "rank-one edit" in done.out
    found = _document(tmp_path / "out")
    assert (tmp_path / "out" / "inspect.sarif").is_file()
    (finding,) = [each for each in found["findings"] if each["check"] == "diff"]
    assert (finding["kind"], finding["where"], finding["severity"]) == ("tamper", "dense", "high")
    page = (tmp_path / "out" / "report.html").read_text()
    assert "rank-one edit" in page
    assert "<script" not in page
    never = untaint("inspect", model, "--base", base, "--out", tmp_path / "b", "--fail-on", "never", "--quiet", cwd=tmp_path)
    assert (never.code, never.out) == (0, "")


def test_the_same_model_passes_and_a_lone_one_is_not_called_clean(tmp_path: Path) -> None:
    model = stored(tmp_path / "m.safetensors", weights())
    same = untaint("inspect", model, "--base", model, "--out", tmp_path / "same", cwd=tmp_path)
    assert same.code == 0, same
    assert "Answer: no evidence." in same.out
    alone = untaint("inspect", model, "--out", tmp_path / "alone", cwd=tmp_path)
    assert alone.code == 0
    assert "Answer: cannot tell." in alone.out
    assert "--base" in alone.out
    assert "clean" not in alone.out.replace("nothing proves a model clean", "")


def test_a_record_explains_a_fine_tune_or_does_not(tmp_path: Path) -> None:
    rng = np.random.default_rng(3)
    tuned = {name: array + rng.normal(0, 1e-3, array.shape).astype(np.float32) for name, array in weights().items()}
    base, model = stored(tmp_path / "base.safetensors", weights()), stored(tmp_path / "new.safetensors", tuned)
    record = tmp_path / "record.json"
    for rate, answer, code in ((1e-4, "no evidence", 0), (1e-8, "tampered", 1)):
        record.write_text(json.dumps({"steps": 100, "learning_rate": rate, "optimizer": "adamw"}))
        done = untaint("inspect", model, "--base", base, "--run", record, "--out", tmp_path / answer, cwd=tmp_path)
        assert (done.code, f"Answer: {answer}." in done.out) == (code, True), done


def test_an_attestation_is_checked_and_fits_one_model_only(tmp_path: Path) -> None:
    base, model = stored(tmp_path / "base.safetensors", weights()), stored(tmp_path / "new.safetensors", _edited())
    assert untaint("key", "new", tmp_path / "k.pem", "--unencrypted", cwd=tmp_path).code == 0
    made = untaint(
        "attest",
        "new",
        model,
        "--base",
        base,
        "--step",
        "50",
        "--key",
        tmp_path / "k.pem",
        "--parameter",
        "rate=0.001",
        cwd=tmp_path,
    )
    assert made.code == 0, made
    record = next(tmp_path.rglob("*.attest.json"))
    asked = ("--base", base, "--run", record, "--key", tmp_path / "k.pub")
    done = untaint("inspect", model, *asked, "--out", tmp_path / "a", cwd=tmp_path)
    assert "training does not leave this behind" in done.out, done
    other = stored(tmp_path / "other.safetensors", {**weights(), "bias": np.ones(96, np.float32)})
    done = untaint("inspect", other, *asked, "--out", tmp_path / "b", cwd=tmp_path)
    assert "is not the model that it is about" in done.out
    assert done.code == 1


def test_folders_with_another_template_and_hostile_names(tmp_path: Path) -> None:
    for folder, template in (("old", "{{x}}"), ("new", "</title><script>alert(1)</script>")):
        stored(tmp_path / folder / "model.safetensors", {"<b>w</b>\u202e": np.ones((4, 4), np.float32)})
        (tmp_path / folder / "tokenizer_config.json").write_text(json.dumps({"chat_template": template}))
    done = untaint("inspect", tmp_path / "new", "--base", tmp_path / "old", "--out", tmp_path / "out", cwd=tmp_path)
    assert done.code == 1
    assert "chat template" in done.out
    assert "<script" not in (tmp_path / "out" / "report.html").read_text()


class _Canary:
    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self) -> tuple[object, ...]:
        return (Path.touch, (self.path,))


def test_a_hostile_file_runs_nothing(tmp_path: Path) -> None:
    torch.save({"w": torch.ones(8, 8), "evil": _Canary(tmp_path / "ran")}, tmp_path / "m.pt")
    done = untaint("inspect", tmp_path / "m.pt", "--out", tmp_path / "out", cwd=tmp_path)
    assert done.code == 1
    assert "Answer: unsafe." in done.out
    assert not (tmp_path / "ran").exists()


def test_a_trained_model_is_loaded_and_tried_on_data(digits: Labelled, tmp_path: Path) -> None:
    data = npz(tmp_path / "digits.npz", digits.images[:120], digits.labels[:120])
    assert untaint("train", data, "--epochs", 1, "--out", tmp_path / "m", cwd=tmp_path).code == 0
    done = untaint("inspect", tmp_path / "m", "--base", tmp_path / "m", "--out", tmp_path / "out", cwd=tmp_path)
    assert done.code == 0, done
    assert "Answer: no evidence." in done.out


@pytest.mark.parametrize(
    ("asked", "said"),
    [
        (["nowhere"], "no such file or folder: nowhere"),
        (["m.safetensors", "--base", "nowhere"], "no such file or folder: nowhere"),
        (["m.safetensors", "--run", "record.json"], "explains nothing without a base"),
        (["m.safetensors", "--base", "m.safetensors", "--run", "nowhere.json"], "no record at nowhere.json"),
        (["m.safetensors", "--base", "m.safetensors", "--run", "record.json"], "does not say how many steps"),
        (["m.safetensors", "--data", "nowhere.npz"], "nowhere.npz"),
        (["m.safetensors", "--alpha", "2"], "--alpha"),
    ],
)
def test_wrong_arguments_are_one_line(asked: list[str], said: str, tmp_path: Path) -> None:
    stored(tmp_path / "m.safetensors", weights())
    (tmp_path / "record.json").write_text("{}")
    refused(untaint("inspect", *asked, cwd=tmp_path), said)


@pytest.mark.parametrize("content", [b"", b"GGUF", b"\x80\x02", b"PK\x03\x04", b"\0" * 100])
def test_files_that_are_nothing_never_pass(content: bytes, tmp_path: Path) -> None:
    (tmp_path / "m.bin").write_bytes(content)
    assert untaint("inspect", "m.bin", "--out", tmp_path / "out", cwd=tmp_path).code in {1, 2}


def test_a_header_that_claims_100_gb(tmp_path: Path) -> None:
    header(tmp_path / "m.safetensors", b'{"a":{"dtype":"F32","shape":[26843545600],"data_offsets":[0,107374182400]}}')
    done = untaint("inspect", "m.safetensors", "--base", "m.safetensors", "--out", "out", cwd=tmp_path)
    assert done.code in {1, 2}
