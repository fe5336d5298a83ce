"""What `untaint trace` says: one section for each kind of thing, in words."""

import json
from collections.abc import Callable, Mapping
from datetime import date
from typing import Any

from rich.text import Text

from untaint.cli.summary import console, one_line
from untaint.provenance.trace import Answer, Facts

_SHOWN = 20  # lines of a section; --json has all


def to_json(answer: Answer) -> str:
    """The answer as an object: kind, name, one list of objects per section, notes, problems. Times in ISO 8601."""
    document: dict[str, Any] = {"schema": "untaint.trace/v1", "kind": answer.kind, "name": answer.name, **answer.facts}
    document |= {"notes": answer.notes, "problems": answer.problems}
    return json.dumps(document, indent=2, default=_plain)


def _plain(value: Any) -> str:
    return value.isoformat() if isinstance(value, date) else str(value)


def told(answer: Answer, *, checked: bool) -> None:
    """The answer for a person. checked: whether signatures were asked for."""
    out = console()
    if answer.kind != "overview":
        out.print(Text(one_line(f"{answer.kind.upper()}  {answer.name}"), style="bold"))
    for section, rows in answer.facts.items():
        heading, line = _SECTIONS[section if answer.kind != "overview" else f"all {section}"]
        out.print(Text(f"{heading}:" if rows else f"{heading}: none"))
        for row in rows[:_SHOWN]:
            vouched = f"; {row['signatures']}" if checked and "signatures" in row else ""
            out.print(Text(one_line(f"  {line(row)}{vouched}")), soft_wrap=True)
        if len(rows) > _SHOWN:
            out.print(Text(f"  … and {len(rows) - _SHOWN:,} more (--json has all)"))
    for note in answer.notes:
        out.print(Text(one_line(f"note: {note}"), style="yellow"), soft_wrap=True)
    if not checked:
        out.print(Text("signatures: not checked; --key or --policy says whom you trust"), soft_wrap=True)
    for problem in answer.problems:
        out.print(Text(one_line(f"problem: {problem}"), style="bold red"), soft_wrap=True)


def _place(row: Facts) -> str:
    parts = [f"{row['set']}, {row['path']}", f"id {row['id'][:16]}"]
    parts += [f"{name} {row[name]!r}" for name in ("label", "source", "split", "transform") if row[name] is not None]
    parts += [f"from {row['url']}"] if row["url"] else []
    parts += [f"collected {_plain(row['collected_at'])}"] if row["collected_at"] else []
    return "; ".join(parts)


def _vetting(row: Facts) -> str:
    who = [f"{name.replace('_', ' ')} {row[name]}" for name in ("kind", "owner", "vetted_by") if row.get(name)]
    return "; ".join([f"{row['source']}: {row['state']}", *who])


def _judged(row: Facts) -> str:
    accused = "flagged" if row["flagged"] else "named, not flagged"
    return f"{row['folder']} ({row['verdict']}): {accused} by {row['finding']}, risk {row['risk']:.2f}: {row['reason']}"


def _decided(row: Facts) -> str:
    why = f" for {row['finding']}: {row['reason']}" if row["finding"] else ""
    return f"{row['time']}  {row['action']}{why} ({row['folder']})"


def _model(row: Facts) -> str:
    return f"{row['name']}, step {row['step']:,}, finished {row['finished']}: {row['how']}; {row['read']} ({row['file']})"


def _checkpoint(row: Facts) -> str:
    data = f"data {row['seal'][:16]}" if row["seal"] else "no sealed data"
    return f"{row['name']}, step {row['step']:,}, finished {row['finished']}, digest {row['digest'][:16]}: {data} ({row['file']})"


def _finding(row: Facts) -> str:
    alarm = "accuses" if row["alarm"] else "for a person to look at"
    counts = f"{row['flagged']:,} of its {row['samples']:,} samples" if "flagged" in row else f"{row['samples']:,} samples"
    return f"{row['finding']}, {alarm}: {row['title']}; {counts} ({row['folder']})"


def _held(row: Facts) -> str:
    seen = "" if row["first"] is None else f", collected {_plain(row['first'])[:10]} to {_plain(row['last'])[:10]}"
    return f"{row['name']}: {row['samples']:,} samples, {row['share']:.2%} of the set{seen}"


_SECTIONS: Mapping[str, tuple[str, Callable[[Facts], str]]] = {
    "places": ("where it is", _place),
    "vetting": ("who vouches for its source", _vetting),
    "audits": ("what audits say", _judged),
    "decisions": ("what was decided", _decided),
    "models": ("models that ate it", _model),
    "checkpoints": ("the model, and what came before it", _checkpoint),
    "sets": ("where it is", _held),
    "findings": ("findings", _finding),
    "set_aside": ("in quarantine now", lambda row: f"{row['samples']:,} samples of {row['set']}"),
    "sources": (
        "what it was fed",
        lambda row: f"{row['set']}: {row['samples']:,} samples from {row['source'] or 'nobody named'}",
    ),
    "all sets": (
        "sealed sets",
        lambda row: f"{row['name']}: {row['samples']:,} samples, root {row['root'][:16]} ({row['folder']})",
    ),
    "all audits": (
        "audits",
        lambda row: f"{row['verdict']}: {row['flagged']:,} of {row['samples']:,} samples flagged ({row['folder']})",
    ),
    "all ledgers": ("quarantines", lambda row: f"{row['location']}, {row['time']} ({row['folder']})"),
    "all models": ("models", lambda row: f"{row['name']}, step {row['step']:,}, finished {row['finished']} ({row['file']})"),
}
