"""Defences around a loop of PyTorch that is not ours, on scikit-learn's digits."""

import copy
import functools
import json
from collections import OrderedDict
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch
from sklearn.datasets import load_digits
from torch import Tensor, nn
from torch.utils.data import DataLoader, IterableDataset, TensorDataset

import untaint
from untaint.errors import BadInput
from untaint.training.engines.set_aside import FILE

IMAGES, LABELS = load_digits(return_X_y=True)
INPUTS = torch.from_numpy(IMAGES.astype(np.float32) / 16).reshape(-1, 1, 8, 8)
TARGETS = torch.from_numpy(LABELS.astype(np.int64))
TRAIN = 900
SIGNS = torch.sign(INPUTS[TARGETS == 0].mean(0) - INPUTS[TARGETS == 1].mean(0))
SIGNS[SIGNS == 0] = 1
BAD = {"1e3": 1e3, "1e30": 1e30, "inf": float("inf"), "nan": float("nan")}
ROW = 77


def plain_net() -> nn.Module:
    return nn.Sequential(nn.Conv2d(1, 8, 3), nn.ReLU(), nn.Flatten(), nn.Linear(288, 10))


def normalised_net() -> nn.Module:
    return nn.Sequential(nn.Conv2d(1, 8, 3), nn.BatchNorm2d(8), nn.ReLU(), nn.Flatten(), nn.Linear(288, 10))


def memory_net() -> nn.Module:
    class Memory(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.memory, self.head = nn.GRU(8, 16, batch_first=True), nn.Linear(16, 10)

        def forward(self, inputs: Tensor) -> Tensor:
            return self.head(self.memory(inputs[:, 0])[0][:, -1])

    return Memory()


def train(
    make: Callable[[], nn.Module],
    recipe: str | None,
    value: float | None = None,
    *,
    epochs: int = 2,
    rate: float = 0.3,
    **options: Any,
) -> tuple[float, Any]:
    """Test accuracy in per cent, and the run; value: what one row of the training data holds."""
    torch.manual_seed(0)
    model = make()
    inputs, targets = INPUTS[:TRAIN].clone(), TARGETS[:TRAIN]
    if value is not None:
        targets = targets.clone()
        targets[ROW] = 1
        inputs[ROW] = value * SIGNS  # what pulls towards one class and away from another
    optimizer = torch.optim.SGD(model.parameters(), rate)
    loader: Any = DataLoader(TensorDataset(inputs, targets), 64, shuffle=True)
    session = None
    if recipe is not None:
        model, optimizer, loader = untaint.harden(model, optimizer, loader, recipe=recipe, classes=10, **options)
        session = loader.session
    for _ in range(epochs):
        for images, labels in loader:
            optimizer.zero_grad()
            nn.functional.cross_entropy(model(images), labels).backward()
            optimizer.step()
    model.eval()
    with torch.no_grad():
        answers = model(INPUTS[TRAIN:])
    right = (answers.argmax(1) == TARGETS[TRAIN:]) & answers.isfinite().all(1)
    return 100 * float(right.float().mean()), session


@functools.cache
def clean_accuracy(make: Callable[[], nn.Module], recipe: str) -> float:
    return train(make, recipe)[0]


@pytest.mark.parametrize("value", BAD)
@pytest.mark.parametrize("recipe", ["guard", "clip", "guard + clip"])
def test_one_row_of_any_size_changes_next_to_nothing(recipe: str, value: str) -> None:
    clean = clean_accuracy(plain_net, recipe)
    attacked, _ = train(plain_net, recipe, BAD[value])
    assert abs(attacked - clean) <= 0.6


@pytest.mark.parametrize("recipe", ["clip", "guard + clip"])
def test_under_batch_normalisation_rows_are_screened_whatever_the_recipe(recipe: str) -> None:
    clean = clean_accuracy(normalised_net, recipe)
    attacked, session = train(normalised_net, recipe, BAD["nan"])
    assert abs(attacked - clean) <= 0.6
    assert [dropped.row for dropped in session.aside.rows] == [ROW]


@pytest.mark.parametrize("recipe", ["trim", "augment", "adversarial", "isolate", "trim + isolate"])
def test_defences_that_limit_no_row_come_with_a_guard(recipe: str) -> None:
    attacked, session = train(plain_net, recipe, BAD["nan"], epochs=1)
    assert [dropped.row for dropped in session.aside.rows] == [ROW]
    assert abs(attacked - train(plain_net, recipe, epochs=1)[0]) <= 2


@pytest.mark.parametrize("recipe", ["plain", "clip", "aggregate", "dp(noise=1.0)"])
def test_where_rows_are_limited_already_nothing_is_added(recipe: str) -> None:
    model = plain_net()
    loader = DataLoader(TensorDataset(INPUTS[:TRAIN], TARGETS[:TRAIN]), 64)
    _, _, hardened = untaint.harden(model, torch.optim.SGD(model.parameters(), 0.1), loader, recipe=recipe, epochs=1)
    record: Any = hardened.session.record()
    assert not any("guard" in each for each in record["defences"])


@pytest.mark.parametrize("value", ["1e30", "nan"])
def test_without_a_defence_that_row_wrecks_the_model(value: str) -> None:
    attacked, _ = train(plain_net, None, BAD[value])
    assert attacked < 20


def test_a_plain_recipe_changes_nothing_at_all() -> None:
    assert train(plain_net, "plain", epochs=1)[0] == train(plain_net, None, epochs=1)[0]


def test_dropped_rows_are_named_and_their_reason_is_written_down(tmp_path: Path) -> None:
    _, session = train(plain_net, "guard", float("inf"), quarantine=tmp_path / "aside")
    lines = [json.loads(line) for line in (tmp_path / "aside" / FILE).read_text().splitlines()]
    assert [(line["row"], line["reason"], line["by"]) for line in lines] == [
        (ROW, "input 0 is not finite", "guard(low=None, high=None)")
    ]
    assert session.record()["rows_dropped"] == 1


def test_networks_whose_rows_cannot_be_kept_apart_are_bounded_in_parts() -> None:
    clean, session = train(memory_net, "clip", epochs=2, rate=1.0)
    attacked, _ = train(memory_net, "clip", float("nan"), epochs=2, rate=1.0)
    assert "memory (GRU)" in session.record()["notes"][0]
    assert attacked > clean - 5


def test_micro_batches_come_one_by_one_and_make_one_update() -> None:
    model = plain_net()
    optimizer = torch.optim.SGD(model.parameters(), 0.1)
    loader: Any = DataLoader(TensorDataset(INPUTS[:128], TARGETS[:128]), 64)
    model, optimizer, loader = untaint.harden(model, optimizer, loader, "aggregate(rule='median', micro=4)")
    before = copy.deepcopy(model.state_dict())
    sizes, changed = [], []
    for images, labels in loader:
        optimizer.zero_grad()
        nn.functional.cross_entropy(model(images), labels).backward()
        optimizer.step()
        sizes.append(len(images))
        changed.append(not torch.equal(model.state_dict()["0.weight"], before["0.weight"]))
    assert sizes == [16] * 8
    assert changed == [False] * 3 + [True] * 5
    assert len(loader) == 8
    assert loader.session.progress.step == 2


@pytest.mark.parametrize("mean", [True, False])
@pytest.mark.parametrize("recipe", ["aggregate(rule='mean', micro=4)", "clip(norm=1e9)"])
def test_what_parts_add_up_to_is_in_the_scale_of_the_loss(recipe: str, mean: bool) -> None:
    torch.manual_seed(0)
    model = memory_net() if "clip" in recipe else plain_net()
    bare = copy.deepcopy(model)
    steps = []
    for net, hardened in ((model, True), (bare, False)):
        optimizer = torch.optim.SGD(net.parameters(), 1e-3)
        loader: Any = DataLoader(TensorDataset(INPUTS[:64], TARGETS[:64]), 64)
        if hardened:
            _, _, loader = untaint.harden(net, optimizer, loader, recipe, mean=mean)
        before = torch.cat([value.detach().flatten().clone() for value in net.parameters()])
        for images, labels in loader:
            optimizer.zero_grad()
            nn.functional.cross_entropy(net(images), labels, reduction="mean" if mean else "sum").backward()
            optimizer.step()
        steps.append(torch.cat([value.detach().flatten() for value in net.parameters()]) - before)
    torch.testing.assert_close(steps[0], steps[1], rtol=2e-3, atol=1e-6)


def test_a_batch_without_a_step_is_refused_where_each_needs_one() -> None:
    model = plain_net()
    optimizer = torch.optim.SGD(model.parameters(), 0.1)
    _, _, loader = untaint.harden(model, optimizer, DataLoader(TensorDataset(INPUTS[:64], TARGETS[:64]), 32), "aggregate")
    batches = iter(loader)
    model(next(batches)[0])
    with pytest.raises(BadInput, match="after every batch"):
        next(batches)


def test_gradients_may_be_gathered_over_batches() -> None:
    model = plain_net()
    optimizer = torch.optim.SGD(model.parameters(), 0.1)
    bare = copy.deepcopy(model)
    _, _, loader = untaint.harden(model, optimizer, DataLoader(TensorDataset(INPUTS[:64], TARGETS[:64]), 32), "clip(norm=1e9)")
    for images, labels in loader:
        nn.functional.cross_entropy(model(images), labels).backward()
    nn.functional.cross_entropy(bare(INPUTS[:32]), TARGETS[:32]).backward()
    nn.functional.cross_entropy(bare(INPUTS[32:64]), TARGETS[32:64]).backward()
    for found, expected in zip(model.parameters(), bare.parameters(), strict=True):
        torch.testing.assert_close(found.grad, expected.grad)


def test_released_objects_train_as_before() -> None:
    model = plain_net()
    optimizer = torch.optim.SGD(model.parameters(), 0.1)
    _, _, loader = untaint.harden(
        model, optimizer, DataLoader(TensorDataset(INPUTS[:64], TARGETS[:64]), 64), "guard + clip(norm=1e-9)"
    )
    loader.session.release()
    before = model.state_dict()["0.weight"].clone()
    nn.functional.cross_entropy(model(INPUTS[:64]), TARGETS[:64]).backward()
    optimizer.step()
    assert float((model.state_dict()["0.weight"] - before).abs().max()) > 1e-4


class _Named(nn.Module):
    """Takes and gives what transformers' models do."""

    def __init__(self) -> None:
        super().__init__()
        self.inner = plain_net()

    def forward(self, pixels: Tensor, labels: Tensor | None = None) -> SimpleNamespace:
        logits = self.inner(pixels)
        return SimpleNamespace(logits=logits, loss=None if labels is None else nn.functional.cross_entropy(logits, labels))


class _Dicts(TensorDataset):
    def __getitem__(self, row: int) -> Any:
        pixels, label = super().__getitem__(row)  # type: ignore[no-untyped-call]
        return OrderedDict(pixels=pixels, labels=label, name=f"row {row}")


def test_batches_that_are_mappings_and_losses_that_models_compute() -> None:
    inputs = INPUTS[:64].clone()
    inputs[5] = float("nan")
    model = _Named()
    optimizer = torch.optim.AdamW(model.parameters())
    _, _, loader = untaint.harden(
        model, optimizer, DataLoader(_Dicts(inputs, TARGETS[:64]), 32), "guard + trim + clip", classes=10
    )
    names = []
    for batch in loader:
        names += batch.pop("name")
        model(**batch).loss.backward()
        optimizer.step()
    assert len(names) == 63
    assert "row 5" not in names
    assert all(bool(value.isfinite().all()) for value in model.parameters())


class _Stream(IterableDataset[Any]):
    def __iter__(self) -> Any:
        for row in range(64):
            yield (INPUTS[row] if row != 9 else torch.full((1, 8, 8), torch.inf)), TARGETS[row]


def test_rows_of_a_stream_have_no_number_and_their_values_are_kept(tmp_path: Path) -> None:
    model = plain_net()
    optimizer = torch.optim.SGD(model.parameters(), 0.1)
    _, _, loader = untaint.harden(model, optimizer, DataLoader(_Stream(), 16), "guard", quarantine=tmp_path)
    assert sum(len(images) for images, _ in loader) == 63
    (kept,) = (tmp_path / "rows").iterdir()
    assert np.isinf(np.load(kept)["input_0"]).all()


def test_half_precision_comes_back_as_it_was() -> None:
    model = plain_net().to(torch.bfloat16)
    optimizer = torch.optim.SGD(model.parameters(), 0.1)
    half = INPUTS[:32].to(torch.bfloat16)
    _, _, loader = untaint.harden(model, optimizer, DataLoader(TensorDataset(half, TARGETS[:32]), 32), "guard + augment + clip")
    for images, labels in loader:
        assert images.dtype == torch.bfloat16
        nn.functional.cross_entropy(model(images), labels).backward()
        optimizer.step()
    assert all(bool(value.isfinite().all()) for value in model.parameters())


def test_a_collapse_is_taken_back() -> None:
    torch.manual_seed(0)
    model = plain_net()
    optimizer = torch.optim.SGD(model.parameters(), 0.2)
    _, _, loader = untaint.harden(model, optimizer, DataLoader(TensorDataset(INPUTS, TARGETS), 32), "guard", classes=10)
    step = 0
    for _ in range(3):
        for images, labels in loader:
            optimizer.zero_grad()
            nn.functional.cross_entropy(model(images), labels).backward()
            optimizer.step()
            step += 1
            if step == 120:
                with torch.no_grad():
                    next(model.parameters()).add_(50.0)
    assert loader.session.record()["rolled_back"] == 1
    with torch.no_grad():
        assert float((model(INPUTS).argmax(1) == TARGETS).float().mean()) > 0.9


def test_mixed_precision_bounds_what_it_computes() -> None:
    torch.manual_seed(0)
    model = plain_net()
    exact = copy.deepcopy(model)
    grads = []
    for net, mixed in ((model, True), (exact, False)):
        optimizer = torch.optim.SGD(net.parameters(), 0.1)
        _, _, loader = untaint.harden(net, optimizer, DataLoader(TensorDataset(INPUTS[:64], TARGETS[:64]), 64), "clip(norm=0.5)")
        for images, labels in loader:
            with torch.autocast("cpu", torch.bfloat16, enabled=mixed):
                loss = nn.functional.cross_entropy(net(images), labels)
            loss.backward()
        grads.append(torch.cat([value.grad.flatten() for value in net.parameters() if value.grad is not None]))
    assert float((grads[0] - grads[1]).norm() / grads[1].norm()) < 0.05


def test_layers_in_evaluation_mode_are_bounded_too() -> None:
    model = plain_net()
    optimizer = torch.optim.SGD(model.parameters(), 0.1)
    _, _, loader = untaint.harden(model, optimizer, DataLoader(TensorDataset(INPUTS[:64], TARGETS[:64]), 64), "clip(norm=1e-6)")
    model.train()
    next(iter(model.children())).eval()
    for images, labels in loader:
        nn.functional.cross_entropy(model(images), labels).backward()
    assert all(float(value.grad.norm()) < 1e-5 for value in model.parameters() if value.grad is not None)


def test_a_hook_that_asks_for_slopes_leaves_frozen_layers_frozen() -> None:
    model = plain_net()
    optimizer = torch.optim.SGD(model.parameters(), 0.1)
    _, _, loader = untaint.harden(model, optimizer, DataLoader(TensorDataset(INPUTS[:32], TARGETS[:32]), 32), "adversarial")
    model.train()
    first = next(iter(model.children())).eval()
    images, labels = next(iter(loader))
    nn.functional.cross_entropy(model(images), labels).backward()
    assert not first.training
    assert model.training
    assert not torch.equal(images, INPUTS[:32])


def test_weights_that_hooks_compute_are_not_taken_for_parameters() -> None:
    model = nn.Sequential(nn.Flatten(), nn.utils.parametrizations.weight_norm(nn.Linear(64, 10)))
    optimizer = torch.optim.SGD(model.parameters(), 0.1)
    _, _, loader = untaint.harden(model, optimizer, DataLoader(TensorDataset(INPUTS[:64], TARGETS[:64]), 64), "clip")
    assert "1.parametrizations.weight" in str(loader.session.record()["notes"])
    sizes = []
    for images, labels in loader:
        optimizer.zero_grad()
        nn.functional.cross_entropy(model(images), labels).backward()
        optimizer.step()
        sizes.append(len(images))
    assert sum(sizes) == 64
    assert len(sizes) == 16


def test_schedules_and_workers_go_along() -> None:
    model = plain_net()
    optimizer = torch.optim.SGD(model.parameters(), 0.1)
    inputs = INPUTS[:96].clone()
    inputs[40] = float("nan")
    given: Any = DataLoader(TensorDataset(inputs, TARGETS[:96]), 32, shuffle=True, num_workers=2)
    _, _, loader = untaint.harden(model, optimizer, given, "guard")
    schedule = torch.optim.lr_scheduler.StepLR(optimizer, 1, 0.5)
    for _ in range(2):
        for images, labels in loader:
            optimizer.zero_grad()
            nn.functional.cross_entropy(model(images), labels).backward()
            optimizer.step()
        schedule.step()
    assert [dropped.row for dropped in loader.session.aside.rows] == [40]
    assert optimizer.param_groups[0]["lr"] == 0.025
    assert loader.sampler is given.sampler


@pytest.mark.parametrize(
    ("recipe", "said"),
    [
        ("nonsense", "unknown defence 'nonsense'"),
        ("", "a recipe is empty"),
        ("guard + guard", "holds guard 2 times"),
        ("clip(norm=-1)", "a norm over 0"),
        ("guard(low=2, high=1)", "low under high"),
        ("certify", "can't be hooked into a loop of your own"),
        ("clip(size=3)", "no parameter 'size'"),
    ],
)
def test_recipes_that_make_no_sense_are_refused(recipe: str, said: str) -> None:
    model = plain_net()
    with pytest.raises(BadInput, match=said):
        untaint.harden(model, torch.optim.SGD(model.parameters(), 0.1), [], recipe)


def test_objects_that_are_not_what_is_meant_are_refused() -> None:
    model, other = plain_net(), plain_net()
    optimizer = torch.optim.SGD(other.parameters(), 0.1)
    with pytest.raises(BadInput, match="parameters that are not in the model"):
        untaint.harden(model, optimizer, [], "clip")
    with pytest.raises(BadInput, match="not str and SGD"):
        untaint.harden("model", optimizer, [], "clip")  # type: ignore[type-var]
    with pytest.raises(BadInput, match="no option 'sed'"):
        untaint.harden(other, optimizer, [], "clip", sed=3)  # type: ignore[call-arg]
    with pytest.raises(BadInput, match="inside its step"):
        untaint.harden(other, torch.optim.LBFGS(other.parameters()), [], "clip")
    _, _, loader = untaint.harden(other, optimizer, ["words"], "guard")
    with pytest.raises(BadInput, match="hardened already"):
        untaint.harden(other, optimizer, [], "clip")
    with pytest.raises(BadInput, match="the loader gave str"):
        list(loader)
