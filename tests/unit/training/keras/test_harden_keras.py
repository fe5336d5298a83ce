"""Hardened Keras models learn scikit-learn's digits."""

import json
import runpy
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar, final

import numpy as np
import pytest
from sklearn.datasets import load_digits
from typing_extensions import override

from untaint.errors import BadInput
from untaint.training.base import Advice, Batch, Defence, Hooks, Run, Slope, Stage, Trait, Update

tf = pytest.importorskip("tensorflow")
import keras  # noqa: E402

import untaint  # noqa: E402
from untaint.training.engines import keras_backend  # noqa: E402

layers = keras.layers
X, Y = load_digits(return_X_y=True)
X = (X / 16).astype(np.float32).reshape(-1, 8, 8, 1)
TRAIN, TEST = slice(0, 1200), slice(1200, None)


@final
@dataclass(frozen=True)
class Fake(Defence):
    """Hooks as the test has them."""

    id: ClassVar[str] = "fake"
    stage: ClassVar[Stage] = Stage.SCREEN  # beside which no guard is added
    hooks: Any = None

    @override
    def start(self, run: Run) -> Hooks:
        found = self.hooks(run) if callable(self.hooks) else self.hooks
        assert isinstance(found, Hooks)
        return found


def net(*, batch_norm: bool = False, regulariser: Any = None) -> Any:
    keras.utils.set_random_seed(0)
    middle = [layers.BatchNormalization(momentum=0.9)] if batch_norm else []
    first = layers.Conv2D(8, 3, kernel_regularizer=regulariser)
    return keras.Sequential([keras.Input((8, 8, 1)), first, *middle, layers.ReLU(), layers.Flatten(), layers.Dense(10)])


def hardened(model: Any, recipe: Any, rate: float = 0.2, **options: Any) -> Any:
    found = untaint.harden_keras(model, recipe, **options)
    loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    found.compile(keras.optimizers.SGD(rate, momentum=0.9), loss, metrics=["accuracy"])
    return found


def spoilt(*values: float) -> np.ndarray:
    """Training images of which some, from the sixth on, hold one value each."""
    x = X[TRAIN].copy()
    for row, value in enumerate(values, 5):
        x[row] = value
    return x


def accuracy(model: Any) -> float:
    return float((model.predict(X[TEST], verbose=0).argmax(1) == Y[TEST]).mean())


def plain_step(model: Any, x: Any, y: Any, rate: float) -> list[np.ndarray]:
    """Weights after one step of gradient descent, by Keras alone."""
    copy = keras.models.clone_model(model)
    copy.set_weights(model.get_weights())
    copy.compile(keras.optimizers.SGD(rate), keras.losses.SparseCategoricalCrossentropy(from_logits=True), run_eagerly=True)
    copy.train_on_batch(x, y)
    return [np.asarray(value) for value in copy.get_weights()]


def test_without_a_defence_a_step_is_keras_own() -> None:
    model = net(batch_norm=True, regulariser="l2")
    wanted = plain_step(model, X[:40], Y[:40], 0.1)
    found = untaint.harden_keras(model, "plain")
    found.compile(keras.optimizers.SGD(0.1), keras.losses.SparseCategoricalCrossentropy(from_logits=True), metrics=["accuracy"])
    found.train_on_batch(X[:40], Y[:40])
    for got, value in zip(model.get_weights(), wanted, strict=True):
        np.testing.assert_allclose(got, value, rtol=1e-4, atol=1e-6)


def test_a_bound_that_bounds_nothing_changes_nothing() -> None:
    model = net(regulariser="l2")
    wanted = plain_step(model, X[:40], Y[:40], 0.1)
    found = untaint.harden_keras(model, Fake(Hooks(bound=lambda norms: np.ones(len(norms)))))
    found.compile(
        keras.optimizers.SGD(0.1),
        keras.losses.SparseCategoricalCrossentropy(from_logits=True),
    )
    found.train_on_batch(X[:40], Y[:40])
    for got, value in zip(model.get_weights(), wanted, strict=True):
        np.testing.assert_allclose(got, value, rtol=1e-4, atol=1e-6)


def test_rows_that_wreck_a_plain_model_do_not_wreck_a_hardened_one(tmp_path: Path) -> None:
    model = net(batch_norm=True)
    found = hardened(model, "guard", quarantine=tmp_path)
    history = found.fit(spoilt(1e3, 1e30, np.inf, np.nan), Y[TRAIN], batch_size=60, epochs=2, verbose=0).history
    assert accuracy(model) > 0.8
    assert np.isfinite(history["loss"]).all()
    record = found.record()
    assert (record["rows_dropped"], record["steps"], record["rows_trained"]) == (4, 40, 2 * 1196)
    lines = [json.loads(line) for line in (tmp_path / "dropped.jsonl").read_text().splitlines()]
    assert sorted((line["row"], line["by"]) for line in lines) == [(row, "guard(low=None, high=None)") for row in range(5, 9)]


def test_a_plain_model_is_wrecked_indeed() -> None:
    model = net(batch_norm=True)
    hardened(model, "plain").fit(spoilt(np.nan), Y[TRAIN], batch_size=60, epochs=1, verbose=0)
    assert accuracy(model) < 0.2


def test_clipping_alone_withstands_rows_that_nothing_screens() -> None:
    model = net()
    hardened(model, "clip").fit(spoilt(1e30, np.nan), Y[TRAIN], batch_size=60, epochs=2, shuffle=False, verbose=0)
    assert accuracy(model) > 0.8


@pytest.mark.parametrize(("recipe", "least"), [("dp(epsilon=3.0)", 0.8), ("aggregate", 0.8), ("trim(after=1)", 0.6)])
def test_other_defences_learn_beside_a_row_that_is_no_number(recipe: str, least: float) -> None:
    model = net()
    found = hardened(model, recipe)
    found.fit(spoilt(np.nan), Y[TRAIN], batch_size=60, epochs=3, verbose=0)
    assert all(np.isfinite(value).all() for value in model.get_weights())
    assert accuracy(model) > least
    if recipe.startswith("dp"):
        facts = next(iter(found.record()["facts"].values()))
        assert 2.9 < facts["epsilon"] <= 3.0


def test_it_learns_from_a_pipeline_whose_rows_have_no_numbers(tmp_path: Path) -> None:
    model = net()
    data = tf.data.Dataset.from_tensor_slices((spoilt(np.nan), Y[TRAIN])).batch(60)
    found = hardened(model, "guard + clip", quarantine=tmp_path)
    found.fit(data, epochs=2, verbose=0)
    assert accuracy(model) > 0.8
    assert json.loads((tmp_path / "dropped.jsonl").read_text())["row"] is None
    assert len(list((tmp_path / "rows").iterdir())) == 1


def test_fit_takes_what_the_fit_of_keras_takes() -> None:
    found = hardened(net(), "guard")
    history = found.fit(
        X[TRAIN], Y[TRAIN], 100, 1, 0, validation_split=0.25, class_weight={0: 2.0}, sample_weight=np.ones(1200), shuffle=False
    ).history
    assert {"accuracy", "loss", "val_accuracy", "val_loss"} <= history.keys()
    assert found.record()["rows_trained"] == 900
    assert found.record()["epochs"] == 1


def test_every_row_is_seen_once_per_epoch_in_an_order_of_the_seed() -> None:
    def watched(seed: int) -> list[int]:
        seen: list[int] = []

        def screen(batch: Batch) -> Mapping[int, str]:
            seen.extend(batch.rows.tolist())
            return dict.fromkeys(range(len(batch)), "not today")

        hardened(net(), Fake(Hooks(screen=screen)), seed=seed).fit(X[:50], Y[:50], batch_size=20, epochs=2, verbose=0)
        return seen

    def in_two_calls() -> list[int]:
        seen: list[int] = []

        def screen(batch: Batch) -> Mapping[int, str]:
            seen.extend(batch.rows.tolist())
            return dict.fromkeys(range(len(batch)), f"not in epoch {batch.epoch}")

        found = hardened(net(), Fake(Hooks(screen=screen)), seed=1)
        for _ in range(2):
            found.fit(X[:50], Y[:50], batch_size=20, verbose=0)
        assert found.record()["epochs"] == 2
        return seen

    first = watched(1)
    assert sorted(first[:50]) == sorted(first[50:]) == list(range(50))
    assert first[:50] != first[50:]
    assert watched(1) == in_two_calls() == first
    assert watched(2) != first


def test_a_batch_of_which_nothing_is_left_is_no_step() -> None:
    model = net(batch_norm=True)
    before = model.get_weights()
    found = hardened(model, Fake(Hooks(screen=lambda batch: dict.fromkeys(range(len(batch)), "bad"))))
    found.fit(X[:40], Y[:40], verbose=0)
    assert all((got == value).all() for got, value in zip(model.get_weights(), before, strict=True))
    assert found.record()["steps"] == 0


def step_once(hooks: Any, x: Any = None, **options: Any) -> tuple[Any, Any]:
    """A model after one step on 40 rows, and the plain model that Keras would have made of it with the same rate."""
    model = net(**options)
    found = untaint.harden_keras(model, Fake(hooks))
    found.compile(keras.optimizers.SGD(0.1), keras.losses.SparseCategoricalCrossentropy(from_logits=True))
    found.fit(X[:40] if x is None else x, Y[:40], batch_size=40, shuffle=False, verbose=0)
    return model, found


def test_weights_of_rows_multiply_their_gradients() -> None:
    wanted = plain_step(net(), X[:10], Y[:10], 0.1 * 10 / 40)
    model, _ = step_once(Hooks(weigh=lambda seen: (seen.rows < 10).astype(float)))
    for got, value in zip(model.get_weights(), wanted, strict=True):
        np.testing.assert_allclose(got, value, rtol=1e-4, atol=1e-6)


def test_a_row_that_counts_nothing_may_hold_anything() -> None:
    x = X[:40].copy()
    x[3] = np.nan
    for bound in (None, lambda norms: np.ones(len(norms))):
        model, _ = step_once(Hooks(bound=bound, weigh=lambda seen: (seen.rows != 3).astype(float)), x)
        assert all(np.isfinite(value).all() for value in model.get_weights())


def test_micro_batches_are_combined_and_the_sum_settled() -> None:
    given: dict[str, Any] = {}

    def combine(gradients: np.ndarray) -> np.ndarray:
        given["shape"] = gradients.shape
        return np.zeros(gradients.shape[1])

    def settle(total: np.ndarray, rows: int) -> np.ndarray:
        given["rows"], given["total"] = rows, total
        return np.full(len(total), 0.5)

    model, _ = step_once(Hooks(micro=4, combine=combine, settle=settle))
    size = sum(value.size for value in model.get_weights())
    assert given["shape"] == (4, size)
    assert given["rows"] == 40
    assert not given["total"].any()
    for got, value in zip(model.get_weights(), net().get_weights(), strict=True):
        np.testing.assert_allclose(got, value - 0.05, rtol=1e-5, atol=1e-6)


def test_the_mean_of_equal_micro_batches_is_the_gradient_of_the_batch() -> None:
    wanted = plain_step(net(), X[:40], Y[:40], 0.1)
    model, _ = step_once(Hooks(micro=4, combine=lambda gradients: gradients.mean(0)))
    for got, value in zip(model.get_weights(), wanted, strict=True):
        np.testing.assert_allclose(got, value, rtol=1e-4, atol=1e-6)


def test_inputs_are_altered_along_the_slope_and_targets_may_become_shares() -> None:
    given: dict[str, Any] = {}

    def alter(batch: Batch, slope: Slope) -> Batch:
        assert batch.targets is not None
        given["slope"] = slope(batch.inputs[0], batch.targets)
        shares = np.eye(10)[batch.targets] * 0.9 + 0.01
        return Batch((batch.inputs[0] + 1,), shares, batch.rows, batch.epoch, batch.step)

    def bound(norms: np.ndarray) -> np.ndarray:
        return np.ones(len(norms))

    model = net()
    with tf.GradientTape() as tape:
        x = tf.Variable(X[:40])
        total = tf.reduce_sum(keras.losses.sparse_categorical_crossentropy(Y[:40], model(x), from_logits=True))
    wanted = tape.gradient(total, x)
    step_once(Hooks(alter=alter, bound=bound))
    np.testing.assert_allclose(given["slope"], wanted, rtol=1e-4, atol=1e-6)


def test_an_update_that_is_not_admitted_leaves_running_statistics_too() -> None:
    seen: list[Update] = []

    def admit(update: Update) -> str | None:
        seen.append(update)
        return "not finite"

    x = X[:40].copy()
    x[0] = np.inf
    model, found = step_once(Hooks(admit=admit), x, batch_norm=True)
    for got, value in zip(model.get_weights(), net(batch_norm=True).get_weights(), strict=True):
        np.testing.assert_array_equal(got, value)
    assert not seen[0].finite
    assert found.record()["updates_refused"] == [{"epoch": 0, "step": 0, "reason": "not finite"}]


@pytest.mark.parametrize("recipe", ["trim", "clip"])
def test_a_guard_is_added_before_batch_normalisation(recipe: str) -> None:
    x = X[:80].copy()
    x[7] = np.nan
    model = net(batch_norm=True)
    found = untaint.harden_keras(model, recipe)
    found.compile("sgd", keras.losses.SparseCategoricalCrossentropy(from_logits=True))
    found.fit(x, Y[:80], batch_size=40, verbose=0)
    assert str(found.record()["defences"]).startswith("['guard")
    assert found.record()["rows_dropped"] == 1
    assert all(np.isfinite(value).all() for value in model.get_weights())


def test_going_back_restores_weights_statistics_and_optimizer() -> None:
    kept: dict[str, Any] = {}

    def hooks(_run: Run) -> Hooks:
        def watch(update: Update) -> Advice:
            if update.step == 1:
                kept["then"] = [value.numpy() for value in (*model.variables, *found.optimizer.variables)]
                return "good"
            return "back" if update.step == 3 else "keep"

        return Hooks(watch=watch)

    model = net(batch_norm=True)
    found = hardened(model, Fake(hooks))
    found.fit(X[:160], Y[:160], batch_size=40, verbose=0)
    assert found.record()["rolled_back"] == 1
    for got, value in zip((*model.variables, *found.optimizer.variables), kept["then"], strict=True):
        np.testing.assert_array_equal(got.numpy(), value)


@pytest.mark.filterwarnings(
    "ignore:__array__ implementation:DeprecationWarning"
)  # of TensorFlow's variables, when Keras saves them
def test_a_run_goes_on_where_it_was_saved(tmp_path: Path) -> None:
    def trained(model: Any, optimizer: Any, begun: int, until: int, **options: Any) -> Any:
        found = untaint.harden_keras(model, "guard + clip", **options)
        found.compile(optimizer, keras.losses.SparseCategoricalCrossentropy(from_logits=True))
        found.fit(X[:300], Y[:300], batch_size=50, initial_epoch=begun, epochs=until, verbose=0)
        return found

    whole = trained(net(), keras.optimizers.SGD(0.2, momentum=0.9), 0, 3)
    part = trained(net(), keras.optimizers.SGD(0.2, momentum=0.9), 0, 1)
    part.save(tmp_path / "part.keras")
    again = keras.saving.load_model(tmp_path / "part.keras")
    assert type(again) is keras.Sequential
    rest = trained(again, again.optimizer, 1, 3, resume=tmp_path / "part.keras")
    for got, value in zip(rest.plain.get_weights(), whole.plain.get_weights(), strict=True):
        np.testing.assert_allclose(got, value, rtol=1e-5, atol=1e-6)
    assert rest.record() == whole.record()


def drawing(run: Run) -> Hooks:
    order = run.rng("drawing")
    return Hooks(
        sample=lambda: np.flatnonzero(order.random(run.rows) < 0.1),
        bound=lambda norms: np.ones(len(norms)),
        settle=lambda total, _rows: total / 100,
    )


def test_rows_are_drawn_by_a_hook_and_an_empty_batch_is_a_step(tmp_path: Path) -> None:
    seen: list[int] = []

    def hooks(run: Run) -> Hooks:
        assert (run.rows, run.batch, run.epochs, run.steps, run.classes) == (1200, 100, 2, 24, 10)
        draws = iter([np.arange(3), np.empty(0, np.int64), *[np.arange(100, 250)] * 22])

        def settle(total: np.ndarray, rows: int) -> np.ndarray:
            seen.append(rows)
            return total / 100

        return Hooks(sample=lambda: next(draws), settle=settle)

    found = hardened(net(), Fake(hooks))
    found.fit(X[TRAIN], Y[TRAIN], batch_size=100, epochs=2, verbose=0)
    assert seen == [3, 0, *[150] * 22]
    with pytest.raises(BadInput, match="draws its own batches"):
        found.train_on_batch(X[:4], Y[:4])
    with pytest.raises(BadInput, match="draws from the 1,200 rows it began with, not from 50"):
        found.fit(X[:50], Y[:50], verbose=0)


@final
@dataclass(frozen=True)
class Private(Defence):
    """States an epsilon."""

    id: ClassVar[str] = "private-fake"
    stage: ClassVar[Stage] = Stage.NOISE
    traits: ClassVar[frozenset[Trait]] = frozenset({"private"})
    allows_batch_norm: ClassVar[bool] = False

    @override
    def start(self, run: Run) -> Hooks:
        return drawing(run)


def test_privacy_is_refused_on_a_pipeline_and_on_batch_normalisation() -> None:
    data = tf.data.Dataset.from_tensor_slices((X[:100], Y[:100])).batch(20)
    with pytest.raises(BadInput, match="private-fake cannot take its batches from a data pipeline.*Poisson"):
        hardened(net(), Private()).fit(data)
    with pytest.raises(BadInput, match="private-fake is unsound with batch normalisation"):
        hardened(net(batch_norm=True), Private()).fit(X[:100], Y[:100])


@final
@dataclass(frozen=True)
class Many(Defence):
    """Trains many models."""

    id: ClassVar[str] = "many-fake"
    stage: ClassVar[Stage] = Stage.WATCH
    traits: ClassVar[frozenset[Trait]] = frozenset({"ensemble"})

    @override
    def start(self, run: Run) -> Hooks:
        return Hooks()


@final
@dataclass(frozen=True)
class TorchOnly(Defence):
    """Of one loop only."""

    id: ClassVar[str] = "torch-fake"
    stage: ClassVar[Stage] = Stage.WATCH
    backends: ClassVar[frozenset[str]] = frozenset({"torch"})

    @override
    def start(self, run: Run) -> Hooks:
        return Hooks()


def test_what_cannot_be_done_is_refused_by_name() -> None:
    with pytest.raises(BadInput, match="many-fake does not run under Keras: it trains many models"):
        untaint.harden_keras(net(), Many())
    with pytest.raises(BadInput, match="torch-fake does not run under Keras: it is made for torch"):
        untaint.harden_keras(net(), TorchOnly())
    with pytest.raises(BadInput, match="expected a keras.Model, got ndarray"):
        untaint.harden_keras(np.zeros(3))
    with pytest.raises(BadInput, match="the model has no weights yet"):
        untaint.harden_keras(keras.Sequential([layers.Dense(3)]))
    with pytest.raises(BadInput, match="nothing was trained yet"):
        untaint.harden_keras(net(), "plain").record()
    with pytest.raises(BadInput, match="float16"):
        untaint.harden_keras(net(), "plain").compile(keras.optimizers.LossScaleOptimizer(keras.optimizers.SGD()), "mse")
    inputs = keras.Input((3,))
    with pytest.raises(BadInput, match="one output"):
        untaint.harden_keras(keras.Model(inputs, [layers.Dense(2)(inputs), layers.Dense(2)(inputs)]), "plain").compile(
            "sgd", "mse"
        )
    with tf.distribute.OneDeviceStrategy("cpu:0").scope(), pytest.raises(BadInput, match="a tf.distribute strategy"):
        untaint.harden_keras(net(), "plain").compile("sgd", "mse")


class Own(keras.Model):  # type: ignore[misc]
    """A model that writes its call itself."""

    def __init__(self) -> None:
        super().__init__()
        self.flat, self.last = layers.Flatten(), layers.Dense(10)

    def call(self, inputs: Any) -> Any:
        return self.last(self.flat(inputs))


def test_a_model_that_writes_its_call_itself_is_hardened_too() -> None:
    model = Own()
    model(X[:1])
    found = hardened(model, "guard + clip")
    found.fit(spoilt(np.nan), Y[TRAIN], batch_size=60, verbose=0)
    assert found.record()["notes"] == []
    assert accuracy(model) > 0.7
    with pytest.raises(BadInput, match="goes on with the optimizer and the loss that it began with"):
        found.compile("sgd", "mse")


def test_other_backends_of_keras_are_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(keras.backend, "backend", lambda: "jax")
    with pytest.raises(BadInput, match="untaint's Keras loop needs KERAS_BACKEND=tensorflow, and Keras runs on jax here"):
        runpy.run_path(keras_backend.__file__)


def test_several_inputs_are_screened_together() -> None:
    seen: list[int] = []

    def screen(batch: Batch) -> Mapping[int, str]:
        seen.append(len(batch.inputs))
        return {0: "bad"}

    keras.utils.set_random_seed(0)
    inputs = {"image": keras.Input((8, 8, 1), name="image"), "size": keras.Input((1,), name="size")}
    joined = layers.Concatenate()([layers.Flatten()(inputs["image"]), inputs["size"]])
    found = hardened(
        keras.Model(inputs, layers.Dense(10)(joined)), Fake(Hooks(screen=screen, bound=lambda norms: np.ones(len(norms))))
    )
    found.fit({"image": X[:40], "size": X[:40].sum((1, 2))}, Y[:40], batch_size=20, verbose=0)
    assert seen == [2, 2]
    assert found.record()["rows_trained"] == 38


class Centred(keras.layers.Dense):  # type: ignore[misc]
    """A layer that mixes rows, which nobody can see from outside."""

    def call(self, inputs: Any) -> Any:
        return super().call(inputs - tf.reduce_mean(inputs, 0))


def test_what_does_not_treat_each_row_for_itself_is_refused_at_the_first_step() -> None:
    def trained(model: Any, loss: Any) -> None:
        found = untaint.harden_keras(model, Fake(Hooks(bound=lambda norms: np.ones(len(norms)))))
        found.compile("sgd", loss)
        found.fit(X[:40], Y[:40], verbose=0)

    mixing = keras.Sequential([keras.Input((8, 8, 1)), layers.Flatten(), Centred(10)])
    with pytest.raises(BadInput, match="the mean of the rows' gradients is not the gradient of the batch"):
        trained(mixing, keras.losses.SparseCategoricalCrossentropy(from_logits=True))
    with pytest.raises(BadInput, match="the loss does not give one value per row"):
        trained(net(), lambda _targets, outputs: tf.reduce_sum(outputs**2))


def test_rows_that_cannot_be_kept_apart_are_bounded_in_parts_and_that_is_said() -> None:
    keras.utils.set_random_seed(0)
    model = keras.Sequential([keras.Input((8, 8, 1)), layers.Reshape((8, 8)), layers.LSTM(8, dropout=0.1), layers.Dense(10)])
    asked: list[int] = []

    def bound(norms: np.ndarray) -> np.ndarray:
        asked.append(len(norms))
        return np.ones(len(norms))

    found = hardened(model, Fake(Hooks(bound=bound)))
    found.fit(X[:64], Y[:64], batch_size=64, verbose=0)
    assert asked == [16]
    assert "1/16 of a batch" in found.record()["notes"][0]
    assert "LSTM" in found.record()["notes"][0]


def test_the_callback_alone_takes_back_what_a_bad_step_did() -> None:
    model = net(batch_norm=True)
    model.compile(
        keras.optimizers.SGD(0.1, momentum=0.9),
        keras.losses.SparseCategoricalCrossentropy(from_logits=True),
        metrics=["accuracy"],
    )
    x = X[TRAIN].copy()
    x[1190] = np.nan  # in the last batch
    callback = untaint.GuardCallback()
    model.fit(x, Y[TRAIN], batch_size=20, epochs=2, shuffle=False, verbose=0, callbacks=[callback])
    assert callback.rolled_back == 2
    assert accuracy(model) > 0.8


def test_a_screened_pipeline_keeps_the_row_from_any_train_step(tmp_path: Path) -> None:
    model = net(batch_norm=True)
    model.compile(
        keras.optimizers.SGD(0.1, momentum=0.9),
        keras.losses.SparseCategoricalCrossentropy(from_logits=True),
        metrics=["accuracy"],
    )
    data = tf.data.Dataset.from_tensor_slices((spoilt(np.inf), Y[TRAIN])).batch(60)
    model.fit(untaint.guarded(data, quarantine=tmp_path), epochs=2, shuffle=False, verbose=0)
    assert accuracy(model) > 0.8
    assert "not finite" in (tmp_path / "dropped.jsonl").read_text()
    with pytest.raises(BadInput, match="single samples"):
        untaint.guarded(data.unbatch())
