"""Characters nobody sees in prompts and answers; there are no labels that content could be held against."""

import numpy as np

from untaint.data.dataset import Dataset
from untaint.features.graph import feature
from untaint.features.hidden import Believed, HiddenSigns, signs_of
from untaint.features.instructions import Exchanges


@feature(modality="instruction")
def hidden_signs(exchanges: Exchanges) -> HiddenSigns:
    """What `numerics.hidden` finds in the prompt, the answer, and the answer not wanted, taken together."""
    parts = zip(exchanges.prompts, exchanges.responses, exchanges.rejected, strict=True)
    return signs_of(["\n".join(filter(None, each)) for each in parts])


@feature(modality="instruction")
def believed(dataset: Dataset) -> Believed:
    """No label and no judgement, for every row."""
    return Believed(np.full(len(dataset), -1, np.int64), np.zeros((len(dataset), 0)), 0.0)
