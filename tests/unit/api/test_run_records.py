"""Records of training runs, of every kind that is read, and what is not believed of them."""

import json
from datetime import UTC, datetime
from pathlib import Path

import pytest
from tests.weight_files import stored, weights

from untaint.api.run_records import explained
from untaint.errors import BadInput
from untaint.provenance import keys, policy, training
from untaint.provenance.training import Inputs, Point


def _record(tmp_path: Path, content: object) -> Path:
    path = tmp_path / "record.json"
    path.write_text(json.dumps(content))
    return path


@pytest.mark.parametrize(
    ("content", "wanted"),
    [
        ({"steps": 10, "rate": 0.1, "optimizer": "sgd", "clip": 2}, (10, 0.1, "sgd", 2.0)),
        (
            {"max_steps": 10, "learning_rate": "1e-5", "optim": "adamw_torch", "max_grad_norm": 1.0},
            (10, 1e-5, "adamw_torch", 1.0),
        ),
        ({"global_step": 10, "lr": 1}, (10, 1.0, "an unknown optimizer", None)),
        ({"schema": "untaint.training/v1", "session": {"steps": 7}, "plan": {"rate": 0.004}}, (7, 0.004, "adamw", None)),
    ],
)
def test_plain_records(content: object, wanted: tuple[object, ...], tmp_path: Path) -> None:
    found = explained(_record(tmp_path, content), tmp_path, None, None)
    assert (found.steps, found.rate, found.optimizer, found.clip) == wanted
    assert not found.vouched
    assert not found.problems


@pytest.mark.parametrize(
    "content",
    [[], {}, {"steps": 10}, {"steps": -1, "rate": 1}, {"steps": True, "rate": 1}, {"steps": 1, "rate": -1}, {"steps": 1, "rate": "x"}, {"steps": 1.5, "rate": 1}],
)  # fmt: skip
def test_what_says_too_little_is_refused(content: object, tmp_path: Path) -> None:
    with pytest.raises(BadInput):
        explained(_record(tmp_path, content), tmp_path, None, None)


def test_what_is_no_json_or_not_there(tmp_path: Path) -> None:
    (tmp_path / "x.json").write_text("{")
    for name in ("x.json", "nowhere.json"):
        with pytest.raises(BadInput, match=name):
            explained(tmp_path / name, tmp_path, None, None)


def test_attestations_are_bound_to_model_base_and_key(tmp_path: Path) -> None:
    base, model = stored(tmp_path / "base.safetensors", weights(1)), stored(tmp_path / "m" / "model.safetensors", weights(2))
    other = stored(tmp_path / "other.safetensors", weights(3))
    key, stranger = keys.generate(), keys.generate()
    told = Point(step=20, parameters={"rate": "0.001", "optimizer": "adam"})
    made = training.attested(model, Inputs(base=base), told, [key], now=datetime.now(UTC))
    record = tmp_path / "model.attest.json"
    record.write_bytes(made.dump())
    trusted, another = policy.of_keys({"a": key.public}), policy.of_keys({"b": stranger.public})
    found = explained(record, model.parent, base, trusted)
    assert (found.steps, found.rate, found.optimizer, found.vouched, found.problems) == (20, 0.001, "adam", True, ())
    assert not explained(record, model, base, None).vouched
    assert "not the model" in explained(record, other, base, trusted).problems[0]
    assert "not the base" in explained(record, model, other, trusted).problems[0]
    assert explained(record, model, base, another).problems
    assert not explained(record, model, base, another).vouched


def test_a_record_nobody_signed_where_a_signature_is_asked_for(tmp_path: Path) -> None:
    trusted = policy.of_keys({"a": keys.generate().public})
    assert "not signed" in explained(_record(tmp_path, {"steps": 1, "rate": 1}), tmp_path, None, trusted).problems[0]
