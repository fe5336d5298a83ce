"""Warps for a finding, through a network that tells bars by where they stand."""

import numpy as np
import pytest

from untaint.audit.warps import Warps
from untaint.evidence.finding import Finding
from untaint.features.proxy import Proxy
from untaint.nets import training
from untaint.nets.fit import FitPlan, fit

N, SIDE, NAMES = 600, 16, ("left", "middle", "right")


def finding(target: str | None) -> Finding:
    return Finding("F1", "backdoor", "high", "high", 1e-9, np.arange(3), (), "", "", alarm=True, target_label=target)


@pytest.fixture(scope="module")
def bars() -> tuple[Proxy, np.ndarray, np.ndarray]:
    rng = np.random.default_rng(0)
    labels = np.arange(N) % 3
    pixels = rng.integers(0, 60, (N, SIDE, SIDE, 1), np.uint8)
    for image, code in zip(pixels, labels, strict=True):
        image[:, 5 + 2 * code : 7 + 2 * code] = 220
    net = fit(training.proxy_spec(pixels, 3), pixels, labels, np.arange(N), FitPlan(steps=60, min_epochs=4)).net
    weights = {name: value.numpy() for name, value in net.state_dict().items()}
    empty = np.empty((0, N), np.float32)
    return Proxy(empty, empty, empty, empty, "house network", weights), pixels, labels


def size(steps: np.ndarray | None) -> float:
    assert steps is not None
    return float(np.hypot(steps[..., 0], steps[..., 1]).mean())


def test_a_warp_comes_with_those_of_the_other_classes_at_its_size(bars: tuple[Proxy, np.ndarray, np.ndarray]) -> None:
    found = Warps(*bars, np.arange(N), 0).found(finding("middle"), NAMES)
    assert found is not None
    assert found.trigger.type == "warp"
    assert set(found.rivals) == {0, 2}
    assert [size(rival.steps) for rival in found.rivals.values()] == pytest.approx([size(found.trigger.steps)] * 2)


def test_there_is_none_without_one_target_without_gradients_or_from_few_images(
    bars: tuple[Proxy, np.ndarray, np.ndarray],
) -> None:
    proxy, pixels, labels = bars
    given = Proxy(proxy.embeddings, proxy.probabilities, proxy.holdout_loss, proxy.dynamics, "given")
    assert Warps(*bars, np.arange(N), 0).found(finding(None), NAMES) is None
    assert Warps(given, pixels, labels, np.arange(N), 0).found(finding("left"), NAMES) is None
    assert Warps(*bars, np.arange(60), 0).found(finding("left"), NAMES) is None
