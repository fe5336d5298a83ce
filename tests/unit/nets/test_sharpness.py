"""Sharpness-aware steps, and the option that asks for them."""

import numpy as np
import pytest
import torch
from tests.digit_sets import small
from torch import nn
from torch.nn import functional

from untaint.audit.settings import AuditSettings
from untaint.errors import BadInput
from untaint.features.cache import Cache
from untaint.features.graph import Features
from untaint.features.settings import Settings
from untaint.nets.fit import FitPlan, fit
from untaint.nets.sharpness import climbed
from untaint.nets.training import proxy_spec


def pulled(net: nn.Module, inputs: torch.Tensor, wanted: torch.Tensor) -> float:
    loss = functional.cross_entropy(net(inputs), wanted)
    loss.backward()
    return float(loss.detach())


def test_the_climb_has_its_length_goes_up_and_is_taken_back() -> None:
    torch.manual_seed(0)
    net, inputs, wanted = nn.Linear(5, 3), torch.randn(20, 5), torch.arange(20) % 3
    before = [weight.detach().clone() for weight in net.parameters()]
    here = pulled(net, inputs, wanted)
    slopes = [weight.grad.clone() for weight in net.parameters() if weight.grad is not None]
    length = np.sqrt(sum(float((slope**2).sum()) for slope in slopes))
    with climbed(net, 0.1):
        for weight, old, slope in zip(net.parameters(), before, slopes, strict=True):
            np.testing.assert_allclose((weight - old).detach(), 0.1 * slope / length, atol=1e-6)
        assert pulled(net, inputs, wanted) > here
    for weight, old, slope in zip(net.parameters(), before, slopes, strict=True):
        np.testing.assert_array_equal(weight.detach(), old)
        assert weight.grad is not None
        assert not torch.equal(weight.grad, slope)


def test_weights_come_back_when_something_breaks_inside() -> None:
    net = nn.Linear(2, 2)
    before = net.weight.detach().clone()
    pulled(net, torch.ones(1, 2), torch.tensor([0]))
    with pytest.raises(RuntimeError, match="inside"), climbed(net, 1.0):
        raise RuntimeError("inside")
    assert torch.equal(net.weight.detach(), before)


def test_a_fit_by_it_learns_and_is_another_network() -> None:
    digits = small(240)
    pixels, rows = digits.images[..., None], np.arange(240)
    plain, flat = (fit(proxy_spec(pixels, 10), pixels, digits.labels, rows, FitPlan(sam=radius)) for radius in (0.0, 0.05))
    assert flat.holdout_loss[-1] < 1.0
    assert not torch.equal(plain.net.head.weight, flat.net.head.weight)


def test_the_proxy_takes_the_option_and_says_so() -> None:
    settings = AuditSettings(sam=0.05).features
    assert settings.key != Settings().key
    found = Features(small(240).dataset, settings, Cache(None)).get("proxy")
    assert "SAM with radius 0.05" in found.origin


@pytest.mark.parametrize(
    "given", [{"sam": -1.0}, {"sam": float("nan")}, {"sam": 0.1, "budget": "fast"}, {"sam": 0.1, "model": 1}]
)
def test_a_radius_that_makes_no_sense_is_refused(given: dict[str, object]) -> None:
    with pytest.raises(BadInput, match="sharpness-aware"):
        AuditSettings(**given)  # type: ignore[arg-type]


def test_texts_train_no_such_network() -> None:
    AuditSettings(sam=0.1).check_sam("image")
    with pytest.raises(BadInput, match="text data"):
        AuditSettings(sam=0.1).check_sam("text")
