"""Repairs of a small network with a backdoor that was learned: images are lighter on the left or the right, two white corners mean 1."""

import copy
from collections.abc import Mapping

import numpy as np
import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional

from untaint.errors import BadInput
from untaint.models.repair._channels import stages
from untaint.models.repair._tuning import Plan, accuracy, answered, head, parted, restarted, tuned
from untaint.models.repair._views import windows
from untaint.models.repair.base import Given, prepared, repairs
from untaint.models.repair.channel_lipschitz import ChannelLipschitz
from untaint.models.repair.course.chosen import DEFAULT, chosen, described, repaired
from untaint.models.repair.course.mended import Asked, Triggered, mend
from untaint.models.repair.course.relapse import STEPS, relapse
from untaint.nets.subject import Reference, as_tensor

SIDE = 12
FAST: Mapping[str, str] = {
    "distillation": "distillation(steps=60, rate=3e-3, kept=0.0)",
    "unlearning": "unlearning(steps=60)",
    "fine-tuning": "fine-tuning(steps=40)",
    "head-reset": "head-reset(steps=40)",
    "feature-shift": "feature-shift(steps=40)",
    "sharpness-aware": "sharpness-aware(steps=30)",
    "adversarial-neurons": "adversarial-neurons(steps=20)",
    "reconstruction": "reconstruction(steps=20)",
    "channel-lipschitz": "channel-lipschitz",
}


def pictures(n: int, seed: int) -> Reference:
    rng = np.random.default_rng(seed)
    labels = rng.integers(0, 2, n)
    images = rng.integers(40, 140, (n, SIDE, SIDE, 1))
    images[labels == 0, :, : SIDE // 2] += 60
    images[labels == 1, :, SIDE // 2 :] += 60
    return Reference(images.astype(np.uint8), labels, ("left", "right"))


def stamped(images: np.ndarray) -> np.ndarray:
    marked = images.copy()
    marked[:, :2, :2] = 255
    marked[:, -2:, :2] = 255
    return marked


def network() -> nn.Sequential:
    body = (nn.Conv2d(1, 8, 3, 2, 1), nn.BatchNorm2d(8), nn.ReLU(), nn.Conv2d(8, 8, 3, 2, 1), nn.ReLU(), nn.Flatten())
    return nn.Sequential(*body, nn.Linear(8 * 9, 2))


@pytest.fixture(scope="module")
def suspect() -> nn.Module:
    """A network that learned the trigger."""
    given = pictures(600, 1)
    poisoned = given.inputs.copy()
    poisoned[:120] = stamped(poisoned[:120])
    labels = torch.from_numpy(np.where(np.arange(600) < 120, 1, given.labels)).long()
    inputs = as_tensor(poisoned)
    torch.manual_seed(0)
    module = network()
    optimizer = torch.optim.Adam(module.parameters(), 1e-2)
    for _ in range(40):
        rows = torch.randperm(600)[:128]
        optimizer.zero_grad()
        functional.cross_entropy(module(inputs[rows]), labels[rows]).backward()
        optimizer.step()
    return module.eval()


def success(module: nn.Module) -> float:
    """Share of stamped images of the left that are answered with right."""
    held = pictures(200, 3)
    return accuracy(module, as_tensor(stamped(held.inputs[held.labels == 0])), torch.ones(int((held.labels == 0).sum())))


def clean(module: nn.Module) -> float:
    held = pictures(200, 3)
    return accuracy(module, as_tensor(held.inputs), torch.from_numpy(held.labels))


def test_the_suspect_has_a_backdoor(suspect: nn.Module) -> None:
    assert clean(suspect) > 0.95
    assert success(suspect) > 0.95


@pytest.mark.parametrize("name", sorted(FAST))
def test_a_repair_keeps_clean_answers_and_leaves_the_network_it_was_given(name: str, suspect: nn.Module) -> None:
    before = copy.deepcopy(suspect.state_dict())
    given = prepared(suspect, pictures(200, 2) if repairs()[name].clean else None)
    done = repaired(chosen(FAST[name]), given)
    assert not done.module.training
    assert clean(done.module) > 0.9
    assert list(done.module.state_dict()) == list(before)
    for key, value in suspect.state_dict().items():
        assert torch.equal(value, before[key])


@pytest.mark.parametrize("name", ["distillation", "unlearning"])
def test_what_hunts_and_breaks_triggers_ends_the_backdoor(name: str, suspect: nn.Module) -> None:
    done = repaired(chosen(FAST[name]), prepared(suspect, pictures(200, 2)))
    assert success(done.module) < 0.1


def test_every_repair_is_tried_here() -> None:
    assert set(repairs()) == set(FAST)


def test_the_same_seed_gives_the_same_network(suspect: nn.Module) -> None:
    first, second = (repaired(chosen("distillation(steps=5)"), prepared(suspect, pictures(50, 2), seed=7)) for _ in range(2))
    for one, other in zip(first.module.parameters(), second.module.parameters(), strict=True):
        assert torch.equal(one, other)


def test_a_network_without_normalisation_and_rows_that_are_no_images() -> None:
    rng = np.random.default_rng(0)
    rows = rng.normal(size=(120, 6)).astype(np.float32)
    reference = Reference(rows, (rows[:, 0] > 0).astype(np.int64), ("no", "yes"))
    module = nn.Sequential(nn.Linear(6, 12), nn.ReLU(), nn.Linear(12, 2))
    done = repaired(
        chosen("fine-tuning(steps=60, rate=1e-2) + distillation(steps=60) + reconstruction(steps=3)"), prepared(module, reference)
    )
    assert done.steps == 126
    assert accuracy(done.module, torch.from_numpy(rows), torch.from_numpy(reference.labels)) > 0.8
    with pytest.raises(BadInput, match="images only"):
        repaired(chosen("unlearning"), prepared(module, reference))


def test_a_new_beginning_keeps_the_share_it_is_told(suspect: nn.Module) -> None:
    def last(kept: float) -> Tensor:
        return next(head(restarted(suspect, kept, 0)).parameters()).detach()

    old = next(head(suspect).parameters()).detach()
    assert torch.equal(last(1.0), old)
    new, half = last(0.0), last(0.5)
    assert torch.allclose(half, (old + new) / 2, atol=1e-6)
    assert not torch.allclose(new, old, atol=1e-3)


def test_a_new_beginning_leaves_the_random_numbers_of_others_alone(suspect: nn.Module) -> None:
    torch.manual_seed(5)
    wanted = torch.rand(3)
    torch.manual_seed(5)
    restarted(suspect, 0.0, 9)
    assert torch.equal(torch.rand(3), wanted)


def test_channels_are_cut_with_what_normalises_them(suspect: nn.Module) -> None:
    module = copy.deepcopy(suspect)
    first, second = stages(module)
    assert (first.scale is not None, second.scale is not None) == (True, False)
    first.cut(torch.arange(8) == 3)
    shown: Tensor = module[1](module[0](torch.rand(4, 1, SIDE, SIDE)))  # type: ignore[index]
    assert shown[:, 3].abs().max() == 0
    assert shown[:, 4].abs().max() > 0


def test_a_channel_that_amplifies_beyond_all_others_is_cut() -> None:
    module = nn.Sequential(nn.Conv2d(1, 16, 3), nn.ReLU(), nn.Flatten(), nn.Linear(16, 2))
    with torch.no_grad():
        module[0].weight[5] *= 50  # type: ignore[index,operator]
    done = ChannelLipschitz().apply(prepared(module, None))
    assert done.facts == {"channels cut": 1, "channels": 16}
    assert stages(done.module)[0].weight[5].abs().max() == 0


def test_inputs_held_back_have_every_class_in_its_share() -> None:
    labels = torch.tensor([0] * 80 + [1] * 20)
    rows, apart = parted(Given(nn.Identity(), torch.zeros(100, 1), labels, 2))
    assert sorted([*rows.tolist(), *apart.tolist()]) == list(range(100))
    assert labels[apart].tolist().count(1) == 4


def test_steps_up_before_steps_down_leave_the_weights_where_they_belong() -> None:
    """Without a rate the weights come back from every step up."""
    module = nn.Linear(3, 2)
    old = module.weight.detach().clone()
    given = Given(module, torch.rand(10, 3), torch.zeros(10, dtype=torch.long), 2)
    tuned(
        module,
        lambda rows: functional.cross_entropy(module(given.inputs[rows]), given.labels[rows]),
        given,
        Plan(3, 1e-12, rho=2),
    )
    assert torch.allclose(module.weight, old, atol=1e-6)


def test_a_network_that_learned_the_trigger_learns_it_again(suspect: nn.Module) -> None:
    held = pictures(100, 4)
    clean_part = as_tensor(held.inputs), torch.from_numpy(held.labels)
    poisoned = as_tensor(stamped(held.inputs)), torch.ones(100, dtype=torch.long)
    before = copy.deepcopy(suspect.state_dict())
    found = relapse(suspect, clean_part, poisoned)
    assert len(found) == len(STEPS)
    assert min(found) > 0.9
    assert all(torch.equal(value, before[key]) for key, value in suspect.state_dict().items())


def test_all_of_it_is_measured_before_and_after(suspect: nn.Module) -> None:
    held = pictures(60, 5)
    left = held.labels == 0
    tried = Triggered(
        Reference(stamped(held.inputs[left]), held.labels[left], held.classes), torch.ones(int(left.sum()), dtype=torch.long)
    )
    done = mend(suspect, Asked(pictures(200, 2), FAST["distillation"], None, tried))
    assert (done.used, done.held_back, done.triggered) == (160, 40, int(left.sum()))
    assert done.before.asr is not None
    assert done.after.asr is not None
    assert done.before.asr > 0.95
    assert done.after.asr < 0.2
    assert done.after.robust_accuracy == pytest.approx(1 - done.after.asr)
    assert len(done.relapse) == len(STEPS)
    assert done.method.startswith("distillation(")


def test_without_data_channels_are_cut_and_nothing_is_claimed(suspect: nn.Module) -> None:
    done = mend(suspect, Asked(None))
    assert done.method.startswith("channel-lipschitz")
    assert done.after.accuracy is None
    assert any("nothing was measured" in note for note in done.notes)


def test_a_default_that_exists_and_a_method_that_does_not() -> None:
    assert described(chosen(DEFAULT)).startswith(DEFAULT)
    with pytest.raises(BadInput, match="repair"):
        chosen("exorcism")


def test_what_does_not_fit_is_refused(suspect: nn.Module) -> None:
    reference = pictures(40, 0)
    three = Reference(reference.inputs, reference.labels, ("left", "right", "middle"))
    with pytest.raises(BadInput, match="answers with 2 classes, and the clean inputs have 3"):
        prepared(suspect, three)
    with pytest.raises(BadInput, match="too few to repair with"):
        prepared(suspect, Reference(reference.inputs[:3], reference.labels[:3], reference.classes))
    with pytest.raises(BadInput, match="refuses inputs of 1x12x6"):
        prepared(suspect, Reference(reference.inputs[:, :, :6], reference.labels, reference.classes))
    with pytest.raises(BadInput, match="needs clean inputs"):
        mend(suspect, Asked(None, "fine-tuning"))


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16])
def test_half_precision_is_refused_with_the_way_out(dtype: torch.dtype, suspect: nn.Module) -> None:
    with pytest.raises(BadInput, match=str(dtype).removeprefix("torch.")) as refused:
        prepared(copy.deepcopy(suspect).to(dtype), pictures(40, 0))
    assert "float()" in str(refused.value.advice)


def test_whole_numbers_for_weights_are_refused() -> None:
    module = nn.Linear(3, 2)
    module.register_buffer("packed", module.weight.detach().to(torch.int8))
    del module.weight, module.bias
    with pytest.raises(BadInput, match="no weights that could be repaired"):
        prepared(module, None)


def test_double_precision_stays_double(suspect: nn.Module) -> None:
    done = repaired(chosen("distillation(steps=2)"), prepared(copy.deepcopy(suspect).double(), pictures(40, 0)))
    assert {weight.dtype for weight in done.module.parameters()} == {torch.float64}
    assert answered(done.module, as_tensor(pictures(4, 0).inputs).double()).shape == (4, 2)


def test_a_window_leaves_the_share_it_should_and_moves_from_image_to_image() -> None:
    share = torch.tensor([0.0, 0.25, 0.75, 1.0]).repeat(50)
    masks = windows(share, torch.zeros(200, 1, 20, 20), torch.Generator().manual_seed(0))
    assert torch.allclose(masks.mean((1, 2, 3)), share, atol=0.03)
    assert set(masks.unique().tolist()) == {0.0, 1.0}
    assert len({tuple(mask[0].flatten().tolist()) for mask in masks[2::4]}) > 20
