"""A package that knows only what untaint promises adds a detector by being installed."""

import tomllib
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from untaint import registry
from untaint.detectors.base import PACKAGE as GROUP
from untaint.detectors.base import Detector, detectors, examine, needs
from untaint.errors import BadInput

PACKAGE = Path(__file__).parents[1] / "plugin_package"


def install(site: Path, name: str, points: dict[str, dict[str, str]]) -> None:
    """What pip writes beside an installed package, as far as entry points go."""
    info = site / f"{name.replace('-', '_')}-1.0.0.dist-info"
    info.mkdir()
    (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {name}\nVersion: 1.0.0\n", encoding="utf-8")
    lines = [
        line
        for group, entries in points.items()
        for line in (f"[{group}]", *(f"{key} = {value}" for key, value in entries.items()))
    ]
    (info / "entry_points.txt").write_text("\n".join(lines) + "\n", encoding="utf-8")


@pytest.fixture
def site(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A folder packages are installed in, and members found anew before and after."""
    monkeypatch.syspath_prepend(tmp_path)
    registry.members.cache_clear()
    yield tmp_path
    registry.members.cache_clear()


@pytest.fixture
def plugin(site: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    """The id of the detector in `tests/plugin_package`, installed."""
    project = tomllib.loads((PACKAGE / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    monkeypatch.syspath_prepend(PACKAGE / "src")
    install(site, project["name"], project["entry-points"])
    ((name, _),) = project["entry-points"]["untaint.detectors"].items()
    return str(name)


def test_an_installed_detector_is_found(plugin: str) -> None:
    installed = set(detectors())
    assert plugin in installed
    assert installed - {plugin} == {name for name, found in detectors().items() if found.__module__.startswith("untaint.")}


def test_without_the_package_it_is_not_there() -> None:
    registry.members.cache_clear()
    assert "flat-image" not in detectors()


def test_it_is_built_from_a_spec(plugin: str) -> None:
    chosen = registry.build(Detector, GROUP, f"{plugin}(least=0.5)")  # type: ignore[type-abstract]
    assert registry.spec(chosen) == "flat-image(least=0.5)"
    assert needs(chosen) == ("pixels", "usable")


def test_it_examines(plugin: str) -> None:
    pixels = np.random.default_rng(0).integers(0, 256, (6, 8, 8, 1), dtype=np.uint8)
    pixels[2] = 7
    usable = np.array([True] * 5 + [False])
    evidence = examine(detectors()[plugin](), {"pixels": pixels, "usable": usable, "labels": None})
    assert evidence.review.tolist() == [2]
    assert np.isnan(evidence.scores[5])
    assert evidence.scores[2] == 1.0


def test_two_members_of_one_id_are_refused(plugin: str, site: Path) -> None:
    text = (PACKAGE / "src" / "untaint_flat_image" / "__init__.py").read_text(encoding="utf-8")
    (site / "untaint_other.py").write_text(text, encoding="utf-8")
    install(site, "untaint-other", {"untaint.detectors": {"other": "untaint_other:FlatImage"}})
    with pytest.raises(BadInput, match=f"two members are called '{plugin}'"):
        detectors()
