"""Fetching from hostile servers, all of them on this machine."""

import ssl
import time
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler
from pathlib import Path

import pytest
from tests.servers import Web, name_everything_local, secure, self_signed, served

from untaint.provenance.certificates import another_owner, certificate_of
from untaint.provenance.fetch import AGENT, Limits, Reply, fetch, is_public

LOCAL = Limits(body=1000, seconds=1.0, silence=0.3, private=True)
CONTEXT = ssl.create_default_context()


def got(url: str, limits: Limits = LOCAL) -> Reply:
    return fetch(url, limits, CONTEXT)


@pytest.fixture(scope="module")
def server() -> Iterator[Web]:
    with served() as web:
        yield web


@pytest.fixture
def web(server: Web, monkeypatch: pytest.MonkeyPatch) -> Web:
    name_everything_local(
        monkeypatch,
        inside_example="10.1.2.3",
        cloud_example="169.254.169.254",
        six_example="::ffff:127.0.0.1",
        late_example="0.0.0.0",  # noqa: S104 - an address that a hostile name leads to
    )
    server.answers.clear()
    server.asked.clear()
    return server


def test_a_body_with_what_came_with_it(web: Web) -> None:
    reply = got(web.put("a.test/x%20y?q=1", b"hello", Content_Type="text/plain", ETag='"7"', Set_Cookie="a=1"))
    assert (reply.status, reply.body, reply.problem, reply.chain) == (200, b"hello", "", ())
    assert reply.headers == {"content-type": "text/plain", "content-length": "5", "etag": '"7"'}
    sent = web.asked[0][1]
    assert (sent["User-Agent"], sent["Host"], sent["Accept-Encoding"]) == (AGENT, f"a.test:{web.port}", "identity")
    assert not {"Cookie", "Authorization", "Referer"} & set(sent)
    assert got(web.url("a.test/none")).status == 404


def test_redirects_are_followed_and_told(web: Web) -> None:
    end = web.put("b.test/end", b"there")
    for status in (301, 302, 303, 307, 308):
        web.put("a.test/go", b"", status, Location=end)
        reply = got(web.url("a.test/go"))
        assert (reply.body, reply.chain, reply.final) == (b"there", (end,), end)
    web.put("a.test/relative", b"", 302, Location="/there")
    web.put("a.test/there", b"here")
    assert got(web.url("a.test/relative")).body == b"here"


@pytest.mark.parametrize(
    ("target", "problem"),
    [
        ("file:///etc/passwd", "the scheme 'file' is not fetched"),
        ("gopher://a.test/", "the scheme 'gopher' is not fetched"),
        ("javascript:alert(1)", "the scheme 'javascript' is not fetched"),
        ("http://user:secret@a.test/", "carries a name or a password"),
        ("https:///x", "names no host"),
        ("http://[::1%25eth0]/", "names no host"),
        ("http://a.test:99999/", "not a URL"),
        ("http://a..test/", "no name that DNS knows"),
        ("//" + "x" * 9000, "not a URL that can be fetched"),
    ],
)
def test_what_is_not_fetched_is_not_fetched_after_a_redirect(target: str, problem: str, web: Web) -> None:
    if not target.startswith("//"):
        assert problem in got(target).problem
    web.put("a.test/go", b"", 302, Location=target)
    reply = got(web.url("a.test/go"))
    assert problem in reply.problem
    assert (reply.body, len(reply.chain), len(web.asked)) == (b"", 1, 1)


@pytest.mark.parametrize(
    "host", ["inside.example", "cloud.example", "six.example", "late.example", "127.0.0.1", "[::1]", "a.test"]
)
def test_private_addresses_are_refused_before_and_after_a_redirect(host: str, web: Web, monkeypatch: pytest.MonkeyPatch) -> None:
    outside = Limits(seconds=1.0)
    assert got(f"http://{host}/latest/meta-data", outside).problem == "leads to an address that is not public"
    web.put("a.test/go", b"", 302, Location=f"http://{host}/secret")
    monkeypatch.setattr("untaint.provenance.fetch.is_public", lambda address, asked=[]: asked.append(address) or len(asked) == 1)
    reply = got(web.url("a.test/go"), outside)
    assert (reply.problem, len(web.asked)) == ("leads to an address that is not public", 1)


def test_which_addresses_are_public() -> None:
    inside = "127.0.0.1 10.0.0.1 172.16.0.1 192.168.1.1 169.254.169.254 100.64.0.1 0.0.0.0 224.0.0.1 255.255.255.255 ::1 :: fe80::1 fc00::1 ff02::1"
    hidden = "::ffff:10.0.0.1 64:ff9b::7f00:1 2002:7f00:1:: ::7f00:1 fe80::1%eth0 198.18.0.1 240.0.0.1"
    assert [address for address in f"{inside} {hidden}".split() if is_public(address)] == []
    assert all(is_public(address) for address in ["8.8.8.8", "2606:4700::1111", "::ffff:8.8.8.8", "64:ff9b::808:808"])


def loop(handler: BaseHTTPRequestHandler) -> None:
    handler.send_response(302)
    handler.send_header("Location", handler.path + "x")
    handler.send_header("Content-Length", "0")
    handler.end_headers()


def endless(handler: BaseHTTPRequestHandler) -> None:
    handler.send_response(200)
    handler.end_headers()
    while True:
        handler.wfile.write(b"x" * 65536)


def dripping(handler: BaseHTTPRequestHandler) -> None:
    handler.send_response(200)
    handler.send_header("Content-Length", "900")
    handler.end_headers()
    for _ in range(900):
        handler.wfile.write(b"x")
        time.sleep(0.1)


def endless_headers(handler: BaseHTTPRequestHandler) -> None:
    handler.wfile.write(b"HTTP/1.1 200 OK\r\n")
    while True:
        handler.wfile.write(b"X-A: b\r\n")


def endless_continue(handler: BaseHTTPRequestHandler) -> None:
    while True:
        handler.wfile.write(b"HTTP/1.1 100 Continue\r\n\r\n")


def silent(_handler: BaseHTTPRequestHandler) -> None:
    time.sleep(0.5)


def cut_short(handler: BaseHTTPRequestHandler) -> None:
    handler.wfile.write(b"HTTP/1.1 200 OK\r\nContent-Length: 900\r\n\r\nshort")


def garbage(handler: BaseHTTPRequestHandler) -> None:
    handler.wfile.write(b"\x00\xff\xfe SSH-2.0\r\n\r\n")


@pytest.mark.parametrize(
    ("answer", "problem"),
    [
        (loop, "more than 5 redirects"),
        (endless, "longer than 1,000 bytes"),
        (dripping, "took too long"),
        (endless_headers, "no answer: HTTPException got more than 100 headers"),
        (endless_continue, "took too long"),
        (silent, "took too long"),
        (cut_short, "cut short"),
        (garbage, "no answer: BadStatusLine"),
    ],
)
def test_hostile_answers_end(answer: object, problem: str, web: Web) -> None:
    for path in ("", *("x" * n for n in range(1, 8))):
        web.answers[f"a.test/{path}"] = answer  # type: ignore[assignment]
    started = time.monotonic()
    reply = got(web.url("a.test/"))
    assert problem in reply.problem
    assert reply.body == b""
    assert time.monotonic() - started < 2


def test_a_port_where_nobody_listens_and_a_name_that_is_not_known(web: Web) -> None:
    assert "no answer: ConnectionRefusedError" in got("http://a.test:1/").problem
    assert "no answer: gaierror" in got("http://nowhere.invalid/").problem
    assert "no answer" in got(web.url("a.test/", scheme="https")).problem


def test_certificates_count_and_are_taken_down(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    name_everything_local(monkeypatch)
    pem = self_signed(tmp_path, "a.test", organisation="Example Ltd")
    trusting = ssl.create_default_context(cafile=str(pem))
    with served(secure(pem)) as web:
        web.put("a.test/", b"safe")
        web.put("b.test/", b"not safe")
        reply = fetch(web.url("a.test/", "https"), LOCAL, trusting)
        assert (reply.body, reply.problem) == (b"safe", "")
        assert "its certificate is not trusted: self-signed" in got(web.url("a.test/", "https")).problem
        assert "its certificate is not trusted: Hostname mismatch" in fetch(web.url("b.test/", "https"), LOCAL, trusting).problem
        assert [place for place, _ in web.asked] == ["a.test/"]
    found = certificate_of(reply.certificate)
    assert found is not None
    assert (found.subject, found.issuer, found.since.isoformat()) == (
        "O=Example Ltd",
        "O=Example Ltd",
        "2026-01-01T00:00:00+00:00",
    )
    assert certificate_of(b"no certificate") is None
    assert certificate_of(None) is None


def test_a_new_key_alone_is_no_new_owner(tmp_path: Path) -> None:
    def shown(name: str, organisation: str | None) -> object:
        pem = self_signed(tmp_path, name, organisation=organisation).read_text()
        return certificate_of(ssl.PEM_cert_to_DER_cert(pem[: pem.index("-----BEGIN PRIVATE")]))

    first, renewed, sold = shown("a.test", "One Ltd"), shown("a.test", "One Ltd"), shown("a.test", "Other Ltd")
    assert another_owner(first, renewed) == another_owner(None, first) == another_owner(first, first) == ""  # type: ignore[arg-type]
    assert another_owner(first, sold) == "its certificate was of O=One Ltd, now of O=Other Ltd"  # type: ignore[arg-type]
    plain, other = shown("a.test", None), shown("b.test", None)
    assert "with another key" in another_owner(plain, other)  # type: ignore[arg-type]
