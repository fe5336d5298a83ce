"""A guard sees the layers of a Keras model. Here, so that one process pays for importing TensorFlow."""

import numpy as np
import pytest
from tests.unit.guard import planted

from untaint import Guard
from untaint.nets.subject import subject

pytest.importorskip("tensorflow")
import keras

IMAGES, LABELS = planted.digits()
HELD = IMAGES[1200:1300]
TRIGGERED = planted.stamped(HELD[LABELS[1200:1300] != planted.TARGET])


def test_keras_models_show_their_layers() -> None:
    whole = planted.planted(IMAGES[:600], LABELS[:600])
    model = keras.Sequential(
        [
            keras.Input((8, 8, 1)),
            keras.layers.Flatten(),
            keras.layers.Dense(65, "relu"),
            keras.layers.Dense(65, "relu"),
            keras.layers.Dense(10),
        ]
    )
    layers = (whole.first, whole.second, whole.head)
    model.set_weights([part for each in layers for part in (each.weight.detach().numpy().T, each.bias.detach().numpy())])
    logits, shown = subject(model).traced(HELD, lambda values: values.reshape(len(values), -1))
    np.testing.assert_allclose(logits, subject(whole).logits(HELD), atol=1e-3)
    assert [layer.shape for layer in shown] == [(100, 65), (100, 65)]
    guard = Guard.fit(model, planted.reference(IMAGES[600:900], LABELS[600:900]), false_alarms=0.05)
    assert set(guard.skipped) == {"inner-dropout", "noisy-rows", "swapped-cells"}
    assert guard(TRIGGERED).alarm.mean() > 0.95
    assert guard(HELD).alarm.mean() < 0.1
