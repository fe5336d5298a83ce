"""Ask the URLs of a sealed set again, and say whose answers are others than they were.

Of honest URLs 5 to 15 % show other bytes after a year (img2dataset, DataComp), and many are gone, so neither is a finding. Findings are:
a picture that is nearly the same but for a place; a host that shows something else far more often than the others do; one that shows
something else and whose domain was registered after the sealing; one whose certificate is of somebody else, or that leads to another
host, and that shows something else more often than chance has it among such hosts.
"""

from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Literal, TypeAlias, final

import pyarrow as pa

from untaint.errors import BadInput
from untaint.provenance.certificates import Certificate, another_owner
from untaint.provenance.changes import count
from untaint.provenance.hosts import ALPHA, FEWEST, Host, outlying
from untaint.provenance.online import TABLE, Asking, Report, ask, urls_of
from untaint.provenance.sealed import Seal
from untaint.provenance.signature import Signature, nearness_of

Tier: TypeAlias = Literal["exact", "same", "local", "other", "gone", "silent", "new"]
"""exact: the same bytes.  same, local, other: as `near` has them.  gone: a status that is none of success.  silent: no answer now.

new: there was no body when the set was sealed.
"""
_SAID: Mapping[Tier, str] = {
    "exact": "show the same bytes",
    "same": "show the same, encoded otherwise",
    "local": "show nearly the same",
    "other": "show something else",
    "gone": "are gone",
    "silent": "do not answer",
    "new": "were not there when sealed",
}
_LATER = frozenset({200, 206, 408, 425, 429})
"""Statuses that say: not now. Of 200 the body did not come whole."""
_ALIKE = frozenset({"exact", "same", "local"})
_MARKED = FEWEST - 1
"""Changed URLs of a host from which it is told where a certificate or a redirect speaks against it as well."""


@final
@dataclass(frozen=True)
class Rechecked:
    """What URLs show now. tiers: URLs by tier.  local: pictures that differ in a place.  odd: hosts that changed, with why each is told.

    signals: changes of owner whose contents did not change, in words.  asked, urls: that were, and were to be.
    """

    tiers: Mapping[Tier, int]
    local: Sequence[str]
    odd: Sequence[tuple[Host, Sequence[str]]]
    signals: Sequence[str]
    asked: int
    urls: int
    notes: Sequence[str] = field(default_factory=tuple)

    @property
    def findings(self) -> list[str]:
        """What a person should look at."""
        found = [f"{url}: nearly the same picture, but for a place that differs" for url in self.local]
        for host, why in self.odd:
            chance = f" (p = {host.p_value:.2g})" if host.p_value < 1 else ""
            also = f"; {'; '.join(why)}" if why else ""
            found.append(
                f"{host.changed:,} of {host.total:,} URLs of {host.name} show something else{chance}{also}: has it a new owner?"
            )
        return found

    @property
    def lines(self) -> list[str]:
        """The rest in words."""
        told = ", ".join(f"{self.tiers[tier]:,} {words}" for tier, words in _SAID.items() if self.tiers.get(tier))
        return [f"{count(self.asked, 'URL', 'URLs')} asked again: {told}", *self.notes, *self.signals]

    def document(self) -> dict[str, Any]:
        """The same for programs."""
        hosts = [
            {"name": host.name, "changed": host.changed, "total": host.total, "p_value": host.p_value, "reasons": list(why)}
            for host, why in self.odd
        ]
        tiers = {tier: self.tiers.get(tier, 0) for tier in _SAID}
        facts = {"asked": self.asked, "urls": self.urls, "tiers": tiers, "local": list(self.local), "hosts": hosts}
        return facts | {"signals": list(self.signals), "findings": self.findings, "notes": list(self.notes)}


def recheck(seal: Seal, how: Asking, report: Report) -> Rechecked:
    """Ask what was asked when a set was sealed. Raises BadInput where nothing was, and where no host can be reached."""
    old = seal.table(TABLE)
    if old is None:
        message = f"{seal.folder} says nothing of what its URLs showed."
        raise BadInput(
            message, advice="Seal with --online first; of a set that is here twice, `untaint verify --against` compares both."
        )
    urls = list(urls_of(old))[: how.most]
    return compared(old.slice(0, len(urls)), ask(urls, how, report), seal.created)


def compared(old: pa.Table, new: pa.Table, sealed: datetime) -> Rechecked:
    """What changed between two tables of `CAPTURES`. new: some of the URLs of the old one.  sealed: when the set was."""
    before = {row["url"]: row for row in old.to_pylist()}
    pairs = [(before[row["url"]], row) for row in new.to_pylist() if row["url"] in before]
    tiers = [_tier(*pair) for pair in pairs]
    local = [row["url"] for (row, _), tier in zip(pairs, tiers, strict=True) if tier == "local" and row["kind"] == "picture"]
    seen, totals = Counter[str](), Counter[str]()
    owners, leads = defaultdict[str, dict[str, None]](dict), defaultdict[str, dict[str, None]](dict)
    for (was, now), tier in zip(pairs, tiers, strict=True):
        host = now["host"]
        if tier in _ALIKE or tier == "other":
            totals[host] += 1
            seen[host] += tier == "other"
        owners[host] |= dict.fromkeys(_bought(was, now, sealed))
        leads[host] |= dict.fromkeys(_led(was, now))
    odd = _odd(+seen, totals, owners, leads)
    told = {host.name for host, _ in odd}
    quiet = [
        f"{host}: {why}; no change of contents speaks for it"
        for host, reasons in owners.items()
        if host not in told
        for why in reasons
    ]
    moved = sum(bool(reasons) for host, reasons in leads.items() if host not in told)
    notes = [
        f"{count(moved, 'host leads', 'hosts lead')} elsewhere or are certified for others, and changed no more than chance has"
    ]
    notes = notes if moved else []
    notes += [f"stopped after {len(pairs):,} of {len(before):,} URLs"] if len(pairs) < len(before) else []
    return Rechecked(Counter(tiers), local, odd, quiet, len(pairs), len(before), notes)


def _tier(was: Mapping[str, Any], now: Mapping[str, Any]) -> Tier:
    if now["problem"] is not None:
        status = now["status"]
        return "silent" if not status or status in _LATER or status >= 500 else "gone"
    if was["problem"] is not None:
        return "new"
    if was["sha256"] == now["sha256"]:
        return "exact"
    near = nearness_of(_signature(was), _signature(now))
    return "other" if near == "unreadable" else near


def _signature(row: Mapping[str, Any]) -> Signature | None:
    return None if row["signature"] is None else Signature(row["kind"], row["signature"])


def _bought(was: Mapping[str, Any], now: Mapping[str, Any], sealed: datetime) -> list[str]:
    """Why a domain is certainly somebody else's."""
    since, known = now["registered"], was["registered"]
    if since is None or since <= sealed or since == known:
        return []
    return [f"its domain was registered on {since:%Y-%m-%d}, after the sealing"]


def _led(was: Mapping[str, Any], now: Mapping[str, Any]) -> list[str]:
    """What else may have changed hands."""
    found = [another_owner(_certificate(was), _certificate(now))] if was["final_host"] == now["final_host"] else []
    if was["final_host"] != now["final_host"] and now["problem"] is None and was["problem"] is None:
        found.append(f"it led to {was['final_host']}, now to {now['final_host']}")
    return [why for why in found if why]


def _certificate(row: Mapping[str, Any]) -> Certificate | None:
    return None if row["key"] is None else Certificate(row["issuer"], row["subject"], row["key"], row["since"])


def _odd(
    seen: Counter[str], totals: Counter[str], bought: Mapping[str, Mapping[str, None]], led: Mapping[str, Mapping[str, None]]
) -> list[tuple[Host, Sequence[str]]]:
    """Hosts that are told. Both tests together have the error that one of them has in `hosts`."""
    marked = [host for host in totals if led.get(host)]
    found = {host.name: host for host in outlying(seen, totals, marked, alpha=ALPHA / 2, fewest=_MARKED)}
    found |= {host.name: host for host in outlying(seen, totals, alpha=ALPHA / 2)}
    for host in seen:
        if bought.get(host) and host not in found:
            found[host] = Host(host, seen[host], totals[host], 1.0)
    ranked = sorted(found.values(), key=lambda host: (not bought.get(host.name), host.p_value))
    return [(host, [*bought.get(host.name, ()), *led.get(host.name, ())]) for host in ranked]
