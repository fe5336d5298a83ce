"""CycloneDX 1.6: a bill of materials of a data set and of the models trained on it, for supply-chain tools."""

import json
import uuid
from dataclasses import dataclass
from typing import Any, ClassVar, TypeAlias, final
from urllib.parse import quote

from typing_extensions import override

from untaint.provenance.sources import Source
from untaint.report.described import Described, Export, facts, sentence
from untaint.report.text import clip, visible
from untaint.report.v1 import Finding
from untaint.report.wording import title

Node: TypeAlias = dict[str, Any]

_NAMESPACE = uuid.UUID("6f0b3a52-2d0e-5b1a-9a3f-0f7d3a1c9e77")
"""Of serial numbers: one seal has one number, whoever exports it."""
_SEVERITIES = {"critical": "critical", "high": "high", "medium": "medium", "low": "low", "info": "info"}
_OWNERS = 1_000  # sources named; viewers choke on more


@final
@dataclass(frozen=True)
class CycloneDx(Export):
    """JSON of specification 1.6: the data set with its owners, digests and, after an audit, what accuses it.

    Reference: cyclonedx.org/docs/1.6/json
    """

    id: ClassVar[str] = "cyclonedx"
    file: ClassVar[str] = "bom.cdx.json"

    @override
    def render(self, described: Described) -> str:
        return json.dumps(_bom(described), indent=2, allow_nan=False) + "\n"


def _bom(described: Described) -> Node:
    sealed = described.seal.sealed
    reference = f"data:{sealed.root}"
    accused = [found for found in described.audit.findings if found.alarm] if described.audit else []
    return {
        "bomFormat": "CycloneDX",
        "specVersion": "1.6",
        "serialNumber": f"urn:uuid:{uuid.uuid5(_NAMESPACE, sealed.statement().hex())}",
        "version": 1,
        "metadata": {
            "timestamp": described.created.strftime("%Y-%m-%dT%H:%M:%SZ"),
            "tools": {"components": [{"type": "application", "name": "untaint", "version": sealed.tool.split()[-1]}]},
            "component": {"type": "data", "bom-ref": f"subject:{sealed.root}", "name": visible(sealed.name)},
        },
        "components": [_data(described, reference)],
        "dependencies": [{"ref": reference}, {"ref": f"subject:{sealed.root}", "dependsOn": [reference]}],
        **({"vulnerabilities": [_vulnerability(finding, reference) for finding in accused]} if accused else {}),
    }


def _data(described: Described, reference: str) -> Node:
    sealed, terms = described.seal.sealed, described.terms
    properties = [{"name": f"untaint:{name}", "value": value} for name, value in facts(described).items()]
    contents = {"url": quote(described.address(described.data), safe="/.:@~+-_"), "properties": properties}
    return {
        "type": "data",
        "bom-ref": reference,
        "name": visible(sealed.name),
        "version": terms.version,
        "description": terms.description or sentence(described),
        "hashes": [{"alg": "SHA-256", "content": sealed.manifest}],
        **({"licenses": [{"license": {"name": terms.licence}}]} if terms.licence else {}),
        "data": [
            {
                "type": "dataset",
                "name": visible(sealed.name),
                "contents": contents,
                "description": sentence(described),
                "governance": _governance(described),
            }
        ],
    }


def _governance(described: Described) -> Node:
    """owners: of the sources, with their samples.  custodian: who answers for the set.  stewards: who vetted sources."""
    listed = described.sources
    owners = [_owner(name, count, listed.get(name or "")) for name, count in list(described.counts.items())[:_OWNERS]]
    vetted = sorted({source.vetted_by for source in listed.values() if source.vetted_by})
    creator = described.terms.creator
    return {
        "owners": owners,
        "custodians": [{"organization": {"name": creator}}] if creator else [],
        "stewards": [{"contact": {"name": visible(name)}} for name in vetted],
    }


def _owner(name: str | None, count: int, known: Source | None) -> Node:
    owner = known.owner if known and known.owner else "owner not said"
    label = visible(clip(name, 200)) if name is not None else "source not said"
    return {"organization": {"name": f"{label} ({visible(owner)}; {count:,} samples)"}}


def _vulnerability(finding: Finding, reference: str) -> Node:
    return {
        "bom-ref": f"finding:{visible(finding.id)}",
        "id": visible(finding.id),
        "source": {"name": "untaint audit"},
        "ratings": [{"severity": _SEVERITIES[finding.severity], "method": "other"}],
        "description": visible(clip(title(finding), 1_000)),
        "detail": visible(clip(finding.explanation.replace("\n", " "), 4_000)),
        "recommendation": visible(clip(finding.advice.replace("\n", " "), 2_000)),
        "affects": [{"ref": reference}],
    }
