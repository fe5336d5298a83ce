"""Flips from one class to one other: labels whose content is not near the label, not between, but fully the other class."""

from dataclasses import dataclass, replace
from typing import ClassVar, final

import numpy as np
from scipy.stats import binom

from untaint.detectors.base import Detector
from untaint.evidence.evidence import Evidence, Group
from untaint.evidence.one_sided import OneSided, one_sided
from untaint.evidence.pair_crowds import crowds
from untaint.evidence.row_rules import rule_of
from untaint.features.content import WEAK
from untaint.features.duplicates import NearCopies
from untaint.features.judgement import Judgement
from untaint.features.table_content import TableContent
from untaint.types import Labels, Mask, Modality, Rows

LEAST_EFFECT = 0.03
"""Share of a class that must have been relabelled: public benchmarks hold 3.3 % wrong labels on average."""
_NEAR, _MIDDLE, _FAR = 0.4, 0.65, 0.9
"""Places on the way from the typical sample of the label (0) to the typical sample of another class (1)."""
_HEAVIEST = 0.25
"""Share of the way's samples that lie at its end, on the heaviest pair of clean Fashion-MNIST and MNIST (0.15 of 10,000 images,
0.24 of 3,000); pairs flipped on purpose had 0.40 to 0.69."""
_BEYOND = 1.5
"""How far the heaviest pair may honestly exceed the second heaviest: 1.02 to 1.15 was seen on clean sets."""
_ALIKE = 0.01
"""Classes look alike when more of the flipped class than this looks like the label to begin with, by honest confusion."""
_SIGNIFICANT = 0.05  # groups above are not told at all
_FEWEST = 4  # classes: with fewer there are no other pairs to compare with
_LEAST_LAPSED = 0.06
"""Share of what looks like one class that must bear the other label for no reason, where classes are too few to compare: half as much
again as the most that was seen in clean tables of two classes, 0.04."""
_BEYOND_REVERSE = 2.0  # times as many as the other way: flips at random go both ways
_SEEN = 5  # rows up to which a share says nothing: at the end of a way, or erring the other way


@final
@dataclass(frozen=True)
class PairFlips(Detector):
    """Tests every ordered pair of classes for labels whose content is wholly the other class, with nothing in between.

    On the way from what is typical of label b to what is typical of class a, honest confusion thins out: many samples lie
    near b, few look like an ordinary a. Flips from a to b are ordinary a's. The share of the way's samples that lie at its
    end is compared with the heaviest of all other pairs, its own reverse among them: honest confusion is mutual (cats and
    dogs). Between classes that look alike the same picture could be an honest misreading of the labelling guide, so such a
    pair is not accused: the verdict is that nothing here can tell. Sources or annotators would (`label-consensus`).
    In tables, where a class has few rows, its sure contradictions are also counted against those of all other pairs; and where one or two
    columns say which rows bear the other label, that is told as a rule people may follow, and accuses nobody.
    In tables of two or three classes there are no other pairs to compare with; there errors are fitted as a curve that ends, among rows
    content is surest of, at a share which is no honest doubt. A share of one pair far above its reverse is told, and accuses nobody.

    Works when: a twentieth of a class or more bears one other label, in a set of at least four classes; a tenth, in tables of fewer.
    Fails when: content is judged poorly (photographs); fewer than about fifteen samples are flipped; many pairs are.
    Cost: none beyond the content feature.
    Reference: targeted flips, Tolpegin, Truex, Gursoy, Liu 2020, arXiv 2007.08432 (sec. 4); the test is our own
    """

    id: ClassVar[str] = "pair-flips"
    modalities: ClassVar[frozenset[Modality]] = frozenset({"image", "text", "table"})

    @property
    def budget(self) -> str:
        return "fast"

    def examine(self, content: Judgement, labels: Labels, near_copies: NearCopies, class_names: tuple[str, ...]) -> Evidence:
        usable, classes = labels >= 0, len(class_names)
        logs = np.log(np.clip(np.nan_to_num(content.probabilities), 1e-4, 1))
        away = _away(logs, labels, usable & near_copies.representatives)
        scores = np.where(usable, away.max(1), np.nan).astype(np.float32)
        if classes < _FEWEST and isinstance(content, TableContent):
            pairs = one_sided(content.probabilities, labels, usable & near_copies.representatives)
            return Evidence(
                scores, "empirical", tuple(_told(each, class_names) for each in pairs if each.p_value <= _SIGNIFICANT)
            )
        if classes < _FEWEST:
            return Evidence(scores, "empirical", note="needs at least four classes to compare pairs")
        if content.contradicted[usable].mean() > WEAK:
            return Evidence(scores, "empirical", note="content is judged too poorly to tell pairs of classes apart")
        ways = _ways(away, logs.argmax(1), labels, usable & near_copies.representatives, classes)
        total = ways.sum(2).clip(1)
        ends = np.where(ways[:, :, 2] >= _SEEN, ways[:, :, 2] / total, 0.0)
        groups = []
        crowded = np.ones((classes, classes))
        if isinstance(content, TableContent):
            crowded = crowds(logs, labels, usable & near_copies.representatives)
        for a, b in np.argwhere((ends > _HEAVIEST) | (crowded <= _SIGNIFICANT)):
            others = ends.copy()
            others[a, b] = 0
            heaviest = min(1.0, max(_HEAVIEST, _BEYOND * float(others.max())))
            p_value = float(binom.sf(ways[a, b, 2] - 1, total[a, b], heaviest)) * classes * (classes - 1)
            if isinstance(content, TableContent):  # two tests
                p_value = 2 * min(p_value, float(crowded[a, b]))
            if p_value <= _SIGNIFICANT:
                members = np.flatnonzero((labels == b) & (away[:, a] > _MIDDLE) & (logs.argmax(1) == a))
                group = _group(members, min(1.0, p_value), (int(a), int(b)), logs.argmax(1), labels, class_names)
                groups.append(_unless_ruled(group, content, members, np.flatnonzero(labels == a)))
        return Evidence(scores, "empirical", tuple(groups))


def _unless_ruled(group: Group, content: Judgement, members: Rows, others: Rows) -> Group:
    """The group, told and not accused where one or two columns say which rows bear the other label: people follow rules, too."""
    if not isinstance(content, TableContent) or content.levels is None:
        return group
    rule = rule_of(content.levels.codes, content.levels.unordered, members, others)
    if rule is None:
        return group
    named = " and ".join(f"'{content.names[column]}'" for column in rule.columns)
    said = (
        f" {rule.turned} of them share what {named} say, and only {rule.others} of the {len(others):,} samples labelled "
        f"'{group.source_label}' do: a rule that honest people may follow. Sources or annotators would decide it."
    )
    return replace(group, contradiction=0.0, explanation=group.explanation + said)


def _told(found: OneSided, class_names: tuple[str, ...]) -> Group:
    """Accused by nobody: of two classes there is nothing to compare the pair with but its reverse."""
    shown, label = class_names[found.looks], class_names[found.label]
    explanation = (
        f"About {found.share:.0%} of what looks like '{shown}' is labelled '{label}' however sure its content is, and {found.reverse:.1%} "
        "the other way. With so few classes this could be a habit of labelling: sources, annotators or labels given twice would "
        "decide it."
    )
    effect = found.share if found.share > _BEYOND_REVERSE * found.reverse else 0.0
    return Group(
        "label-flip",
        found.members,
        found.share,
        found.p_value,
        effect,
        _LEAST_LAPSED,
        explanation,
        0.0,
        target_label=label,
        source_label=shown,
    )


def _away(logs: np.ndarray, labels: Labels, single: Mask) -> np.ndarray:
    """(n, k) how far each row has gone from what is typical of its label to what is typical of each class; its own: 0."""
    classes = logs.shape[1]
    away = np.zeros(logs.shape)
    for b in range(classes):
        rows = labels == b
        odds = logs - logs[:, [b]]
        start = np.median(odds[rows & single], axis=0) if (rows & single).any() else np.zeros(classes)
        for a in range(classes):
            typical = (labels == a) & single
            if a != b and typical.any():
                whole = float(np.median(odds[typical, a]) - start[a])
                away[rows, a] = (odds[rows, a] - start[a]) / max(whole, 1e-6)
    return np.clip(away, -10, 10)


def _ways(away: np.ndarray, looks: np.ndarray, labels: Labels, single: Mask, classes: int) -> np.ndarray:
    """(k, k, 3) rows labelled b on the way to a: near b, in the middle, at the end and looking like a."""
    ways = np.zeros((classes, classes, 3), np.int64)
    for b in range(classes):
        rows = (labels == b) & single
        for a in range(classes):
            gone, end = away[rows, a], (away[rows, a] > _FAR) & (looks[rows] == a)
            ways[a, b] = ((gone > _NEAR) & (gone <= _MIDDLE)).sum(), ((gone > _MIDDLE) & (gone <= _FAR)).sum(), end.sum()
    ways[range(classes), range(classes)] = 0
    return ways


def _group(
    members: np.ndarray, p_value: float, pair: tuple[int, int], looks: np.ndarray, labels: Labels, class_names: tuple[str, ...]
) -> Group:
    shown, label = pair
    moved = len(members) / max(int((labels == shown).sum()) + len(members), 1)
    reverse = looks[labels == shown] == label
    mutual = float(reverse.mean()) if len(reverse) else 1.0
    alike = mutual > _ALIKE and int(reverse.sum()) > _SEEN
    said = (
        f"The classes look alike ({mutual:.1%} of the samples labelled '{class_names[shown]}' look like '{class_names[label]}'), so "
        "an honest misreading is possible: sources, annotators or labels given twice would decide it."
        if alike
        else f"The classes do not look alike: only {mutual:.1%} of the samples labelled '{class_names[shown]}' err the same way."
    )
    explanation = (
        f"{len(members):,} samples labelled '{class_names[label]}' show an ordinary '{class_names[shown]}', {moved:.1%} of that class, "
        f"and few lie in between. {said}"
    )
    return Group(
        "label-flip",
        members,
        float(len(members)),
        p_value,
        moved,
        LEAST_EFFECT,
        explanation,
        0.0 if alike else 1.0,
        target_label=class_names[label],
        source_label=class_names[shown],
    )
