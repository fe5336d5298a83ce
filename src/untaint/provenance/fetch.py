"""Fetch one URL without trusting whoever answers it.

Only http and https, only public addresses unless told otherwise, checked anew after every redirect; the address that was checked is
the one that is talked to, so a name that resolves otherwise a moment later changes nothing. A body has a largest size, a fetch an end.
No cookies, no credentials, no proxy of the environment, nothing unpacked: what comes back are bytes.
"""

import http.client
import io
import ipaddress
import socket
import ssl
import time
from collections.abc import Mapping
from contextlib import closing
from dataclasses import dataclass, field
from typing import Any, Final, final
from urllib.parse import SplitResult, quote, urljoin, urlsplit

from typing_extensions import override

AGENT: Final = "untaint (checks that training data are what their URLs show; asks a few URLs of a host, slowly)"
_SCHEMES: Mapping[str, int] = {"http": 80, "https": 443}
_REDIRECTS = frozenset({301, 302, 303, 307, 308})
_TRIED = 3  # addresses of a host; a name with more has them for load, not for us
_LONGEST = 8192  # characters of a URL; servers refuse longer ones
_KEPT = ("content-type", "content-length", "content-encoding", "etag", "last-modified")
_WORD = 256  # characters of a header that are kept
_NAT64 = ipaddress.IPv6Network("64:ff9b::/96")
_SAFE = "!$%&'()*+,/:;=?@~[]-._"
"""Characters of a path or query that stay as they are; % too, as URLs in data are quoted already."""


@final
@dataclass(frozen=True)
class Limits:
    """What a fetch may cost. body: bytes.  seconds: of all of it.  silence: seconds without a byte.  private: any address will do."""

    body: int = 16 << 20
    seconds: float = 30.0
    silence: float = 10.0
    redirects: int = 5
    private: bool = False


@final
@dataclass(frozen=True)
class Reply:
    """What came of one fetch.

    chain: URLs that redirects led to, the last one final.  status: 0 = no answer.  headers: those of `_KEPT`, in lower case.
    certificate: DER, of the last host.  problem: why there is no body, empty = there is one.
    """

    url: str
    chain: tuple[str, ...] = ()
    status: int = 0
    headers: Mapping[str, str] = field(default_factory=dict)
    body: bytes = field(default=b"", repr=False)
    certificate: bytes | None = field(default=None, repr=False)
    problem: str = ""

    @property
    def final(self) -> str:
        """The URL that answered last, or was refused."""
        return self.chain[-1] if self.chain else self.url


class _RefusedError(Exception):
    """A URL that is not fetched, and why."""


def fetch(url: str, limits: Limits, context: ssl.SSLContext) -> Reply:
    """Fetch a URL. context: of TLS, which decides whose certificates count. Never raises for what a server does."""
    end, here, chain = time.monotonic() + limits.seconds, url, list[str]()
    while True:
        reply, target = _answer(here, limits, context, end)
        reply = Reply(url, tuple(chain), reply.status, reply.headers, reply.body, reply.certificate, reply.problem)
        if target is None:
            return reply
        here = target
        chain.append(target[:_LONGEST])
        if len(chain) > limits.redirects:
            problem = f"more than {limits.redirects} redirects"
            return Reply(url, tuple(chain), reply.status, reply.headers, b"", reply.certificate, problem)


def _answer(url: str, limits: Limits, context: ssl.SSLContext, end: float) -> tuple[Reply, str | None]:
    """What one URL answers, and where it leads."""
    try:
        parts, host, port = _checked(url)
        with closing(_connected(host, port, limits, end)) as plain:
            if parts.scheme == "http":
                return _asked(plain, None, parts, limits, end)
            with context.wrap_socket(plain, server_hostname=host, do_handshake_on_connect=False) as sock:
                sock.settimeout(_left(end, limits))
                sock.do_handshake()
                return _asked(sock, sock.getpeercert(binary_form=True), parts, limits, end)
    except _RefusedError as error:
        return Reply(url, problem=str(error)), None
    except ssl.SSLCertVerificationError as error:
        return Reply(url, problem=f"its certificate is not trusted: {error.verify_message}"), None
    except TimeoutError:
        return Reply(url, problem="took too long"), None
    except (OSError, http.client.HTTPException, ValueError) as error:
        return Reply(url, problem=f"no answer: {type(error).__name__} {str(error)[:_WORD]}".strip()), None


def _checked(url: str) -> tuple[SplitResult, str, int]:
    """A URL in parts, its host as DNS has it, and its port."""
    if len(url) > _LONGEST or not url.isprintable():
        raise _RefusedError("not a URL that can be fetched")
    try:
        parts = urlsplit(url.strip())
        host, port = parts.hostname, parts.port
    except ValueError as error:
        raise _RefusedError(f"not a URL: {error}") from error
    if parts.scheme not in _SCHEMES:
        raise _RefusedError(f"the scheme {parts.scheme[:16]!r} is not fetched, only http and https")
    if not host or "%" in host:
        raise _RefusedError("names no host")
    if parts.username is not None or parts.password is not None:
        raise _RefusedError("carries a name or a password, which are not sent")
    try:
        known = host if ":" in host else host.encode("idna").decode("ascii")
    except UnicodeError as error:
        raise _RefusedError("its host is no name that DNS knows") from error
    return parts, known, port or _SCHEMES[parts.scheme]


def _connected(host: str, port: int, limits: Limits, end: float) -> socket.socket:
    """A connection to an address of a host. Where one of them is not public, none is tried: such a name is made to reach inside."""
    found = list(dict.fromkeys(place[4][0] for place in socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)))
    if not limits.private and not all(is_public(str(address)) for address in found):
        raise _RefusedError("leads to an address that is not public")
    failed: OSError = OSError("no address")
    for address in found[:_TRIED]:
        try:
            return socket.create_connection((str(address), port), timeout=_left(end, limits))
        except OSError as error:
            failed = error
    raise failed


def is_public(address: str) -> bool:
    """Whether an address is of the internet at large. IPv4 that IPv6 carries inside is judged as what it is."""
    found = ipaddress.ip_address(address.partition("%")[0])
    if isinstance(found, ipaddress.IPv6Address) and (inner := _inner(found)) is not None:
        return is_public(str(inner))
    return found.is_global and not found.is_multicast


def _inner(address: ipaddress.IPv6Address) -> ipaddress.IPv4Address | None:
    if address in _NAT64 or int(address) < 1 << 32:
        return ipaddress.IPv4Address(int(address) & 0xFFFFFFFF)
    return address.ipv4_mapped or address.sixtofour or (address.teredo[1] if address.teredo else None)


def _asked(
    sock: socket.socket, certificate: bytes | None, parts: SplitResult, limits: Limits, end: float
) -> tuple[Reply, str | None]:
    """One request over a connection."""
    url = parts.geturl()
    connection = http.client.HTTPConnection("unused")
    connection.auto_open = 0  # never by itself: it would resolve the name again
    connection.sock = _Wire(sock, limits, end)
    target = quote(parts.path or "/", _SAFE) + (f"?{quote(parts.query, _SAFE)}" if parts.query else "")
    host = parts.netloc.encode("idna").decode("ascii") if not parts.netloc.isascii() else parts.netloc
    connection.request("GET", target, headers={"Host": host, "User-Agent": AGENT, "Accept": "*/*", "Connection": "close"})
    found = connection.getresponse()
    headers = {name: value[:_WORD] for name in _KEPT if (value := found.getheader(name)) is not None}
    location = found.getheader("Location")
    if found.status in _REDIRECTS and location:
        return Reply(url, (), found.status, headers, b"", certificate), urljoin(url, location.strip()[: _LONGEST + 1])
    body = found.read(limits.body + 1)
    if len(body) > limits.body:
        return Reply(url, (), found.status, headers, b"", certificate, f"longer than {limits.body:,} bytes"), None
    if found.length:
        return Reply(url, (), found.status, headers, b"", certificate, "its body was cut short"), None
    return Reply(url, (), found.status, headers, body, certificate), None


def _left(end: float, limits: Limits) -> float:
    left = end - time.monotonic()
    if left <= 0:
        raise TimeoutError
    return min(left, limits.silence)


@final
class _Wire:
    """A socket as `http.client` uses it, of which every read ends in time: a server that drips a byte a second gains nothing."""

    def __init__(self, sock: socket.socket, limits: Limits, end: float) -> None:
        self._sock, self._limits, self._end = sock, limits, end

    def sendall(self, data: Any) -> None:
        """Send a request."""
        self._sock.settimeout(_left(self._end, self._limits))
        self._sock.sendall(data)

    def makefile(self, _mode: str, *_more: object) -> io.BufferedReader:
        """What comes back."""
        return io.BufferedReader(_Incoming(self._sock, self._limits, self._end))

    def close(self) -> None:
        """Nothing: who opened the socket closes it."""


@final
class _Incoming(io.RawIOBase):
    def __init__(self, sock: socket.socket, limits: Limits, end: float) -> None:
        self._sock, self._limits, self._end = sock, limits, end

    @override
    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        self._sock.settimeout(_left(self._end, self._limits))
        return self._sock.recv_into(buffer)
