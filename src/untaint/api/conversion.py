"""Weights of a model nobody vouches for as safetensors, with a record that binds the new file to the old one."""

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any, final

from untaint.errors import BadInput, CannotWrite

if TYPE_CHECKING:
    from untaint.models.conversion import Converted
    from untaint.provenance.attest import Material
    from untaint.provenance.keys import PrivateKey

SCHEMA = "untaint.conversion/v1"


@final
@dataclass(frozen=True)
class Conversion:
    """What `convert` wrote. path: the new file.  record: where old and new digest are bound.  attestation: signed, None = no key.

    done: tensors, what was left out, what the scan found.
    """

    path: Path
    record: Path
    attestation: Path | None
    done: "Converted"


def convert(
    model: str | Path,
    out: str | Path,
    *,
    only: str | None = None,
    signers: "Sequence[PrivateKey]" = (),
    folder: Path | None = None,
) -> Conversion:
    """Write the weights of a model as a safetensors file; the model is scanned first, followed and never run.

    model: a PyTorch file (zip or legacy), a pickle or joblib file of tensors or arrays, .npz, .npy, Keras (with the tensorflow extra), a
    folder.  out: the new file.  only: the beginning of names to take, cut off, such as `model`.  signers: keys; with them an attestation
    names the old file as what the new one was made of.  folder: for record and attestation, None = beside `out`.
    Tensors that shared numbers are written whole, each; what was no tensor is left out, and said so.
    Raises `untaint.models.conversion.UnsafeModel` (a BadInput, with `flaws`) where the scan finds anything of severity high or above,
    BadInput where there are no tensors or the model changes meanwhile, CannotWrite when a file is there already.
    """
    from untaint.models import conversion
    from untaint.provenance import materials

    source, target = Path(model), Path(out)
    home = folder or target.parent
    record = home / f"{target.name}.conversion.json"
    for path in (target, record):
        if path.exists():
            raise CannotWrite(f"{path} is there already.", advice="Name another file with --out.")
    before = materials.of_path("model", source)
    metadata = {"converted_from_sha256": before.digest["sha256"]}
    done = conversion.converted(source, target, only=only, metadata=metadata)
    try:
        if materials.of_path("model", source).digest != before.digest:
            raise BadInput(f"{source} changed while it was converted.", advice="Convert a copy that nobody writes to.")
        content = _record(source, before, target, done)
        _write(record, content)
    except BaseException:
        target.unlink(missing_ok=True)
        raise
    attestation = _attested(target, source, record, signers) if signers else None
    return Conversion(target, record, attestation, done)


def _record(source: Path, before: "Material", target: Path, done: "Converted") -> bytes:
    from untaint.provenance import json_text
    from untaint.provenance.policy import stamp
    from untaint.provenance.seal import tool

    document: dict[str, Any] = {
        "schema": SCHEMA,
        "created": stamp(datetime.now(UTC)),
        "tool": tool(),
        "from": {"name": source.name, "sha256": before.digest["sha256"], **before.facts, "formats": list(done.scanned.formats)},
        "to": {"name": target.name, "sha256": done.digest, "bytes": str(target.stat().st_size), "format": "safetensors"},
        "tensors": done.tensors,
        "shared": {name: list(others) for name, others in done.shared.items()},
        "left_out": list(done.left_out),
        "findings": [
            {"severity": flaw.severity, "rule": flaw.rule, "where": flaw.where, "what": flaw.what} for flaw in done.scanned.flaws
        ],
    }
    return json_text.canonical(document) + b"\n"


def _write(path: Path, content: bytes) -> None:
    try:
        with path.open("xb") as file:
            file.write(content)
    except OSError as error:
        raise CannotWrite(f"{path} cannot be written: {error.strerror}.", advice="Name another file with --out.") from error


def _attested(target: Path, source: Path, record: Path, signers: "Sequence[PrivateKey]") -> Path:
    """An attestation of the new file: it was made of the old one, by a conversion, and the record says the rest."""
    from untaint.provenance import dsse, training
    from untaint.provenance.seal import tool
    from untaint.provenance.training import Inputs, Point

    digest = hashlib.sha256(record.read_bytes()).hexdigest()
    inputs = Inputs(base=source, others={"conversion": record})
    point = Point(parameters={"made_by": "untaint convert", "conversion_sha256": digest})
    envelope = training.attested(target, inputs, point, signers, now=datetime.now(UTC), tool=tool())
    return dsse.save(envelope, target, record.parent / f"{target.name}.attest.json")
