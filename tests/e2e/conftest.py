"""Digits at 16×16, as they are and with BadNets at 5 %, and one audit of each, shared by all end-to-end tests."""

from pathlib import Path

import numpy as np
import pytest
from sklearn.datasets import load_digits
from tests.e2e.cases import Labelled, npz, untaint

from untaint import api
from untaint.data.dataset import from_arrays


@pytest.fixture(scope="session")
def digits() -> Labelled:
    found = load_digits()
    grey = (found.images * 255 / 16).round().astype(np.uint8)
    images = np.kron(grey, np.ones((1, 2, 2), np.uint8))
    return Labelled(images, found.target, np.zeros(len(images), bool))


@pytest.fixture(scope="session")
def poisoned(digits: Labelled) -> Labelled:
    attacked = api.attack(from_arrays(digits.images, digits.labels.tolist()), "badnets", rate=0.05, target="3")
    payloads = attacked.dataset.read(range(len(attacked.dataset)))
    images = np.stack([np.asarray(payload).reshape(16, 16) for payload in payloads])
    return Labelled(images, np.array(attacked.dataset.labels).astype(int), attacked.mask)


@pytest.fixture(scope="session")
def poisoned_file(poisoned: Labelled, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return npz(tmp_path_factory.mktemp("poisoned"), poisoned.images, poisoned.labels)


@pytest.fixture(scope="session")
def clean_file(digits: Labelled, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return npz(tmp_path_factory.mktemp("clean"), digits.images, digits.labels)


@pytest.fixture(scope="session")
def audited(poisoned_file: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of a fast audit of the poisoned set."""
    out = tmp_path_factory.mktemp("audited") / "audit"
    outcome = untaint("audit", poisoned_file, "--out", out, "--budget", "fast")
    assert outcome.code == 1, outcome
    return out
