"""What was done to a model is named, whatever its format; what was not done is not."""

from collections.abc import Callable
from dataclasses import replace
from math import isnan
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from safetensors.torch import save_file
from tests.weight_files import Arrays, stored, weights

from untaint.errors import BadInput
from untaint.models.base import Case, Checked, Explained
from untaint.models.diff import Diff
from untaint.numerics.number_formats import FORMATS, rounded

RNG = np.random.default_rng(7)


def _noise(*shape: int) -> np.ndarray:
    return (np.random.default_rng(sum(shape)).standard_normal(shape) * 0.05).astype(np.float32)


def _set(name: str, change: Callable[[np.ndarray], np.ndarray]) -> Callable[[dict[str, np.ndarray]], Arrays]:
    return lambda arrays: {**arrays, name: change(arrays[name].copy())}


def _all(change: Callable[[np.ndarray], np.ndarray]) -> Callable[[dict[str, np.ndarray]], Arrays]:
    return lambda arrays: {name: change(array.copy()).astype(array.dtype) for name, array in arrays.items()}


def _put(where: Any, value: Any) -> Callable[[np.ndarray], np.ndarray]:
    def change(array: np.ndarray) -> np.ndarray:
        array[where] = value
        return array

    return change


def _flipped_bits(array: np.ndarray) -> np.ndarray:
    bits: Any = array.view(np.uint32 if array.itemsize == 4 else np.uint16)
    bits[[3, 40, 90], [1, 2, 3]] ^= (1 << 27) if array.itemsize == 4 else (1 << 12)
    return array


def _int8(array: np.ndarray) -> np.ndarray:
    step = np.abs(array).max(tuple(range(1, array.ndim)) or None, keepdims=True) / 127
    return (np.round(array / step) * step).astype(array.dtype)


def _adapter(rank: int) -> Callable[[np.ndarray], np.ndarray]:
    def change(array: np.ndarray) -> np.ndarray:
        if array.shape not in {(120, 64), (96, 64)}:
            return array
        return array + 0.5 * _noise(array.shape[0], rank) @ _noise(rank, array.shape[1])

    return change


EDITS: dict[str, tuple[str, Callable[[dict[str, np.ndarray]], Arrays]]] = {
    "a row": ("one row", _set("embed", _put(5, _noise(64)))),
    "a column": ("one column", _set("dense", _put((slice(None), 9), _noise(96)))),
    "an input channel": ("one column", _set("conv", _put((slice(None), 3), _noise(24, 3, 3)))),
    "a value": ("one value", _set("dense", _put((3, 4), 2.9))),
    "signs of a row": ("sign flip", _set("embed", lambda array: array * np.where(np.arange(120) == 7, -1, 1)[:, None].astype(array.dtype))),
    "all signs": ("sign flip", _set("dense", np.negative)),
    "bits": ("bit flips", _set("dense", _flipped_bits)),
    "rank one": ("rank-one edit", _set("dense", lambda array: array + np.outer(_noise(96), _noise(64)).astype(array.dtype) * 2)),
    "an adapter": ("low-rank adapter", _all(_adapter(4))),
    "one of rank three": ("low-rank edit", _set("embed", lambda array: array + 0.5 * _noise(120, 3) @ _noise(3, 64))),
    "a fine-tune": ("dense fine-tune", _all(lambda array: array + 0.2 * _noise(*array.shape))),
    "a new head": ("re-initialised", _set("head", lambda array: _noise(10, 96))),
    "int8": ("quantised or rounded", _all(_int8)),
    "int8, one step for all": ("quantised or rounded", _set("embed", lambda array: _int8(array.reshape(1, -1)).reshape(array.shape))),
    "bfloat16": ("quantised or rounded", _all(lambda array: rounded(array.astype(np.float32), FORMATS["bfloat16"]))),
    "scaled": ("scaled", _all(lambda array: array * np.float32(1.7))),
    "rows scaled": ("scaled", _set("dense", lambda array: array * (1 + RNG.random((96, 1))).astype(np.float32))),
    "rows in another order": ("permuted", _set("embed", lambda array: array[::-1])),
    "columns in another order": ("permuted", _set("conv", lambda array: array[:, ::-1])),
    "pruned": ("pruned", _set("embed", lambda array: np.where(np.abs(array) > 0.02, array, 0).astype(array.dtype))),
    "some rows": ("some rows", _set("embed", _put(slice(0, 4), _noise(4, 64)))),
}  # fmt: skip


def _diff(tmp_path: Path, old: Arrays, new: Arrays, run: Explained | None = None) -> Checked:
    base, path = stored(tmp_path / "old.safetensors", old), stored(tmp_path / "new.safetensors", new)
    return Diff().examine(Case(path=path, base=base, run=run))


def _kinds(found: Checked) -> list[object]:
    return [finding.details["change"] for finding in found.findings]


@pytest.mark.parametrize("dtype", ["float32", "float16"])
@pytest.mark.parametrize("edit", EDITS)
def test_an_edit_is_named(edit: str, dtype: str, tmp_path: Path) -> None:
    kind, change = EDITS[edit]
    old = weights(dtype=dtype)
    new = {name: array.astype(dtype) for name, array in change(old).items()}
    found = _diff(tmp_path, old, new)
    assert _kinds(found) == [kind], found.facts["changes"]
    assert found.answer != "no evidence" or kind in {"quantised or rounded", "scaled", "permuted"}


def test_the_same_model_is_the_same(tmp_path: Path) -> None:
    found = _diff(tmp_path, weights(), weights())
    assert (found.answer, found.findings, found.facts["identical"]) == ("no evidence", (), 5)


def test_an_edit_beside_an_adapter_and_one_beside_a_fine_tune(tmp_path: Path) -> None:
    old = weights()
    edited = old["conv"] + np.outer(_noise(24), _noise(144)).reshape(24, 16, 3, 3)
    assert sorted(map(str, _kinds(_diff(tmp_path, old, {**_all(_adapter(4))(old), "conv": edited})))) == [
        "low-rank adapter",
        "rank-one edit",
    ]
    tuned = {**EDITS["a fine-tune"][1](old), "conv": _put((3, 4, 1, 1), 5.0)(old["conv"].copy())}
    assert sorted(map(str, _kinds(_diff(tmp_path, old, tuned)))) == ["dense fine-tune", "one value"]


def test_counters_and_statistics_come_with_a_fine_tune(tmp_path: Path) -> None:
    old = {**weights(), "num_batches_tracked": np.array(3), "norm.running_mean": np.zeros(24, np.float32)}
    new = {**EDITS["a fine-tune"][1](weights()), "num_batches_tracked": np.array(9), "norm.running_mean": _noise(24)}
    assert _kinds(_diff(tmp_path, old, new)) == ["dense fine-tune"]


def test_renamed_added_removed_reshaped_and_grown(tmp_path: Path) -> None:
    old = weights()
    moved = {("body." + name if name == "conv" else name): array for name, array in old.items()}
    grown = {
        **moved,
        "embed": np.concatenate([old["embed"], _noise(3, 64)]),
        "bias": old["bias"].reshape(2, 48),
        "extra": _noise(4),
    }
    del grown["head"]
    found = _diff(tmp_path, old, grown)
    assert sorted(map(str, _kinds(found))) == ["added", "removed", "renamed", "reshaped"]
    said = {finding.details["change"]: finding.what for finding in found.findings}
    assert "was called conv" in said["renamed"]
    assert "with the same numbers" in said["reshaped"]
    assert "3 rows more" in said["added"]


def test_all_names_behind_another_prefix(tmp_path: Path) -> None:
    old = weights()
    new = {f"module.{name}": array for name, array in EDITS["a fine-tune"][1](old).items()}
    assert _kinds(_diff(tmp_path, old, new)) == ["dense fine-tune"]


def test_stored_in_another_format(tmp_path: Path) -> None:
    base = stored(tmp_path / "old.safetensors", weights())
    for dtype in (torch.bfloat16, torch.float16, torch.float64):
        save_file({name: torch.from_numpy(array).to(dtype) for name, array in weights().items()}, tmp_path / "new.safetensors")
        found = Diff().examine(Case(path=tmp_path / "new.safetensors", base=base))
        assert _kinds(found) == ["quantised or rounded"]
        assert found.answer == "no evidence"


def test_integers_and_their_steps(tmp_path: Path) -> None:
    old = weights()
    new = {**old, "dense": np.round(old["dense"] / (np.abs(old["dense"]).max(1, keepdims=True) / 127)).astype(np.int8)}
    assert _kinds(_diff(tmp_path, old, new)) == ["quantised or rounded"]


def test_odd_tensors_do_not_break_it(tmp_path: Path) -> None:
    odd = {
        "scalar": np.array(1.5, np.float32),
        "empty": np.zeros((0, 4), np.float32),
        "flags": np.array([True, False]),
        "whole": np.arange(5),
        "nan": np.full((4, 4), np.nan, np.float32),
        "huge": np.full((4, 8), 3e38, np.float32),
        "zero": np.zeros((8, 8), np.float32),
    }
    assert _diff(tmp_path, odd, odd).findings == ()
    new = {**odd, "scalar": np.array(2.5, np.float32), "flags": np.array([True, True]), "nan": np.ones((4, 4), np.float32)}
    new |= {"huge": -odd["huge"], "zero": np.eye(8, dtype=np.float32), "whole": np.arange(5) * 3}
    found = _diff(tmp_path, odd, new)
    assert len(found.findings) >= 3
    assert all(not isinstance(row, dict) or "relative" not in row or not isnan(row["relative"]) for row in found.facts["changes"])  # type: ignore[attr-defined]


RUN = Explained(steps=100, rate=1e-4, optimizer="adamw", clip=None, source="run.json")


def test_a_run_explains_what_its_steps_and_rate_can_do(tmp_path: Path) -> None:
    old = weights()
    near = _all(lambda array: array + 0.1 * _noise(*array.shape))(old)
    found = _diff(tmp_path, old, near, RUN)
    assert (found.answer, found.findings[0].severity) == ("no evidence", "info")
    assert "Explained by run.json, which nobody signed" in found.findings[0].what
    far = _diff(tmp_path, old, near, replace(RUN, rate=1e-6))
    assert (far.answer, far.findings[0].severity) == ("tampered", "high")
    assert "3.2 times the rate" in far.findings[0].what


def test_no_run_bounds_what_is_new(tmp_path: Path) -> None:
    found = _diff(tmp_path, weights(), {**weights(), "more": _noise(4)}, RUN)
    assert (found.answer, found.findings[0].severity) == ("cannot tell", "medium")


def test_no_run_explains_an_aimed_edit(tmp_path: Path) -> None:
    found = _diff(tmp_path, weights(), EDITS["a value"][1](weights()), replace(RUN, rate=10.0))
    assert found.answer == "tampered"
    assert "training does not leave this behind" in found.findings[0].what


def test_gradients_cut_to_a_norm_bound_the_whole(tmp_path: Path) -> None:
    run = Explained(steps=10, rate=0.01, optimizer="sgd", clip=1.0, source="run.json")  # all together by 1 at most
    old = weights()
    for size, answer in ((0.1, "no evidence"), (0.4, "tampered")):
        new = {name: array + np.float32(size) * _noise(*array.shape) for name, array in old.items()}
        assert _diff(tmp_path, old, new, run).answer == answer
    assert _diff(tmp_path, old, new, replace(run, clip=None)).answer == "cannot tell"
    assert _diff(tmp_path, old, new, replace(run, optimizer="wizardry")).answer == "cannot tell"


def test_a_record_of_another_model_is_a_finding(tmp_path: Path) -> None:
    run = replace(RUN, problems=("m is not the model that it is about",))
    assert _diff(tmp_path, weights(), weights(), run).answer == "tampered"


def test_models_without_a_common_tensor(tmp_path: Path) -> None:
    found = _diff(tmp_path, {"a": _noise(4, 4)}, {"b": _noise(5, 5)})
    assert _kinds(found) == ["added", "removed"]
    assert found.answer == "cannot tell"


def test_a_base_that_is_no_checkpoint_is_refused(tmp_path: Path) -> None:
    (tmp_path / "base.bin").write_bytes(b"nothing of the kind")
    path = stored(tmp_path / "new.safetensors", weights())
    with pytest.raises(BadInput, match=r"base\.bin"):
        Diff().examine(Case(path=path, base=tmp_path / "base.bin"))
