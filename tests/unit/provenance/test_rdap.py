"""When domains were registered, as registries that a test makes say it."""

import json
from datetime import UTC, datetime

import pytest

from untaint.provenance.fetch import Reply
from untaint.provenance.rdap import Registries

BOOT = "https://boot.test/dns.json"
SERVICES = {"services": [[["org", "net"], ["http://old.test/", "https://r.test/"]], [["uk"], ["https://uk.test/rdap"]]]}


def registration(when: str, action: str = "registration") -> bytes:
    return json.dumps(
        {"events": [{"eventAction": "expiration", "eventDate": "2031-01-01"}, {"eventAction": action, "eventDate": when}]}
    ).encode()


def registries(answers: dict[str, bytes], asked: list[str] | None = None) -> Registries:
    answers = {BOOT: json.dumps(SERVICES).encode(), **answers}

    def get(url: str) -> Reply:
        if asked is not None:
            asked.append(url)
        return Reply(url, status=200 if url in answers else 404, body=answers.get(url, b""))

    return Registries(get, BOOT)


def test_a_domain_is_found_by_its_last_labels_and_asked_for_once() -> None:
    asked: list[str] = []
    found = registries(
        {
            "https://r.test/domain/example.org": registration("2020-05-06T07:08:09Z"),
            "https://uk.test/rdap/domain/example.co.uk": registration("2021-01-02", "reregistration"),
        },
        asked,
    )
    for host in ("img.example.org", "Example.ORG", "cdn.example.org"):
        assert found.registered(host).since == datetime(2020, 5, 6, 7, 8, 9, tzinfo=UTC)
    assert found.registered("www.example.co.uk").since == datetime(2021, 1, 2, tzinfo=UTC)
    assert asked == [
        BOOT,
        "https://r.test/domain/example.org",
        "https://uk.test/rdap/domain/co.uk",
        "https://uk.test/rdap/domain/example.co.uk",
    ]


def test_what_is_not_known_has_its_reason() -> None:
    found = registries({})
    for host, why in (
        ("127.0.0.1", "no registered domain"),
        ("::1", "no registered domain"),
        ("localhost", "no registered domain"),
        ("a..org", "no registered domain"),
        ("", "no registered domain"),
        ("bücher.org", "its registry knows no such domain"),
        ("a.example", "no registry is known for .example"),
        ("a.b.c.org", "its registry knows no such domain"),
    ):
        assert (found.registered(host).since, found.registered(host).problem) == (None, why)


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"{",
        b"[]",
        b"[" * 100_000,
        b"\xff\xfe",
        b'{"events": 1}',
        b'{"events": [1, null, {"eventAction": "registration"}]}',
        registration("yesterday"),
        registration("9" * 400),
        b'{"events": [{"eventAction": ["registration"], "eventDate": "2020-01-01"}]}',
        b'{"events": [{"eventAction": "registration", "eventDate": {"a": 1}}]}',
    ],
)
def test_garbage_is_no_date(body: bytes) -> None:
    found = registries({"https://r.test/domain/example.org": body}).registered("example.org")
    assert found.since is None
    assert found.problem


@pytest.mark.parametrize(
    "body",
    [
        b"{",
        b"[]",
        b'{"services": 3}',
        b'{"services": [1, [], [["org"]], [1, 2], [[1], [2]], [["org"], []], [["org"], "x"]]}',
        b"1" * 5000,
    ],
)
def test_a_broken_list_of_registries_is_none(body: bytes) -> None:
    assert registries({BOOT: body}).registered("example.org").problem == "no registry is known for .org"
