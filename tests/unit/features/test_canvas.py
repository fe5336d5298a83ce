"""Every image on one canvas; labels and sources as codes."""

import io
from dataclasses import replace

import numpy as np
import pytest
from PIL import Image as Pillow

from untaint.data.dataset import Dataset, Payload, from_arrays, make_index
from untaint.data.images import encode_png
from untaint.errors import FeatureUnavailable
from untaint.features.cache import Cache
from untaint.features.canvas import Canvas, Sources, fitted
from untaint.features.graph import Features
from untaint.features.settings import Settings


def dataset(payloads: list[Payload], labels: list[str | None] | None = None, sources: list[str] | None = None) -> Dataset:
    given = labels or [str(row % 2) for row in range(len(payloads))]
    return from_arrays(payloads, given, sources=sources)


def features(data: Dataset, longest: int = 64) -> Features:
    return Features(data, Settings(canvas=longest), Cache(None))


def canvas(payloads: list[Payload], longest: int = 64) -> Canvas:
    found: Canvas = features(dataset(payloads), longest).get("canvas")
    return found


def noise(*shape: int, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).integers(0, 256, shape, dtype=np.uint8)


def png(picture: Pillow.Image) -> bytes:
    buffer = io.BytesIO()
    picture.save(buffer, "PNG")
    return buffer.getvalue()


def test_images_of_one_size_are_kept_pixel_for_pixel() -> None:
    images = noise(5, 9, 7)
    found = canvas([*images[:3], *(encode_png(image[:, :, None]) for image in images[3:])])
    np.testing.assert_array_equal(found.pixels, images[:, :, :, None])
    assert found.decoded.all()
    assert (found.resized, found.reasons) == (0, {})


def test_the_most_common_size_is_the_canvas_and_others_are_resampled() -> None:
    flat = [np.full(shape, 80, np.uint8) for shape in ((9, 7), (9, 7), (30, 20), (9, 7), (4, 5))]
    found = canvas(list(flat))
    assert found.pixels.shape == (5, 9, 7, 1)
    assert found.resized == 2
    assert (found.pixels == 80).all()


def test_a_resampled_image_shows_the_same() -> None:
    ramp = np.tile(np.linspace(0, 255, 32).astype(np.uint8), (32, 1))
    found = canvas([noise(16, 16), noise(16, 16), ramp])
    small = found.pixels[2, :, :, 0].astype(float)
    np.testing.assert_allclose(small, ramp.reshape(16, 2, 16, 2).mean((1, 3)), atol=6)


def test_colour_wins_over_grey() -> None:
    grey, colour = noise(8, 8), noise(8, 8, 3)
    found = canvas([grey, colour, grey])
    np.testing.assert_array_equal(found.pixels[0], np.repeat(grey[:, :, None], 3, axis=2))
    np.testing.assert_array_equal(found.pixels[1], colour)


def test_transparency_is_left_out() -> None:
    array = noise(8, 8, 4)
    found = canvas([array, png(Pillow.fromarray(array))])
    np.testing.assert_array_equal(found.pixels[0], array[:, :, :3])
    np.testing.assert_array_equal(found.pixels[1], array[:, :, :3])


def test_sixteen_bits_are_cut_to_their_upper_eight() -> None:
    deep = np.random.default_rng(0).integers(0, 65536, (8, 8)).astype(np.uint16)
    found = canvas([png(Pillow.fromarray(deep)), noise(8, 8)])
    np.testing.assert_array_equal(found.pixels[0, :, :, 0], deep >> 8)


def test_palettes_and_two_levels_become_what_they_show() -> None:
    two = Pillow.fromarray(np.eye(8, dtype=np.uint8) * 255).convert("1")
    palette = Pillow.fromarray(np.full((8, 8, 3), (10, 200, 30), np.uint8)).convert(
        "P", palette=Pillow.Palette.ADAPTIVE, colors=2
    )
    found = canvas([png(two), png(palette)])
    np.testing.assert_array_equal(found.pixels[0, :, :, 1], np.eye(8) * 255)
    np.testing.assert_allclose(found.pixels[1], np.broadcast_to((10, 200, 30), (8, 8, 3)), atol=2)


@pytest.mark.parametrize(
    ("shape", "longest", "expected"),
    [((100, 50), 64, (64, 32)), ((64, 64), 64, (64, 64)), ((10, 200), 20, (1, 20)), ((300, 1), 30, (30, 1))],
)
def test_large_images_are_shrunk_to_the_canvas(shape: tuple[int, int], longest: int, expected: tuple[int, int]) -> None:
    found = canvas([np.full(shape, 33, np.uint8)] * 3, longest)
    assert found.pixels.shape == (3, *expected, 1)
    assert (found.pixels == 33).all()
    assert found.resized == (0 if shape == expected else 3)


def test_what_cannot_be_decoded_is_black_and_has_a_reason() -> None:
    images = noise(4, 8, 8) | 1
    index = make_index(list(images), labels=["a", "b"] * 2, paths=["p"] * 4, unreadable={2: "torn in half"})
    data = replace(dataset([images[0], b"no image", images[2], images[3].astype(float) * np.nan]), index=index)
    found = features(data).get("canvas")
    assert found.decoded.tolist() == [True, False, False, False]
    assert set(found.reasons) == {"1", "2", "3"}
    assert "not a readable image" in found.reasons["1"]
    assert found.reasons["2"] == "torn in half"
    assert "not finite" in found.reasons["3"]
    assert not found.pixels[~found.decoded].any()
    assert found.pixels[0].any()


def test_a_set_without_a_readable_image_has_no_canvas() -> None:
    with pytest.raises(FeatureUnavailable, match="no image of a sample over the set could be decoded"):
        canvas([b"no", b"image"])


def test_texts_have_no_canvas() -> None:
    with pytest.raises(FeatureUnavailable, match="needs image data, this set holds text data"):
        canvas(["a text", "another"])


def test_progress_is_told_to_the_end() -> None:
    heard: list[tuple[str, int, int]] = []
    data = dataset(list(noise(1500, 3, 3)))
    Features(data, Settings(report_progress=lambda *args: heard.append(args)), Cache(None)).get("canvas")
    assert heard == [("reading images", 1024, 1500), ("reading images", 1500, 1500)]


@pytest.mark.parametrize("channels", [1, 3])
@pytest.mark.parametrize("wanted", [1, 3])
def test_an_image_is_recoloured(channels: int, wanted: int) -> None:
    image = np.repeat(noise(6, 5, 1), channels, axis=2)
    found = fitted(image, 6, 5, wanted)
    np.testing.assert_array_equal(found, np.repeat(image[:, :, :1], wanted, axis=2))
    assert fitted(image, 3, 9, wanted).shape == (3, 9, wanted)


def test_labels_are_codes_in_the_order_of_the_class_names() -> None:
    found = features(dataset(list(noise(5, 4, 4)), ["10", "9", None, "10", "2"]))
    assert found.get("class_names") == ("2", "9", "10")
    assert found.get("labels").tolist() == [2, 1, -1, 2, 0]
    assert found.get("usable").tolist() == [True, True, False, True, True]


def test_what_cannot_be_decoded_has_no_label() -> None:
    payloads: list[Payload] = [*noise(4, 4, 4), b"no image"]
    found = features(dataset(payloads, ["a", "b", "a", "b", "b"]))
    assert found.get("labels").tolist() == [0, 1, 0, 1, -1]


@pytest.mark.parametrize("labels", [["a", "a", "a"], [None, None, None], ["a", "a", None]])
def test_one_class_is_too_few(labels: list[str | None]) -> None:
    with pytest.raises(FeatureUnavailable, match="needs at least two classes, found"):
        features(dataset(list(noise(3, 4, 4)), labels)).get("labels")


def test_classes_of_images_that_cannot_be_decoded_do_not_count() -> None:
    payloads: list[Payload] = [*noise(2, 4, 4), b"no image"]
    with pytest.raises(FeatureUnavailable, match="two classes among the samples that can be read"):
        features(dataset(payloads, ["a", "a", "b"])).get("labels")


def test_sources_are_codes_in_alphabetical_order() -> None:
    data = dataset(list(noise(4, 4, 4)), sources=["web", "lab", None, "web"])  # type: ignore[list-item]
    found = features(data).get("sources")
    assert isinstance(found, Sources)
    assert found.names == ("lab", "web")
    assert found.codes.tolist() == [1, 0, -1, 1]
    nobody = features(dataset(list(noise(2, 4, 4)))).get("sources")
    assert nobody.names == ()
    assert nobody.codes.tolist() == [-1, -1]


def test_why_a_row_is_unreadable_is_handed_through() -> None:
    images = list(noise(3, 4, 4))
    index = make_index(images, labels=["a", "b", "a"], paths=["p"] * 3, unreadable={1: "not finite (NaN)"})
    assert features(replace(dataset(images), index=index)).get("problems") == (None, "not finite (NaN)", None)
