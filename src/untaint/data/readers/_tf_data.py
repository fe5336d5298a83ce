"""What a `tf.data.Dataset` holds, as arrays; TensorFlow is not imported, for the object brings all that is needed along."""

from typing import Any

import numpy as np

from untaint.errors import BadInput

_INFINITE = -1  # what `cardinality` says of a set that repeats for ever


def collected(data: Any) -> tuple[Any, np.ndarray]:
    """Samples and labels of a finite set of pairs (x, y), batched or not: x images (n, h, w, c), rows (n, d) or a list of texts.

    Raises BadInput for a set without end or without pairs, and for samples of different shapes.
    """
    batched = _batched(data)
    xs, ys = [], []
    for pair in data.as_numpy_iterator():
        xs.append(pair[0])
        ys.append(pair[1])
    if not ys:
        raise BadInput("the tf.data.Dataset gives no samples.")
    try:
        samples, labels = (np.concatenate(xs), np.concatenate(ys)) if batched else (np.stack(xs), np.stack(ys))
    except ValueError as error:
        message = f"the samples of the tf.data.Dataset differ in shape: {error}."
        raise BadInput(message, advice="Bring them to one in the pipeline: map(tf.image.resize …).") from error
    if labels.dtype.kind in "OS":
        labels = np.array([_text(label) for label in labels.ravel()], object).reshape(labels.shape)
    return ([_text(sample) for sample in samples.ravel()] if samples.dtype.kind in "OS" else samples), labels


def _batched(data: Any) -> bool:
    """Whether an element is a batch: both parts have a first axis of one length, or of one that is not known."""
    if not hasattr(data, "element_spec") or not hasattr(data, "cardinality"):
        raise BadInput(
            f"expected a tf.data.Dataset, got {type(data).__name__}.", advice="Give a tf.data.Dataset of pairs (x, y)."
        )
    if int(data.cardinality()) == _INFINITE:
        raise BadInput("the tf.data.Dataset has no end.", advice="Leave out repeat(), or end it with take(…).")
    spec = data.element_spec
    if not isinstance(spec, tuple) or len(spec) not in {2, 3} or not all(hasattr(part, "shape") for part in spec[:2]):
        raise BadInput(
            "expected elements of the tf.data.Dataset to be pairs (x, y) of tensors.",
            advice='Map it: data.map(lambda each: (each["image"], each["label"])).',
        )
    x, y = (part.shape for part in spec[:2])
    return bool(x.rank) and bool(y.rank) and x[0] == y[0]


def _text(value: Any) -> str:
    return value.decode("utf-8", "backslashreplace") if isinstance(value, bytes) else str(value)
