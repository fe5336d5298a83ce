"""How models are trained so that what slips through does little harm."""

from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING, Any

from typing_extensions import Unpack

from untaint.errors import MissingExtra
from untaint.training.compose import Wanted

if TYPE_CHECKING:
    from untaint.training.engines.harden import Model, Optim, Options
    from untaint.training.engines.keras_model import HardenedModel
    from untaint.training.engines.loader import HardenedLoader


def harden(
    model: "Model", optimizer: "Optim", loader: Iterable[Any], recipe: Wanted = "standard", **options: "Unpack[Options]"
) -> "tuple[Model, Optim, HardenedLoader]":
    """Put defences around a training loop of PyTorch that stays as it is; the same model and optimizer, and a loader to iterate.

    recipe: a name (`untaint list recipes`), defences such as `guard + clip(norm=1.0)`, or Defence objects.
    options: seed (0), classes, epochs, quarantine (folder for what is dropped), mean (True: the loss is the mean of its rows),
    row_loss ((outputs, targets) -> (n,) losses, where the loss is not cross-entropy or squared error).
    `loader.session.record()` says what happened, `loader.session.release()` takes the hooks off again.
    Raises BadInput for a recipe that is unknown or unsound on this model, MissingExtra without PyTorch.

    Example:
        model, optimizer, loader = untaint.harden(model, optimizer, loader, recipe="standard")
        for images, labels in loader:
            optimizer.zero_grad()
            criterion(model(images), labels).backward()
            optimizer.step()
    """
    try:
        from untaint.training.engines.harden import harden as wrap
    except ModuleNotFoundError as error:
        if error.name != "torch":
            raise
        raise MissingExtra("Hardening a PyTorch loop", "torch") from error
    return wrap(model, optimizer, loader, recipe, **options)


def harden_keras(
    model: Any,
    recipe: Wanted = "standard",
    *,
    seed: int = 0,
    quarantine: Path | str | None = None,
    resume: Path | str | None = None,
) -> "HardenedModel":
    """A Keras model with the layers and weights of yours, on TensorFlow, that trains so that what slips through does little harm.

    model: any built `keras.Model` with one output; it is the one that learns, and the one to save.
    recipe: as of `harden`.  quarantine: folder for what is dropped and why.
    resume: the path to which `hardened.save` wrote before a run stopped.
    `compile` and `fit` are Keras' own. `fit` takes arrays or a tf.data.Dataset of batches (x, y); only with arrays are the numbers of
    dropped rows known, and only with arrays can batches be drawn as differential privacy needs them.
    `hardened.record()` says what happened.
    Raises BadInput for a recipe that Keras cannot run, for models with several outputs or float16 arithmetic, and for losses that are
    not a mean over rows; MissingExtra without TensorFlow.

    Example:
        hardened = untaint.harden_keras(model, "standard")
        hardened.compile("adam", keras.losses.SparseCategoricalCrossentropy(from_logits=True), metrics=["accuracy"])
        hardened.fit(x, y, epochs=5)
        model.save("model.keras")
    """
    from untaint.training.engines.keras_model import harden_keras as wrap

    return wrap(model, recipe, seed=seed, quarantine=quarantine, resume=resume)
