"""Features by name: computed once, in order, remembered, and cached under a key that changes with what matters."""

from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from untaint.data.dataset import Dataset, from_arrays
from untaint.errors import BadInput, FeatureUnavailable
from untaint.features import graph
from untaint.features.cache import Cache
from untaint.features.graph import Features, feature
from untaint.features.settings import Settings


@pytest.fixture(autouse=True)
def _known_features_only() -> Iterator[None]:
    graph.providers()
    before = dict(graph._PROVIDERS)
    yield
    graph._PROVIDERS.clear()
    graph._PROVIDERS.update(before)


def dataset(level: int = 0, label: str = "b") -> Dataset:
    return from_arrays(np.full((4, 5, 5), level, np.uint8), ["a", label, "a", label])


def features(cache: Path | None = None, given: Settings | None = None) -> Features:
    return Features(dataset(), given or Settings(), Cache(cache))


def counting(calls: list[str]) -> None:
    """base <- left, right <- top, each noting that it was called."""

    @feature()
    def base(dataset: Dataset) -> int:
        calls.append("base")
        return len(dataset)

    @feature()
    def left(base: int) -> int:
        calls.append("left")
        return base + 1

    @feature()
    def right(base: int, settings: Settings) -> int:
        calls.append("right")
        return base + settings.seed

    @feature()
    def top(left: int, right: int) -> tuple[int, int]:
        calls.append("top")
        return left, right


def test_each_feature_is_computed_once_after_what_it_needs() -> None:
    calls: list[str] = []
    counting(calls)
    found = features(given=Settings(seed=7))
    assert calls == []
    assert found.get("top") == (5, 11)
    assert found.get("top") is found.get("top")
    assert found.get("base") == 4
    assert calls == ["base", "left", "right", "top"]


def test_what_is_given_is_handed_through() -> None:
    found = features()
    assert found.get("dataset") is found.dataset
    assert found.get("settings") is found.settings


def test_a_circle_is_an_error() -> None:
    @feature()
    def hen(egg: int) -> int:
        return egg

    @feature()
    def egg(hen: int) -> int:
        return hen

    with pytest.raises(BadInput, match="in a circle: hen -> egg -> hen"):
        features().get("hen")
    with pytest.raises(BadInput, match="in a circle"):
        features().key("egg")


def test_an_unknown_feature_is_an_error_that_lists_the_known_ones() -> None:
    @feature()
    def lost(nowhere: int) -> int:
        return nowhere

    with pytest.raises(BadInput, match=r"no feature is called 'nobody'.*Known: .*canvas"):
        features().get("nobody")
    with pytest.raises(BadInput, match="no feature is called 'nowhere'"):
        features().get("lost")


def test_two_providers_of_one_name_are_an_error() -> None:
    def content() -> int:
        return 0

    with pytest.raises(BadInput, match="two providers of the feature 'content': untaint.features.*content and "):
        feature()(content)


def test_a_failure_is_remembered_with_its_reason() -> None:
    calls: list[str] = []

    @feature()
    def moody() -> int:
        calls.append("moody")
        raise FeatureUnavailable("not today")

    @feature()
    def above(moody: int) -> int:
        calls.append("above")
        return moody

    found = features()
    for name in ("above", "above", "moody"):
        with pytest.raises(FeatureUnavailable, match="not today"):
            found.get(name)
    assert calls == ["moody"]


def test_a_broken_provider_is_not_taken_for_an_unavailable_feature() -> None:
    @feature()
    def broken() -> int:
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        features().get("broken")


def stored_feature(calls: list[str]) -> None:
    @feature(stored=True)
    def costly(dataset: Dataset, settings: Settings) -> np.ndarray:
        calls.append("costly")
        settings.report_progress("costing", 1, 1)
        return np.arange(len(dataset)) + settings.seed


def test_a_stored_feature_is_computed_once_per_folder(tmp_path: Path) -> None:
    calls: list[str] = []
    stored_feature(calls)
    first, second = features(tmp_path).get("costly"), features(tmp_path).get("costly")
    np.testing.assert_array_equal(first, second)
    assert calls == ["costly"]
    features(tmp_path, Settings(seed=1)).get("costly")
    features(None).get("costly")
    assert calls == ["costly"] * 3


def test_a_feature_that_is_not_stored_leaves_no_trace(tmp_path: Path) -> None:
    counting([])
    features(tmp_path / "cache").get("top")
    assert not (tmp_path / "cache").exists()


CHANGES: dict[str, Callable[[Features], Features]] = {
    "pixels": lambda found: replace(found, dataset=dataset(1)),
    "labels": lambda found: replace(found, dataset=dataset(label="c")),
    "order": lambda found: replace(found, dataset=found.dataset.select([1, 0, 2, 3])),
    "seed": lambda found: replace(found, settings=Settings(seed=1)),
    "canvas": lambda found: replace(found, settings=Settings(canvas=32)),
}


@pytest.mark.parametrize("change", CHANGES)
def test_the_key_changes_with(change: str) -> None:
    stored_feature([])
    assert CHANGES[change](features()).key("costly") != features().key("costly")
    assert features().key("costly") == features().key("costly")


def test_the_key_changes_with_the_name_and_the_code(monkeypatch: pytest.MonkeyPatch) -> None:
    found = features()
    assert found.key("canvas") != found.key("content")
    before = found.key("canvas")
    monkeypatch.setattr(graph, "code_digest", lambda: "other code")
    assert found.key("canvas") != before


def test_the_key_does_not_change_with_who_listens() -> None:
    stored_feature([])
    heard: list[object] = []
    listening = features(given=Settings(report_progress=lambda *args: heard.append(args)))
    assert listening.key("costly") == features().key("costly")
    listening.get("costly")
    assert heard == [("costing", 1, 1)]


def test_settings_matter_only_where_they_are_read() -> None:
    @feature()
    def plain(dataset: Dataset) -> int:
        return len(dataset)

    assert features(given=Settings(seed=1)).key("plain") == features().key("plain")
