"""A Keras model gives an audit its features. Here, so that one process pays for importing TensorFlow."""

import json
from pathlib import Path
from typing import Any
from zipfile import ZipFile

import numpy as np
import pytest
from scipy.special import softmax

from untaint.errors import BadInput
from untaint.nets import foreign

pytest.importorskip("tensorflow")
import keras

layers = keras.layers
PIXELS = np.random.default_rng(0).integers(0, 256, (30, 9, 8, 3), dtype=np.uint8)
ROWS = np.arange(0, 30, 2)
pytestmark = pytest.mark.filterwarnings(
    "ignore:__array__ implementation:DeprecationWarning"
)  # of TensorFlow's variables, when saved


def net(last: str | None = None) -> Any:
    keras.utils.set_random_seed(0)
    inner = keras.Sequential([layers.Conv2D(4, 3, activation="relu"), layers.Flatten(), layers.Dense(6, "tanh")])
    return keras.Sequential([keras.Input((9, 8, 3)), inner, layers.Dropout(0.5), layers.Dense(4, last)])


@pytest.mark.parametrize("last", [None, "softmax"])
def test_what_is_observed_is_the_input_of_the_last_dense_layer(last: str | None) -> None:
    model = net(last)
    found = foreign.observe(model, PIXELS, ROWS, batch=4)
    images = PIXELS[ROWS].astype(np.float32) / 255
    outputs = np.asarray(model(images))
    np.testing.assert_allclose(found.embeddings, model.layers[0](images), atol=1e-5)
    np.testing.assert_allclose(found.probabilities, outputs if last else softmax(outputs, axis=1), atol=1e-5)
    assert (found.holdout_loss, found.origin) == ((), "given model Sequential")
    assert "call" not in vars(model.layers[-1])


def test_a_file_gives_the_same_as_the_model_it_was_saved_from(tmp_path: Path) -> None:
    model = net()
    model.save(tmp_path / "net.keras")
    found, wanted = (foreign.observe(each, PIXELS, ROWS) for each in (tmp_path / "net.keras", model))
    np.testing.assert_allclose(found.probabilities, wanted.probabilities, atol=1e-6)
    assert found.origin == "given model net.keras"
    assert foreign.digest(model) == foreign.digest(model)
    model.layers[-1].bias.assign(np.ones(4))
    assert foreign.digest(model) != foreign.digest(net())


def test_a_file_that_could_run_code_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "net.keras"
    keras.Sequential([keras.Input((9, 8, 3)), layers.Flatten(), layers.Lambda(lambda x: x), layers.Dense(4)]).save(path)
    with pytest.raises(BadInput, match="holds a Lambda: that could run code"):
        foreign.observe(path, PIXELS, ROWS)


def changed(source: Path, into: Path, change: Any) -> Path:
    with ZipFile(source) as old, ZipFile(into, "w") as new:
        for name in old.namelist():
            content = old.read(name)
            if name == "config.json":
                config = json.loads(content)
                change(config)
                content = json.dumps(config).encode()
            new.writestr(name, content)
    return into


def test_a_class_from_elsewhere_is_never_looked_up(tmp_path: Path) -> None:
    net().save(tmp_path / "net.keras")

    def elsewhere(config: Any) -> None:
        config["config"]["layers"][-1] |= {"module": "os", "class_name": "system", "registered_name": None}

    def registered(config: Any) -> None:
        config["config"]["layers"][-1] |= {"module": None, "class_name": "Mine", "registered_name": "pack>Mine"}

    for number, (change, message) in enumerate(
        [(elsewhere, "system of os"), (registered, "pack>Mine, which does not come with Keras")]
    ):
        path = changed(tmp_path / "net.keras", tmp_path / f"{number}.keras", change)
        with pytest.raises(BadInput, match=message):
            foreign.observe(path, PIXELS, ROWS)


@pytest.mark.parametrize("content", [b"", b"PK\x05\x06" + bytes(18), b"no zip at all"])
def test_what_is_no_model_is_refused(content: bytes, tmp_path: Path) -> None:
    (tmp_path / "net.keras").write_bytes(content)
    with pytest.raises(BadInput, match="is not a model of Keras"):
        foreign.observe(tmp_path / "net.keras", PIXELS, ROWS)


def test_a_model_for_other_images_or_without_features_is_refused() -> None:
    with pytest.raises(BadInput, match="the model refuses images of 9x8x3"):
        foreign.observe(keras.Sequential([keras.Input((5, 5, 1)), layers.Flatten(), layers.Dense(4)]), PIXELS, ROWS)
    with pytest.raises(BadInput, match="no dense layer"):
        foreign.observe(keras.Sequential([keras.Input((9, 8, 3)), layers.GlobalAveragePooling2D()]), PIXELS, ROWS)
