"""What judges that have learned from none of some texts make of them, and of others on an equal footing.

The judges of `text_content` have learned the words of all texts but those of one fold. Where a planted phrase has several words, of which
one is asked about, the others have been learned with the label they were planted for. For the few phrases that matter the judge of words
is learned once more.
"""

import warnings
from collections.abc import Iterator
from dataclasses import dataclass
from typing import final

import numpy as np
from sklearn.linear_model import LogisticRegression

from untaint.features.spoken import Spoken
from untaint.features.text_content import STRENGTH
from untaint.types import Rows

_HELD_OUT = 0  # the fold whose texts are compared with: a third of all, no copy of which is among the others
_LEARNED = 12_000  # texts at most, half of them of the same senders: of 12,000 short ones it takes a tenth of a second
_OWN = 150  # texts of the same senders that can say how far to trust words and meaning there; fewer are joined by all others

_WEIGHED = 4000  # texts that say it: more tell the same


@final
@dataclass(frozen=True)
class Afresh:
    """Judges of one label that have forgotten some rows.

    forgotten: all bearers of what is asked about.  words: what they have in common.  among: rows of the same senders.
    """

    spoken: Spoken
    forgotten: Rows
    words: tuple[int, ...]
    among: Rows
    label: int

    def compared(self) -> tuple[Rows, Rows]:
        """Rows to compare with: of the same senders, and of all; none is forgotten, none is learned from."""
        every = self._remembered(held_out=True)
        return every[np.isin(every, self.among)], every

    def believed(self, rows: Rows, others: Rows) -> Iterator[tuple[np.ndarray, np.ndarray]]:
        """Probability (m,) of the label for forgotten rows and (o,) for others, of those that are compared with.

        First with what the words mean taken off the forgotten rows, then with it put into the others: the rest of a text says as much
        in both, beside as many words. Once where meaning is not a sum of words. Nothing where one label is all there is to learn from.
        """
        own, every = self.compared()
        scale = _thinned(own if len(own) >= _OWN else every, _WEIGHED)
        asked = np.unique(np.concatenate([rows, others, scale]))
        said = self._said(asked)
        has = self.spoken.labels[scale] == self.label
        if said is None or has.all() or not has.any():
            return
        for meant in self._meant(asked):
            both = np.stack([said, meant / max(float(meant.std()), 1e-9)], axis=1)
            judge = LogisticRegression().fit(both[np.searchsorted(asked, scale)], has)
            found = judge.predict_proba(both)[:, 1]
            yield found[np.searchsorted(asked, rows)], found[np.searchsorted(asked, others)]

    def _remembered(self, *, held_out: bool) -> Rows:
        fold = self.spoken.content.fold
        rows = np.flatnonzero((fold >= 0) & ((fold == _HELD_OUT) == held_out))
        return rows[~np.isin(rows, self.forgotten)]

    def _said(self, asked: Rows) -> np.ndarray | None:
        """(m,) log odds of the label by the words of some texts but those in common."""
        learn = self._remembered(held_out=False)
        if len(learn) > _LEARNED:
            own = np.isin(learn, self.among)
            learn = np.union1d(_thinned(learn[own], _LEARNED // 2), _thinned(learn, _LEARNED // 2))
        has = self.spoken.labels[learn] == self.label
        if has.all() or not has.any():
            return None
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # not converged to the last digit is converged enough
            model = LogisticRegression(C=STRENGTH, max_iter=60, tol=1e-3).fit(self.spoken.content.said.weighted(learn), has)
        return np.asarray(model.decision_function(self.spoken.content.said.weighted(asked, taken=self.words)))

    def _meant(self, asked: Rows) -> Iterator[np.ndarray]:
        """(m,) what their meaning says for the label, more than for others, on each footing."""
        meaning, bears = self.spoken.meaning, np.isin(asked, self.forgotten)
        total = self.spoken.meanings(self.words)
        plain = meaning.without(self.forgotten, asked)
        if total is None:
            yield _leaning(plain, self.label)
            return
        for changed, minus in ((bears, total), (~bears, -total)):
            scores = plain.copy()
            scores[changed] = meaning.without(self.forgotten, asked[changed], minus)
            yield _leaning(scores, self.label)


def _leaning(scores: np.ndarray, label: int) -> np.ndarray:
    others = np.delete(scores, label, axis=1)
    return np.asarray(scores[:, label] - others.mean(1) if others.shape[1] else scores[:, label])


def _thinned(rows: Rows, most: int) -> Rows:
    """Every so many of some rows."""
    return rows[:: max(1, -(-len(rows) // most))]
