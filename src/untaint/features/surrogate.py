"""A network that stands for what a user may train on a table."""

from untaint.features.graph import feature
from untaint.features.settings import Settings
from untaint.numerics.perceptron import Perceptron


@feature(modality="table")
def surrogate_network(settings: Settings) -> Perceptron:
    """How a small network is trained, for detectors that measure what rows do to one."""
    return Perceptron(seed=settings.seed)
