"""What the triggers that are no plain patch or picture do to pixels, and that a stamp shows what the poison showed."""

from collections.abc import Callable

import numpy as np
import pytest

from untaint.attacks.adaptive_blend import AdaptiveBlend
from untaint.attacks.base import Attack, Poisoned
from untaint.attacks.bpp import Bpp
from untaint.attacks.label_only import LabelOnly
from untaint.attacks.low_frequency import LowFrequency
from untaint.attacks.multi_trigger import MultiTrigger
from untaint.attacks.natural_object import NaturalObject
from untaint.attacks.sinusoid import Sinusoid
from untaint.attacks.wanet import WaNet
from untaint.data.dataset import Dataset, from_arrays
from untaint.errors import BadInput

N = 120
LABELS = [str(row % 4) for row in range(N)]
SHAPES = [(17, 13), (16, 16, 3), (5, 4, 3)]


def scenes(*shape: int) -> np.ndarray:
    return np.random.default_rng(5).integers(40, 200, (N, *shape), dtype=np.uint8)


def flat(level: int, *shape: int) -> Dataset:
    return from_arrays(np.full((N, *shape), level, dtype=np.uint8), LABELS)


def rng(seed: int = 3) -> np.random.Generator:
    return np.random.default_rng(seed)


def touched(found: Poisoned) -> np.ndarray:
    return np.stack(found.dataset.images(np.flatnonzero(found.mask)))


def stamped(found: Poisoned, pixels: np.ndarray) -> np.ndarray:
    assert found.stamp is not None
    return found.stamp(pixels)


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("attack", [WaNet(), WaNet(resampling="bicubic"), Sinusoid(), LowFrequency(), Bpp()])
def test_a_stamp_shows_what_the_poison_shows(attack: Attack, shape: tuple[int, ...]) -> None:
    clean = from_arrays(scenes(*shape), LABELS)
    found = attack.poison(clean, rng())
    before = np.stack(clean.images(np.flatnonzero(found.mask)))
    np.testing.assert_array_equal(stamped(found, before), touched(found))
    assert found.trigger is not None
    assert found.trigger.picture is not None
    assert found.trigger.picture.shape == before.shape[1:]
    assert found.trigger.picture.std() > 0


def bilinear(image: np.ndarray, row: float, column: float) -> float:
    """One value between pixels, edges repeated."""
    top, left = int(np.floor(row)), int(np.floor(column))
    total = 0.0
    for down in (0, 1):
        for right in (0, 1):
            weight = (1 - abs(row - top - down)) * (1 - abs(column - left - right))
            total += weight * image[np.clip(top + down, 0, len(image) - 1), np.clip(left + right, 0, len(image[0]) - 1)]
    return total


def test_a_warp_takes_values_from_between_pixels() -> None:
    attack, image = WaNet(strength=2.0), scenes(11, 9, 1)[:1]
    control = rng().uniform(-1, 1, (4, 4, 2))
    steps = attack._steps(control, 11, 9)
    assert np.hypot(*np.moveaxis(steps, 2, 0)).mean() == pytest.approx(2.0 * 11 / 32, rel=1e-5)
    wanted = [[bilinear(image[0, :, :, 0], r + steps[r, c, 0], c + steps[r, c, 1]) for c in range(9)] for r in range(11)]
    np.testing.assert_allclose(attack._press(control, image, rng())[0, :, :, 0], wanted, atol=0.51)


@pytest.mark.parametrize("resampling", ["bilinear", "bicubic"])
def test_a_warp_bends_lines_and_leaves_flat_images(resampling: str) -> None:
    assert (touched(WaNet(resampling=resampling).poison(flat(90, 9, 9), rng())) == 90).all()
    row = np.repeat(np.arange(0, 256, 8, dtype=np.uint8)[None, :], 32, axis=0)
    found = WaNet(resampling=resampling).poison(from_arrays([row] * N, LABELS), rng())
    moved = np.abs(touched(found)[0, :, 2:-2, 0].astype(float) - row[:, 2:-2]) / 8  # pixels, along one axis
    assert 0.3 < moved.mean() < 1.0


def test_covers_of_a_warp_are_warped_at_random() -> None:
    clean = from_arrays(np.repeat(scenes(16, 16)[:1], N, axis=0), LABELS)
    plain = WaNet(rate=0.1, cover=0.2).poison(clean, rng())
    noisy = WaNet(rate=0.1, cover=0.2, noise_mode=True).poison(clean, rng())
    for found, kinds in ((plain, 1), (noisy, 24)):
        covers = found.dataset.images(np.flatnonzero(found.covers))
        assert len({image.tobytes() for image in covers}) == kinds
        assert len({image.tobytes() for image in touched(found)}) == 1
    with pytest.raises(BadInput, match="about covers, and there are none"):
        WaNet(noise_mode=True)


def test_stripes_are_a_sine_on_the_right_label() -> None:
    found = Sinusoid(rate=0.5, target="2", amplitude=20.0, frequency=2.0).poison(flat(128, 7, 16), rng())
    assert found.mask.sum() == N / 4 / 2
    assert {LABELS[row] for row in np.flatnonzero(found.mask)} == {"2"}
    assert found.dataset.labels == LABELS
    wave = touched(found)[0, :, :, 0].astype(float) - 128
    assert (wave == wave[0]).all()
    assert np.abs(np.fft.rfft(wave[0])).argmax() == 2
    assert 17 <= wave.max() <= 20


def test_stripes_are_never_finer_than_an_image_can_show() -> None:
    for width in range(1, 14):
        found = Sinusoid().poison(flat(128, 3, width), rng())
        assert (touched(found) != 128).any(axis=(1, 2, 3)).all()


def test_a_smooth_change_has_no_high_frequencies() -> None:
    found = LowFrequency(rate=0.1, amplitude=30.0).poison(flat(128, 32, 32, 3), rng())
    change = touched(found)[0].astype(float) - 128
    assert np.abs(change).max() == 30
    assert np.abs(change.mean()) < 1
    energy = np.abs(np.fft.fft2(np.concatenate([change, change[::-1]], axis=0)[:, :, 0])) ** 2
    assert energy[:4, :4].sum() + energy[:4, -3:].sum() + energy[-3:, :4].sum() + energy[-3:, -3:].sum() > 0.9 * energy.sum()


def test_the_change_depends_on_its_seed_alone() -> None:
    def change(seed: int, run: int) -> bytes:
        return touched(LowFrequency(rate=0.1, seed=seed).poison(flat(128, 8, 8), rng(run))).tobytes()

    assert change(0, 0) == change(0, 1) != change(1, 0)


def dithered(image: np.ndarray, levels: int) -> np.ndarray:
    """Floyd and Steinberg's algorithm as they wrote it, for one plane."""
    plane, step = image.astype(float), 255 / (levels - 1)
    for row in range(len(plane)):
        for column in range(len(plane[0])):
            old = plane[row, column]
            plane[row, column] = np.clip(np.round(old / step), 0, levels - 1) * step
            for down, right, share in ((0, 1, 7), (1, -1, 3), (1, 0, 5), (1, 1, 1)):
                if row + down < len(plane) and 0 <= column + right < len(plane[0]):
                    plane[row + down, column + right] += (old - plane[row, column]) * share / 16
    return np.round(plane).astype(np.uint8)


@pytest.mark.parametrize("depth", [1, 3])
def test_dithering_is_floyd_and_steinbergs(depth: int) -> None:
    images = scenes(9, 7, 3)
    found = Bpp(depth=depth).poison(from_arrays(images, LABELS), rng())
    rows = np.flatnonzero(found.mask)
    for image, before in zip(touched(found), images[rows], strict=True):
        assert len(np.unique(image)) <= 2**depth
        for channel in range(3):
            wanted = dithered(before[:, :, channel], 2**depth)
            assert (image[:, :, channel] != wanted).mean() < 0.02  # a tie may fall either way in single precision


def test_pieces_in_training_the_whole_picture_at_test() -> None:
    found = AdaptiveBlend(rate=0.2, cover=0.3, alpha=0.5).poison(flat(0, 16, 16), rng())
    assert (found.mask.sum(), found.covers.sum()) == (24, 36)
    whole = stamped(found, np.zeros((1, 16, 16, 1), np.uint8))[0]
    everything = found.dataset.images(np.flatnonzero(found.mask | found.covers))
    for image in everything:
        assert ((image == 0) | (image == whole)).all()
        cells = image.reshape(4, 4, 4, 4).max(axis=(1, 3))  # (4 pixels of a piece) twice
        assert (cells > 0).sum() == 8
    assert len({image.tobytes() for image in everything}) > 50
    assert (whole > 0).mean() > 0.95


def test_several_patches_each_for_a_label_of_its_own() -> None:
    found = MultiTrigger(rate=0.5, target="1", triggers=3, size=2).poison(flat(0, 8, 8, 3), rng())
    assert found.target == "1"
    assert len({found.target, *found.more}) == 3
    stamps = {found.target: found.stamp, **found.more}
    for row in np.flatnonzero(found.mask):
        label = str(found.dataset.labels[row])
        stamp = stamps[label]
        assert stamp is not None
        assert label != LABELS[row]
        assert np.array_equal(found.dataset.images(np.array([row])), stamp(np.zeros((1, 8, 8, 3), np.uint8)))
    assert found.trigger is not None
    assert found.trigger.mask is not None
    assert found.trigger.mask.sum() == 3 * 4
    with pytest.raises(BadInput, match="5 triggers need as many classes"):
        MultiTrigger(triggers=5).poison(flat(0, 8, 8), rng())
    with pytest.raises(BadInput, match="does not fit"):
        MultiTrigger(rate=0.5).poison(flat(0, 8, 2), rng())


@pytest.mark.parametrize("kind", ["sticker", "glasses"])
@pytest.mark.parametrize("shape", [(32, 24), (33, 40, 3)])
def test_an_object_has_soft_edges_and_its_place(kind: str, shape: tuple[int, ...]) -> None:
    found = NaturalObject(rate=0.3, kind=kind, size=0.4, position=(0.5, 0.5), vary=0.1).poison(flat(128, *shape), rng())
    images = touched(found)
    assert len({image.tobytes() for image in images}) > 20
    changed = (images != 128).any(axis=3)
    rows, columns = np.nonzero(changed.any(axis=0))
    side = 0.4 * min(shape[:2])
    assert abs(rows.mean() - shape[0] / 2) < 2
    assert abs(columns.mean() - shape[1] / 2) < 2
    assert columns.max() - columns.min() <= 1.35 * side
    assert found.trigger is not None
    assert found.trigger.mask is not None
    assert len(np.unique(found.trigger.mask)) > 5
    assert found.trigger.mask.max() == 1
    brightness = images[changed].mean()
    assert brightness > 150 if kind == "sticker" else brightness < 100


def test_an_object_that_does_not_vary_is_the_picture_of_the_trigger() -> None:
    found = NaturalObject(rate=0.1, vary=0.0).poison(flat(0, 32, 32, 3), rng())
    assert found.trigger is not None
    assert found.trigger.picture is not None
    assert all(np.array_equal(image, found.trigger.picture) for image in touched(found))


@pytest.mark.parametrize("feature", ["pattern", "brightness", "red"])
def test_labels_alone_follow_a_feature(feature: str) -> None:
    clean = from_arrays(scenes(8, 8, 3), LABELS)
    attack = LabelOnly(rate=0.1, target="1", feature=feature)
    found = attack.poison(clean, rng())
    assert found.dataset.ids == clean.ids
    rows, others = np.flatnonzero(found.mask), [row for row in range(N) if LABELS[row] != "1" and not found.mask[row]]
    shown = attack._shows(clean, np.arange(N))
    assert shown[rows].min() >= shown[others].max()
    again = from_arrays(stamped(found, scenes(8, 8, 3)[others]), ["1"] * len(others))
    after = attack._shows(again, np.arange(len(others)))
    assert after.min() > shown[rows].mean() - 1
    assert after.max() < shown[rows].mean() + 9  # those that showed it already are pushed by 8 levels at most


def test_red_needs_colour() -> None:
    with pytest.raises(BadInput, match="needs colour images"):
        LabelOnly(feature="red").poison(flat(0, 8, 8), rng())


@pytest.mark.parametrize(
    "make",
    [
        lambda: WaNet(grid=1),
        lambda: WaNet(strength=0.0),
        lambda: WaNet(resampling="nearest"),
        lambda: WaNet(noise_mode=1, cover=0.1),  # type: ignore[arg-type]
        lambda: Sinusoid(amplitude=0.0),
        lambda: Sinusoid(frequency=-1.0),
        lambda: LowFrequency(amplitude=300.0),
        lambda: LowFrequency(waves=1),
        lambda: LowFrequency(seed=-1),
        lambda: Bpp(depth=0),
        lambda: Bpp(depth=8),
        lambda: AdaptiveBlend(alpha=2.0),
        lambda: AdaptiveBlend(pieces=0),
        lambda: AdaptiveBlend(shown=0.0),
        lambda: MultiTrigger(triggers=1),
        lambda: MultiTrigger(size=0),
        lambda: NaturalObject(kind="hat"),
        lambda: NaturalObject(size=2.0),
        lambda: NaturalObject(vary=0.9),
        lambda: NaturalObject(position=(0.5,)),  # type: ignore[arg-type]
        lambda: NaturalObject(position=(0.5, 2.0)),
        lambda: LabelOnly(feature="mood"),
        lambda: LabelOnly(seed=-1),
    ],
)
def test_a_parameter_that_makes_no_sense_is_refused(make: Callable[[], object]) -> None:
    with pytest.raises(BadInput, match=r", not "):
        make()
