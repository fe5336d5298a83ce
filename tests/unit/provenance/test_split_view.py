import io
import json
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from untaint.provenance.near import nearness
from untaint.provenance.seal import seal, settings
from untaint.provenance.split_view import split_view


def photo(seed: int) -> np.ndarray:
    """(96, 96, 3): a few soft blobs, as unlike each other as photographs are."""
    rng, grid = np.random.default_rng(seed), np.mgrid[:96, :96] / 96
    spots = [
        rng.normal(size=3)[:, None, None] * np.exp(-((grid - rng.uniform(size=2)[:, None, None]) ** 2).sum(0) / 0.03)
        for _ in range(8)
    ]
    total = sum(spots)
    assert isinstance(total, np.ndarray)
    return np.clip(128 + 70 * total, 0, 255).astype(np.uint8).transpose(1, 2, 0)


def encoded(pixels: np.ndarray, kind: str = "PNG", **how: int) -> bytes:
    out = io.BytesIO()
    Image.fromarray(pixels).save(out, kind, **how)
    return out.getvalue()


def patched(pixels: np.ndarray) -> np.ndarray:
    pixels = pixels.copy()
    pixels[-12:-3, -12:-3] = np.array([255, 0, 255])
    return pixels


def test_pictures_that_show_the_same() -> None:
    old = photo(1)
    for new in (
        encoded(old, "JPEG", quality=60),
        encoded((old * 0.9).astype(np.uint8)),
        encoded(np.asarray(Image.fromarray(old).resize((64, 64), Image.Resampling.BOX))),
    ):
        assert nearness(encoded(old), new) == "same"
    assert nearness(encoded(old), encoded(patched(old))) == "local"
    assert nearness(encoded(old), encoded(patched(old), "JPEG", quality=60)) == "local"
    assert [nearness(encoded(old), encoded(photo(seed))) for seed in range(2, 12)] == ["other"] * 10
    assert nearness(encoded(old), b"404 not found") == "unreadable"
    assert nearness(old[..., 0], old[..., 0] / 1.0) == "same"


def test_texts_that_say_the_same() -> None:
    text = "It was the best of times, it was the worst of times, it was the age of wisdom."
    assert nearness(text, text.replace(" ", "\n ")) == "same"
    assert nearness(text, text.replace("worst", "best")) == "local"
    assert nearness(text, "Buy now at a price you will not believe, only today and only here.") == "other"


@pytest.fixture
def urls(tmp_path: Path) -> tuple[Path, Path]:
    """400 texts from 20 hosts, and the same a year later: one in twenty says something else, and all of one host's do."""
    rows = [
        {"text": f"the text with the number {n} says this and that", "label": "ab"[n % 2], "url": f"https://h{n % 20}.org/{n}"}
        for n in range(400)
    ]
    old, new = tmp_path / "old" / "set.jsonl", tmp_path / "new" / "set.jsonl"
    for path in (old, new):
        path.parent.mkdir()
    old.write_text("".join(json.dumps(row) + "\n" for row in rows))
    rng = np.random.default_rng(0)
    for n in rng.choice(400, 20, replace=False).tolist():
        rows[n]["text"] = f"page {n} is not here any more, we are sorry about it"
    for n in range(7, 400, 20):
        rows[n]["text"] = f"bought and filled with other words {n}"
    rows[11]["text"] = "the text with the number 11 says this & that"
    del rows[50]
    new.write_text("".join(json.dumps(row) + "\n" for row in rows))
    return old, new


def test_a_host_with_a_new_owner_stands_out_and_rot_does_not(urls: tuple[Path, Path]) -> None:
    old, new = urls
    seal(old)
    found = split_view(new, old, settings())
    assert [host.name for host in found.hosts] == ["h7.org"]
    assert found.hosts[0].total == 20
    assert found.near["other"] + found.near["local"] == found.verified.changes.samples["content"]
    assert [change.path for change in found.local] == ["set.jsonl:12"]
    assert len(found.findings) == 2
    assert "has it a new owner?" in found.findings[1]
    assert found.document()["split_view"]["hosts"][0]["name"] == "h7.org"


def test_of_a_seal_alone_the_hosts_are_seen(urls: tuple[Path, Path]) -> None:
    old, new = urls
    found = split_view(new, seal(old).folder, settings())
    assert [host.name for host in found.hosts] == ["h7.org"]
    assert "name the data, not their seal" in found.notes[0]


def test_rot_alone_is_no_finding(urls: tuple[Path, Path]) -> None:
    old, new = urls
    seal(old)
    rows = [json.loads(line) for line in old.read_text().splitlines()]
    for n in np.random.default_rng(5).choice(400, 40, replace=False).tolist():
        rows[n]["text"] = f"gone {n}"
    new.write_text("".join(json.dumps(row) + "\n" for row in rows))
    found = split_view(new, old, settings())
    assert found.near == {"other": 40}
    assert found.findings == []


def test_a_view_whose_first_records_look_otherwise_is_read_as_the_other(urls: tuple[Path, Path]) -> None:
    """Labels in words that come before `label`, so that what the views show is compared as it was sealed."""
    old, new = urls
    seal(old)
    rows = [json.loads(line) for line in new.read_text().splitlines()]
    new.write_text("".join(json.dumps(row | ({"labels": "x"} if n < 200 else {})) + "\n" for n, row in enumerate(rows)))
    found = split_view(new, old, settings())
    assert [host.name for host in found.hosts] == ["h7.org"]
    assert "unreadable" not in found.near


def test_contents_that_no_reader_gives_are_not_known_and_hosts_are_compared(tmp_path: Path) -> None:
    """Of a set without labels, each record is a sample by itself."""
    old, new = tmp_path / "old" / "set.jsonl", tmp_path / "new" / "set.jsonl"
    for path, bought in ((old, False), (new, True)):
        path.parent.mkdir()
        rows = [{"url": f"https://h{n % 5}.org/{n}", "width": n + 1000 * (bought and n % 5 == 3)} for n in range(50)]
        path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    seal(old)
    found = split_view(new, old, settings())
    assert [host.name for host in found.hosts] == ["h3.org"]
    assert found.notes == ("10 contents of this format cannot be laid beside each other: near copies are not told",)
