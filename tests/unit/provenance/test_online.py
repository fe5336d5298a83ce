"""What URLs show when a set is sealed and later, from servers on this machine."""

import hashlib
import json
import os
import signal
import threading
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime
from http.server import BaseHTTPRequestHandler
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from tests.servers import Web, name_everything_local, secure, self_signed, served
from tests.unit.provenance.test_split_view import encoded, patched, photo

from untaint.cli import app
from untaint.errors import BadInput
from untaint.provenance.beside import Beside
from untaint.provenance.drawn_urls import Url, drawn_urls
from untaint.provenance.fetch import Limits
from untaint.provenance.online import CAPTURES, Asking, ask, asking, notes_of
from untaint.provenance.recheck import Rechecked, compared, recheck
from untaint.provenance.seal import quiet, seal
from untaint.provenance.sealed import Seal
from untaint.provenance.signature import nearness_of, signature_of

HOW = Asking(pause=0, rdap=None, limits=Limits(seconds=10.0, silence=5.0, private=True))
SEALED = datetime(2026, 1, 1, tzinfo=UTC)


@pytest.fixture
def web(monkeypatch: pytest.MonkeyPatch) -> Iterator[Web]:
    name_everything_local(monkeypatch)
    with served() as found:
        yield found


def sealed(tmp_path: Path, urls: list[str], how: Asking = HOW) -> Seal:
    path = tmp_path / "set.jsonl"
    path.write_text(
        "".join(json.dumps({"text": f"text {n}", "label": "ab"[n % 2], "url": url}) + "\n" for n, url in enumerate(urls))
    )
    return seal(path, beside=Beside(how))


def test_what_urls_show_is_sealed(web: Web, tmp_path: Path) -> None:
    urls = [
        web.put("a.test/0", b"text 0", Content_Type="text/plain", ETag="x", Last_Modified="yesterday"),
        web.url("b.test/gone"),
    ]
    urls += [web.put("c.test/go", b"", 302, Location=web.put("d.test/there", b"elsewhere"))]
    made = sealed(tmp_path, [*urls, urls[0], "ftp://x.test/", "no url"])
    rows = {row["url"]: row for row in pq.read_table(made.folder / "online.parquet").to_pylist()}
    assert set(rows) == set(urls)
    first, gone, led = (rows[url] for url in urls)
    assert (first["host"], first["row"] in {0, 3}, first["status"], first["problem"], first["length"]) == (
        "a.test",
        True,
        200,
        None,
        6,
    )
    assert (first["content_type"], first["etag"], first["last_modified"], first["kind"]) == (
        "text/plain",
        "x",
        "yesterday",
        "text",
    )
    assert (first["is_sample"], first["issuer"], first["asked_at"] <= datetime.now(UTC)) == (first["row"] == 0, None, True)
    assert (gone["status"], gone["problem"], gone["sha256"]) == (404, "status 404", None)
    assert (led["chain"], led["final_host"]) == ([web.url("d.test/there")], "d.test")
    told = notes_of(made)[0]
    assert told.startswith("asked 3 URLs of 3 hosts (the set has 4 of 3): 2 answered")
    (made.folder / "online.parquet").write_bytes(b"")
    with pytest.raises(BadInput, match="not the table that was sealed"):
        notes_of(made)


def test_a_set_without_urls_and_a_network_that_is_not_there(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    name_everything_local(monkeypatch)
    with pytest.raises(BadInput, match="no sample has a URL"):
        sealed(tmp_path, ["", "no url"])
    with pytest.raises(BadInput, match="none of 2 URLs could be asked, most often: no answer: gaierror"):
        sealed(tmp_path, ["http://a.invalid/", "http://b.invalid/"])
    with pytest.raises(BadInput, match="not public"):
        sealed(tmp_path, ["http://a.test/"], replace(HOW, limits=Limits()))
    with pytest.raises(BadInput, match="at least one URL"):
        asking(0, 1, None, private=False)
    made = seal(tmp_path / "set.jsonl")
    assert notes_of(made) == []
    with pytest.raises(BadInput, match="Seal with --online first"):
        recheck(made, HOW, quiet)


def test_honest_change_is_no_finding_and_a_patch_is(web: Web, tmp_path: Path) -> None:
    first, second = photo(1), photo(2)
    urls = [web.put(f"h{n}.test/{n}.png", encoded(photo(n))) for n in (1, 2, 3, 4)]
    urls += [
        web.put(f"t{n}.test/", f"<p>a page of {n} with rather many words that stay as they are</p>".encode()) for n in range(4)
    ]
    made = sealed(tmp_path, urls)
    web.put("h1.test/1.png", encoded(first, "JPEG", quality=60))
    web.put("h2.test/2.png", encoded(patched(second)))
    web.put("h3.test/3.png", b"no picture")
    del web.answers["h4.test/4.png"]
    web.put("t1.test/", b"<p>a page of 1 with rather many words that stay as they were</p>")
    web.put("t2.test/", b"<p>bought, and full of other things to say to whoever comes</p>")
    found = recheck(made, HOW, quiet)
    assert found.tiers == {"exact": 2, "same": 1, "local": 2, "other": 2, "gone": 1}
    assert found.findings == [f"{urls[1]}: nearly the same picture, but for a place that differs"]
    assert found.document()["tiers"]["silent"] == 0


def registry(web: Web, when: str) -> str:
    web.put("r.test/domain/h1.test", json.dumps({"events": [{"eventAction": "registration", "eventDate": when}]}).encode())
    return web.put("boot.test/dns.json", json.dumps({"services": [[["test"], [web.url("r.test/")]]]}).encode())


def test_a_domain_that_was_bought_after_the_sealing(web: Web, tmp_path: Path) -> None:
    how = replace(HOW, rdap=registry(web, "2019-01-01T00:00:00Z"))
    urls = [web.put(f"{name}.test/{n}", f"page {n} of many words".encode()) for name in ("h1", "h2") for n in range(2)]
    made = sealed(tmp_path, urls, how)
    table = made.table("online.parquet")
    assert table is not None
    rows = {row["host"]: row for row in table.to_pylist()}
    assert (rows["h1.test"]["registered"], rows["h2.test"]["registered"]) == (datetime(2019, 1, 1, tzinfo=UTC), None)
    assert rows["h2.test"]["unregistered"] == "its registry knows no such domain"
    registry(web, "2026-11-26T00:00:00Z")  # before the sealing, newer than it was: a registry that corrects itself
    assert recheck(made, how, quiet).signals == []
    registry(web, "2999-01-02T00:00:00Z")
    found = recheck(made, how, quiet)
    assert (found.findings, len(found.signals)) == ([], 1)
    web.put("h1.test/1", b"an offer that nobody can turn down")
    web.put("h2.test/1", b"another page that simply changed")
    (told,) = recheck(made, how, quiet).findings
    assert (
        told
        == "1 of 2 URLs of h1.test show something else; its domain was registered on 2999-01-02, after the sealing: has it a new owner?"
    )


def test_another_certificate_counts_with_other_contents(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    name_everything_local(monkeypatch)
    pems = [self_signed(tmp_path, "a.test", "b.test", "c.test", organisation=who, name=who) for who in ("One", "Two")]
    both = tmp_path / "both.pem"
    both.write_text("".join(pem.read_text().partition("-----BEGIN PRIVATE")[0] for pem in pems))
    monkeypatch.setenv("SSL_CERT_FILE", str(both))
    with served(secure(pems[0])) as web:
        urls = []
        for n in range(18):
            web.put(f"{'abc'[n % 3]}.test/{n}", f"page {n}, of many words that say this".encode())
            urls.append(web.url(f"{'abc'[n % 3]}.test/{n}", "https"))
        made = sealed(tmp_path, urls)
        port, answers = web.port, web.answers
    table = made.table("online.parquet")
    assert table is not None
    assert set(table.column("problem").to_pylist()) == {None}
    assert set(table.column("subject").to_pylist()) == {"O=One"}
    with served(secure(pems[1])) as web:
        web.answers = answers
        moved = moved_to(table, web.port, port)
        for n in range(0, 18, 3):
            web.put(f"a.test/{n}", f"{n} things to buy for much less than elsewhere".encode())
        now = ask([Url(row["url"], row["host"], 0, b"") for row in moved.to_pylist()], HOW, quiet)
    found = compared(moved, now, SEALED)
    assert [host.name for host, _ in found.odd] == ["a.test"]
    assert "its certificate was of O=One, now of O=Two" in found.findings[0]
    assert found.notes == ["2 hosts lead elsewhere or are certified for others, and changed no more than chance has"]


def moved_to(table: pa.Table, port: int, old: int) -> pa.Table:
    place = table.schema.get_field_index("url")
    urls = [url.replace(f":{old}/", f":{port}/") for url in table.column("url").to_pylist()]
    return table.set_column(place, "url", pa.array(urls))


def captured(shown: np.ndarray, final: list[str] | None = None) -> pa.Table:
    """(h, k) hosts × URLs: a number for what each shows, with no sign of nearness."""
    rows = []
    for host, numbers in enumerate(shown.tolist()):
        for place, number in enumerate(numbers):
            name = f"h{host}.org"
            to = name if final is None else final[host]
            digest = int(number).to_bytes(32, "big")
            rows.append({"url": f"http://{name}/{place}", "host": name, "final_host": to, "status": 200, "sha256": digest})
    return pa.Table.from_pylist(rows, CAPTURES)


def test_rot_is_told_as_often_as_it_may_be_and_a_bought_host_is() -> None:
    """Rot of 15 % at random, one host in eight moved: of 40 honest sets at most .01 + 3 σ have any finding; of 40 with one bought, most."""
    rng, told, caught = np.random.default_rng(0), 0, 0
    hosts = 40
    before = captured(np.zeros((hosts, 8)))
    for _ in range(40):
        shown = (rng.random((hosts, 8)) < 0.15).astype(int)
        to = [f"www.h{host}.org" if rng.random() < 1 / 8 else f"h{host}.org" for host in range(hosts)]
        told += bool(compared(before, captured(shown, to), SEALED).findings)
        shown[7] = 1
        caught += "h7.org" in {host.name for host, _ in compared(before, captured(shown, to), SEALED).odd}
    assert told <= 2
    assert caught >= 39


def test_every_host_is_asked_and_hosts_are_drawn_where_there_are_too_many(tmp_path: Path) -> None:
    rows = [{"text": f"t{n}", "label": "ab"[n % 2], "url": f"HTTP://H{n % 500}.org/{n // 1000}"} for n in range(4000)]
    rows += [{"text": f"big {n}", "label": "a", "url": f"https://user@big.org:8080/{n}"} for n in range(4000)]
    path = tmp_path / "set.jsonl"
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    manifest = seal(path).manifest
    rng = np.random.default_rng(0)
    found = drawn_urls(manifest, 10_000, 3, rng)
    per_host = {host: [url.url for url in found.urls if url.host == host] for host in ("h0.org", "h499.org", "big.org")}
    assert (found.hosts, found.samples) == (501, 8000)
    assert [len(urls) for urls in per_host.values()] == [3, 3, 3]
    assert len({url.url for url in found.urls}) == len(found.urls) == 501 * 3
    assert len({url.host for url in found.urls[:501]}) == 501
    few = [drawn_urls(manifest, 100, 3, rng) for _ in range(20)]
    assert {len(drawn.urls) for drawn in few} == {100}
    assert {len({url.host for url in drawn.urls}) for drawn in few} == {100}
    assert len({url.host for drawn in few for url in drawn.urls}) > 450
    assert all(rows[url.row]["url"] == url.url for url in found.urls)


def test_stopping_keeps_what_was_got(web: Web) -> None:
    enough = threading.Event()

    def slow(handler: BaseHTTPRequestHandler) -> None:
        enough.wait(20)
        handler.send_response(200)
        handler.send_header("Content-Length", "0")
        handler.end_headers()

    urls = [Url(web.put(f"h{n}.test/", b"quick"), f"h{n}.test", n, b"") for n in range(3)]
    urls += [Url(web.url(f"s{n}.test/"), f"s{n}.test", n, b"") for n in range(6)]
    for n in range(6):
        web.answers[f"s{n}.test/"] = slow
    done: list[int] = []

    def report(_what: str, count: int, _total: int) -> None:
        if count >= 3 and not done:
            done.append(count)
            threading.Timer(0.5, enough.set).start()  # once it has been heard
            os.kill(os.getpid(), signal.SIGINT)

    before = signal.signal(signal.SIGINT, signal.default_int_handler)  # where tests run in the background it is ignored
    try:
        table = ask(urls, replace(HOW, at_once=2), report)
    finally:
        signal.signal(signal.SIGINT, before)
    assert table.column("url").to_pylist()[:3] == [url.url for url in urls[:3]]
    assert table.num_rows < 9
    sealed_table = pa.concat_tables([table, pa.Table.from_pylist([{"url": "http://x/", "host": "x"}], CAPTURES)])
    assert "stopped after" in compared(sealed_table, table, SEALED).notes[-1]


def test_one_host_is_not_asked_too_fast(web: Web) -> None:
    urls = [Url(web.put(f"a.test/{n}", b"x"), "a.test", n, b"") for n in range(4)]
    times = [row["asked_at"] for row in ask(urls, HOW, quiet).to_pylist()]
    assert len(times) == 4
    started = datetime.now(UTC)
    ask(urls, replace(HOW, pause=0.1), quiet)
    assert (datetime.now(UTC) - started).total_seconds() >= 0.3


def test_signatures_tell_what_digests_cannot() -> None:
    first = photo(1)
    pictures = [
        signature_of(encoded(first)),
        signature_of(encoded(first, "JPEG", quality=60)),
        signature_of(encoded(patched(first))),
    ]
    assert [nearness_of(pictures[0], other) for other in pictures] == ["same", "same", "local"]
    assert [nearness_of(pictures[0], signature_of(encoded(photo(seed)))) for seed in range(2, 8)] == ["other"] * 6
    words = np.random.default_rng(0).integers(0, 1000, 2000).astype(str)
    page, edited = " ".join(words), " ".join([*words[:1900], *["new"] * 100])
    texts = [signature_of(text.encode()) for text in (page, page.replace(" ", "\n  "), edited, " ".join(words[::-1]), "")]
    assert [nearness_of(texts[0], other) for other in texts] == ["same", "same", "local", "other", "other"]
    assert signature_of(b"\x7fELF\0\0\1") is None
    assert nearness_of(texts[0], pictures[0]) == "other"
    assert all(len(made.data) <= 256 * 8 for made in texts if made)


def test_urls_that_show_other_bytes_than_an_index_says(web: Web, tmp_path: Path) -> None:
    """A list of URLs with digests, as indexes of pictures are; of one host all show something else."""
    rows = []
    for n in range(30):
        body = f"picture {n}".encode()
        place, shown = f"h{n % 3}.test/{n}", b"bought" if n % 3 == 1 or n == 0 else body
        rows.append({"url": web.put(place, shown), "width": n, "sha256": hashlib.sha256(body).hexdigest()})
    path = tmp_path / "index.jsonl"
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    told = notes_of(seal(path, beside=Beside(HOW)))
    assert told[1] == "11 of 30 URLs show other bytes than the digest says that their sample came with"
    assert told[2].startswith("10 of 10 of h1.test do, far more than of other hosts (p = ")
    assert len(told) == 3


@pytest.mark.parametrize(
    ("status", "tier"), [(404, "gone"), (410, "gone"), (403, "gone"), (429, "silent"), (503, "silent"), (0, "silent")]
)
def test_what_is_gone_and_what_is_silent(status: int, tier: str) -> None:
    rows = [{"url": "http://a/", "host": "a", "status": now, "problem": why} for now, why in ((200, None), (status, "x"))]
    one, other = (pa.Table.from_pylist([row], CAPTURES) for row in rows)
    assert compared(one, other, SEALED).tiers == {tier: 1}


def test_a_packed_body_is_not_unpacked(web: Web) -> None:
    (row,) = ask([Url(web.put("a.test/", b"\x1f\x8b bomb", Content_Encoding="gzip"), "a.test", 0, b"")], HOW, quiet).to_pylist()
    assert (row["length"], row["kind"], row["signature"]) == (7, None, None)


def test_findings_are_told_once() -> None:
    empty = Rechecked({"exact": 3, "silent": 1}, (), (), (), 4, 4)
    assert empty.lines == ["4 URLs asked again: 3 show the same bytes, 1 do not answer"]
    assert empty.findings == []


def test_the_commands(web: Web, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    def untaint(*arguments: object) -> tuple[int, str]:
        monkeypatch.setattr("sys.argv", ["untaint", *map(str, arguments)])
        with pytest.raises(SystemExit) as ended:
            app.run()
        said = capsys.readouterr()
        return int(str(ended.value.code)), " ".join((said.out + said.err).split())

    path, out = tmp_path / "set.jsonl", tmp_path / "found.json"
    urls = [web.put(f"h{n}.test/", f"text {n}, and more of it".encode()) for n in range(2)]
    path.write_text("".join(json.dumps({"text": f"t{n}", "label": "ab"[n], "url": url}) + "\n" for n, url in enumerate(urls)))
    assert untaint("seal", path, "--online")[0] == 2
    assert untaint("seal", path)[0] == 0
    assert web.asked == []
    flags = ("--online", "--allow-private", "--rdap", registry(web, "2999-01-01"))
    assert untaint("verify", path, *flags)[0] == 2
    code, said = untaint("seal", path, "--replace", *flags)
    assert (code, "note: asked 2 URLs of 2 hosts (the set has 2 of 2): 2 answered, 0 with" in said) == (0, True)
    asked = len(web.asked)
    web.put("h1.test/", b"an offer that nobody can turn down")
    assert untaint("verify", path)[0] == 0
    assert len(web.asked) == asked
    code, said = untaint("verify", path, *flags, "--out", out)
    assert (code, "URLS AS USUAL 2 URLs asked again: 1 show the same bytes, 1 show something else" in said) == (
        0,
        True,
    )  # registered after the sealing, but no later than the seal says already
    found = json.loads(out.read_text())["online"]
    assert (found["asked"], found["tiers"]["other"], found["findings"]) == (2, 1, [])
    registry(web, "2999-01-02")
    code, said = untaint("verify", path, *flags)
    assert (code, "h1.test show something else; its domain was registered on 2999-01-02" in said) == (1, True)
    assert untaint("verify", path, "--against", path, "--online")[0] == 2
