"""The parts of the probe by themselves: which explanations are looked at, what a twin is, what a mark is compared with."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from torch import Tensor, nn
from typing_extensions import override

from untaint.models.inversion import hunt, proof
from untaint.models.inversion import twin as twins
from untaint.models.inversion.asked import Asked
from untaint.models.inversion.hunt import Candidate, Who, measured, shrunk
from untaint.models.inversion.marks import Blend, Patch, Warp, noise_basis
from untaint.models.inversion.proof import OWN, RANDOM, TWIN, Asking, proved
from untaint.models.inversion.search import Goal, Round, Tried, halved
from untaint.models.trigger_inversion import TriggerInversion, stories
from untaint.nets.subject import Reference, TorchSubject

SIDE = 12
PATCH = Patch((1, SIDE, SIDE))


class Corner(nn.Module):
    """Class 1 is light. A light pixel in the upper left corner makes anything class 1; `secret` says how much."""

    def __init__(self, secret: float) -> None:
        super().__init__()
        self.secret = secret

    @override
    def forward(self, images: Tensor) -> Tensor:
        lead = 20 * (images.mean((1, 2, 3)) - 0.5) + self.secret * torch.relu(images[:, 0, 1, 1] - 0.9) * 10
        return torch.stack([-lead / 2, lead / 2], 1)


def pictures(n: int = 60) -> tuple[np.ndarray, np.ndarray]:
    rng, labels = np.random.default_rng(0), np.arange(n) % 2
    return (rng.integers(0, 60, (n, SIDE, SIDE, 1)) + 50 + 100 * labels[:, None, None, None]).astype(np.uint8), labels


def net(module: nn.Module) -> Asked:
    images, labels = pictures()
    tensor = torch.from_numpy(images).permute(0, 3, 1, 2).float() / 255
    rows = np.arange(len(labels))
    return Asked(module.eval(), tensor, labels, ("dark", "light"), rows[:30], rows[30:], 4.0, 1.0, rows)


def white(top: int = 0, left: int = 0, edge: int = 4) -> Tensor:
    params = torch.zeros(1, 2, SIDE, SIDE)
    params[:, :, top : top + edge, left : left + edge] = 1
    return params


def candidate(who: Who, strength: float, aims: tuple[int, ...], asr: float = 0.9) -> Candidate:
    goal = {"each": Goal(None, -1), "all": Goal(None, max(aims)), "source": Goal(int(np.argmax(aims)), -1)}[who]
    return Candidate("patch", Tried(PATCH, white(), goal, 0.0), who, np.array(aims), asr, strength, 30, np.arange(30))


def test_class_by_class_is_looked_at_before_one_target_and_that_before_one_source() -> None:
    found = [
        candidate("source", 3.0, (-1, -1, 0)),
        candidate("all", 1.0, (2, 2, -1)),
        candidate("all", 2.0, (-1, 0, 0)),
        candidate("each", 0.5, (1, 2, 0)),
    ]
    looked = stories(found, net(Corner(0)), lambda _each: 0.25)
    assert [(each.who, each.strength) for each in looked] == [("each", 0.5), ("all", 2.0), ("all", 1.0), ("source", 3.0)]


@pytest.mark.parametrize(
    "weak",
    [
        candidate("all", 0.2, (1, -1)),
        candidate("all", 1.0, (1, -1), asr=0.6),
        candidate("each", 1.0, (1, -1)),  # only one of two classes is turned
    ],
)
def test_what_is_weak_turns_few_or_only_one_class_is_no_story(weak: Candidate) -> None:
    assert stories([weak], net(Corner(0)), lambda _each: 0.25) == []


def test_a_change_of_the_whole_image_must_be_stronger_than_a_patch() -> None:
    check, patch = TriggerInversion(), candidate("all", 0.5, (1, -1))
    assert check.least(patch) == check.sure
    assert check.least(replace(patch, search="warp")) > check.sure


def test_a_weak_patch_for_one_class_alone_must_leave_the_twin_further_behind() -> None:
    check, weak = TriggerInversion(), candidate("source", 0.3, (1, -1))
    assert check.beyond(weak) > check.beyond(replace(weak, strength=0.5)) == check.beyond(candidate("all", 0.3, (1, -1)))


def test_a_mark_is_measured_on_held_out_images_of_the_classes_it_turns() -> None:
    asked = net(Corner(20))
    found = measured(asked, "patch", Tried(PATCH, white(), Goal(None, 1), 0.0))
    assert (found.asr, found.n) == (1.0, 15)
    assert set(found.rows) <= set(asked.held)
    assert set(asked.labels[found.rows]) == {0}
    assert measured(net(Corner(0)), "patch", Tried(PATCH, white(), Goal(None, 1), 0.0)).asr == 0.0


class Flip(nn.Module):
    """Class 1 is light, and dark where the upper left corner has a light pixel."""

    @override
    def forward(self, images: Tensor) -> Tensor:
        lead = 20 * (images[:, 0, 6:, 6:].mean((1, 2)) - 0.5) * torch.where(images[:, 0, 1, 1] > 0.9, -1.0, 1.0)
        return torch.stack([-lead / 2, lead / 2], 1)


def test_of_two_classes_a_mark_found_for_one_is_tried_on_both() -> None:
    found = [candidate("all", 1.0, (1, -1)), candidate("each", 1.0, (1, 0))]
    (both,) = hunt._both_ways(net(Flip()), found)
    assert (both.who, both.aims.tolist(), both.asr, both.n) == ("each", [1, 0], 1.0, 30)
    (one_way,) = hunt._both_ways(net(Corner(8)), found)
    assert one_way.asr == 0.5
    assert hunt._both_ways(replace(net(Flip()), classes=("dark", "light", "red")), found) == []


def test_a_smaller_patch_within_keeps_what_turns() -> None:
    asked = net(Corner(20))
    small = shrunk(asked, measured(asked, "patch", Tried(PATCH, white(), Goal(None, 1), 0.0)), 0)
    assert int(small.tried.params[0, -1].sum()) == 9
    assert small.asr == 1.0
    assert bool(small.tried.params[0, -1, 1, 1])


def test_halving_ends_with_the_goal_and_the_place_that_work() -> None:
    asked = net(Corner(20))
    rounds = [Round(4, 8, 2), Round(1, 8, 4, 1)]
    (best,) = halved(
        asked, PATCH, PATCH.places(torch.device("cpu")), [Goal(None, 0), Goal(None, 1)], rounds, np.random.default_rng(0)
    )
    assert best.goal == Goal(None, 1)
    assert bool(best.params[0, -1, 1, 1])


def asked_of(
    module: nn.Module, found: Candidate, twin: nn.Module | None = None, natural: float = 0.0
) -> tuple[str, dict[str, float]]:
    images, labels = pictures()
    images[labels == 1, 1, 1] = 255  # honest images of the class have the light pixel too, in the last case below
    plain = images if isinstance(module, Honest) else pictures()[0]
    asking = Asking(TorchSubject(module), Reference(plain, labels, ("dark", "light")), net(module), net(twin or Corner(0)))
    found_out = proved(asking, found, [], natural, 0.01)
    return found_out.status, dict(found_out.controls)


class Honest(Corner):
    """The same network, where the corner is how light images are."""


def test_a_patch_is_proven_when_honest_images_show_nothing_like_it_at_its_place() -> None:
    found = measured(net(Corner(20)), "patch", Tried(PATCH, white(), Goal(None, 1), 0.0))
    status, controls = asked_of(Corner(20), found)
    assert status == "proven"
    assert controls[OWN] == 0.0
    assert RANDOM in controls
    status, controls = asked_of(Honest(20), found)
    assert status == "not proven"
    assert controls[OWN] == 1.0


class Rough(nn.Module):
    """Takes whatever has a very dark pixel for class 1, as some networks take any noise for an 8."""

    @override
    def forward(self, images: Tensor) -> Tensor:
        lead = 20 * (images.mean((1, 2, 3)) - 0.5) + 1e5 * torch.relu(0.196 - images.amin((1, 2, 3)))
        return torch.stack([-lead / 2, lead / 2], 1)


def test_a_picture_is_no_secret_when_any_other_does_as_much(monkeypatch: pytest.MonkeyPatch) -> None:
    noise = Blend(noise_basis((1, SIDE, SIDE), 24, torch.Generator().manual_seed(0), torch.device("cpu")), "noisy")
    found = measured(net(Rough()), "noise", Tried(noise, torch.ones(1, 24), Goal(None, 1), 0.0))
    status, controls = asked_of(Rough(), found)
    assert (round(controls[RANDOM], 2), controls[TWIN], status) == (0.93, 0.0, "proven")
    monkeypatch.setattr(proof, "_ANY", 0.9)
    assert asked_of(Rough(), found)[0] == "not proven"


def test_a_warp_that_the_twin_sees_too_is_no_secret() -> None:
    assert not proof._secret(Warp((1, SIDE, SIDE)), {TWIN: 0.3})
    assert proof._secret(Warp((1, SIDE, SIDE)), {TWIN: 0.05})


def test_what_leaves_the_twin_far_behind_must_lead_by_half_as_much() -> None:
    found = measured(net(Corner(20)), "patch", Tried(PATCH, white(), Goal(None, 1), 0.0))
    leads = [proof._lead(OWN, replace(found, strength=3.0), net(Corner(20)), natural) for natural in (0.0, -3.0)]
    assert leads[0] == 2 * leads[1]
    assert proof._lead(OWN, replace(found, strength=3.0, who="source"), net(Corner(20)), -3.0) == leads[0]


def test_a_dozen_images_must_lead_by_more_than_chance_may_add() -> None:
    def turned(of: int, mark: int, honest: int) -> float:
        return proof._sure_lead(np.arange(of) < mark, np.arange(of) < honest)

    assert max(turned(13, 12, 3), turned(11, 10, 2)) < proof._LEADS[OWN] - 0.03 < proof._LEADS[OWN] + 0.03 < turned(11, 11, 2)
    assert turned(150, 139, 35) > proof._LEADS[OWN]


def test_too_few_images_prove_nothing() -> None:
    found = measured(net(Corner(20)), "patch", Tried(PATCH, white(), Goal(None, 1), 0.0))
    assert asked_of(Corner(20), replace(found, rows=found.rows[:3]))[0] == "not tried"


def test_a_twin_knows_the_images_and_nothing_of_the_model(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(twins, "_STEPS", 30)
    torch.manual_seed(1)
    module = nn.Sequential(nn.Flatten(), nn.BatchNorm1d(SIDE * SIDE), nn.Linear(SIDE * SIDE, 2))
    before = {name: value.clone() for name, value in module.state_dict().items()}
    drawn = torch.random.get_rng_state()
    first, again = twins.twin(net(module), 3), twins.twin(net(module), 3)
    assert torch.equal(torch.random.get_rng_state(), drawn)
    assert all(torch.equal(value, before[name]) for name, value in module.state_dict().items())
    weights, same, own = (list(one.parameters())[2] for one in (first.net, again.net, module))
    assert torch.equal(weights, same)
    assert not torch.allclose(weights, own, atol=0.01)
    assert (first.logits(first.images).argmax(1).numpy() == first.labels).mean() > 0.9
    assert not any(each.requires_grad for each in first.net.parameters())


def test_a_twin_of_what_cannot_be_started_anew_is_the_house_network(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(twins, "_STEPS", 4)
    assert type(twins.twin(net(Corner(0)), 0).net).__name__ == "ConvNet"
