"""Instructions have no labels that content could be held against."""

import numpy as np

from untaint.data.dataset import Dataset
from untaint.features.graph import feature
from untaint.features.hidden import Believed


@feature(modality="instruction")
def believed(dataset: Dataset) -> Believed:
    """No label and no judgement, for every row."""
    return Believed(np.full(len(dataset), -1, np.int64), np.zeros((len(dataset), 0)), 0.0)
