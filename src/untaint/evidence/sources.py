"""Who sent it: is a finding's share of one source more than chance?"""

import numpy as np
from scipy.stats import hypergeom

from untaint.evidence.finding import SourceShare
from untaint.types import Rows


def shares(codes: np.ndarray, names: tuple[str, ...], members: Rows, most: int = 50) -> tuple[SourceShare, ...]:
    """Every source with members, most suspicious first, at most `most`.

    p_value: hypergeometric, one-sided, for so many members among the source's rows; Bonferroni over all sources known.
    """
    if not names or len(members) == 0:
        return ()
    known = codes >= 0
    size = np.bincount(codes[known], minlength=len(names))
    flagged = np.bincount(codes[members][codes[members] >= 0], minlength=len(names))
    present = np.flatnonzero(flagged)
    chance = np.atleast_1d(hypergeom.sf(flagged[present] - 1, int(known.sum()), int(flagged.sum()), size[present]))
    found = [
        SourceShare(names[code], int(size[code]), int(flagged[code]), float(min(1.0, p * len(names))))
        for code, p in zip(present, chance, strict=True)
    ]
    return tuple(sorted(found, key=lambda share: (share.p_value, -share.n_flagged, share.name))[:most])
