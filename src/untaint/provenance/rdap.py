"""When a domain was registered, as its registry says by RDAP (RFC 9083); which registry to ask is in IANA's bootstrap file (RFC 9224).

A domain that was registered after data were sealed has lapsed and been bought since: whoever holds it is not who held it then.
"""

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from ipaddress import ip_address
from typing import Any, Final, final

from untaint.data.times import moment
from untaint.provenance.fetch import Reply

BOOTSTRAP: Final = "https://data.iana.org/rdap/dns.json"
_LABELS = (2, 3)
"""Of a registered domain: example.org, example.co.uk. Which it is, is asked, since registries know no co.uk."""
_BEGINNINGS = frozenset({"registration", "reregistration"})
_MISSING = 404
_UNKNOWN = "its registry knows no such domain"


@final
@dataclass(frozen=True)
class Registration:
    """domain: that was asked for.  since: when it was registered, None = not known, and problem says why."""

    domain: str
    since: datetime | None = None
    problem: str = ""


@final
@dataclass
class Registries:
    """Asks registries. get: fetches a URL, within its limits.  bootstrap: URL of the file that says which to ask."""

    get: Callable[[str], Reply]
    bootstrap: str = BOOTSTRAP
    _services: Mapping[str, str] | None = field(default=None, repr=False)
    _known: dict[str, Registration] = field(default_factory=dict, repr=False)

    def registered(self, host: str) -> Registration:
        """When the domain of a host was registered. One domain is asked for once."""
        try:
            labels = host.rstrip(".").encode("idna").decode("ascii").split(".")
        except UnicodeError:
            labels = []
        if len(labels) < _LABELS[0] or _is_address(host):
            return Registration(host, problem="no registered domain")
        base = self._base(labels[-1].lower())
        if base is None:
            return Registration(host, problem=f"no registry is known for .{labels[-1]}")
        found = Registration(host, problem=_UNKNOWN)
        for count in _LABELS:
            domain = ".".join(labels[-count:]).lower()
            if len(labels) >= count:
                if domain not in self._known:
                    self._known[domain] = self._asked(base, domain)
                found = self._known[domain]
                if found.problem != _UNKNOWN:
                    break
        return found

    def _asked(self, base: str, domain: str) -> Registration:
        reply = self.get(f"{base.rstrip('/')}/domain/{domain}")
        if reply.status == _MISSING:
            return Registration(domain, problem=_UNKNOWN)
        document = _object(reply)
        if document is None:
            return Registration(domain, problem=reply.problem or "its registry answers nothing that can be read")
        events = document.get("events")
        dates = [_date(event) for event in events if isinstance(event, dict)] if isinstance(events, list) else []
        since = max((date for date in dates if date is not None), default=None)
        return Registration(domain, since, "" if since else "its registry does not say when")

    def _base(self, ending: str) -> str | None:
        """The registry of a top-level domain."""
        if self._services is None:
            document = _object(self.get(self.bootstrap))
            self._services = {} if document is None else _services(document.get("services"))
        return self._services.get(ending)


def _services(listed: Any) -> dict[str, str]:
    """URL of the registry by top-level domain, https where there is a choice."""
    found: dict[str, str] = {}
    for service in listed if isinstance(listed, list) else []:
        pair = service if isinstance(service, list) and len(service) == 2 else [[], []]
        names, urls = ([text for text in part if isinstance(text, str)] if isinstance(part, list) else [] for part in pair)
        if urls:
            found |= {name.lower(): min(urls, key=lambda url: not url.startswith("https:")) for name in names}
    return found


def _object(reply: Reply) -> dict[str, Any] | None:
    try:
        found = json.loads(reply.body) if not reply.problem and reply.status == 200 else None
    except (ValueError, RecursionError):
        return None
    return found if isinstance(found, dict) else None


def _date(event: Mapping[str, Any]) -> datetime | None:
    """When a registration began; None for any other event, and for a date that is none."""
    action, when = event.get("eventAction"), event.get("eventDate")
    if not isinstance(action, str) or not isinstance(when, str) or action not in _BEGINNINGS:
        return None
    try:
        return moment(when)
    except ValueError:
        return None


def _is_address(host: str) -> bool:
    try:
        ip_address(host)
    except ValueError:
        return False
    return True
