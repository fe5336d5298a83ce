import json
from datetime import date
from pathlib import Path

import pytest

from untaint.errors import BadInput
from untaint.provenance.seal import seal
from untaint.provenance.source_risk import exposure
from untaint.provenance.sources import Source, Sources, read_sources, sources_of, template

HEAD = 'schema = "untaint.sources/v1"\n'
TODAY = date(2026, 11, 27)


def written(text: str, tmp_path: Path) -> Path:
    path = tmp_path / "sources.toml"
    path.write_text(text)
    return path


def test_everything_a_file_may_say(tmp_path: Path) -> None:
    text = HEAD + (
        'default = "house"\ntransform = "resized"\n[[source]]\nname = "shop"\nkind = "live-url"\nowner = "Shop Ltd"\nvetted_by = "Ann"\n'
        'vetted_on = 2026-01-31\nexpires = 2027-01-31\nhosts = ["IMG.shop.example", "*.cdn.example"]\npaths = ["shop/**"]\nowner_changes = 1\n'
    )
    found = read_sources(written(text, tmp_path))
    shop = Source(
        "shop",
        "live-url",
        "Shop Ltd",
        "Ann",
        date(2026, 1, 31),
        date(2027, 1, 31),
        ("img.shop.example", "*.cdn.example"),
        ("shop/**",),
        1,
    )
    assert found == Sources((shop,), "house", "resized")
    assert read_sources(written(template(["a", 'quo"ted', "new\nline"]), tmp_path)).listed[1:] == (
        Source('quo"ted'),
        Source("new\nline"),
    )
    assert read_sources(written(template([]), tmp_path)).listed == (Source("unnamed"),)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("x", "cannot be read as TOML"),
        ('schema = "untaint.sources/v2"', "has the schema 'untaint.sources/v2'"),
        (HEAD + "sauce = 1", "unknown key 'sauce'"),
        (HEAD + "source = 1", "not a list"),
        (HEAD + "[[source]]\nkind = 'crowd'", "source 1 has no name"),
        (HEAD + "[[source]]\nname = 'a'\nkind = 'friend'", "has the kind 'friend'"),
        (HEAD + "[[source]]\nname = 'a'\ncolour = 1", "unknown key 'colour'"),
        (HEAD + "[[source]]\nname = 'a'\nvetted_on = '2026-01-01'", "not a date"),
        (HEAD + "[[source]]\nname = 'a'\nvetted_on = 2026-02-01\nexpires = 2026-01-01", "expires on 2026-01-01, before"),
        (HEAD + "[[source]]\nname = 'a'\nhosts = 'x'", "not a list of texts"),
        (HEAD + "[[source]]\nname = 'a'\nowner_changes = -1", "owner_changes is -1"),
        (HEAD + "[[source]]\nname = 'a'\n[[source]]\nname = 'a'", "lists the source 'a' twice"),
        (HEAD + "default = 1", "default is 1, not a text"),
    ],
)
def test_a_file_that_is_not_understood(text: str, message: str, tmp_path: Path) -> None:
    with pytest.raises(BadInput, match=message):
        read_sources(written(text, tmp_path))


def test_patterns_of_paths_and_hosts() -> None:
    found = sources_of(
        [
            Source("deep", paths=("a/**/x?.png",)),
            Source("flat", paths=("b/*.png", "**/c.txt")),
            Source("web", hosts=("*.x.org", "y.org")),
        ]
    )
    names = {
        "a/x1.png": "deep",
        "a/b/c/x2.png": "deep",
        "a/x12.png": None,
        "b/1.png": "flat",
        "b/c/1.png": None,
        "c.txt": "flat",
        "z/c.txt": "flat",
        "b/1xpng": None,
    }
    assert {name: found.source_of(None, name, None) for name in names} == names
    urls = {
        "https://www.x.org/1": "web",
        "https://x.org/1": None,
        "http://Y.ORG:80/": "web",
        "https://evil.org/y.org": None,
        "no url": None,
        "https://[": None,
    }
    assert {url: found.source_of(None, "f", url) for url in urls} == urls
    assert found.source_of("said", "a/x1.png", "https://y.org") == "said"


@pytest.fixture
def web(tmp_path: Path) -> Path:
    """1,000 samples: 600 of a crowd of 300 hosts, 300 of a shop with one host and 3 strays, 97 from in-house, 3 nobody knows."""
    rows = [
        {"url": f"https://{f'c{n % 300}.org' if n < 600 else 'evil.org' if n < 603 else 'shop.org' if n < 900 else 'house.org'}/{n}", "source": "crowd" if n < 600 else "shop" if n < 900 else "house" if n < 997 else "new"}
        for n in range(1000)
    ]  # fmt: skip
    path = tmp_path / "web.jsonl"
    path.write_text(
        "".join(
            json.dumps({"text": f"text number {n}", "label": "ab"[n % 2], "collected_at": f"2026-{1 + n // 100:02d}-01"} | row)
            + "\n"
            for n, row in enumerate(rows)
        )
    )
    return path


def test_risks_have_their_reasons(web: Path) -> None:
    made = seal(web)
    sources = sources_of(
        [
            Source("crowd", "crowd", vetted_by="Ann", vetted_on=date(2026, 11, 1)),
            Source(
                "shop",
                "live-url",
                vetted_by="Ann",
                vetted_on=date(2024, 1, 1),
                expires=date(2025, 1, 1),
                hosts=("shop.org",),
                owner_changes=2,
            ),
            Source("house", "internal", vetted_by="Ann", vetted_on=date(2026, 11, 1)),
        ]
    )
    found = {risk.name: risk for risk in exposure(made, sources, TODAY, {"house": 0.01}).sources}
    assert [found[name].samples for name in ("crowd", "shop", "house", "new")] == [600, 300, 97, 3]
    assert found["crowd"].risk == pytest.approx(0.6)
    assert found["shop"].risk == pytest.approx(1 - 0.6 * 0.7 * 0.6 * 0.5)
    assert found["shop"].stray == 3
    assert "its vetting expired on 2025-01-01" in found["shop"].reasons
    assert found["house"].reasons[-1] == "an audit flagged 1.00% of its samples"
    assert not found["new"].listed
    assert found["new"].fresh == 3


def test_the_cheapest_way_to_own_a_share(web: Path) -> None:
    made = seal(web)
    kinds = sources_of([Source("crowd", "crowd"), Source("shop", "live-url"), Source("house", "internal")])
    found = {takeover.share: takeover for takeover in exposure(made, kinds, TODAY).takeovers}
    assert (found[0.01].domains, found[0.01].names) == (1, ("shop.org",))
    assert found[0.01].sentence == "1.00% of the set: 1 domain (shop.org) with 29.70%"
    pinned = sources_of([Source("crowd", "crowd"), Source("shop", "pinned"), Source("house", "internal")])
    found = {takeover.share: takeover for takeover in exposure(made, pinned, TODAY).takeovers}
    assert (found[0.01].domains, found[0.1].domains) == (5, 50)
    safe = sources_of([Source(name, "pinned") for name in ("crowd", "shop", "house", "new")])
    assert exposure(made, safe, TODAY).takeovers == ()
