"""What networks say of samples they have not seen: two house networks, each trained on half of the set, judge the other half."""

import numpy as np

from untaint.errors import FeatureUnavailable
from untaint.features.duplicates import NearCopies
from untaint.features.graph import feature
from untaint.features.settings import Settings
from untaint.types import Labels, Pixels, Probabilities

_HALVES = 2


@feature(stored=True)
def held_out_probabilities(pixels: Pixels, labels: Labels, near_copies: NearCopies, settings: Settings) -> Probabilities:
    """Class probabilities (n, k) from a network that saw neither the row nor its copies; NaN where a row is not usable."""
    try:
        from untaint.nets import training
    except ImportError as error:
        raise FeatureUnavailable("needs a network: pip install 'untaint[torch]'") from error
    rows = np.flatnonzero(labels >= 0)
    halves = near_copies.folds(_HALVES, settings.seed)
    found = np.full((len(labels), int(labels.max()) + 1), np.nan, np.float32)
    for half in range(_HALVES):
        learned, judged = rows[halves[rows] != half], rows[halves[rows] == half]
        if len(learned) == 0 or len(judged) == 0:
            raise FeatureUnavailable("needs images that are not all copies of each other")
        found[judged] = training.judge(pixels, labels, learned, judged, settings.seed, settings.report_progress)
    return found
