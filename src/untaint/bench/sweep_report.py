"""Records of a sweep as tables of Markdown, and as lines of progress."""

from collections import defaultdict
from collections.abc import Callable, Sequence

from untaint.bench.sweep import Record, Subject
from untaint.bench.tables import markdown, mean, percent


def report(subject: Subject, records: Sequence[Record]) -> str:
    """All tables of poisoned sets."""
    done = [record for record in records if "failed" not in record]
    sections: list[tuple[str, Callable[[Subject, list[Record]], Record], list[Record]]] = [
        ("Detection", summary, done),
        ("Victims", _cured, [r for r in done if "victim" in r]),
        ("Review lists", reviewed, [r for r in done if r["review"]]),
    ]
    parts = [f"# {subject.title}: what an audit finds"]
    for title, line, part in sections:
        for name in sorted({record["corpus"] for record in part}):
            groups = grouped([record for record in part if record["corpus"] == name])
            rows = [
                {
                    "attack": attack,
                    subject.noun: f"{size:,}",
                    "sources": subject.said.get(sources, str(sources)),
                    **line(subject, cells),
                }
                for (_, attack, size, sources), cells in groups.items()
            ]
            parts += [f"## {title}: {name}", markdown(rows)]
    if failed := [record for record in records if "failed" in record]:
        parts += ["## Failed", "\n".join(f"- {_title(record)}: {record['failed']}" for record in failed)]
    return "\n\n".join(parts) + "\n"


def grouped(records: Sequence[Record]) -> dict[tuple[str, str, int, int], list[Record]]:
    """Cells that differ only in their seed."""
    groups: dict[tuple[str, str, int, int], list[Record]] = defaultdict(list)
    for record in records:
        groups[record["corpus"], record["attack"], record["size"], record["sources"]].append(record)
    return groups


def summary(subject: Subject, cells: list[Record]) -> Record:
    """The line of one attack on one corpus."""
    planted = [cell["senders"] for cell in cells]
    asked = sum(len(each["planted"]) for each in planted)
    return {
        "cells": len(cells),
        "called poisoned": sum(cell["verdict"] == "poisoned" for cell in cells),
        "TPR mean": percent(mean(cell["tpr"] for cell in cells)),
        "worst": percent(min((cell["tpr"] for cell in cells if cell["tpr"] is not None), default=None)),
        "FPR mean": percent(mean(cell["fpr"] for cell in cells)),
        "shown": percent(mean(cell["shown"]["tpr"] for cell in cells)),
        "right target": percent(mean(cell["right"] for cell in cells)),
        "trigger exact": percent(mean(cell[subject.trigger]["exact"] for cell in cells)),
        "in part": percent(mean(cell[subject.trigger]["part"] for cell in cells)),
        "senders named": f"{sum(len(each['named']) for each in planted)}/{asked}" if asked else "–",
        "honest accused": sum(len(each["accused"]) for each in planted),
        "CPU s": f"{mean(cell['cpu_s'] for cell in cells):.1f}",
    }


def reviewed(subject: Subject, cells: list[Record]) -> Record:
    """The review list of one attack without a trigger."""
    kept = [cell["review"] for cell in cells]
    columns = {
        "AUROC": "auroc",
        "TPR at .5 % FPR": "tpr",
        **(subject.listed or {}),
        "precision stated": "stated",
        "precision true": "true",
    }
    return {"cells": len(kept), **{title: percent(mean(each[key] for each in kept)) for title, key in columns.items()}}


def clean_report(subject: Subject, records: Sequence[Record]) -> str:
    """Runs, alarms and the worst share flagged, over all clean sets and per kind of set."""
    groups: dict[str, list[Record]] = defaultdict(list)
    for record in records:
        if "failed" not in record:
            for name in ("**all**", *(f"{key}: {record[key]}" for key in subject.kinds)):
                groups[name].append(record)
    rows = [
        {
            "clean sets": name,
            "runs": len(part),
            "called poisoned": sum(each["verdict"] == "poisoned" for each in part),
            "cannot tell": sum(each["verdict"] == "cannot tell" for each in part),
            "with shortcuts": sum(each["shortcuts"] > 0 for each in part),
            "mean flagged": percent(mean(each["flagged"] for each in part)),
            "most flagged": percent(max(each["flagged"] for each in part)),
            "sources accused": sum(each["blamed"] for each in part),
        }
        for name, part in sorted(groups.items())
    ]
    told = [
        f"- run {each['run']} ({each['corpus']}, {each['n']:,}): {alarm}" for each in records for alarm in each.get("alarms", ())
    ]
    failed = [f"- run {each['run']}: {each['failed']}" for each in records if "failed" in each]
    parts = [f"# Clean {subject.title.lower()}: how often they are called poisoned", markdown(rows)] if rows else []
    parts += ["## Alarms", "\n".join(told)] if told else []
    return "\n\n".join([*parts, *(["## Failed", "\n".join(failed)] if failed else [])]) + "\n"


def told_cell(subject: Subject, record: Record) -> str:
    """A line of progress."""
    if "failed" in record:
        return f"{_title(record)}: failed, {record['failed']}"
    rates = f"TPR {percent(record['tpr'])}, FPR {percent(record['fpr'])}, shown {percent(record['shown']['tpr'])}"
    trigger, sent = record[subject.trigger], record["senders"]
    how = "exact" if trigger["exact"] else "in part" if trigger["part"] else "not named"
    said = f"{trigger['planted']!r} {how}" if trigger["planted"] else ""
    who = f"senders {len(sent['named'])}/{len(sent['planted'])}, {len(sent['accused'])} in vain"
    return (
        f"{_title(record)}: {record['verdict']}, {rates}, {said}, {who}, {record['cpu_s']:.1f} s, {'+'.join(record['detectors'])}"
    )


def told_clean(subject: Subject, record: Record) -> str:
    """The same of a clean set."""
    if "failed" in record:
        return f"clean {record['run']}: failed, {record['failed']}"
    first, *rest = subject.kinds
    facts = ", ".join(str(record[key]) for key in (first, "n", *rest))
    return f"clean {record['run']} ({facts}): {record['verdict']}, {percent(record['flagged'])} flagged, {record['alarms']}"


def _cured(subject: Subject, cells: list[Record]) -> Record:
    return subject.cured(cells)


def _title(record: Record) -> str:
    return f"{record['corpus']} {record['size']:,} {record['attack']}, sources {record['sources']}, seed {record['seed']}"
