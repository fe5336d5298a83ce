"""Digests that samples and files came with, and what img2dataset and Croissant files say of a set."""

import hashlib
import io
import json
import shutil
import tarfile
from datetime import date
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from PIL import Image

from untaint.errors import BadInput
from untaint.provenance.beside import Beside
from untaint.provenance.coverage import Coverage, coverage
from untaint.provenance.croissant import beside, read_croissant
from untaint.provenance.risk_reasons import Facts, reasons
from untaint.provenance.seal import init, seal, settings
from untaint.provenance.source_risk import exposure
from untaint.provenance.sources import Source, read_sources, sources_of
from untaint.provenance.split_view import split_view
from untaint.provenance.upstream import Upstream, compared, digest_in, upstream_of
from untaint.provenance.verify import verify

HUB = "https://github.com/mlcommons/croissant/issues/80"
"""What a hub wrote into `sha256` for years."""


def sha(content: bytes, name: str = "sha256") -> str:
    return hashlib.new(name, content).hexdigest()


def jpeg(seed: int) -> bytes:
    out = io.BytesIO()
    Image.fromarray(np.random.default_rng(seed).integers(0, 256, (8, 8, 3), dtype=np.uint8)).save(out, "JPEG")
    return out.getvalue()


@pytest.mark.parametrize(
    ("value", "name", "fits"),
    [
        (sha(b"x"), "sha256", True),
        (f"SHA256:{sha(b'x').upper()}", "sha256", True),
        (bytes.fromhex(sha(b"x")), "sha256", True),
        (sha(b"x").encode(), "sha256", True),
        (sha(b"y"), "sha256", False),
        (sha(b"x", "md5"), "md5", True),
        (sha(b"x", "sha512"), "sha512", True),
        (sha(b"x", "sha1"), "sha1", True),
        (sha(b"x", "md5"), "sha256", None),
        (HUB, "sha256", None),
        ("z" * 64, "sha256", None),
        (-7216372, "sha256", None),
        ([1], "md5", None),
        ({"a": 1}, "md5", None),
    ],
)
def test_what_is_a_digest(value: object, name: str, fits: bool | None) -> None:
    digest = digest_in(value, name)
    assert (digest is None) == (fits is None)
    found = compared(Upstream(digest, None if digest else False), hashlib.sha256(b"x").digest(), lambda: b"x")
    assert found.fits is (fits or False)


def test_the_surest_digest_of_a_record_counts() -> None:
    record = {"md5": sha(b"x", "md5"), "image_sha256": sha(b"y"), "sha256": None, "hash": 3}
    assert upstream_of(record, {"md5", "image_sha256", "sha256"}) == Upstream(hashlib.sha256(b"y").digest(), None)
    assert upstream_of({"sha256": "", "md5": float("nan")}, {"sha256", "md5"}) is None


def texts(path: Path, rows: list[dict[str, Any]]) -> Path:
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    return path


def claims(rows: int, **other: Any) -> list[dict[str, Any]]:
    found = [{"text": f"text number {n}", "label": "ab"[n % 2], "source": "web"} for n in range(rows)]
    return [row | {"sha256": sha(row["text"].encode())} | other for row in found]


def test_records_are_compared_and_named(tmp_path: Path) -> None:
    rows = claims(20)
    rows[3]["text"] = "something else"
    rows[4]["sha256"] = HUB
    rows[5] |= {"sha256": None, "md5": sha(rows[5]["text"].encode(), "md5")}
    del rows[6]["sha256"]
    made = seal(texts(tmp_path / "set.jsonl", rows))
    assert coverage(made).sources == {"web": Coverage(20, 18, 17, 1, 1, 1)}
    assert coverage(made).notes == [
        "18 of 20 samples (90.0%) came with a digest, 17 fit it",
        "1 sample is not what that digest says: set.jsonl:4",
        "1 sample holds something else where a digest should be",
    ]
    (risk,) = exposure(made, sources_of([Source("web", "live-url")]), made.created.date()).sources
    assert [why.partition(":")[0] for why in risk.reasons] == [
        "live URLs",
        "nobody has vetted it",
        "1 of its samples are not what the digest they came with says",
        "1 of its samples hold something else where a digest should be",
        "1 of its samples came with MD5 or SHA-1 only, of which two contents can be made to fit one",
    ]
    assert "85% of its samples fit the digest they came with" in risk.reasons[0]
    assert risk.risk == pytest.approx(1 - (1 - 0.4 * (1 - 0.5 * 0.85)) * 0.7 * 0.5 * 0.9 * 0.9)
    assert verify(tmp_path / "set.jsonl").sound


def test_digests_of_other_bytes_show_nothing(tmp_path: Path) -> None:
    """As downloaders write them, which scale pictures afterwards; in a source where some fit, those that do not are named."""
    rows = claims(10, sha256=sha(b"before it was scaled"))
    rows += [row | {"source": "index"} for row in claims(10)]
    rows[15]["text"] = "exchanged"
    found = coverage(seal(texts(tmp_path / "set.jsonl", rows)))
    assert (found.sources["web"].recoded, found.sources["index"].recoded) == (True, False)
    assert found.examples == ("set.jsonl:16",)
    assert "10 digests fit no sample of their source" in found.notes[2]


def test_a_table_of_urls_came_with_digests_and_other_tables_did_not(tmp_path: Path) -> None:
    rows = [{"url": f"https://h.org/{n}", "width": n, "sha256": sha(bytes([n]))} for n in range(5)]
    assert coverage(seal(texts(tmp_path / "urls.jsonl", rows))).sources["(no source)"] == Coverage(5, 5)
    rows = [{"size": n, "width": n, "label": "ab"[n % 2], "md5": sha(bytes([n]), "md5")} for n in range(9)]
    assert coverage(seal(texts(tmp_path / "cells.jsonl", rows))).notes == []


def test_what_speaks_against_a_source_of_pinned_bytes() -> None:
    source, facts = Source("a", "pinned", vetted_by="A", vetted_on=None), Facts
    today = date(2026, 6, 1)
    assert [why for _, why in reasons(source, facts(today, coverage=Coverage(10, 10, 10)))] == [
        "bytes that are pinned by a digest",
        "nobody has vetted it",
    ]
    half = [why for _, why in reasons(source, facts(today, coverage=Coverage(10, 5, 5)))]
    assert "it is said to be pinned by a digest, and only 50% of its samples fit one" in half
    none = {why: weight for weight, why in reasons(source, facts(today))}
    assert none["it is said to be pinned by a digest, and no sample came with one that fits"] == 0.3


def fetched(root: Path, kind: str) -> Path:
    """What img2dataset writes: two shards, in each four pictures and one that it could not get. One digest is wrong, one is none."""
    root.mkdir()
    for shard in range(2):
        rows, pictures = [], []
        for n in range(5):
            key, picture = f"{shard:05d}{n:04d}", jpeg(10 * shard + n)
            claim = sha(jpeg(99)) if (shard, n) == (1, 2) else HUB if (shard, n) == (1, 3) else sha(picture)
            status = "failed_to_download" if n == 4 else "success"
            rows.append(
                {
                    "url": f"https://h{n}.org/{key}",
                    "caption": "a cat",
                    "key": key,
                    "status": status,
                    "sha256": None if n == 4 else claim,
                }
            )
            pictures.append(None if n == 4 else picture)
        table = pa.Table.from_pylist(rows)
        table = table.append_column("jpg", pa.array(pictures, pa.binary())) if kind == "parquet" else table
        pq.write_table(table, root / f"{shard:05d}.parquet")
        (root / f"{shard:05d}_stats.json").write_text('{"count": 5}')
        members = [(f"{row['key']}.{end}", content) for row, picture in zip(rows, pictures, strict=True) if picture for end, content in (("jpg", picture), ("txt", b"a cat"), ("json", json.dumps(row).encode()))]  # fmt: skip
        if kind == "tar":
            with tarfile.open(root / f"{shard:05d}.tar", "w") as archive:
                for name, content in members:
                    info = tarfile.TarInfo(name)
                    info.size = len(content)
                    archive.addfile(info, io.BytesIO(content))
        if kind == "files":
            (root / f"{shard:05d}").mkdir()
            for name, content in members:
                (root / f"{shard:05d}" / name).write_bytes(content)
    return root


@pytest.mark.parametrize("kind", ["tar", "files", "parquet"])
def test_what_img2dataset_fetched(kind: str, tmp_path: Path) -> None:
    root = fetched(tmp_path / "fetched", kind)
    made = seal(root)
    assert made.sealed.format == "img2dataset"
    held: list[dict[str, Any]] = [
        row
        for batch in made.manifest.batches()
        for row in batch.to_pylist()
        if kind != "parquet" or row["id"] != hashlib.sha256(b"").digest()
    ]
    assert [row["url"] for row in held] == [f"https://h{n}.org/{shard:05d}{n:04d}" for shard in range(2) for n in range(4)]
    assert [row["id"] for row in held] == [hashlib.sha256(jpeg(10 * shard + n)).digest() for shard in range(2) for n in range(4)]
    found = coverage(made)
    (counted,) = found.sources.values()
    assert (counted.came, counted.fit, counted.wrong, counted.bogus) == (7, 6, 1, 1)
    place = {"tar": "00001.tar:2", "files": "00001/000010002.jpg", "parquet": "00001.parquet#2"}[kind]
    assert found.examples == (place,)
    assert verify(root).sound
    path = root / "00001.parquet"
    path.write_bytes(path.read_bytes()[:-9])
    assert not verify(root).sound


def test_two_views_of_what_img2dataset_fetched(tmp_path: Path) -> None:
    root = fetched(tmp_path / "fetched", "files")
    seal(root)
    other = shutil.copytree(root, tmp_path / "later")
    (other / "00000/000000001.jpg").write_bytes(jpeg(77))
    Image.open(io.BytesIO(jpeg(2))).save(other / "00000/000000002.jpg", "PNG")
    assert split_view(other, root, settings()).near == {"other": 1, "same": 1}


def test_a_folder_that_only_looks_like_it(tmp_path: Path) -> None:
    (tmp_path / "set").mkdir()
    (tmp_path / "set/00000.parquet").write_bytes(b"no parquet")
    (tmp_path / "set/00000_stats.json").write_text("{}")
    with pytest.raises(BadInput, match="not a readable Parquet file"):
        seal(tmp_path / "set")
    with pytest.raises(BadInput, match="holds no table such as"):
        seal(texts(tmp_path / "x.jsonl", claims(2)), None, settings(format="img2dataset"))


def described(*files: dict[str, Any], **other: Any) -> dict[str, Any]:
    found = {"@context": {}, "@type": "sc:Dataset", "name": "Cats & Co", "creator": {"@type": "Person", "name": "Ann"}}
    return (
        found
        | {"publisher": [{"name": "Cats Ltd"}], "distribution": [{"@type": "cr:FileObject", **each} for each in files]}
        | other
    )


def croissant(path: Path, document: object) -> Path:
    path.write_text(json.dumps(document))
    return path


def test_a_croissant_file_names_the_source_and_the_digests_of_files(tmp_path: Path) -> None:
    folder = tmp_path / "set"
    folder.mkdir()
    for name in ("a.jsonl", "b.jsonl"):
        texts(folder / name, [{"text": f"{name} {n}", "label": "ab"[n % 2]} for n in range(4)])
    right, wrong = sha((folder / "a.jsonl").read_bytes()), sha(b"another file")
    files = [
        {"@id": "a", "contentUrl": "https://data.cats.example/v1/a.jsonl?x=1", "sha256": right},
        {
            "@id": "b",
            "contentUrl": "https://data.cats.example/v1/b.jsonl",
            "md5": sha((folder / "b.jsonl").read_bytes(), "md5"),
            "sha256": wrong,
        },
    ]
    path = croissant(tmp_path / "set.croissant.json", described(*files))
    assert beside(folder) == path
    found = read_croissant(path)
    assert found.source == Source("Cats & Co", "pinned", "Cats Ltd", hosts=("data.cats.example",), paths=("**",))
    written = init(folder, described=found)
    (source,) = read_sources(written).listed
    assert source == found.source
    made = seal(folder, beside=Beside(described=found))
    counts = coverage(made)
    assert counts.sources["Cats & Co"] == Coverage(8, 8, 4, 4, 0, 0, 4)
    assert counts.notes == [
        "8 of 8 samples (100.0%) came with a digest, 4 fit it",
        f"{path} describes 2 files of them",
        "1 file is not what it says, with all samples in them: b.jsonl",
    ]
    (risk,) = exposure(made, read_sources(written), made.created.date()).sources
    assert "4 of its samples are not what the digest they came with says" in risk.reasons


def test_what_croissant_files_say_that_is_of_no_use(tmp_path: Path) -> None:
    path = croissant(
        tmp_path / "c.json", described({"contentUrl": "a.csv", "sha256": HUB}, {"contentUrl": "b.csv"}, isLiveDataset=True)
    )
    found = read_croissant(path)
    assert (found.files["a.csv"], found.undigested, found.source.kind) == (Upstream(None, False), 1, "live-url")
    data = texts(tmp_path / "a.csv", claims(2))
    made = seal(data, None, settings(format="jsonl"), beside=Beside(described=found))
    assert coverage(made).notes[-1] == "of 1 file it says something else where a digest should be"
    odd = described({"contentUrl": ["x"], "name": 3, "sha256": {}}, creator=[3, None, {"name": 7}], publisher=None, name=9)
    odd["distribution"] += [3, None, {"@type": "cr:FileSet", "contentUrl": "https://[", "includes": "*.png"}]
    found = read_croissant(croissant(path, odd))
    assert (found.owner, found.hosts, found.source.name) == (None, (), "c")


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("", "not a JSON object"),
        ("[]", "not a JSON object"),
        ('{"@type": "sc:Person"}', "describes no data set"),
        ('{"@type": "sc:Dataset", "@type": "x"}', "comes twice"),
        ("{" * 3000, "not a JSON object"),
    ],
)
def test_a_file_that_is_no_croissant(content: str, message: str, tmp_path: Path) -> None:
    path = tmp_path / "croissant.json"
    path.write_text(content)
    with pytest.raises(BadInput, match=message):
        read_croissant(path)
    assert beside(tmp_path) is None
    with pytest.raises(BadInput, match="cannot be read"):
        read_croissant(tmp_path / "none.json")


def test_hosts_that_urls_name_are_written_down(tmp_path: Path) -> None:
    rows = [{"text": f"t{n}", "label": "ab"[n % 2], "url": f"https://{'a' if n % 3 else 'b'}.org/{n}"} for n in range(9)]
    said = init(texts(tmp_path / "set.jsonl", rows)).read_text()
    assert '# "a.org",\n# "b.org",\n' in said
