"""Near-copies of what is accused belong to it: a whole cluster is set aside."""

import numpy as np

from untaint.features.duplicates import NearCopies
from untaint.types import Labels, Rows


def with_copies(members: Rows, near_copies: NearCopies, labels: Labels) -> Rows:
    """The members and every near-copy of one with the same label."""
    component = near_copies.component
    families = np.unique(component[members][component[members] >= 0])
    same = np.isin(component, families) & (component >= 0) & np.isin(labels, np.unique(labels[members]))
    return np.union1d(members, np.flatnonzero(same))
