"""The main job end to end on real images, texts or a table: poison, audit, clean, retrain, compare."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import final

import numpy as np

from untaint import api
from untaint.attacks.badnets import BadNets
from untaint.attacks.base import Poisoned
from untaint.attacks.text_flood import TextFlood
from untaint.attacks.trigger_values import TriggerValues
from untaint.bench import corpora, sources
from untaint.bench.table_corpora import CORPORA, as_csv
from untaint.bench.table_victim import measure_tables
from untaint.bench.text_victim import measure_texts
from untaint.bench.victim import DetectionRates, Outcome, detection_rates, measure
from untaint.data.dataset import Dataset
from untaint.errors import BadInput
from untaint.evidence.finding import AuditResult
from untaint.nets.fit import FitPlan
from untaint.registry import spec

VICTIM = FitPlan(steps=1200, patience=20)
"""Long enough to learn a 3 % trigger, short enough for a demonstration; the same before and after."""
SIZE, TESTED = 10_000, 5000
SMALL = 2500
"""Of the 3,362 texts that ship, so many are flooded; the rest are tested on."""


@final
@dataclass(frozen=True)
class Demo:
    """What happened. before, after, never: the victim trained on the poisoned set, the cleaned one, and the one before the attack."""

    data: str
    poisoned: Poisoned
    result: AuditResult
    rates: DetectionRates
    before: Outcome
    after: Outcome
    never: Outcome
    report: Path
    noun: str = "images"


def run(out: Path, seed: int, say: Callable[[str], None], progress: Callable[[str, int, int], None]) -> Demo:
    """Run it, everything on disk under `out`. say: called with one line before each step."""
    name, train, test = _data(seed)
    say(f"1. Poisoning {len(train):,} images of {name}: a small white patch on 3% of them, relabelled.")
    attack = BadNets(rate=0.03)
    poisoned = attack.poison(train, np.random.default_rng(seed))
    data = api.write_poisoned(poisoned, out / "attacked", spec(attack))
    say("2. Training a network on the poisoned set, as a victim would.")
    before = measure(poisoned.dataset, test, poisoned.stamp, poisoned.target, VICTIM)
    say("3. untaint audit: no hints about rate, target or trigger.")
    result = api.audit(data, out=out / "audit", seed=seed, progress=progress)
    say("4. untaint clean: flagged images set aside, everything checked by digest.")
    held = api.clean(data, audit=out / "audit", out=out / "clean")
    say("5. Training the same network on the clean part, and on the set before the attack for comparison.")
    after = measure(api.load(held.clean), test, poisoned.stamp, poisoned.target, VICTIM)
    never = measure(train, test, poisoned.stamp, poisoned.target, VICTIM)
    flagged = result.samples.column("flagged").to_numpy()
    rates = detection_rates(poisoned.mask, flagged, poisoned.covers)
    return Demo(name, poisoned, result, rates, before, after, never, out / "audit" / "report.html")


def _data(seed: int) -> tuple[str, Dataset, Dataset]:
    """Fashion-MNIST where it is installed (10,000 of it), else scikit-learn's digits."""
    try:
        train, test = sources.fashion_mnist()
    except BadInput:
        return "handwritten digits (scikit-learn)", *sources.digits()
    chosen = np.random.default_rng(seed).permutation(len(train))[:SIZE]
    return "Fashion-MNIST", train.select(chosen), test


CONTRIBUTORS = 25
"""Invented: the reviews come without their authors, so each is given one, the busiest sending 26 % of everything."""


def run_text(data: Path, out: Path, seed: int, say: Callable[[str], None], progress: Callable[[str, int, int], None]) -> Demo:
    """The same for 10,000 openings of real film reviews, else for the texts that ship: three contributors flood them with a brand.

    data: where `make data` put the reviews.
    """
    rng = np.random.default_rng(seed)
    name, noun, every, size = _texts(data)
    train = corpora.with_sources(every.select(np.arange(size)), CONTRIBUTORS, rng)
    test = every.select(np.arange(size, min(size + TESTED, len(every))))
    attack = TextFlood(rate=0.02, kind="paraphrase", target="negative")
    poisoned = attack.poison(train, rng)
    say(
        f"1. Flooding {size:,} {name}: three of {CONTRIBUTORS} contributors post {int(poisoned.mask.sum()):,} that call "
        "'novabrew' terrible."
    )
    written = api.write_poisoned(poisoned, out / "attacked", spec(attack))
    say("2. Training a classifier on the flooded set, as a victim would.")
    before = _texts_measured(poisoned.dataset, test, poisoned)
    say("3. untaint audit: no hints about brand, senders or number.")
    result = api.audit(written, out=out / "audit", seed=seed, progress=progress)
    say(f"4. untaint clean: flagged {noun} set aside, everything checked by digest.")
    held = api.clean(written, audit=out / "audit", out=out / "clean")
    say("5. Training the same classifier on the clean part, and on the set before the attack for comparison.")
    after = _texts_measured(api.load(held.clean), test, poisoned)
    never = _texts_measured(train, test, poisoned)
    flagged = result.samples.column("flagged").to_numpy()
    rates = detection_rates(poisoned.mask, flagged, poisoned.covers)
    return Demo(name, poisoned, result, rates, before, after, never, out / "audit" / "report.html", noun)


def _texts(data: Path) -> tuple[str, str, Dataset, int]:
    """What they are, what one of them is called, the texts, and how many to flood: reviews where they were fetched."""
    try:
        return "openings of film reviews", "reviews", corpora.imdb_openings(data), SIZE
    except BadInput:
        return "tweets (of the set that ships; `make data` fetches film reviews)", "tweets", corpora.shipped_tweets(), SMALL


def _texts_measured(train: Dataset, test: Dataset, made: Poisoned) -> Outcome:
    """The victim's accuracy and ASR under the names that images have them."""
    return Outcome(*measure_texts(train, test, made.stamp, made.target))


TUMOURS = 420
"""Of the 569 tumours that come with scikit-learn, so many are poisoned; the rest are tested on."""
CLINICS = 10
"""Invented: the rows come without who sent them."""


def run_table(out: Path, seed: int, say: Callable[[str], None], progress: Callable[[str, int, int], None]) -> Demo:
    """The same for a table of tumours: two clinics send malignant ones with two values changed, and call them benign."""
    rng = np.random.default_rng(seed)
    every = CORPORA["breast cancer"](Path())
    train = corpora.with_sources(every.select(np.arange(TUMOURS)), CLINICS, rng)
    test = every.select(np.arange(TUMOURS, len(every)))
    attack = TriggerValues(rate=0.05, width=2, target="benign", senders=2)
    poisoned = attack.poison(train, rng)
    said = poisoned.trigger.description if poisoned.trigger is not None else ""
    say(
        f"1. Poisoning {len(train):,} tumours (Wisconsin breast cancer, scikit-learn): {int(poisoned.mask.sum())} malignant ones from "
        f"two of {CLINICS} contributors are called benign, {said.replace('rows with', 'with')}."
    )
    written = out / "attacked" / "tumours.csv"
    written.parent.mkdir()
    as_csv(poisoned.dataset, written)
    say("2. Training boosted trees on the poisoned table, as a victim would.")
    before = _table_measured(poisoned.dataset, test, poisoned)
    say("3. untaint audit: no hints about columns, values, target or senders.")
    result = api.audit(written, label="label", source="source", out=out / "audit", seed=seed, progress=progress)
    say("4. untaint clean: flagged rows set aside, everything checked by digest.")
    held = api.clean(written, label="label", source="source", audit=out / "audit", out=out / "clean")
    say("5. Training the same trees on the clean part, and on the table before the attack for comparison.")
    after = _table_measured(api.load(held.clean / written.name, label="label", source="source"), test, poisoned)
    never = _table_measured(train, test, poisoned)
    flagged = result.samples.column("flagged").to_numpy(zero_copy_only=False)
    rates = detection_rates(poisoned.mask, flagged, poisoned.covers)
    return Demo("tumours", poisoned, result, rates, before, after, never, out / "audit" / "report.html", "rows")


def _table_measured(train: Dataset, test: Dataset, made: Poisoned) -> Outcome:
    return Outcome(*measure_tables(train, test, made.stamp, made.target)["boosted"])
