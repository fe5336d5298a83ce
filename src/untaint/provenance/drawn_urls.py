"""Which URLs of a set are asked: a few of every host, drawn at random, so that a small host that was bought is seen as well as a large one.

Where there are more hosts than requests, hosts are drawn as well, each as likely as the other; memory is that of the URLs drawn.
"""

from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import chain, islice, zip_longest
from typing import NamedTuple, final

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from pandas.util import hash_array

from untaint.provenance.manifest import Manifest

_HOST = r"^[Hh][Tt][Tt][Pp][Ss]?://(?:[^/?#@]*@)?(?P<host>\[[0-9A-Fa-f:.]+\]|[^/:?#]+)"
_COUNTED = 1_000_000
"""Hosts that are counted exactly: of more, how many hardly matters."""


@final
@dataclass(frozen=True)
class Url:
    """One URL that is asked. row: of the manifest.  sample: SHA-256 that is the sample's id.  upstream: digest that it came with."""

    url: str
    host: str
    row: int
    sample: bytes
    upstream: bytes | None = None


@final
@dataclass(frozen=True)
class Drawn:
    """urls: to be asked, hosts in turn.  hosts: that the set names, counted up to a million.  samples: with a URL that can be asked."""

    urls: tuple[Url, ...]
    hosts: int
    samples: int


class _Ranked(NamedTuple):
    rank: int  # of its host
    order: int  # within its host
    url: Url


def drawn_urls(manifest: Manifest, most: int, per_host: int, rng: np.random.Generator) -> Drawn:
    """At most `most` URLs, at most `per_host` of a host. Every URL is asked once, however many samples name it."""
    key, seen, held = rng.bytes(8).hex(), set[int](), list[_Ranked]()
    start, samples, due, lowest = 0, 0, 8 * most, np.empty(0, np.uint64)
    for batch in manifest.batches(["url", "id", "upstream"]):
        names = pc.dictionary_encode(pc.utf8_lower(pc.struct_field(pc.extract_regex(batch.column("url"), _HOST), "host")))
        hosts = names.dictionary.to_pylist()
        ranks = hash_array(np.array(hosts, object), hash_key=key) if hosts else np.empty(0, np.uint64)
        if len(seen) < _COUNTED:
            seen.update(ranks.tolist())
        codes = np.asarray(names.indices.fill_null(-1))
        samples += int((codes >= 0).sum())
        lowest = np.union1d(lowest, ranks)[:most]  # no other host can be among those that are asked
        rows = np.flatnonzero((codes >= 0) & (ranks[codes] <= lowest[-1] if len(ranks) else False))
        held += _first(batch, rows, (codes, hosts, ranks), per_host, key, start)
        start += batch.num_rows
        if len(held) > due:
            held = _thinned(held, most, per_host)
            due = len(held) + 8 * most
    return Drawn(tuple(islice(_in_turn(_thinned(held, most, per_host)), most)), len(seen), samples)


def _first(
    batch: pa.RecordBatch,
    rows: np.ndarray,
    named: tuple[np.ndarray, list[str], np.ndarray],
    per_host: int,
    key: str,
    start: int,
) -> Iterator[_Ranked]:
    """A few URLs of every host, those whose keyed hashes are least. named: code of every row's host, the hosts, their ranks."""
    codes, hosts, ranks = named
    urls = pc.dictionary_encode(batch.column("url").take(pa.array(rows)))
    rows = rows[np.unique(np.asarray(urls.indices), return_index=True)[1]]
    order = hash_array(np.array(urls.dictionary.to_pylist(), object), hash_key=key) if len(rows) else np.empty(0, np.uint64)
    by_host = np.lexsort((order, codes[rows]))
    firsts = np.flatnonzero(np.diff(codes[rows][by_host], prepend=-1))
    within = np.arange(len(rows)) - np.repeat(firsts, np.diff(firsts, append=len(rows)))
    chosen = by_host[within < per_host]
    taken = batch.take(pa.array(rows[chosen]))
    found = zip(
        rows[chosen].tolist(),
        order[chosen].tolist(),
        taken.column("url").to_pylist(),
        taken.column("id").to_pylist(),
        taken.column("upstream").to_pylist(),
        strict=True,
    )
    for row, place, url, sample, upstream in found:
        yield _Ranked(int(ranks[codes[row]]), place, Url(url, hosts[codes[row]], start + row, sample, upstream))


def _thinned(held: list[_Ranked], most: int, per_host: int) -> list[_Ranked]:
    """Hosts in the order of their ranks, as many as can be asked, each with its first few URLs."""
    found, known, ranks = defaultdict[int, list[_Ranked]](list), set[str](), list[int]()
    for ranked in sorted(held, key=lambda ranked: ranked[:2]):
        if ranked.url.url in known or len(found[ranked.rank]) >= per_host:
            continue
        known.add(ranked.url.url)
        found[ranked.rank].append(ranked)
    ranks = sorted(rank for rank in found if found[rank])[:most]
    return list(chain.from_iterable(found[rank] for rank in ranks))


def _in_turn(held: list[_Ranked]) -> Iterator[Url]:
    """One URL of every host, then a second of every host, and so on."""
    by_host = defaultdict[int, list[Url]](list)
    for ranked in held:
        by_host[ranked.rank].append(ranked.url)
    for turn in zip_longest(*by_host.values()):
        yield from (url for url in turn if url is not None)
