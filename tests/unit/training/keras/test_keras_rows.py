from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from untaint.errors import BadInput

tf = pytest.importorskip("tensorflow")
import keras  # noqa: E402

from untaint.training.engines.keras_rows import RowSums, not_kept_apart, row_loss, units  # noqa: E402

layers = keras.layers
N, CLASSES = 6, 5


def cnn() -> Any:
    parts = [
        layers.Conv2D(3, 3, activation="relu"),
        layers.MaxPool2D(),
        layers.Conv2D(4, 2, padding="same", strides=2),
        layers.Flatten(),
    ]
    return keras.Sequential([keras.Input((9, 9, 2)), *parts, layers.Dense(CLASSES)])


def dilated() -> Any:
    return keras.Sequential(
        [keras.Input((9, 9, 2)), layers.Conv2D(3, 3, dilation_rate=2, use_bias=False), layers.Flatten(), layers.Dense(CLASSES)]
    )


def normalised() -> Any:
    parts = [
        layers.Conv2D(4, 3),
        layers.GroupNormalization(2),
        layers.ReLU(),
        layers.Flatten(),
        layers.Dense(8, "gelu"),
        layers.LayerNormalization(),
    ]
    return keras.Sequential([keras.Input((9, 9, 2)), *parts, layers.Dense(CLASSES, use_bias=False)])


def without_formula() -> Any:
    parts = [layers.Conv2D(2, 3, groups=2), layers.PReLU(), layers.Flatten()]
    return keras.Sequential([keras.Input((9, 9, 2)), *parts, layers.Dense(CLASSES)])


def called_twice() -> Any:
    inputs, twice = keras.Input((9, 9, 2)), layers.Dense(162, "relu")
    return keras.Model(inputs, layers.Dense(CLASSES)(twice(twice(layers.Flatten()(inputs)))))


def positions() -> Any:
    inputs, twice = keras.Input((9, 9, 2)), layers.Dense(6, "tanh")
    rows = layers.Reshape((27, 6))(inputs)
    return keras.Model(inputs, layers.Dense(CLASSES)(layers.GlobalAveragePooling1D()(twice(twice(rows)))))


def nested() -> Any:
    return keras.Sequential(
        [
            keras.Input((9, 9, 2)),
            keras.Sequential([layers.Conv2D(3, 3, activation="relu"), layers.Flatten()]),
            layers.Dense(CLASSES),
        ]
    )


def part_frozen() -> Any:
    model = cnn()
    model.layers[0].trainable = False
    return model


def words() -> Any:
    inputs = keras.Input((7,), dtype="int32")
    return keras.Model(inputs, layers.Dense(CLASSES)(layers.GlobalAveragePooling1D()(layers.Embedding(4, 3)(inputs))))


def batch_of(model: Any, seed: int = 0) -> tuple[Any, Any, Any]:
    rng = np.random.default_rng(seed)
    shape = (N, *model.input_shape[1:])
    x = rng.integers(0, 4, shape) if len(shape) == 2 and shape[1] == 7 else rng.normal(size=shape).astype(np.float32)
    return tf.constant(x), tf.constant(rng.integers(0, CLASSES, N)), tf.constant(rng.uniform(0.5, 2, N).astype(np.float32))


def one_by_one(model: Any, loss: Any, x: Any, y: Any, weights: Any) -> list[list[np.ndarray]]:
    found = []
    for row in range(len(x)):
        with tf.GradientTape() as tape:
            value = loss(y[row : row + 1], model(x[row : row + 1], training=True))[0] * weights[row]
        found.append([tf.convert_to_tensor(each).numpy() for each in tape.gradient(value, model.trainable_variables)])
    return found


def told(norms: list[np.ndarray], factors: np.ndarray) -> Callable[[np.ndarray], np.ndarray]:
    """A bound that writes down what it is told."""

    def bound(found: np.ndarray) -> np.ndarray:
        norms.append(found)
        return factors

    return bound


LOSS = row_loss(keras.losses.SparseCategoricalCrossentropy(from_logits=True))


@pytest.mark.parametrize("make", [cnn, dilated, normalised, without_formula, called_twice, positions, nested, part_frozen, words])
def test_norms_and_sums_are_those_of_a_loop_over_rows(make: Callable[[], Any]) -> None:
    keras.utils.set_random_seed(1)
    model = make()
    x, y, weights = batch_of(model)
    factors = np.linspace(0, 1, N)
    rows = one_by_one(model, LOSS, x, y, weights)
    asked: list[np.ndarray] = []
    sums = RowSums(model, LOSS, bound=told(asked, factors)).once(x, y, weights)
    assert not_kept_apart(model) == []
    np.testing.assert_allclose(asked[0], [np.sqrt(sum((part**2).sum() for part in row)) for row in rows], rtol=1e-5, atol=1e-6)
    for place, total in enumerate(sums.gradients):
        wanted = sum(factor * row[place] for factor, row in zip(factors, rows, strict=True))
        np.testing.assert_allclose(total, wanted, rtol=1e-4, atol=1e-6)


def test_of_batch_normalisation_the_parts_of_the_rows_add_up() -> None:
    keras.utils.set_random_seed(1)
    model = keras.Sequential(
        [
            keras.Input((9, 9, 2)),
            layers.Conv2D(3, 3),
            layers.BatchNormalization(),
            layers.ReLU(),
            layers.Flatten(),
            layers.Dense(CLASSES),
        ]
    )
    x, y, weights = batch_of(model)
    with tf.GradientTape() as tape:
        total = tf.reduce_sum(LOSS(y, model(x, training=True)) * weights)
    wanted = tape.gradient(total, model.trainable_variables)
    sums = RowSums(model, LOSS, bound=lambda norms: np.ones(N)).once(x, y, weights)
    for got, whole in zip(sums.gradients, wanted, strict=True):
        np.testing.assert_allclose(got, whole, rtol=1e-4, atol=1e-5)


def test_a_row_that_is_not_finite_counts_nothing_and_a_huge_one_no_more_than_the_bound() -> None:
    keras.utils.set_random_seed(1)
    model = cnn()
    x, y, weights = batch_of(model)
    others = np.flatnonzero(np.arange(N) != 2)
    ask = RowSums(model, LOSS, bound=lambda norms: np.minimum(1, 1 / norms))
    clean = flat(ask.once(tf.gather(x, others), tf.gather(y, others), tf.gather(weights, others)))
    for value, most in ((1e3, 1.001), (1e30, 1.001), (np.inf, 1e-4), (-np.inf, 1e-4), (np.nan, 1e-4)):
        spoilt = x.numpy()
        spoilt[2] = value
        assert np.linalg.norm(flat(ask.once(tf.constant(spoilt), y, weights)) - clean) < most


def flat(sums: Any) -> np.ndarray:
    return np.concatenate([np.ravel(each) for each in sums.gradients])


def test_weights_from_a_hook_multiply_gradients_and_the_norms_that_are_bounded() -> None:
    keras.utils.set_random_seed(1)
    model = cnn()
    x, y, weights = batch_of(model)
    norms: list[np.ndarray] = []
    plain = RowSums(model, LOSS, bound=told(norms, np.ones(N))).once(x, y, weights)
    doubled = RowSums(model, LOSS, weigh=lambda *_: np.full(N, -2.0), bound=told(norms, np.ones(N))).once(x, y, weights)
    np.testing.assert_allclose(norms[1], 2 * norms[0], rtol=1e-6)
    for got, wanted in zip(doubled.gradients, plain.gradients, strict=True):
        np.testing.assert_allclose(got, -2 * wanted, rtol=1e-5, atol=1e-6)


def test_what_a_hook_raises_leaves_a_compiled_step_as_it_is() -> None:
    def refuses(norms: np.ndarray) -> np.ndarray:
        raise BadInput("no bound today.")

    model = cnn()
    with pytest.raises(BadInput, match="no bound today"):
        RowSums(model, LOSS, bound=refuses)(*batch_of(model))


def test_layers_that_cannot_be_taken_apart_are_named() -> None:
    class Own(keras.Model):  # type: ignore[misc]
        def __init__(self) -> None:
            super().__init__()
            self.scale = self.add_weight(shape=(), initializer="ones")
            self.dense = layers.Dense(CLASSES)

        def call(self, inputs: Any) -> Any:
            return self.dense(inputs) * self.scale

    model = Own()
    model(np.zeros((1, 3), np.float32))
    assert "trained variables that belong to none of its layers" in not_kept_apart(model)[0]
    recurrent = keras.Sequential([keras.Input((4, 3)), layers.LSTM(3, dropout=0.5), layers.Dense(CLASSES)])
    assert "LSTM" in not_kept_apart(recurrent)[0]
    assert len(units(recurrent)) == 2


@pytest.mark.parametrize(
    "loss",
    [
        "sparse_categorical_crossentropy",
        keras.losses.sparse_categorical_crossentropy,
        keras.losses.SparseCategoricalCrossentropy(),
    ],
)
def test_a_loss_is_taken_however_compile_is_given_it(loss: Any) -> None:
    outputs = tf.nn.softmax(tf.random.stateless_normal((N, CLASSES), (1, 2)))
    targets = tf.constant([0, 1, 2, 3, 4, 0])
    wanted = [-np.log(outputs[row, targets[row]]) for row in range(N)]
    np.testing.assert_allclose(row_loss(loss)(targets, outputs), wanted, rtol=1e-5)
    np.testing.assert_allclose(row_loss(loss)(targets[:, None], outputs), wanted, rtol=1e-5)


def test_a_number_per_row_may_be_compared_with_a_column_of_one() -> None:
    values = row_loss("mse")(tf.constant([1.0, 2.0]), tf.constant([[1.5], [4.0]]))
    np.testing.assert_allclose(values, [0.25, 4.0])


@pytest.mark.parametrize("loss", [None, {"a": "mse"}, ["mse", "mse"], keras.losses.MeanSquaredError(reduction="sum")])
def test_a_loss_without_a_value_per_row_is_refused(loss: Any) -> None:
    with pytest.raises(BadInput, match="loss"):
        row_loss(loss)
