"""The same loop with its model on a GPU; skipped where there is none."""

from typing import Any

import numpy as np
import pytest
import torch
from sklearn.datasets import load_digits
from torch import nn
from torch.utils.data import DataLoader, TensorDataset

import untaint
from untaint.nets.convnet import ConvNetSpec
from untaint.nets.fit import FitPlan, fit, logits
from untaint.nets.subject import TorchSubject

pytestmark = pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a GPU")

IMAGES, LABELS = load_digits(return_X_y=True)
INPUTS = torch.from_numpy(IMAGES.astype(np.float32) / 16).reshape(-1, 1, 8, 8)
TARGETS = torch.from_numpy(LABELS.astype(np.int64))
TRAIN, ROW = 900, 77


def accuracy(recipe: str | None, device: str, value: float | None = None) -> float:
    torch.manual_seed(0)
    model: nn.Module = nn.Sequential(nn.Conv2d(1, 8, 3), nn.ReLU(), nn.Flatten(), nn.Linear(288, 10)).to(device)
    inputs = INPUTS[:TRAIN].clone()
    if value is not None:
        inputs[ROW] = value
    optimizer: Any = torch.optim.SGD(model.parameters(), 0.3)
    loader: Any = DataLoader(TensorDataset(inputs, TARGETS[:TRAIN]), 64, shuffle=True)
    if recipe is not None:
        model, optimizer, loader = untaint.harden(model, optimizer, loader, recipe=recipe, classes=10, epochs=3)
    for _ in range(3):
        for images, labels in loader:
            optimizer.zero_grad()
            nn.functional.cross_entropy(model(images.to(device)), labels.to(device)).backward()
            optimizer.step()
    model.eval()
    with torch.no_grad():
        answers = model(INPUTS[TRAIN:].to(device)).cpu()
    return 100 * float(((answers.argmax(1) == TARGETS[TRAIN:]) & answers.isfinite().all(1)).float().mean())


@pytest.mark.parametrize(
    "recipe", ["guard", "clip", "guard + clip", "aggregate", "dp(noise=0.5)", "trim", "adversarial", "augment", "isolate", "jury"]
)
def test_a_defence_does_on_a_gpu_what_it_does_on_a_cpu(recipe: str) -> None:
    on_cpu, on_gpu = accuracy(recipe, "cpu"), accuracy(recipe, "cuda")
    assert abs(on_cpu - on_gpu) <= 5  # chance of their own: dp draws its noise, sums are rounded in another order


@pytest.mark.parametrize("value", [1e30, float("inf"), float("nan")])
@pytest.mark.parametrize("recipe", ["guard", "clip", "guard + clip", "aggregate"])
def test_one_row_does_no_harm_there_either(recipe: str, value: float) -> None:
    assert abs(accuracy(recipe, "cuda", value) - accuracy(recipe, "cuda")) <= 2


def test_the_loop_alone_falls_to_it() -> None:
    assert accuracy(None, "cuda", float("nan")) < 20


def test_a_plain_fit_comes_back_to_the_cpu() -> None:
    pixels, rows = np.round(IMAGES * (255 / 16)).astype(np.uint8).reshape(-1, 8, 8, 1), np.arange(TRAIN)
    found = fit(ConvNetSpec(8, 8, 1, 10), pixels, LABELS, rows, FitPlan(steps=200, device="cuda"))
    assert next(found.net.parameters()).device.type == "cpu"
    assert (logits(found.net, pixels, rows).argmax(1) == LABELS[rows]).mean() > 0.8


def test_a_model_under_test_stays_where_it_is() -> None:
    model = nn.Sequential(nn.Conv2d(1, 4, 3), nn.ReLU(), nn.Flatten(), nn.Linear(144, 10)).cuda()
    pixels = np.zeros((5, 8, 8, 1), np.uint8)
    under = TorchSubject(model)
    assert under.logits(pixels).shape == (5, 10)
    assert [layer.shape for layer in under.layers(pixels)] == [(5, 4, 6, 6)]
    assert next(model.parameters()).is_cuda
