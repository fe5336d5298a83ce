"""What a set's URLs showed when they were asked: taken down when data are sealed, and asked again when they are verified.

`online.parquet` in the folder of the seal, a row per URL. Nothing here runs unless a user asks for it with `--online`.
"""

import hashlib
import secrets
import ssl
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final, final

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from untaint.errors import BadInput
from untaint.provenance.certificates import certificate_of
from untaint.provenance.drawn_urls import Url, drawn_urls
from untaint.provenance.fetch import Limits, Reply, fetch
from untaint.provenance.hosts import outlying
from untaint.provenance.manifest import HASH, Manifest, sha256_of
from untaint.provenance.rdap import BOOTSTRAP, Registries
from untaint.provenance.sealed import Seal
from untaint.provenance.signature import signature_of
from untaint.provenance.sources import host_of
from untaint.provenance.upstream import Upstream, compared

TABLE: Final = "online.parquet"
_TIME = pa.timestamp("s", "UTC")
CAPTURES = pa.schema(
    [
        ("url", pa.string()),
        ("host", pa.string()),  # that it names
        ("row", pa.int64()),  # of the manifest, of one sample with that URL
        ("asked_at", _TIME),
        ("status", pa.int32()),  # 0 = no answer
        ("problem", pa.string()),  # why there is no body; null = there is one
        ("chain", pa.list_(pa.string())),  # URLs that redirects led to
        ("final_host", pa.string()),
        ("content_type", pa.string()),
        ("length", pa.int64()),  # of the body, bytes
        ("etag", pa.string()),
        ("last_modified", pa.string()),
        ("sha256", HASH),  # of the body as it came
        ("is_sample", pa.bool_()),  # whether that is the sample's id
        ("fits", pa.bool_()),  # whether the body has the digest that the sample came with
        ("kind", pa.string()),  # of the signature: picture, text
        ("signature", pa.binary()),
        ("issuer", pa.string()),  # of the certificate
        ("subject", pa.string()),
        ("key", pa.string()),  # SHA-256 of its public key
        ("since", _TIME),  # from when it counts
        ("domain", pa.string()),
        ("registered", _TIME),
        ("unregistered", pa.string()),  # why that is not known
    ]
)
"""Columns of `online.parquet`. What a host says of itself is cut at 256 characters."""


@final
@dataclass(frozen=True)
class Asking:
    """How URLs are asked. most: URLs at all.  per_host: of one host.  pause: seconds between two requests to a host.

    at_once: requests at a time.  rdap: URL of the file that says which registry to ask for a domain, None = ask none.
    """

    most: int = 1000
    per_host: int = 10
    pause: float = 0.5
    at_once: int = 8
    rdap: str | None = BOOTSTRAP
    limits: Limits = field(default_factory=Limits)


@final
@dataclass(frozen=True)
class Asked:
    """What came back. table: rows of `CAPTURES`, of the URLs that were asked.  urls: that were to be.  hosts, samples: of the set."""

    table: pa.Table
    urls: int
    hosts: int
    samples: int

    @property
    def notes(self) -> list[str]:
        """In words: how much was asked, what of it answered."""
        answered = self.table.num_rows - self.table.column("problem").null_count
        served = sum(bool(same) for same in self.table.column("is_sample").to_pylist())
        hosts = len(set(self.table.column("host").to_pylist()))
        fits = [row for row in self.table.select(["host", "fits"]).to_pylist() if row["fits"] is not None]
        told = [f"asked {self.table.num_rows:,} URLs of {hosts:,} hosts (the set has {self.samples:,} of {self.hosts:,})"]
        told[0] += f": {self.table.num_rows - answered:,} answered, {served:,} with the very bytes of their sample"
        if fits:
            wrong = Counter(row["host"] for row in fits if not row["fits"])
            told.append(
                f"{wrong.total():,} of {len(fits):,} URLs show other bytes than the digest says that their sample came with"
            )
            told += [
                f"{host.changed:,} of {host.total:,} of {host.name} do, far more than of other hosts (p = {host.p_value:.2g}): look at it"
                for host in outlying(wrong, Counter(row["host"] for row in fits))
            ]
        if self.table.num_rows < self.urls:
            told.append(f"stopped after {self.table.num_rows:,} of {self.urls:,} URLs")
        return told


def asking(most: int, per_host: int, rdap: str | None, *, private: bool) -> Asking:
    """How URLs are asked, from flags. rdap: `none` for no registries, None for the usual file. Raises BadInput for less than one URL."""
    if most < 1 or per_host < 1:
        raise BadInput("at least one URL must be asked.", advice="Give --most-urls and --per-host at least 1.")
    where = None if rdap == "none" else rdap or BOOTSTRAP
    return Asking(most, per_host, rdap=where, limits=Limits(private=private))


Report = Callable[[str, int, int], None]


def ask_set(manifest: Manifest, how: Asking, report: Report) -> Asked:
    """Ask a sample of the URLs in a manifest. Raises BadInput where there is none."""
    drawn = drawn_urls(manifest, how.most, how.per_host, np.random.default_rng(secrets.randbits(128)))
    if not drawn.urls:
        raise BadInput("no sample has a URL that can be asked.", advice="Leave --online out, or name the column of URLs `url`.")
    return Asked(ask(drawn.urls, how, report), len(drawn.urls), drawn.hosts, drawn.samples)


def write(path: Path, asked: Asked) -> str:
    """Write down what came back; the file's SHA-256."""
    facts = {"urls": str(asked.urls), "hosts": str(asked.hosts), "samples": str(asked.samples)}
    pq.write_table(asked.table.replace_schema_metadata(facts), path, compression="zstd")
    return sha256_of(path)


def notes_of(seal: Seal) -> list[str]:
    """What a seal says of how its URLs were asked, in words; empty where they were not."""
    table = seal.table(TABLE)
    if table is None:
        return []
    facts = {name: int(table.schema.metadata[name.encode()]) for name in ("urls", "hosts", "samples")}
    return Asked(table, **facts).notes


def ask(urls: Sequence[Url], how: Asking, report: Report) -> pa.Table:
    """Ask URLs, many hosts at once and each politely; rows of `CAPTURES` in the order of the URLs.

    Ctrl-C ends it, and what came until then is kept. Raises BadInput where no host could be reached at all.
    """
    asker = _Asker(how)
    pool = ThreadPoolExecutor(how.at_once, "untaint-online")
    waiting: dict[Future[dict[str, Any]], int] = {pool.submit(asker.row, url): place for place, url in enumerate(urls)}
    done: dict[int, dict[str, Any]] = {}
    with suppress(KeyboardInterrupt):
        while waiting:
            for future in wait(waiting, timeout=1.0, return_when=FIRST_COMPLETED).done:
                done[waiting.pop(future)] = future.result()
            report("asking URLs", len(done), len(urls))
    asker.stop.set()
    pool.shutdown(wait=True, cancel_futures=True)
    rows = [done[place] for place in sorted(done)]
    if rows and not any(row["status"] for row in rows):
        why = Counter(row["problem"] for row in rows).most_common(1)[0][0]
        raise BadInput(f"none of {len(rows):,} URLs could be asked, most often: {why}.", advice="Is there a network?")
    return pa.Table.from_pylist(rows, CAPTURES)


@final
class _Asker:
    """Turns a URL into a row, at a pace that no host minds."""

    def __init__(self, how: Asking) -> None:
        self._how, self._context = how, ssl.create_default_context()
        self._registries = None if how.rdap is None else Registries(self._get, how.rdap)
        self._asking, self._decoding, self._pacing = threading.Lock(), threading.Lock(), threading.Lock()
        self._next: dict[str | None, float] = {}
        self.stop = threading.Event()

    def row(self, url: Url) -> dict[str, Any]:
        """A row of `CAPTURES`."""
        now = datetime.now(UTC)
        found: dict[str, Any] = {"url": url.url, "host": url.host, "row": url.row, "asked_at": now}
        found |= self._shown(self._get(url.url), url)
        if self._registries is not None:
            with self._asking:  # a domain is asked for once
                known = self._registries.registered(url.host)
            found |= {"domain": known.domain, "registered": known.since, "unregistered": known.problem or None}
        return found

    def _get(self, url: str) -> Reply:
        """A fetch, after the pause that its host is owed."""
        host = host_of(url)
        with self._pacing:
            now = time.monotonic()
            start = max(now, self._next.get(host, 0.0))
            self._next[host] = start + self._how.pause
        if self.stop.wait(start - now):
            return Reply(url, problem="stopped")
        return fetch(url, self._how.limits, self._context)

    def _shown(self, reply: Reply, url: Url) -> dict[str, Any]:
        headers = reply.headers
        found: dict[str, Any] = {
            "status": reply.status,
            "problem": reply.problem or _refused(reply.status),
            "chain": list(reply.chain),
            "final_host": host_of(reply.final),
            "content_type": headers.get("content-type"),
            "etag": headers.get("etag"),
            "last_modified": headers.get("last-modified"),
        }
        if (shown := certificate_of(reply.certificate)) is not None:
            found |= {"issuer": shown.issuer, "subject": shown.subject, "key": shown.key, "since": shown.since}
        if found["problem"] is None:
            digest = hashlib.sha256(reply.body).digest()
            with self._decoding:  # one picture at a time: it may be large
                signature = None if "content-encoding" in headers else signature_of(reply.body)
            kind, data = signature or (None, None)
            claim = None if url.upstream is None else compared(Upstream(url.upstream, None), digest, lambda: reply.body)
            found |= {
                "fits": claim.fits if claim else None,
                "length": len(reply.body),
                "sha256": digest,
                "is_sample": digest == url.sample,
                "kind": kind,
                "signature": data,
            }
        return found


def _refused(status: int) -> str | None:
    return None if 200 <= status < 300 else f"status {status}"


def urls_of(table: pa.Table) -> Iterator[Url]:
    """The URLs that were asked before, to be asked again."""
    for row in table.select(["url", "host", "row", "sha256"]).to_pylist():
        yield Url(row["url"], row["host"], row["row"], row["sha256"] or b"")
