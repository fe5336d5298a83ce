"""Pairs of things that are alike: do too many of them bear two different labels?"""

import numpy as np
from scipy.special import gammaln, logsumexp


def chance(same: int, mixed: int, neither: int) -> float:
    """Chance of so many mixed pairs or more, where the labels of a pair are as exchangeable as those of honest copies.

    same, mixed, neither: pairs of which both, one, none have the label. If each member has it with the pair's own probability p, E p(1-p)
    is at most the root of E p² E (1-p)²: mixed pairs are most where all pairs have one p. That worst case is the Hardy-Weinberg law,
    whose exact test of too many heterozygotes this is (Haldane 1954), given how often the label is there.
    """
    pairs, with_label = same + mixed + neither, 2 * same + mixed
    counts = np.arange(with_label % 2, min(with_label, 2 * pairs - with_label) + 1, 2)
    both, none = (with_label - counts) // 2, (2 * pairs - with_label - counts) // 2
    logs = counts * np.log(2) - gammaln(both + 1) - gammaln(counts + 1) - gammaln(none + 1)
    return float(min(1.0, np.exp(logsumexp(logs[counts >= mixed]) - logsumexp(logs))))
