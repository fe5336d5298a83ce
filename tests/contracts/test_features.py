"""Every feature: it says what it is, needs only what exists, repeats itself, and survives the cache."""

import dataclasses
import inspect
import typing
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from tests.digit_sets import patched
from tests.same import assert_same

from untaint.data.dataset import timed
from untaint.features.cache import Cache
from untaint.features.graph import GIVEN, Features, Provider, providers
from untaint.features.settings import Settings

PROVIDERS: Mapping[str, Provider] = providers()
ROWS = np.flatnonzero(np.arange(1797) % 5 == 0)
each = pytest.mark.parametrize("name", PROVIDERS)
stored = pytest.mark.parametrize("name", [name for name, provider in PROVIDERS.items() if provider.stored])
PLAIN = (int, float, str, bool, type(None))


def features(cache: Path | None = None) -> Features:
    dataset = patched().take(ROWS).dataset
    times = np.datetime64("2026-01-01T00:00", "us") + np.arange(len(dataset)) * np.timedelta64(3600_000_000, "us")
    return Features(replace(dataset, index=timed(dataset.index, times)), Settings(), Cache(cache))


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("features")


@pytest.fixture(scope="module")
def fresh(folder: Path) -> dict[str, object]:
    """Every feature, computed and kept."""
    found = features(folder)
    return {name: found.get(name) for name in PROVIDERS}


@pytest.fixture(scope="module")
def again() -> dict[str, object]:
    """Every feature, computed a second time without a cache."""
    found = features()
    return {name: found.get(name) for name in PROVIDERS}


@pytest.fixture(scope="module")
def reread(folder: Path, fresh: dict[str, object]) -> dict[str, object]:
    """Every feature, as a second run with the same cache has it."""
    assert fresh
    found = features(folder)
    return {name: found.get(name) for name in PROVIDERS}


def test_the_features_detectors_rely_on_are_there() -> None:
    assert {"pixels", "labels", "content", "near_copies", "embeddings", "sources"} <= set(PROVIDERS)


@each
def test_it_says_what_it_is(name: str) -> None:
    function = PROVIDERS[name].function
    doc = inspect.getdoc(function)
    assert doc
    assert doc.splitlines()[0].endswith(".")
    hints = typing.get_type_hints(function)
    assert set(hints) == {*PROVIDERS[name].needs, "return"}


@each
def test_it_needs_only_what_exists(name: str) -> None:
    assert set(PROVIDERS[name].needs) <= {*PROVIDERS, *GIVEN}


@each
def test_it_has_one_entry_per_sample(name: str, fresh: dict[str, object]) -> None:
    value = fresh[name]
    if isinstance(value, np.ndarray):
        assert len(ROWS) in value.shape


@stored
def test_what_is_kept_can_be_kept(name: str, fresh: dict[str, object]) -> None:
    value = fresh[name]
    fields = [value] if isinstance(value, np.ndarray) else [getattr(value, field.name) for field in dataclasses.fields(value)]  # type: ignore[arg-type]
    for item in fields:
        if isinstance(item, np.ndarray):
            assert item.dtype != object
        elif isinstance(item, dict):
            assert all(isinstance(key, str) and isinstance(entry, (np.ndarray, *PLAIN)) for key, entry in item.items())
        elif isinstance(item, tuple):
            assert all(isinstance(entry, PLAIN) for entry in item)
        else:
            assert isinstance(item, PLAIN)


@each
def test_it_repeats_itself(name: str, fresh: dict[str, object], again: dict[str, object]) -> None:
    assert fresh[name] is not again[name]
    assert_same(fresh[name], again[name])


@each
def test_it_survives_the_cache(name: str, fresh: dict[str, object], reread: dict[str, object]) -> None:
    assert_same(fresh[name], reread[name])


@stored
def test_the_second_run_reads_it_from_the_cache(name: str, folder: Path, fresh: dict[str, object]) -> None:
    found = features(folder)
    assert (folder / found.key(name)).is_dir()
    kind = typing.get_type_hints(PROVIDERS[name].function)["return"]
    kept = Cache(folder).load(found.key(name), kind)
    assert kept is not None
    assert_same(fresh[name], kept)
