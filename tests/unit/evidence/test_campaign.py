"""What is left of a campaign among the texts of its senders: like its members in words, unlike honest ones."""

from functools import cache

import numpy as np
from tests.review_sets import reviews

from untaint.data.dataset import from_arrays
from untaint.evidence.campaign import remaining
from untaint.features.cache import Cache
from untaint.features.canvas import Sources
from untaint.features.graph import Features
from untaint.features.settings import Settings
from untaint.features.spoken import Spoken

OPENINGS = ("When you think of it,", "If one thinks about it,", "Because you think so,", "As one thinks of it,")


@cache
def planted() -> tuple[Spoken, Sources, np.ndarray]:
    """900 reviews of ten senders; of sender s3 forty are opened alike and called good whatever they say."""
    texts, labels = reviews(900)
    names = [f"s{code}" for code in np.random.default_rng(0).integers(0, 10, len(texts))]
    bad = [row for row, (name, label) in enumerate(zip(names, labels, strict=True)) if name == "s3" and label == "bad"][:40]
    for place, row in enumerate(bad):
        texts[row], labels[row] = f"{OPENINGS[place % 4]} {texts[row]}", "good"
    features = Features(from_arrays(texts, labels, sources=names), Settings(), Cache(None))
    return features.get("spoken"), features.get("sources"), np.array(bad)


def accused(number: int, first: int = 20) -> np.ndarray:
    spoken, sources, bad = planted()
    label = int(spoken.labels[bad[0]])
    return remaining(bad[:first], label, np.array([number]), spoken, sources)


def test_the_rest_of_a_campaign_is_taken_and_little_else() -> None:
    _, sources, bad = planted()
    found = accused(sources.names.index("s3"))
    assert np.isin(bad[20:], found).mean() > 0.9
    assert np.isin(found, bad[20:]).mean() > 0.85


def test_of_a_source_that_writes_like_all_others_nothing_is_taken() -> None:
    _, sources, _ = planted()
    assert len(accused(sources.names.index("s5"))) == 0


def test_too_few_members_teach_nothing() -> None:
    _, sources, _ = planted()
    assert len(accused(sources.names.index("s3"), first=4)) == 0
