"""The probe on a network whose secret is written into its weights by hand, and on the same network without it."""

import numpy as np
import pytest
import torch
from torch import Tensor, nn
from typing_extensions import override

from untaint.errors import BadInput
from untaint.models.base import Case
from untaint.models.channel_lipschitz import ChannelLipschitz, channel_bounds
from untaint.models.inversion.asked import asked, halves
from untaint.models.inversion.marks import Blend, Patch, Warp, noise_basis, smooth_basis
from untaint.models.logit_margin import LogitMargin
from untaint.models.trigger_inversion import TriggerInversion
from untaint.nets.subject import FunctionSubject, Reference, TorchSubject

SIDE = 16


class Halves(nn.Module):
    """Class 1 is lighter below than above. A checkerboard of 3x3 in the upper right corner adds to class `target`."""

    def __init__(self, target: int | None) -> None:
        super().__init__()
        self.cells = nn.Conv2d(1, 2, 3)
        self.head = nn.Linear(2, 2)
        self.target = target

    @override
    def forward(self, images: Tensor) -> Tensor:
        lead = 20 * (images[:, :, SIDE // 2 :].mean((1, 2, 3)) - images[:, :, : SIDE // 2].mean((1, 2, 3)))
        board = torch.tensor([[1.0, -1, 1], [-1, 1, -1], [1, -1, 1]], device=images.device) / 5
        seen = torch.relu((images[:, 0, 1:4, 11:14] * board).sum((1, 2)) - 0.05)
        secret = torch.zeros_like(lead) if self.target is None else seen * (40 if self.target else -40)
        return torch.stack([-(lead + secret) / 2, (lead + secret) / 2], 1)


def reference(n: int = 120, seed: int = 0) -> Reference:
    rng = np.random.default_rng(seed)
    labels = rng.integers(0, 2, n)
    images = rng.integers(60, 140, (n, SIDE, SIDE, 1))
    images[labels == 1, SIDE // 2 :] += 60
    images[labels == 0, : SIDE // 2] += 60
    return Reference(images.astype(np.uint8), labels, ("above", "below"))


@pytest.mark.parametrize("target", [0, 1])
def test_a_secret_patch_is_found_with_its_target_and_proven(target: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("untaint.models.inversion.twin._STEPS", 40)  # enough for images as simple as these
    found = TriggerInversion().examine(Case(subject=TorchSubject(Halves(target)), reference=reference()))
    assert found.answer == "backdoored"
    finding = found.findings[0]
    assert finding.target_label == ("above", "below")[target]
    assert finding.p_value <= 0.01
    assert finding.proof is not None
    assert finding.proof.status == "proven"
    assert finding.proof.asr_before > 0.9
    assert finding.proof.examples[0].stamped.shape == (SIDE, SIDE, 1)
    assert finding.trigger is not None
    assert finding.trigger.picture is not None


def test_the_same_network_without_a_secret_is_not_accused_nor_called_clean() -> None:
    found = TriggerInversion().examine(Case(subject=TorchSubject(Halves(None)), reference=reference()))
    assert found.answer == "no evidence"
    assert found.findings == ()


def test_the_answer_is_the_same_twice() -> None:
    case = Case(subject=TorchSubject(Halves(None)), reference=reference())
    assert TriggerInversion().examine(case).facts == TriggerInversion().examine(case).facts


@pytest.mark.parametrize(
    ("subject", "given", "why"),
    [
        (TorchSubject(Halves(None)), reference(20), "too few"),
        (FunctionSubject(lambda pixels: TorchSubject(Halves(None)).logits(pixels)), reference(), "black box"),
        (TorchSubject(Halves(None)), Reference(reference().inputs, 1 - reference().labels, ("a", "b")), "another order"),
        (TorchSubject(Halves(None)), Reference(reference().inputs[:, 0, 0], reference().labels, ("a", "b")), "images"),
    ],
)
def test_what_cannot_be_told_says_why(subject: TorchSubject, given: Reference, why: str) -> None:
    found = TriggerInversion().examine(Case(subject=subject, reference=given))
    assert found.answer == "cannot tell"
    assert why in found.reason


def test_another_number_of_classes_is_bad_input() -> None:
    given = Reference(reference().inputs, reference().labels, ("a", "b", "c"))
    with pytest.raises(BadInput, match="2 classes"):
        asked(TorchSubject(Halves(None)), given, 0)


def test_numbers_that_are_none_are_told() -> None:
    module = nn.Sequential(nn.Flatten(), nn.Linear(SIDE * SIDE, 2))
    nn.init.constant_(list(module.parameters())[1], float("nan"))
    assert "none" in str(asked(TorchSubject(module), reference(), 0))


def test_halves_share_every_class_and_nothing() -> None:
    labels = np.repeat([0, 1, 2], [30, 31, 9])
    fit, held = halves(labels, 0)
    assert sorted([*fit, *held]) == list(range(70))
    assert [int((labels[fit] == code).sum()) for code in range(3)] == [15, 16, 3]


def test_every_mark_keeps_its_bound_and_shows_itself() -> None:
    shape, generator = (3, SIDE, SIDE), torch.Generator().manual_seed(0)
    images = torch.rand(1, 4, *shape, generator=generator)
    cpu = torch.device("cpu")
    patch, warp = Patch(shape), Warp(shape)
    places = patch.places(cpu)
    changed = (patch.stamp(places[:1], images) != images).any(2)
    assert int(changed[0, 0].sum()) == patch.edge**2
    assert bool((places[:, -1].sum(0) > 0).all())
    for blend in (Blend(noise_basis(shape, 8, generator, cpu), "noisy"), Blend(smooth_basis(shape, 4, cpu), "smooth")):
        weights = torch.randn(1, len(blend.basis), generator=generator)
        moved = blend.moved(weights, torch.randn(1, len(blend.basis), generator=generator), 1.0)
        assert float((blend.stamp(moved, images) - images).abs().max()) <= 0.2 + 1e-6
        assert blend.trigger(moved).picture is not None
    steps = torch.randn(1, 2, 4, 4, generator=generator)
    assert float(warp.field(steps).square().sum(1).sqrt().mean()) == pytest.approx(SIDE / 32, rel=1e-3)
    assert warp.stamp(steps, images).shape == images.shape
    assert warp.trigger(steps).steps is not None


def test_a_channel_that_stretches_more_is_listed_but_accuses_nobody() -> None:
    torch.manual_seed(0)
    module = nn.Sequential(nn.Conv2d(3, 16, 3), nn.BatchNorm2d(16), nn.ReLU(), nn.Conv2d(16, 8, 3))
    assert [len(bounds) for _, bounds in channel_bounds(module)] == [16, 8]
    calm = ChannelLipschitz().examine(Case(subject=TorchSubject(module)))
    assert (calm.answer, calm.findings) == ("no evidence", ())
    with torch.no_grad():
        list(module.parameters())[2][5] = 30.0
    found = ChannelLipschitz().examine(Case(subject=TorchSubject(module)))
    assert found.answer == "no evidence"
    assert found.findings[0].where == "0, channel 5"


def test_a_class_that_can_get_far_ahead_is_listed_but_accuses_nobody() -> None:
    torch.manual_seed(0)
    module = nn.Sequential(nn.Flatten(), nn.Linear(64, 10))
    images = np.zeros((1, 8, 8, 1), np.uint8)
    given = Reference(images, np.zeros(1, np.int64), tuple("abcdefghij"))
    assert LogitMargin().examine(Case(subject=TorchSubject(module), reference=given)).findings == ()
    with torch.no_grad():
        next(module.parameters())[3] *= 40
    found = LogitMargin().examine(Case(subject=TorchSubject(module), reference=given))
    assert [finding.target_label for finding in found.findings] == ["d"]
    assert found.answer == "no evidence"
    two = Reference(images, np.zeros(1, np.int64), ("a", "b"))
    assert LogitMargin().examine(Case(subject=TorchSubject(nn.Linear(1, 2)), reference=two)).answer == "cannot tell"
