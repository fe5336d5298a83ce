"""Samples that stretch the cloud of their class, seen by a network trained on the suspect data: a figure beside what others found."""

from dataclasses import dataclass
from typing import ClassVar, final

import numpy as np

from untaint.detectors.base import Detector
from untaint.evidence.evidence import Evidence
from untaint.numerics import quantum
from untaint.types import Embeddings, Labels

_PER_DIRECTION = 10  # samples of a class per direction that is kept: a covariance of fewer is mostly chance
_TINY = 1e-12


@final
@dataclass(frozen=True)
class QuantumEntropy(Detector):
    """Scores how far a sample lies along the lines its class is stretched along, once its bulk is a ball. It only corroborates.

    Features of a class are brought to their leading directions and whitened by its most concentrated part, not by all of it: poison
    that shapes the covariance hides in it. What is left of the covariance says where the class is stretched; a quantum entropy
    score weighs all those directions, so that poison which shows several classes, and so pulls along several lines, adds up.

    Hard honest samples stretch a class as well, with one long tail and no gap in it, and the published method cuts where a known
    number of poisoned samples ends. Without that number the scores rank and accuse nobody: a finding of other detectors is told how
    its samples stand, by a rank test, among others of their label whose content is as doubtful. Natural groups stand out as well.

    Works when: the network has learned something of the trigger and labels are wrong: patches, blends, smooth patterns, warps.
    Fails when: labels are right, so that poison lies amid its class; when poison outnumbers the honest part of a class.
    Cost: a few eigenvalue problems per class, plus the proxy's training.
    Reference: Hayase et al. 2021, arXiv 2104.11315 (SPECTRE); concentration: Rousseeuw, Van Driessen 1999,
        doi 10.1080/00401706.1999.10485670
    """

    id: ClassVar[str] = "quantum-entropy"
    rank: int = 32
    alpha: float = 4.0

    @property
    def budget(self) -> str:
        return "standard"

    def examine(self, embeddings: Embeddings, labels: Labels) -> Evidence:
        scores = np.where(labels >= 0, 0.0, np.nan).astype(np.float32)
        for label in np.unique(labels[labels >= 0]):
            rows = np.flatnonzero(labels == label)
            rank = min(self.rank, len(rows) // _PER_DIRECTION)
            if rank > 0:
                points = quantum.leading(embeddings[rows], rank)
                logs = np.log(np.maximum(quantum.scores(quantum.bulk(points).whitened(points), self.alpha), _TINY))
                scores[rows] = logs - np.median(logs)
        return Evidence(scores, "empirical", corroborates="stretch the cloud of their class, as a network sees it, more")
