"""Poison made with a network: bounded, different for every image, and without torch a clear refusal."""

import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from tests import digit_sets

from untaint.attacks import _crafting
from untaint.attacks.base import Attack, Poisoned
from untaint.attacks.gradient_matching import GradientMatching
from untaint.attacks.input_aware import InputAware
from untaint.attacks.label_consistent import LabelConsistent
from untaint.attacks.sample_specific import SampleSpecific
from untaint.data.dataset import Dataset, from_arrays
from untaint.data.images import encode_png
from untaint.errors import BadInput, MissingExtra
from untaint.nets.adversary import hardened, mislead
from untaint.nets.convnet import ConvNetSpec
from untaint.nets.fit import FitPlan, fit, logits
from untaint.nets.painter import CraftPlan

DIGITS = digit_sets.clean()
TRAIN, TEST = np.arange(1400), np.arange(1400, 1797)


def rng() -> np.random.Generator:
    return np.random.default_rng(3)


def few(channels: int = 1, n: int = 200) -> Dataset:
    """The first few digits, grey or tinted."""
    tint = np.array([1.0, 0.8, 0.6])[:channels]
    images = np.round(DIGITS.images[:n, :, :, None] * tint).astype(np.uint8)
    return from_arrays(images, [str(label) for label in DIGITS.labels[:n]])


def poisoned(attack: Attack, clean: Dataset) -> Poisoned:
    return attack.poison(clean, rng())


def change(found: Poisoned, clean: Dataset, rows: np.ndarray) -> np.ndarray:
    """What was added to some rows (m, h, w, c)."""
    return np.stack(found.dataset.images(rows)).astype(int) - np.stack(clean.images(rows))


def in_common(changes: np.ndarray) -> float:
    """Share of the changes' energy that is the same on every image."""
    flat = changes.reshape(len(changes), -1).astype(float)
    return float((flat.mean(axis=0) ** 2).sum() / (flat**2).sum(axis=1).mean())


def codes(found: Poisoned) -> np.ndarray:
    return np.array([int(str(label)) for label in found.dataset.labels])


def images_of(rows: np.ndarray) -> Dataset:
    return DIGITS.take(rows).dataset


@pytest.mark.parametrize("channels", [1, 3])
@pytest.mark.parametrize(
    ("attack", "bound"),
    [
        (InputAware(rate=0.1, strength=0.3, epochs=2), 0.3),
        (SampleSpecific(rate=0.1, strength=0.05, epochs=2), 0.05),
        (GradientMatching(rate=0.05, eps=0.05, steps=3, restarts=1), 0.05),
    ],
)
def test_a_change_stays_within_its_bound(attack: Attack, bound: float, channels: int) -> None:
    clean = few(channels)
    found = poisoned(attack, clean)
    changes = change(found, clean, np.flatnonzero(found.mask))
    assert changes.shape[-1] == channels
    assert 0 < np.abs(changes).max() <= round(255 * bound)


def test_input_aware_triggers_work_on_their_own_image_only() -> None:
    clean, test = images_of(TRAIN), DIGITS.take(TEST)
    found = poisoned(InputAware(rate=0.2, cover=0.2, target="3", strength=1.0, density=0.2, epochs=25), clean)
    assert (found.mask.sum(), found.covers.sum()) == (280, 280)
    assert in_common(change(found, clean, np.flatnonzero(found.mask))) < 0.5

    net = fit(ConvNetSpec(16, 16, 1, 10), np.stack(found.dataset.images(TRAIN)), codes(found), TRAIN, FitPlan()).net
    others = test.take(np.flatnonzero(test.labels != 3)).images[:, :, :, None]
    assert found.stamp is not None
    own = found.stamp(others)
    strangers = np.clip(others + np.roll(own.astype(int) - others, 1, axis=0), 0, 255).astype(np.uint8)
    fooled = [float(np.mean(logits(net, shown, np.arange(len(shown))).argmax(axis=1) == 3)) for shown in (own, strangers)]
    assert fooled[0] >= 0.8
    assert fooled[1] <= 0.4


def test_covers_carry_the_trigger_of_another_image() -> None:
    clean = few()
    found = poisoned(InputAware(rate=0.1, cover=0.2, target="3", epochs=2), clean)
    rows = np.flatnonzero(found.covers)
    assert found.stamp is not None
    own = found.stamp(np.stack(clean.images(rows)))
    there = np.stack(found.dataset.images(rows))
    assert len(rows) == 40
    assert np.mean([not np.array_equal(*pair) for pair in zip(own, there, strict=True)]) > 0.9
    assert "3" not in {found.dataset.labels[row] for row in rows}


def test_too_many_covers_are_an_error() -> None:
    with pytest.raises(BadInput, match="Lower cover or the rate"):
        poisoned(InputAware(rate=0.1, cover=0.9), few())


def test_hidden_bits_are_readable_and_look_different_on_every_image() -> None:
    clean = images_of(TRAIN)
    found = poisoned(SampleSpecific(rate=0.1, target="3", epochs=16, bits=8), clean)
    assert found.trigger is not None
    assert float(found.trigger.parameters["read"]) >= 0.9
    changes = change(found, clean, np.flatnonzero(found.mask))
    assert in_common(changes) < 0.5
    assert in_common(np.repeat(changes[:1], 9, axis=0)) == pytest.approx(1.0)


def test_a_trigger_fits_images_of_another_size_and_colour() -> None:
    found = poisoned(SampleSpecific(rate=0.1, epochs=2), few())
    assert found.stamp is not None
    pixels = np.full((5, 23, 19, 3), 128, dtype=np.uint8)
    assert found.stamp(pixels).shape == pixels.shape
    assert np.array_equal(found.stamp(pixels), found.stamp(pixels))


def test_an_added_change_is_resampled_and_loses_its_colours_on_grey() -> None:
    colours = np.stack([np.full((2, 2), level) for level in (3.0, 6.0, 9.0)], axis=2)
    grey = np.full((4, 4, 1), 250, dtype=np.uint8)
    assert (_crafting.add(colours, grey) == 255).all()
    assert (_crafting.add(-colours, grey) == 244).all()
    assert (_crafting.add(colours, np.zeros((2, 2, 3), np.uint8)) == [3, 6, 9]).all()


@pytest.mark.parametrize("corners", [1, 4])
def test_label_consistent_poison_is_of_the_target_class(corners: int) -> None:
    clean = few()
    found = poisoned(LabelConsistent(rate=0.5, target="3", eps=0.2, steps=3, corners=corners), clean)
    rows = np.flatnonzero(found.mask)
    of_class = [row for row, label in enumerate(clean.labels) if label == "3"]
    assert set(rows) <= set(of_class)
    assert len(rows) == round(0.5 * len(of_class))
    assert found.dataset.labels == clean.labels
    pictures = np.stack(found.dataset.images(rows))[..., 0]
    assert (pictures[:, -3:, -3:] == [[0, 0, 255], [0, 255, 0], [255, 0, 255]]).all()
    assert (pictures[:, :3, :3] == [[255, 0, 255], [0, 255, 0], [255, 0, 0]]).all() == (corners == 4)
    assert found.trigger is not None
    assert found.trigger.mask is not None
    outside = change(found, clean, rows)[:, found.trigger.mask == 0]
    assert 0 < np.abs(outside).max() <= 51


def test_without_eps_only_the_patch_is_put_on() -> None:
    clean = few()
    found = poisoned(LabelConsistent(rate=0.5, eps=0, amplitude=0.5), clean)
    rows = np.flatnonzero(found.mask)
    assert found.stamp is not None
    assert np.array_equal(np.stack(found.dataset.images(rows)), found.stamp(np.stack(clean.images(rows))))
    assert (
        found.stamp(np.full((1, 8, 8, 1), 100, np.uint8))[0, -3:, -3:, 0] == [[50, 50, 178], [50, 178, 50], [178, 50, 178]]
    ).all()


def test_an_image_too_small_for_the_corners_is_an_error() -> None:
    tiny = from_arrays(np.zeros((40, 5, 5), np.uint8), [str(row % 2) for row in range(40)])
    with pytest.raises(BadInput, match="at least 6x6"):
        poisoned(LabelConsistent(eps=0), tiny)


def test_misleading_changes_mislead_and_a_hardened_network_withstands_more() -> None:
    pixels, labels = DIGITS.images[:, :, :, None], DIGITS.labels
    spec = ConvNetSpec(16, 16, 1, 10)
    plain = fit(spec, pixels, labels, TRAIN, FitPlan(max_epochs=8)).net
    hard = hardened(spec, pixels, labels, TRAIN, CraftPlan(10, 0, rate=4e-3), 0.2)

    def accuracy(net: object, added: np.ndarray) -> float:
        shown = np.clip(np.round(pixels[TEST] + added), 0, 255).astype(np.uint8)
        return float(np.mean(logits(net, shown, np.arange(len(TEST))).argmax(axis=1) == labels[TEST]))  # type: ignore[arg-type]

    found = {net: mislead(net, pixels[TEST], labels[TEST], eps=0.2, steps=10) for net in (plain, hard)}
    assert all(np.abs(added).max() <= 51.01 for added in found.values())
    assert accuracy(plain, np.zeros(())) >= 0.8
    assert accuracy(plain, found[plain]) <= 0.3
    assert accuracy(hard, found[hard]) >= accuracy(plain, found[plain]) + 0.2


def test_gradient_matching_searches_and_keeps_labels() -> None:
    clean = few()

    def cosine(steps: int) -> float:
        found = poisoned(GradientMatching(rate=0.05, eps=0.1, steps=steps, restarts=1, target="3"), clean)
        assert found.trigger is not None
        assert found.dataset.labels == clean.labels
        assert {clean.labels[row] for row in np.flatnonzero(found.mask)} == {"3"}
        return float(found.trigger.parameters["cosine"])

    assert cosine(40) >= cosine(1) + 0.1


def test_the_image_aimed_at_comes_from_a_file(tmp_path: Path) -> None:
    file = tmp_path / "aim.png"
    file.write_bytes(encode_png(DIGITS.images[1500][:, :, None]))
    found = poisoned(GradientMatching(rate=0.05, steps=2, restarts=1, image=str(file)), few())
    assert found.stamp is not None
    assert found.trigger is not None
    assert found.trigger.picture is not None
    assert np.array_equal(found.trigger.picture[:, :, 0], DIGITS.images[1500])
    assert (found.stamp(np.zeros((3, 16, 16, 1), np.uint8))[..., 0] == DIGITS.images[1500]).all()


def test_a_missing_image_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(BadInput, match="cannot read the image"):
        poisoned(GradientMatching(rate=0.05, image=str(tmp_path / "none.png")), few())


@pytest.mark.parametrize("attack", [InputAware(), SampleSpecific(), LabelConsistent(), GradientMatching()])
def test_without_torch_it_says_what_it_needs(attack: Attack, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(_crafting, "find_spec", lambda name: None)
    with pytest.raises(MissingExtra, match=r"pip install 'untaint\[torch\]'"):
        poisoned(attack, few())


def test_listing_attacks_does_not_import_torch() -> None:
    code = (
        "import sys; from untaint.registry import members; from untaint.attacks.base import Attack, PACKAGE; "
        "members(Attack, PACKAGE); sys.exit('torch' in sys.modules)"
    )
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0  # noqa: S603 - our own command


@pytest.mark.parametrize(
    "make",
    [
        lambda: InputAware(cover=-0.1),
        lambda: InputAware(strength=0.0),
        lambda: InputAware(density=2.0),
        lambda: InputAware(epochs=0),
        lambda: SampleSpecific(bits=0),
        lambda: SampleSpecific(strength=float("nan")),
        lambda: SampleSpecific(epochs=1.5),  # type: ignore[arg-type]
        lambda: LabelConsistent(eps=1.5),
        lambda: LabelConsistent(steps=0),
        lambda: LabelConsistent(corners=2),
        lambda: LabelConsistent(amplitude=0.0),
        lambda: GradientMatching(eps=0.0),
        lambda: GradientMatching(restarts=0),
        lambda: GradientMatching(image=3),  # type: ignore[arg-type]
    ],
)
def test_a_parameter_that_makes_no_sense_is_refused(make: Callable[[], object]) -> None:
    with pytest.raises(BadInput, match=r", not "):
        make()
