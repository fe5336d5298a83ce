"""Keras on TensorFlow, or the reason why not; every file of the Keras loop takes both from here."""

from untaint.errors import BadInput, MissingExtra

try:
    import keras
    import tensorflow as tf
except ImportError as error:
    raise MissingExtra("hardened training of Keras models", "tensorflow") from error

if keras.backend.backend() != "tensorflow":
    raise BadInput(
        f"untaint's Keras loop needs KERAS_BACKEND=tensorflow, and Keras runs on {keras.backend.backend()} here: "
        "it keeps rows' gradients apart with TensorFlow's tape.",
        advice="Set the environment variable KERAS_BACKEND=tensorflow before Keras is imported; "
        "on PyTorch, untaint.harden takes torch modules.",
    )

__all__ = ["keras", "tf"]
