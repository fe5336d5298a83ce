"""Croissant 1.1: what a data set is, with a digest of every file, where its samples come from, and what was done to them."""

import hashlib
import json
import mimetypes
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import PurePosixPath
from typing import Any, ClassVar, TypeAlias, final
from urllib.parse import quote

from typing_extensions import override

from untaint.provenance.sealed import FILES, STATEMENT
from untaint.report.described import Covered, Described, Export, facts, sentence
from untaint.report.text import clip, visible
from untaint.report.wording import VERDICTS

Node: TypeAlias = dict[str, Any]

CONFORMS = "http://mlcommons.org/croissant/1.1"
_NAMED = 1_000
"""Files that are listed one by one; beyond, the table of files stands for them, whose own digest is listed."""
_TYPES = {
    ".parquet": "application/x-parquet",
    ".jsonl": "application/jsonlines",
    ".ndjson": "application/jsonlines",
    ".csv": "text/csv",
    ".tsv": "text/tab-separated-values",
    ".json": "application/json",
}
_TERMS = ("citeAs", "column", "containedIn", "equivalentProperty", "extract", "field", "fileObject", "fileProperty", "fileSet")
_MORE = ("format", "includes", "isLiveDataset", "jsonPath", "key", "parentField", "path", "recordSet", "references", "regex")
_LAST = ("repeated", "replace", "separator", "source", "subField", "transform", "arrayShape", "isArray", "md5", "samplingRate")
_COLUMNS = {
    "id": ("sc:Text", "SHA-256 of the sample's payload."),
    "label": ("sc:Text", "Its label."),
    "source": ("sc:Text", "Who sent it."),
    "transform": ("sc:Text", "What was done to it."),
    "split": ("sc:Text", "Which split it belongs to."),
    "url": ("sc:URL", "Where it was fetched."),
    "collected_at": ("sc:DateTime", "When."),
}
_KNOWN = {"source": "prov:wasAttributedTo", "transform": "prov:wasGeneratedBy", "url": "prov:hadPrimarySource"}
"""Columns of the manifest that say in PROV-O's words where a sample comes from."""


@final
@dataclass(frozen=True)
class Croissant(Export):
    """JSON-LD of the vocabulary of MLCommons, with PROV-O for origin; only SHA-256, never MD5.

    Reference: mlcommons.org/croissant/1.1; www.w3.org/TR/prov-o
    """

    id: ClassVar[str] = "croissant"
    file: ClassVar[str] = "croissant.json"

    @override
    def render(self, described: Described) -> str:
        return json.dumps(_dataset(described), indent=2, allow_nan=False, ensure_ascii=True) + "\n"


def _dataset(described: Described) -> Node:
    sealed, terms = described.seal.sealed, described.terms
    stated = {
        "license": terms.licence,
        "url": terms.url,
        "creator": {"@type": "sc:Organization", "name": terms.creator} if terms.creator else None,
    }
    return {
        "@context": _context(),
        "@type": "sc:Dataset",
        "dct:conformsTo": CONFORMS,
        "name": _name(sealed.name),
        "description": f"{terms.description} {sentence(described)}" if terms.description else sentence(described),
        "datePublished": described.created.date().isoformat(),
        "version": terms.version,
        **{key: value for key, value in stated.items() if value is not None},
        "prov:wasGeneratedBy": _activities(described),
        "prov:wasAttributedTo": _agents(described),
        "distribution": [*_distribution(described), *_manifest(described)],
        "recordSet": [_samples(described)] if sealed.parts else [],
    }


def _context() -> Node:
    named = {name: f"cr:{name}" for name in sorted((*_TERMS, *_MORE, *_LAST))}
    return {
        "@language": "en",
        "@vocab": "https://schema.org/",
        "cr": "http://mlcommons.org/croissant/",
        "rai": "http://mlcommons.org/croissant/RAI/",
        "dct": "http://purl.org/dc/terms/",
        "sc": "https://schema.org/",
        "prov": "http://www.w3.org/ns/prov#",
        "conformsTo": "dct:conformsTo",
        "data": {"@id": "cr:data", "@type": "@json"},
        "dataType": {"@id": "cr:dataType", "@type": "@vocab"},
        "examples": {"@id": "cr:examples", "@type": "@json"},
        **named,
    }


def _name(name: str) -> str:
    """Without what other tools do not take in a name."""
    return "".join(c if c.isalnum() or c in "-_ ." else "_" for c in visible(clip(name, 200))) or "data"


def _activities(described: Described) -> list[Node]:
    """Sealing, and the audit when there was one."""
    found = [
        {
            "@type": "prov:Activity",
            "prov:label": f"sealed by {described.seal.sealed.tool}",
            "prov:endedAtTime": described.created.isoformat(),
            "sc:additionalProperty": [{"@type": "sc:PropertyValue", "name": k, "value": v} for k, v in facts(described).items()],
        }
    ]
    if described.audit is not None:
        label = f"audited: {VERDICTS[described.audit.verdict]}, {described.audit.n_flagged:,} samples flagged"
        found.append({"@type": "prov:Activity", "prov:label": label})
    return found


def _agents(described: Described) -> list[Node]:
    agents = []
    for name, count in described.counts.items():
        known = described.sources.get(name or "")
        kind = (known.kind or "kind not said") if known else "not listed in sources.toml"
        label = visible(clip(name, 200)) if name is not None else "source not said"
        agent = {"@type": "prov:Agent", "prov:label": label, "sc:description": f"{count:,} samples; {kind}."}
        agents.append(agent | ({"sc:legalName": visible(known.owner)} if known and known.owner else {}))
    return agents


def _distribution(described: Described) -> Iterable[Node]:
    for number, covered in enumerate(described.files if len(described.files) <= _NAMED else ()):
        yield _file(covered, f"data-{number}", described.place(covered.name))


def _manifest(described: Described) -> Iterable[Node]:
    """The seal's own files: they list what the distribution cannot."""
    folder, sealed = described.seal.folder, described.seal.sealed
    for name, digest in ((FILES, sealed.files), *((part.name, part.sha256) for part in described.parts())):
        path = folder / name
        size = path.stat().st_size if path.is_file() else 0
        yield _file(Covered(name, size, digest), f"seal/{name}", described.address(path))
    path = folder / STATEMENT
    content = path.read_bytes()
    digest = hashlib.sha256(content).hexdigest()
    yield _file(Covered(STATEMENT, len(content), digest), f"seal/{STATEMENT}", described.address(path))


def _file(covered: Covered, id: str, address: str) -> Node:
    return {
        "@type": "cr:FileObject",
        "@id": id,  # mlcroissant takes no white space in it
        "name": visible(covered.name),
        "contentUrl": quote(address, safe="/:@!$&'()*+,;=~"),
        "contentSize": f"{covered.size} B",
        "encodingFormat": _media_type(covered.name),
        "sha256": covered.sha256,
    }


def _media_type(name: str) -> str:
    suffix = PurePosixPath(name).suffix.lower()
    return _TYPES.get(suffix) or mimetypes.guess_type(name)[0] or "application/octet-stream"


def _samples(described: Described) -> Node:
    """The manifest as records: which sample came from whom. Of several parts the first; all are in the distribution."""
    part = next(iter(described.parts())).name
    fields = [
        {
            "@type": "cr:Field",
            "@id": f"samples/{name}",
            "name": f"samples/{name}",
            "description": text,
            "dataType": kind,
            **({"equivalentProperty": _KNOWN[name]} if name in _KNOWN else {}),
            "source": {"fileObject": {"@id": f"seal/{part}"}, "extract": {"column": name}},
        }
        for name, (kind, text) in _COLUMNS.items()
    ]
    return {
        "@type": "cr:RecordSet",
        "@id": "samples",
        "name": "samples",
        "description": "One record per sample, in the order of the data.",
        "field": fields,
    }
