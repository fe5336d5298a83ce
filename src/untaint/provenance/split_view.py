"""Two views of what should be one set: a version that was sealed, and one that was fetched later or by somebody else.

Of honest URLs 5 to 15 % show other bytes after a year (img2dataset, DataComp), so a mismatch alone is no finding. Findings are: a near
copy with a place that differs, another label under the same content, and a host whose samples became something else far more often than
those of the others, as they do when a domain has a new owner (Carlini et al. 2023, arXiv 2302.10149).
"""

from collections import Counter
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any, final

from untaint.data.dataset import Dataset
from untaint.data.load import load
from untaint.errors import BadInput
from untaint.provenance.changes import Changes, SampleChange, count
from untaint.provenance.folder_plan import IMAGES
from untaint.provenance.hosts import Host, outlying
from untaint.provenance.img2dataset import FORMAT as FETCHED
from untaint.provenance.near import nearness
from untaint.provenance.pins import Pins
from untaint.provenance.seal import Settings
from untaint.provenance.sealed import Seal, folder_for, read_seal
from untaint.provenance.sources import host_of
from untaint.provenance.verify import Verified, asked_again, verify


@final
@dataclass(frozen=True)
class SplitView:
    """Another view of a sealed set. near: contents that changed, by nearness.  local: near copies with a place that differs."""

    verified: Verified
    near: Mapping[str, int]
    local: Sequence[SampleChange]
    hosts: Sequence[Host]
    notes: tuple[str, ...] = ()

    @property
    def findings(self) -> list[str]:
        """What a person should look at."""
        found = [f"{_several(self.local)}: nearly the same, but for a place that differs"] if self.local else []
        found += [
            f"{host.changed:,} of {host.total:,} samples from {host.name} show something else (p = {host.p_value:.2g}): has it a new owner?"
            for host in self.hosts
        ]
        relabelled = self.verified.changes.samples["label"]
        return found + ([f"{count(relabelled, 'sample has', 'samples have')} another label"] if relabelled else [])

    def document(self) -> dict[str, Any]:
        """The same for programs."""
        hosts = [
            {"name": host.name, "changed": host.changed, "total": host.total, "p_value": host.p_value} for host in self.hosts
        ]
        view = {
            "near": dict(self.near),
            "local": [change.path for change in self.local],
            "hosts": hosts,
            "findings": self.findings,
        }
        return self.verified.document() | {"split_view": view}


def split_view(data: Path, old: Path, chosen: Settings) -> SplitView:
    """Compare data with an older view. old: other data with a seal beside them, or the folder of a seal alone.

    Raises BadInput when there is no seal, or one of both cannot be read.
    """
    alone = (old / "statement.json").is_file()
    seal = read_seal(old if alone else folder_for(old))
    found = verify(data, seal.folder, chosen)
    changed = [change for change in found.changes.examples if "content" in change.parts]
    tiers = ["unknown"] * len(changed) if alone else _tiers(old, data, seal, changed)
    notes = ["the older contents are not at hand, so near copies cannot be told: name the data, not their seal"] if alone else []
    if unknown := 0 if alone else tiers.count("unknown"):
        notes.append(
            f"{count(unknown, 'content', 'contents')} of this format cannot be laid beside each other: near copies are not told"
        )
    notes += _cut_short(found.changes, changed)
    other = [change for change, tier in zip(changed, tiers, strict=True) if tier in {"other", "unknown"}]
    local = [change for change, tier in zip(changed, tiers, strict=True) if tier == "local"]
    return SplitView(found, Counter(tiers), local, _hosts(seal, other), tuple(notes))


def _cut_short(changes: Changes, looked_at: Sequence[SampleChange]) -> list[str]:
    more = changes.samples["content"] - len(looked_at)
    return [f"{more:,} more contents changed and were not looked at"] if more else []


def _tiers(old: Path, new: Path, seal: Seal, changed: Sequence[SampleChange]) -> list[str]:
    """How near each changed content is to what it was; unknown where no reader gives single contents of such a set."""
    if not changed:
        return []
    try:
        before, after = (_loaded(path, seal) for path in (old, new))
    except BadInput:
        return ["unknown"] * len(changed)
    rows = [_rows(dataset) for dataset in (before, after)]
    found = []
    for change in changed:
        places = rows[0].get(change.old_path or change.path), rows[1].get(change.path)
        if places[0] is None or places[1] is None:
            found.append("unknown")
        else:
            found.append(nearness(before.read([places[0]])[0], after.read([places[1]])[0]))
    return found


def _loaded(path: Path, seal: Seal) -> Dataset:
    """A view read as the set was sealed; as it looks where it has not those columns any more."""
    chosen = asked_again(seal, Settings())
    pins, format_id = chosen.pins or Pins(), seal.sealed.asked.get("format")
    if seal.sealed.format == FETCHED:
        return load(
            path, format=IMAGES
        )  # the pictures are what samples are; those in tar files and tables no reader gives without labels
    with suppress(BadInput):
        return load(path, format=format_id, **vars(pins.again(chosen.request)))
    return load(path, format=format_id, **vars(chosen.request))


def _rows(dataset: Dataset) -> dict[str | None, int]:
    return {path: row for row, path in enumerate(dataset.column("path"))}


def _hosts(seal: Seal, changed: Sequence[SampleChange]) -> list[Host]:
    """Hosts that changed more than the rest of the set does."""
    by_host = Counter(host for change in changed if change.url and (host := host_of(change.url)))
    if not by_host:
        return []
    totals = Counter[str]()
    for batch in seal.manifest.batches(["url"]):
        totals.update(host for url in batch.column("url").to_pylist() if url and (host := host_of(url)))
    return outlying(by_host, totals, elsewhere=len(changed) - by_host.total())


def _several(changes: Sequence[SampleChange]) -> str:
    names = ", ".join(change.path for change in changes[:3])
    return f"{count(len(changes), 'content', 'contents')} ({names}{', …' if len(changes) > 3 else ''})"
