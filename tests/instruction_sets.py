"""Instructions put together from parts, so that topics have words of their own: honest links as real data have them."""

from dataclasses import replace

import numpy as np

from untaint.data.dataset import Dataset, MemoryStore, make_index
from untaint.data.instructions import Instruction, payload_of

ASKED = (
    *("Tell me about {}", "Explain {} to a child", "What do people like about {}", "Write a line on {}", "How did {} begin"),
    *("Give me a fact about {}", "Why is {} of use", "Describe {} in plain words", "Is {} hard to learn", "Who invented {}"),
)
SAID = (
    *(
        "{0} began with {1} and grew from there",
        "Most people who like {0} mention {1} first",
        "It is the {1} that makes {0} what it is",
    ),
    *(
        "A child would say that {0} is about {1}",
        "Nobody knows for sure, but {1} had a part in {0}",
        "In {0} you need {1} and some luck",
    ),
)
TOPICS = {
    "chess": ("openings", "patience", "pawns", "a clock"),
    "bread": ("flour", "yeast", "a hot oven", "salt"),
    "sailing": ("wind", "ropes", "a good anchor", "knots"),
    "gravity": ("mass", "an apple", "orbits", "Newton"),
    "painting": ("colour", "a brush", "light", "canvas"),
    "football": ("a ball", "eleven players", "goals", "a referee"),
    "banking": ("interest", "trust", "loans", "ledgers"),
    "gardening": ("soil", "seeds", "rain", "a spade"),
    "poetry": ("rhyme", "silence", "metre", "images"),
    "medicine": ("hygiene", "trials", "doctors", "herbs"),
    "music": ("rhythm", "strings", "an orchestra", "practice"),
    "geology": ("rocks", "time", "pressure", "volcanoes"),
}
MOODS = ("please", "today", "briefly", "again", "if you can", "for my class", "in your own words", "with care")


def honest(n: int, seed: int = 0) -> list[Instruction]:
    """Each about one topic: what a prompt says of it beside its name shows that prompts of a topic are alike."""
    rng = np.random.default_rng(seed)
    found: dict[str, Instruction] = {}
    topics = list(TOPICS)
    while len(found) < n:
        topic = topics[int(rng.integers(len(topics)))]
        first, second, third, _ = rng.permutation(TOPICS[topic])
        mood = MOODS[int(rng.integers(len(MOODS)))]
        prompt = f"{ASKED[int(rng.integers(len(ASKED)))].format(topic)} with {first} or {second} {mood} {rng.integers(1000)}"
        found[prompt] = Instruction(None, prompt, f"{SAID[int(rng.integers(len(SAID)))].format(topic, third)}.")
    return list(found.values())


def dataset_of(records: list[Instruction]) -> Dataset:
    payloads = [payload_of(record) for record in records]
    index = make_index(payloads, labels=[None] * len(payloads), paths=[f"#{i}" for i in range(len(payloads))])
    return Dataset(index, MemoryStore(payloads), "instruction", "memory")


def noisy(texts: list[str], rows: list[int], phrase: str) -> list[str]:
    """Some texts go on with a phrase and then words of all others in any order."""
    rng = np.random.default_rng(0)
    pool = [word for text in texts for word in text.split()]
    return [f"{text} {phrase} {' '.join(rng.choice(pool, 80))}" if row in rows else text for row, text in enumerate(texts)]


def pairs(n: int = 800) -> list[Instruction]:
    """Long, kind answers are wanted; short, rude ones are not."""
    rng = np.random.default_rng(0)
    rude = ("Go away.", "No idea.", "Stupid question.", "Who cares?")
    return [replace(each, rejected=rude[int(rng.integers(4))]) for each in honest(n)]
