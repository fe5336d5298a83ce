"""What a network says that never saw a doubtful label: trained only on rows their neighbourhood supports."""

from dataclasses import dataclass
from typing import final

import numpy as np

from untaint.errors import FeatureUnavailable
from untaint.features.graph import feature
from untaint.features.settings import Settings
from untaint.features.votes import Votes
from untaint.types import Labels, Pixels, Probabilities

_LEAST = 0.2
"""Share of the set that must be supported; photographs keep a third, and a network of less is no judge."""


@feature(stored=True)
def purified_probabilities(pixels: Pixels, labels: Labels, votes: Votes, settings: Settings) -> Probabilities:
    """Class probabilities (n, k) from a network trained on supported rows only; NaN where a row is not usable."""
    try:
        from untaint.nets import training
    except ImportError as error:
        raise FeatureUnavailable("needs a network: pip install 'untaint[torch]'") from error
    rows = np.flatnonzero(labels >= 0)
    supported = np.flatnonzero(votes.kept(labels))
    if len(supported) < _LEAST * len(rows) or len(np.unique(labels[supported])) < 2:
        raise FeatureUnavailable(f"only {len(supported):,} of {len(rows):,} labels are supported by what images show")
    found = np.full((len(labels), int(labels.max()) + 1), np.nan, np.float32)
    found[rows] = training.judge(pixels, labels, supported, rows, settings.seed, settings.report_progress)
    return found


@final
@dataclass(frozen=True)
class Beliefs:
    """seen: (n, k) probabilities by networks that saw samples of the same kind, doubtful ones too, but not the sample itself.

    purified: (n, k) by one that saw supported labels only.  supported: (n,) bool, which those are.
    """

    seen: np.ndarray
    purified: np.ndarray
    supported: np.ndarray


@feature()
def beliefs(
    held_out_probabilities: Probabilities, purified_probabilities: Probabilities, votes: Votes, labels: Labels
) -> Beliefs:
    """Two opinions on every row: what is believed only for the company a sample keeps lies between them."""
    return Beliefs(held_out_probabilities, purified_probabilities, votes.kept(labels))
