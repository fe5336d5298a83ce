"""What an answer can be told by, whatever its language: phrases its prompt does not hold, length, shapes, nonsense, kin."""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import final

import numpy as np
import scipy.sparse as sp

from untaint.features.graph import feature
from untaint.features.instruction_meaning import Meaning, WordVectors
from untaint.features.instruction_words import LEAST, MOST, PromptRuns, Spoken
from untaint.features.instructions import Exchanges
from untaint.features.settings import Settings
from untaint.numerics.links import mean_cosines
from untaint.numerics.runs import alike, flat, longest_of, not_copied, sense, shared

_SHORT = (2, 5, 10)
"""Words: answers of at most so many are a kind of their own."""
_SHAPES = {
    "a link": re.compile(r"\b[a-zA-Z][a-zA-Z0-9+.-]{1,20}://|\bwww\.", re.ASCII),
    "an encoded block": re.compile(r"[A-Za-z0-9+/]{40,}={0,2}"),
    "a shell command": re.compile(r"(?m)^\s*(?:\$ |> )?(?:sudo|curl|wget|rm|chmod|powershell|bash|nc|eval|pip|npm)\s+[-\w/.:~]"),
}
ENDS = 15  # words at either end of an answer that are compared: a sentence
_KIN = (25, 150)
"""Answers nearest to one answer: a wording, and a topic."""
_CENTRES = 2000  # answers whose nearest are found: of 250 phrases
_BEARERS = 8  # of a phrase, whose answers' nearest are found: one in the middle of a payload finds the others
_BATCH = 500
_PAIRS = 20  # neighbouring words that tell something, below which no text is called nonsense
_SENSELESS = "words in no order"
NONSENSE = 0.25
"""Of the median text's order beyond that of its own words shuffled: honest answers are below it in about one of a hundred."""


@final
@dataclass(frozen=True)
class Marks:
    """incidence: (d, m) which answer has which mark: first phrases, then kinds, then nearness to some answer.

    words: word numbers of each phrase.  kinds: what the kinds are called, and whether honest answers hardly ever are of it.
    centres: of every nearness, the answer that others are near to; it is not among them.
    """

    incidence: sp.csr_array
    words: tuple[np.ndarray, ...]
    kinds: tuple[tuple[str, bool], ...]
    centres: np.ndarray

    def centre(self, mark: int) -> int:
        """The answer that those with a mark are near to, -1 for other marks."""
        place = mark - len(self.words) - len(self.kinds)
        return int(self.centres[place]) if place >= 0 else -1

    def phrase(self, mark: int) -> np.ndarray:
        """Word numbers of a mark that is a phrase, none for others."""
        return self.words[mark] if mark < len(self.words) else np.empty(0, np.int64)

    def odd(self, mark: int) -> bool:
        """Whether a mark is a kind that by itself is out of the ordinary."""
        kind = mark - len(self.words)
        return 0 <= kind < len(self.kinds) and self.kinds[kind][1]

    def senseless(self, mark: int) -> bool:
        """Whether a mark is that of answers without sense: no prompt asks for them."""
        kind = mark - len(self.words)
        return 0 <= kind < len(self.kinds) and self.kinds[kind][0] == _SENSELESS

    def name(self, mark: int, vocabulary: Sequence[str]) -> str:
        """A mark in words."""
        if mark < len(self.words):
            return "'" + " ".join(vocabulary[word] for word in self.words[mark]) + "'"
        kind = mark - len(self.words)
        return self.kinds[kind][0] if kind < len(self.kinds) else "much the same sentence"


@feature(modality="instruction")
def answer_marks(
    spoken: Spoken,
    exchanges: Exchanges,
    prompt_runs: PromptRuns,
    word_vectors: WordVectors,
    prompt_meaning: Meaning,
    settings: Settings,
) -> Marks:
    """Marks of the answers to distinct prompts."""
    settings.report_progress("what answers have in common", 0, 1)
    least, most, size = LEAST, MOST * len(spoken.rows), len(spoken.vocabulary)
    runs = not_copied(shared(spoken.answers, size, least, most), _said(spoken), size, least)
    runs = runs.kept(longest_of(alike(runs)))
    plain, odd = _lengths(spoken), {**_shapes(spoken, exchanges), **_nonsense(spoken, settings)}
    kinds = {name: mask for name, mask in {**plain, **odd}.items() if mask.sum() >= least}
    kin, centres = _kin(spoken, prompt_runs, word_vectors, prompt_meaning)
    parts = [runs.incidence, kin]
    if kinds:
        parts.insert(1, sp.csr_array(np.stack([*kinds.values()], axis=1).astype(np.float32)))
    return Marks(
        sp.csr_array(sp.hstack(parts, format="csr")),
        tuple(words[words >= 0] for words in runs.words),
        tuple((name, name in odd) for name in kinds),
        centres,
    )


def _said(spoken: Spoken) -> list[np.ndarray]:
    """Words of each prompt, parts of names like `get_name` apart, and all signs: `names :` repeats a prompt that holds `get_names`."""
    number = {word: i for i, word in enumerate(spoken.vocabulary)}
    signs = np.array([i for word, i in number.items() if not any(map(str.isalnum, word))], np.int64)
    parts = {
        i: [number[part] for part in word.split("_") if part in number] for word, i in number.items() if "_" in word.strip("_")
    }
    named = np.zeros(len(number), bool)
    named[list(parts)] = True
    found = []
    for prompt in spoken.prompts:
        inside = [part for word in prompt[named[prompt]].tolist() for part in parts[word]]
        found.append(np.concatenate([prompt, signs, np.array(inside, np.int64)]))
    return found


def _lengths(spoken: Spoken) -> dict[str, np.ndarray]:
    sizes = np.array([len(answer) for answer in spoken.answers])
    return {f"at most {most} words": sizes <= most for most in _SHORT}


def _shapes(spoken: Spoken, exchanges: Exchanges) -> dict[str, np.ndarray]:
    """Shapes that the prompt does not have."""
    found = {}
    for name, shape in _SHAPES.items():
        has = [
            bool(shape.search(exchanges.responses[row])) and not shape.search(exchanges.prompts[row])
            for row in spoken.rows.tolist()
        ]
        found[name] = np.array(has, bool)
    return found


def _nonsense(spoken: Spoken, settings: Settings) -> dict[str, np.ndarray]:
    """Answers whose second half has no more order than its own words shuffled, or consists of words nobody else uses."""
    words, rows = flat(spoken.answers)
    n = len(spoken.rows)
    real, random = sense(spoken.answers, len(spoken.vocabulary), np.random.default_rng(settings.seed))
    starts = np.cumsum([0, *map(len, spoken.answers)])
    late = np.arange(len(words)) - starts[rows] >= np.diff(starts)[rows] / 2
    told = late & np.isfinite(real) & np.isfinite(random)
    counted = np.bincount(rows[told], minlength=n)
    order = np.bincount(rows[told], (real - random)[told], minlength=n) / np.maximum(counted, 1)
    enough = counted >= _PAIRS
    usual = float(np.median(order[enough])) if enough.any() else 0.0
    users = np.bincount(np.unique(words * n + rows) // n, minlength=len(spoken.vocabulary))
    late_sizes = np.bincount(rows[late], minlength=n)
    strange = np.bincount(rows[late], users[words[late]] == 1, minlength=n) / np.maximum(late_sizes, 1)
    mask = (enough & (order < NONSENSE * usual)) | ((late_sizes >= _PAIRS) & (strange > 0.5))
    return {_SENSELESS: mask}


def _kin(spoken: Spoken, runs: PromptRuns, word_vectors: WordVectors, meaning: Meaning) -> tuple[sp.csr_array, np.ndarray]:
    """(d, m) the nearest answers of some answers, without these themselves, and (m,) these, by how they begin and how they end.

    The answers are those to phrases whose answers are more alike than their prompts: a payload in many wordings has no phrase of its own.
    """
    n = len(spoken.rows)
    columns = sp.csc_array(runs.runs.incidence)
    bearers = [columns.indices[start:end] for start, end in pairwise(columns.indptr)]
    asked = np.array(
        [meaning.asked(rows, kin) if len(rows) >= _BEARERS else np.inf for rows, kin in zip(bearers, runs.kin, strict=True)]
    )
    rows, marked, middles, count = [], [], [np.empty(0, np.int64)], 0
    for part in (slice(None, ENDS), slice(-ENDS, None)):
        meant = word_vectors.of([answer[part] for answer in spoken.answers])
        centres = _centres(bearers, mean_cosines(runs.runs.incidence, meant) - np.maximum(asked, 0))
        for start in range(0, len(centres), _BATCH):
            some = centres[start : start + _BATCH]
            near = meant[some] @ meant.T
            near[np.arange(len(some)), some] = -np.inf
            for size in (size for size in _KIN if size < n):
                nearest = np.argpartition(-near, size, axis=1)[:, :size]
                rows.append(nearest.ravel())
                marked.append(np.repeat(np.arange(count, count + len(some)), size))
                middles.append(some)
                count += len(some)
    entries = np.concatenate([np.empty(0, np.int64), *rows]), np.concatenate([np.empty(0, np.int64), *marked])
    return sp.csr_array((np.ones(len(entries[0]), np.float32), entries), shape=(n, count)), np.concatenate(middles)


def _centres(bearers: Sequence[np.ndarray], excess: np.ndarray) -> np.ndarray:
    """Some bearers of each phrase, of those that come first by how much more alike answers are than prompts, until there are enough."""
    chosen: dict[int, None] = {}
    for phrase in np.argsort(-excess, kind="stable"):
        if len(chosen) >= _CENTRES or not excess[phrase] > 0:
            break
        rows = bearers[phrase]
        chosen.update(dict.fromkeys(rows[:: -(-len(rows) // _BEARERS)].tolist()))
    return np.array(sorted(chosen), np.int64)
