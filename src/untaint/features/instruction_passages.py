"""An instruction with its answer as one text, as a model in training reads it."""

import numpy as np

from untaint.features.graph import feature
from untaint.features.instruction_words import Spoken
from untaint.features.passages import Passages


@feature(modality="instruction")
def passages(spoken: Spoken) -> Passages:
    """Every distinct prompt followed by its answer."""
    ids = [np.concatenate(pair) for pair in zip(spoken.prompts, spoken.answers, strict=True)]
    order = np.argsort(spoken.same, kind="stable")
    rows = np.split(order, np.searchsorted(spoken.same[order], np.arange(len(ids))))[1:]
    held = np.flatnonzero(spoken.same >= 0)
    return Passages(ids, rows, held, spoken.vocabulary, len(spoken.same))
