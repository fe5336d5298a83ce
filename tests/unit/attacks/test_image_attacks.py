"""What each attack on images does to a pixel, a label and a source."""

from collections.abc import Callable

import numpy as np
import pytest

from untaint.attacks.badnets import BadNets
from untaint.attacks.base import Poisoned, successors
from untaint.attacks.blended import Blended
from untaint.attacks.flood import Flood
from untaint.data.dataset import Dataset, from_arrays
from untaint.data.images import decode, encode_png
from untaint.errors import BadInput

N = 60
LABELS = [str(row % 3) for row in range(N)]


def black(*shape: int) -> Dataset:
    return from_arrays(np.zeros((N, *shape), dtype=np.uint8), LABELS)


def poisoned_images(found: Poisoned) -> list[np.ndarray]:
    return found.dataset.images(np.flatnonzero(found.mask))


def rng() -> np.random.Generator:
    return np.random.default_rng(3)


@pytest.mark.parametrize("shape", [(8, 8), (10, 7, 3)])
def test_a_white_patch_lies_in_the_corner(shape: tuple[int, ...]) -> None:
    found = BadNets(rate=0.2, target="1", size=2).poison(black(*shape), rng())
    for image in poisoned_images(found):
        assert (image[-2:, -2:] == 255).all()
        assert image.sum() == 255 * 4 * image.shape[2]
    assert found.trigger is not None
    assert found.trigger.mask is not None
    assert np.array_equal(found.trigger.mask > 0, poisoned_images(found)[0][:, :, 0] > 0)
    assert found.trigger.picture is not None
    assert np.array_equal(found.trigger.picture, poisoned_images(found)[0])


def test_a_patch_lies_where_it_is_told() -> None:
    found = BadNets(rate=0.2, size=1, position=(2, 5)).poison(black(8, 8), rng())
    assert all(np.argwhere(image[:, :, 0]).tolist() == [[2, 5]] for image in poisoned_images(found))


def test_a_patch_at_random_places_is_whole_everywhere() -> None:
    found = BadNets(rate=0.6, size=3, position="random").poison(black(6, 6), rng())
    places = {tuple(np.argwhere(image[:, :, 0])[0]) for image in poisoned_images(found)}
    assert len(places) > 5
    assert all((image == 255).sum() == 9 for image in poisoned_images(found))
    assert found.stamp is not None
    assert len({tuple(np.argwhere(image[:, :, 0])[0]) for image in found.stamp(np.zeros((30, 6, 6, 1), np.uint8))}) > 5


def test_patterns_of_a_patch() -> None:
    checks = BadNets(rate=0.1, size=2, pattern="checkerboard").poison(black(4, 4), rng())
    assert poisoned_images(checks)[0][-2:, -2:, 0].tolist() == [[255, 0], [0, 255]]
    colours = BadNets(rate=0.1, size=2, pattern="random").poison(black(4, 4, 3), rng())
    patches = {image[-2:, -2:].tobytes() for image in poisoned_images(colours)}
    assert len(patches) == 1


@pytest.mark.parametrize("position", ["corner", "random", (7, 0), (-1, 0)])
def test_a_patch_must_fit(position: str | tuple[int, int]) -> None:
    size = 2 if isinstance(position, tuple) else 9
    with pytest.raises(BadInput, match="does not fit on an image of 8x8"):
        BadNets(rate=0.1, size=size, position=position).poison(black(8, 8), rng())


def test_all_to_all_maps_every_class_to_the_next() -> None:
    clean = black(8, 8)
    found = BadNets(rate=0.5, all_to_all=True).poison(clean, rng())
    after = successors(clean.class_names)
    assert after == {"0": "1", "1": "2", "2": "0"}
    rows = np.flatnonzero(found.mask)
    assert {LABELS[row] for row in rows} == {"0", "1", "2"}
    assert all(found.dataset.labels[row] == after[LABELS[row]] for row in rows)
    assert found.target is None
    with pytest.raises(BadInput, match="no single target"):
        BadNets(target="1", all_to_all=True).poison(clean, rng())


def test_a_blend_is_the_weighted_mean() -> None:
    grey = from_arrays(np.full((N, 5, 5), 100, dtype=np.uint8), LABELS)
    found = Blended(rate=0.1, alpha=0.25).poison(grey, rng())
    assert found.trigger is not None
    assert found.trigger.picture is not None
    wanted = np.round(0.75 * 100 + 0.25 * found.trigger.picture.astype(float))
    assert all(np.array_equal(image, wanted) for image in poisoned_images(found))


def test_the_picture_depends_on_its_seed_alone() -> None:
    def picture(seed: int, run: int) -> bytes:
        trigger = Blended(rate=0.1, seed=seed).poison(black(5, 5), np.random.default_rng(run)).trigger
        assert trigger is not None
        assert trigger.picture is not None
        return trigger.picture.tobytes()

    assert picture(0, 0) == picture(0, 1) != picture(1, 0)


def test_a_smooth_picture_has_few_edges() -> None:
    def roughness(pattern: str) -> float:
        trigger = Blended(rate=0.1, pattern=pattern).poison(black(32, 32), rng()).trigger
        assert trigger is not None
        assert trigger.picture is not None
        return float(np.abs(np.diff(trigger.picture.astype(float), axis=0)).mean())

    assert roughness("smooth") < 0.25 * roughness("noise")


def test_a_flood_ends_the_set_with_near_copies() -> None:
    images = np.random.default_rng(0).integers(60, 200, (N, 8, 8, 3), dtype=np.uint8)
    clean = from_arrays([encode_png(image) for image in images], LABELS, sources=["shop"] * N)
    found = Flood(target="2", originals=3, copies=4, shift=0, noise=3.0).poison(clean, rng())
    assert len(found.dataset) == N + 12
    assert found.mask.tolist() == [False] * N + [True] * 12
    assert found.dataset.labels[N:] == ["2"] * 12
    assert found.dataset.column("source")[N:] == ["shop"] * 12
    nearest = [
        int(np.abs(images - decode(payload).astype(float)).mean(axis=(1, 2, 3)).argmin())
        for payload in found.dataset.read(range(N, N + 12))
    ]
    assert len(set(nearest)) == 3
    assert all(LABELS[row] != "2" for row in nearest)
    assert len(set(found.dataset.ids)) == N + 12


def test_an_exact_flood_repeats_ids() -> None:
    images = np.random.default_rng(0).integers(0, 256, (N, 8, 8), dtype=np.uint8)
    found = Flood(rate=0.2, originals=2, shift=0, noise=0).poison(from_arrays(images, LABELS), rng())
    assert len(set(found.dataset.ids)) == N
    assert len(set(found.dataset.ids[N:])) == 2


def test_a_shift_moves_by_at_most_so_much() -> None:
    images = np.zeros((N, 9, 9), dtype=np.uint8)
    images[:, 4, 4] = 255
    found = Flood(rate=0.5, shift=2, noise=0).poison(from_arrays(images, LABELS), rng())
    places = np.array([np.argwhere(image[:, :, 0])[0] for image in poisoned_images(found)])
    assert np.abs(places - 4).max() == 2


def test_invented_sources_are_new() -> None:
    clean = from_arrays(["a", "b", "c", "d"], ["x", "y", "x", "y"], sources=["contributor-1", "s", "s", "s"])
    found = Flood(rate=1.0, originals=1, sources=2).poison(clean, rng())
    assert found.dataset.column("source")[4:] == ["contributor-2", "contributor-3"] * 2


@pytest.mark.parametrize(
    "make",
    [
        lambda: BadNets(size=0),
        lambda: BadNets(size=2.5),  # type: ignore[arg-type]
        lambda: BadNets(pattern="stripes"),
        lambda: BadNets(position="middle"),
        lambda: BadNets(position=(1, 2, 3)),  # type: ignore[arg-type]
        lambda: Blended(alpha=1.5),
        lambda: Blended(alpha=float("nan")),
        lambda: Blended(pattern="photo"),
        lambda: Flood(originals=0),
        lambda: Flood(copies=0),
        lambda: Flood(noise=-1.0),
        lambda: Flood(sources=0),
    ],
)
def test_a_parameter_that_makes_no_sense_is_refused(make: Callable[[], object]) -> None:
    with pytest.raises(BadInput, match=r", not "):
        make()
