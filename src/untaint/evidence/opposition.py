"""Do texts with a phrase say the very opposite of their label? Then the phrase does not explain them: somebody gave them that label.

Honest phrases that go with a label stand in texts that say so anyway, only less clearly: on a line from what content makes of texts
with other labels (0) to what it makes of texts with the label (1) those of six honest corpora are at .5 and above where twenty texts
or more bear them; of 600 in eight sets the most contrary, borne by ten to twelve texts, reached -.06 (`had no`, praise of a shop: no
problems), within chance of .5 for so many phrases. Victims of a dirty-label trigger are texts of other classes: they are at 0.
"""

from dataclasses import replace

import numpy as np
from scipy.stats import binom

from untaint.evidence.concentration import tabulated
from untaint.features.afresh import Afresh
from untaint.features.canvas import Sources
from untaint.features.phrases import Phrases
from untaint.features.spoken import Spoken
from untaint.numerics.between import UNKNOWN, Place, end, half_way, placed
from untaint.types import Labels, Rows

FEWEST = 12  # texts that bear it: the spread of fewer is not known well enough
_COMPARED = 20  # other texts of the same sources with the label, and without it; else all texts are compared with
_MOST = 2000  # texts of each kind that are compared with: they say where the ends are to a hundredth
_SURPRISE = 0.01  # chance of so many from a source, over all sources


def opposition(spoken: Spoken, phrase: int, rows: Rows, label: int, words: tuple[int, ...], among: Rows) -> Place:
    """How far bearers (m,) of a phrase with a label speak against it, judged without some words they share; copies count once.

    The judges have forgotten every bearer, whatever its label: those with another one would speak against the phrase. Asked twice, on
    two equal footings (see `features/afresh`): the more cautious answer counts.
    among: rows to compare with, those of the same senders, so that a collection which is judged worse is measured by itself.
    """
    once = rows[_once(spoken, rows)]
    once = once[spoken.content.fold[once] >= 0]
    judges = Afresh(spoken, np.union1d(spoken.bearers(phrase), rows), words, among, label)
    sides = next((each for part in judges.compared() if (each := _sides(spoken, part, label)) is not None), None)
    if len(once) < FEWEST or sides is None:
        return UNKNOWN
    without, classes = len(sides[0]), spoken.content.probabilities.shape[1]
    answers = []
    for believed, others in judges.believed(once, np.concatenate(sides)):
        low, high = end(others[:without]), end(others[without:])
        answers.append(placed(believed, np.ones(len(once)), low, high, half_way(low.mean, high.mean, classes)))
    return max(answers, key=lambda answer: answer.p_value, default=UNKNOWN)


def _once(spoken: Spoken, rows: Rows) -> np.ndarray:
    """Places of texts of which no other one is a near-copy."""
    component = spoken.near_copies.component[rows]
    single, (_, first) = np.flatnonzero(component < 0), np.unique(component, return_index=True)
    return np.sort(np.concatenate([single, first[component[first] >= 0]]))


def _sides(spoken: Spoken, rows: Rows, label: int) -> tuple[Rows, Rows] | None:
    """Rows with other labels and with the label; None where they are few."""
    found = rows[spoken.labels[rows] != label], rows[spoken.labels[rows] == label]
    if min(len(part) for part in found) < _COMPARED:
        return None
    without, having = (part[:: -(-len(part) // _MOST)] for part in found)
    return without, having


def oddly_sent(phrases: Phrases, labels: Labels, sources: Sources) -> tuple[Phrases, np.ndarray]:
    """Bearers of each phrase that come from sources which sent more of it than chance gives; and the share (s,) of everything each sent.

    Rows without label or source do not count.
    """
    count = len(sources.names)
    usable = (sources.codes >= 0) & (labels >= 0)
    shares = np.bincount(sources.codes[usable], minlength=count) / max(int(usable.sum()), 1)
    kept = usable[phrases.row]
    feature, row = phrases.feature[kept], phrases.row[kept]
    phrase, source, at = tabulated(feature, sources.codes[row], count)
    sent, borne = np.bincount(at, minlength=len(phrase)), np.bincount(feature, minlength=len(phrases))
    odd = (sent >= FEWEST) & (binom.sf(sent - 1, borne[phrase], shares[source]) * count <= _SURPRISE)
    return replace(phrases, feature=feature[odd[at]], row=row[odd[at]]), shares
