"""Characters nobody sees, and letters that pass for others."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar, final

import numpy as np
from scipy.stats import binom, hypergeom

from untaint.detectors.base import Detector
from untaint.evidence.evidence import Evidence, Group, Trigger
from untaint.features.canvas import Sources
from untaint.features.hidden import Believed, HiddenSigns
from untaint.numerics.hidden import PLANTED, Kind, message, named
from untaint.types import Labels, Modality, Rows

LEAST_EFFECT = 0.25
"""Share of the texts with such characters that would have another label without them. Poison moves most of its texts; a quarter
leaves room for three honest texts, copied from the web, per poisoned one."""
_FEWEST = 5  # different texts: fewer show no habit
_SMOOTH = 10.0  # texts of the whole set that count with those of a source when its share of a label is estimated
_USUAL = 0.02  # of labels that content contradicts, at least: content is never judged better than that
_NOTABLE = 0.05  # corrected for all kinds and labels; the verdict corrects for detectors and asks for its own rate
_SPEAKS = 0.15
"""Share of the texts that content contradicts beyond what is usual: short texts are judged poorly, and of victims of an attack
no more than a third are plainly contradicted there; honest texts with odd characters are contradicted as often as any."""
_SURE = 0.01  # corrected chance of a reason to call it an attack
_SPELLED = 4  # invisible letters of a message: a stray tag is a broken emoji
_MOSTLY = 0.8  # share of the texts that accused sources sent, and half of all texts the most they may send of everything
_HARDLY_ALL = 0.5


@final
@dataclass(frozen=True)
class HiddenCharacters(Detector):
    """Counts characters in texts that a reader does not see or takes for others, and asks whose and which label's they are.

    Four kinds have no everyday reason: look-alike letters of another script inside words, zero-width characters inside words,
    overrides that reverse words, and invisible tags, which spell messages. Others (soft hyphens, control and private-use
    characters, direction marks, zero-width characters between words) come with copies from the web. Honest uses are not counted:
    joiners in emoji and in scripts that write with them, a byte-order mark at the start, words of two scripts beside each other.

    A kind accuses when a label is more frequent among its texts than among others of the same sources, and content speaks
    against that label or few sources sent them (instructions have no label: look-alike letters of few sources); and where tags
    or reversed words spell something, whoever sent it. Anything else associated with a label is told as a shortcut: spam hides
    words from filters, and is spam.

    Works when: about ten texts or more carry such characters, or a single one an invisible message.
    Fails when: an attacker spreads them over all labels, uses characters honest texts have (accents, emoji), or a label is right
    and sources are unknown.
    Cost: one pass over the texts, tens of thousands a second.
    Reference: Boucher, Shumailov, Anderson, Papernot 2021, arXiv 2106.09898 (the characters); the tests are our own
    """

    id: ClassVar[str] = "hidden-characters"
    modalities: ClassVar[frozenset[Modality]] = frozenset({"text", "instruction"})

    @property
    def budget(self) -> str:
        return "fast"

    def examine(self, hidden_signs: HiddenSigns, believed: Believed, sources: Sources, class_names: tuple[str, ...]) -> Evidence:
        texts, found = hidden_signs.rows, hidden_signs.found
        read = np.array([text != "" for text in texts], bool)
        scores = np.array([_score(kinds) for kinds in found], np.float32)
        bearers = {
            kind: np.array([row for row, kinds in enumerate(found) if kind in kinds], np.int64)
            for kind in sorted({kind for kinds in found for kind in kinds})
        }
        tests = max(1, len(bearers) * max(1, len(class_names)))
        groups = []
        for kind, rows in bearers.items():
            letters = Counter(letter for row in rows for letter in found[row][kind])
            shown = _Shown(kind, rows, ", ".join(named(letter) for letter, _ in letters.most_common(3)), tests)
            groups += (
                [_told(shown, texts)] if _speaks(kind, rows, texts) else _tested(shown, texts, believed, sources, class_names)
            )
        note = "; ".join(f"{kind} in {len(rows):,} texts" for kind, rows in bearers.items())
        return Evidence(np.where(read, scores, np.nan).astype(np.float32), "empirical", tuple(groups), note=note)


@final
@dataclass(frozen=True)
class _Shown:
    """A kind, the rows that bear it, its most frequent characters by name, and how many tests there are."""

    kind: Kind
    rows: Rows
    characters: str
    tests: int


def _score(kinds: dict[Kind, list[str]]) -> float:
    """Characters of kinds without an everyday reason, others for a tenth, on a scale that a long text does not dominate."""
    return float(np.log1p(sum(len(letters) if kind in PLANTED else 0.1 * len(letters) for kind, letters in kinds.items())))


def _speaks(kind: Kind, rows: Rows, texts: Sequence[str]) -> bool:
    """Whether it spells something: a message in tags in any text, or words reversed in several."""
    if kind == "invisible tags":
        return any(len(message(texts[row])) >= _SPELLED for row in rows)
    return kind == "characters that reverse the reading direction" and len(_different(rows, texts)) >= _FEWEST


def _told(shown: _Shown, texts: Sequence[str]) -> Group:
    """Nobody writes such a thing by accident: the accusation needs no association."""
    spelled = [said for row in shown.rows if len(said := message(texts[row])) >= _SPELLED]
    what = (
        f'The first spells "{spelled[0][:80]}".' if spelled else "They make words appear in another order than they are read in."
    )
    many = "One text holds" if len(shown.rows) == 1 else f"{len(shown.rows):,} texts hold"
    explanation = f"{many} {shown.kind} ({shown.characters}), which nobody sees. {what}"
    return Group("tamper", shown.rows, float(len(shown.rows)), 0.0, 1.0, LEAST_EFFECT, explanation, 1.0, trigger=_trigger(shown))


def _tested(
    shown: _Shown, texts: Sequence[str], believed: Believed, sources: Sources, class_names: tuple[str, ...]
) -> list[Group]:
    """Association with a label, or, where there are none, with sources."""
    single = _different(shown.rows, texts)
    if len(single) < _FEWEST:
        return []
    few = _few(single, sources)
    if not class_names:
        return [_sent(shown, few, sources)] if few[1] * shown.tests <= _NOTABLE else []
    found = [_labelled(shown, single, label, believed, sources, few) for label in range(len(class_names))]
    return [_group(shown, each, class_names, sources) for each in found if each.p_value <= _NOTABLE]


def _different(rows: Rows, texts: Sequence[str]) -> Rows:
    """The first row of each different text: a copied text is one observation."""
    first = {texts[row]: int(row) for row in reversed(rows.tolist())}
    return np.array(sorted(first.values()), np.int64)


@final
@dataclass(frozen=True)
class _Labelled:
    """One label among the bearers. p_value: corrected.  against: why this may be an attack, None = it may be natural.

    few: codes of the sources that sent most of them, empty = nobody in particular.
    """

    label: int
    members: Rows
    hits: int
    expected: float
    p_value: float
    effect: float
    against: str | None
    few: Rows


def _labelled(
    shown: _Shown, single: Rows, label: int, believed: Believed, sources: Sources, few: tuple[Rows, float]
) -> _Labelled:
    usual = _base_rates(shown.rows, label, believed.codes, sources)
    known = single[(believed.codes[single] >= 0) & np.isfinite(usual[single])]
    has = believed.codes[known] == label
    hits, expected = int(has.sum()), float(usual[known].sum())
    # Rates that differ make the tail lighter than one rate for all (Hoeffding 1956), so this errs on the side of silence.
    chance = float(binom.sf(hits - 1, max(len(known), 1), expected / max(len(known), 1))) if len(known) else 1.0
    effect = (hits - expected) / max(len(known) - expected, 1e-9)
    share, spoken = _against(known[has], label, believed)
    reasons = {f"the rest of what they say speaks against it in {share:.0%}": spoken, "few sources sent them": few[1]}
    doubt = min(reasons, key=lambda reason: reasons[reason])
    planted = shown.kind in PLANTED and reasons[doubt] * shown.tests <= _SURE
    p_value = (max(chance, reasons[doubt]) if planted else chance) * shown.tests * (2 if planted else 1)
    members = shown.rows[believed.codes[shown.rows] == label]
    p_value = min(1.0, p_value) if hits > expected else 1.0
    return _Labelled(label, members, hits, expected, p_value, max(effect, 0.0), doubt if planted else None, few[0])


def _base_rates(bearers: Rows, label: int, codes: Labels, sources: Sources) -> np.ndarray:
    """(n,) share of the label among other texts of each row's source; NaN where its source sends no other text."""
    other = codes >= 0
    other[bearers] = False
    overall = float((codes[other] == label).mean()) if other.any() else 0.5
    place = sources.codes + 1
    total, held = np.bincount(place[other], minlength=len(sources.names) + 1), np.bincount(place[other & (codes == label)])
    held = np.pad(held, (0, len(total) - len(held)))
    rate = np.where(total > 0, (held + _SMOOTH * overall) / (total + _SMOOTH), np.nan)
    return np.asarray(rate[place])


def _against(rows: Rows, label: int, believed: Believed) -> tuple[float, float]:
    """Share of texts whose content contradicts their label, and the chance of so many beyond what is usual for the label."""
    if len(rows) == 0:
        return 0.0, 1.0
    spoken = believed.probabilities[:, label] < believed.level
    same = (believed.codes == label) & np.isfinite(believed.probabilities[:, label])
    same[rows] = False
    usual = max(_USUAL, float(spoken[same].mean()) if same.any() else _USUAL)
    share = float(spoken[rows].mean())
    chance = float(binom.sf(spoken[rows].sum() - 1, len(rows), usual))
    return share, chance if (share - usual) / (1 - usual) >= _SPEAKS else 1.0


def _few(rows: Rows, sources: Sources) -> tuple[Rows, float]:
    """Sources that sent most of some texts and far from most of all, and the chance of that; (none, 1) where there are none."""
    known, codes = int((sources.codes >= 0).sum()), sources.codes[rows]
    if len(sources.names) < 2 or (codes < 0).any():
        return np.empty(0, np.int64), 1.0
    total, sent = np.bincount(sources.codes[sources.codes >= 0]), np.bincount(codes, minlength=len(sources.names))
    chance = np.atleast_1d(hypergeom.sf(sent - 1, known, len(rows), total)) * len(sources.names)
    guilty = np.flatnonzero(chance <= 1e-3)
    if sent[guilty].sum() < _MOSTLY * len(rows) or total[guilty].sum() > _HARDLY_ALL * known:
        return np.empty(0, np.int64), 1.0
    return guilty, float(min(1.0, chance[guilty].min()))


def _group(shown: _Shown, found: _Labelled, class_names: tuple[str, ...], sources: Sources) -> Group:
    name = class_names[found.label]
    who = f" Most come from {_names(found.few, sources)}." if len(found.few) else ""
    why = (
        f" It is told as an attack because {found.against}." if found.against else " Spam filters, fonts or an editor may be why."
    )
    explanation = (
        f"{len(shown.rows):,} texts hold {shown.kind} ({shown.characters}); {found.hits:,} different ones are labelled '{name}', where "
        f"other texts of the same sources would give {found.expected:,.0f}.{who}{why}"
    )
    return Group(
        "backdoor",
        found.members,
        float(found.hits - found.expected),
        found.p_value,
        found.effect,
        LEAST_EFFECT,
        explanation,
        1.0 if found.against else 0.0,
        target_label=name,
        trigger=_trigger(shown),
    )


def _sent(shown: _Shown, few: tuple[Rows, float], sources: Sources) -> Group:
    """Few sources sent a kind, in data without labels."""
    members = shown.rows[np.isin(sources.codes[shown.rows], few[0])]
    explanation = f"{len(members):,} samples hold {shown.kind} ({shown.characters}) and come from {_names(few[0], sources)}."
    planted = 1.0 if shown.kind == "look-alike letters" else 0.0  # editors of whole sites put in characters of no width
    p_value, effect = min(1.0, few[1] * shown.tests), len(members) / len(shown.rows)
    return Group("backdoor", members, len(members), p_value, effect, LEAST_EFFECT, explanation, planted, trigger=_trigger(shown))


def _names(codes: Rows, sources: Sources) -> str:
    shown = ", ".join(f"'{sources.names[code]}'" for code in codes[:4])
    return f"{shown} and {len(codes) - 4} more" if len(codes) > 4 else shown


def _trigger(shown: _Shown) -> Trigger:
    return Trigger("characters", f"{shown.kind}: {shown.characters}", {"kind": shown.kind, "characters": shown.characters})
