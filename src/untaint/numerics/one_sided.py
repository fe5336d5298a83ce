"""Classes whose label is given to what looks like nearly every other class, and hardly the other way round."""

import numpy as np
from jaxtyping import Bool

from untaint.types import Labels

_ERRORS = 2.0
"""Standard errors of the difference of two counts by which one must exceed the other: chance does that in one pair of forty, and in three
quarters of a class's pairs never."""
_SHARE = 0.75
"""Of the other classes whose pictures must carry the label: classes that look alike are few (of Fashion-MNIST, shirts are taken for six of
nine), those that one trigger is put on are all, but for one or two whose pictures nothing is ever taken for."""
_CLASSES = 5  # with fewer, a single pair would decide


def one_sided(labels: Labels, seen_as: Labels, classes: int) -> Bool[np.ndarray, "k"]:
    """(k,) whether a class is the target of wrong labels; of rows whose label was contradicted.

    labels: (n,) what they are called.  seen_as: (n,) what they look like. Honest doubt about two classes goes both ways.
    Finds one target, or a few; not labels turned at random or in a ring, nor those of one class that became another.
    """
    if classes < _CLASSES:
        return np.zeros(classes, bool)
    counts = np.zeros((classes, classes))
    np.add.at(counts, (labels, seen_as), 1)
    excess = counts - counts.T > _ERRORS * np.sqrt(counts + counts.T + 1)
    return np.asarray(excess.sum(axis=1) >= _SHARE * (classes - 1))
