"""The network trained on the suspect data: repeatable, and silent about rows it has not seen."""

from functools import cache
from pathlib import Path

import numpy as np
import pytest
import torch
from tests.digit_sets import small
from torch import nn

from untaint.data.dataset import from_arrays
from untaint.errors import BadInput
from untaint.features.cache import Cache
from untaint.features.graph import Features
from untaint.features.proxy import Proxy
from untaint.features.settings import Settings
from untaint.nets import foreign
from untaint.nets.convnet import ConvNet, ConvNetSpec

UNLABELLED = np.arange(0, 240, 40)


def features(given: Settings) -> Features:
    digits = small(240)
    labels = [None if row in UNLABELLED else str(label) for row, label in enumerate(digits.labels)]
    return Features(from_arrays(digits.images, labels), given, Cache(None))


@cache
def proxy(seed: int) -> Proxy:
    found: Proxy = features(Settings(seed=seed)).get("proxy")
    return found


def test_a_run_can_be_repeated() -> None:
    state = torch.random.get_rng_state()
    torch.manual_seed(99)
    again = features(Settings(seed=0)).get("proxy")
    torch.random.set_rng_state(state)
    np.testing.assert_array_equal(again.embeddings, proxy(0).embeddings)
    np.testing.assert_array_equal(again.probabilities, proxy(0).probabilities)
    np.testing.assert_array_equal(again.holdout_loss, proxy(0).holdout_loss)


def test_another_seed_is_another_network() -> None:
    assert not np.array_equal(proxy(0).embeddings, proxy(1).embeddings, equal_nan=True)


def test_rows_without_a_label_are_not_seen() -> None:
    for values in (proxy(0).embeddings, proxy(0).probabilities):
        assert np.isnan(values[UNLABELLED]).all()
        assert np.isfinite(np.delete(values, UNLABELLED, axis=0)).all()


def test_it_learns_the_digits_and_says_how_it_went() -> None:
    found, labelled = proxy(0), np.setdiff1d(np.arange(240), UNLABELLED)
    assert (found.probabilities[labelled].argmax(1) == small(240).labels[labelled]).mean() >= 0.9
    np.testing.assert_allclose(found.probabilities[labelled].sum(1), 1, atol=1e-5)
    assert np.isfinite(found.holdout_loss).all()
    assert found.origin == f"house network, {len(found.holdout_loss)} epochs"


def test_progress_is_told_in_order() -> None:
    heard: list[tuple[str, int, int]] = []
    features(Settings(report_progress=lambda *step: heard.append(step))).get("proxy")
    done = [step for what, step, _ in heard if what == "training the proxy"]
    assert done == list(range(1, len(done) + 1))
    assert len({total for what, _, total in heard if what == "training the proxy"}) == 1


def test_a_model_of_the_user_takes_its_place(tmp_path: Path) -> None:
    torch.manual_seed(0)
    net = ConvNet(ConvNetSpec(16, 16, 1, 10, (4, 8), 12))
    foreign.save(net, tmp_path / "net.safetensors")
    found = features(Settings(model=tmp_path / "net.safetensors")).get("proxy")
    assert found.origin == "given model net.safetensors"
    assert found.embeddings.shape == (240, 12)
    assert found.holdout_loss.shape == (0,)
    assert np.isnan(found.embeddings[UNLABELLED]).all()
    given = features(Settings(model=net)).get("proxy")
    np.testing.assert_allclose(given.embeddings, found.embeddings, atol=1e-6)
    assert given.origin == "given model ConvNet"


def test_the_key_follows_the_weights_of_the_model(tmp_path: Path) -> None:
    torch.manual_seed(0)
    net = nn.Sequential(nn.Flatten(), nn.Linear(256, 10))
    before = features(Settings(model=net)).key("proxy")
    assert features(Settings(model=net)).key("proxy") == before
    assert before != features(Settings()).key("proxy")
    with torch.no_grad():
        next(net.parameters()).add_(1)
    assert features(Settings(model=net)).key("proxy") != before
    path = tmp_path / "model.safetensors"
    path.write_bytes(b"one")
    first = features(Settings(model=path)).key("proxy")
    path.write_bytes(b"two")
    assert features(Settings(model=path)).key("proxy") != first


def test_a_model_that_cannot_be_used_is_bad_input(tmp_path: Path) -> None:
    with pytest.raises(BadInput, match="no such model file"):
        features(Settings(model=tmp_path / "absent.safetensors")).get("proxy")
