"""A tf.data pipeline as a data set. Here, so that one process pays for importing TensorFlow."""

from typing import Any

import numpy as np
import pytest

from untaint.data.readers._objects import from_python
from untaint.errors import BadInput

tf = pytest.importorskip("tensorflow")
RNG = np.random.default_rng(0)
IMAGES = RNG.random((10, 6, 6, 1)).astype(np.float32)
CODES = np.arange(10) % 3


def pipeline(x: Any, y: Any) -> Any:
    return tf.data.Dataset.from_tensor_slices((x, y))


@pytest.mark.parametrize("batch", [None, 4, 10])
@pytest.mark.parametrize("one_hot", [False, True])
def test_images_and_labels_are_those_of_the_arrays(batch: int | None, one_hot: bool) -> None:
    data = pipeline(IMAGES, np.eye(3, dtype=np.float32)[CODES] if one_hot else CODES)
    found = from_python(data if batch is None else data.batch(batch))
    wanted = from_python((IMAGES, CODES))
    assert (found.modality, len(found), found.class_names) == ("image", 10, wanted.class_names)
    assert found.ids == wanted.ids
    assert found.labels == wanted.labels


def test_texts_and_names_of_classes_are_decoded() -> None:
    found = from_python(pipeline(["good", "b\u00e4d"], ["yes", "no"]).batch(2))
    assert (found.modality, list(found.class_names)) == ("text", ["no", "yes"])
    assert found.read([1]) == ["b\u00e4d"]


def test_rows_of_numbers_are_a_table() -> None:
    assert from_python(pipeline(RNG.normal(size=(30, 4)), np.arange(30) % 2).batch(7)).modality == "table"


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: pipeline(IMAGES, CODES).repeat(), "has no end"),
        (lambda: pipeline(IMAGES, CODES).take(0), "no samples"),
        (lambda: tf.data.Dataset.from_tensor_slices(IMAGES), "pairs"),
        (lambda: tf.data.Dataset.from_tensor_slices({"image": IMAGES, "label": CODES}), "pairs"),
        (
            lambda: tf.data.Dataset.from_generator(
                lambda: ((np.ones((n, 4, 1)), n) for n in (3, 4)),
                output_signature=(tf.TensorSpec((None, 4, 1)), tf.TensorSpec((), tf.int32)),
            ),
            "differ in shape",
        ),
    ],
)
def test_what_is_no_finite_set_of_pairs_is_refused(make: Any, message: str) -> None:
    with pytest.raises(BadInput, match=message):
        from_python(make())
