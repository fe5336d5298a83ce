"""What sealing costs, beside hashing the same bytes with OpenSSL and signing the same folder with model-signing.

    python benchmarks/provenance.py [--scratch DIR] [--scale 1.0] [--rounds 3]

Three sets are made in the scratch folder: four large files (2 GB), 100,000 files of 21 KB, 1,000,000 JSONL records of about 330 bytes. All
is read once before, so no disk is measured. The ways take turns, each the given number of times; the table has the best of each, and the
ratios of those. Needs `model-signing` and `pyOpenSSL` for the third way. Writes benchmarks/results/provenance.md.
"""

import argparse
import hashlib
import importlib.util
import json
import os
import random
import resource
import shutil
import tempfile
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any, final

from untaint.provenance.seal import seal, settings
from untaint.provenance.sealed import folder_for
from untaint.provenance.spot import Ask
from untaint.provenance.verify import verify

RESULTS = Path(__file__).parent / "results"
CORES = os.cpu_count() or 1


@final
@dataclass(frozen=True)
class Cost:
    """Seconds by the clock, and of all cores."""

    wall: float
    cpu: float


def main() -> None:
    """Make the sets, take turns, write the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--scratch", type=Path, default=None, help="where the sets are made, 5 GB; they are kept")
    parser.add_argument("--scale", type=float, default=1.0, help="share of the sizes named above")
    parser.add_argument("--rounds", type=int, default=3)
    given = parser.parse_args()
    if given.scratch is not None:
        given.scratch.mkdir(parents=True, exist_ok=True)
        run(given.scratch, given.scale, given.rounds)
    else:
        with tempfile.TemporaryDirectory() as name:
            run(Path(name), given.scale, given.rounds)


def run(scratch: Path, scale: float, rounds: int) -> None:
    """The whole benchmark."""
    sets = {"large files": large(scratch, scale), "small files": small(scratch, scale), "records": records(scratch, scale)}
    lines = [
        f"{CORES} cores, sealed by as many processes. Seconds by the clock (of all cores).",
        "",
        "| set | bytes | samples | `seal` | `verify` | `file_digest` | `model_signing` | hashing / seal | model_signing / seal |",
        "|---|---|---|---|---|---|---|---|---|",
    ]
    for name, path in sets.items():
        lines.append(compared(name, path, rounds))
        print(lines[-1], flush=True)
    started = time.perf_counter()
    found = verify(sets["records"], tier="spot", ask=Ask())
    assert found.sound
    assert found.drawn is not None
    lines += [
        "",
        f"`verify --spot`: {found.drawn.drawn:,} of {found.drawn.total:,} records in {time.perf_counter() - started:.1f} s.",
    ]
    RESULTS.mkdir(exist_ok=True)
    (RESULTS / "provenance.md").write_text("# Sealing beside hashing and signing\n\n" + "\n".join(lines) + "\n")


def compared(name: str, path: Path, rounds: int) -> str:
    """A line of the table: speeds as multiples of those beside, by the clock and by the work of all cores."""
    hashed(path)
    ways: dict[str, Callable[[], None]] = {
        "seal": lambda: sealed(path),
        "verify": lambda: verified(path),
        "hash": lambda: hashed(path),
    }
    if importlib.util.find_spec("model_signing") and path.is_dir():
        ways["sign"] = lambda: signed(path)
    best: dict[str, Cost] = {}
    for _ in range(rounds):
        for way, work in ways.items():
            cost = measured(work)
            before = best.get(way, cost)
            best[way] = Cost(min(before.wall, cost.wall), min(before.cpu, cost.cpu))
    size = sum(file.stat().st_size for file in files(path))
    facts = json.loads((folder_for(path) / "statement.json").read_text())
    told = [f"{best[way].wall:.2f} ({best[way].cpu:.2f})" if way in best else "–" for way in ("seal", "verify", "hash", "sign")]
    ratios = [
        f"{best[way].wall / best['seal'].wall:.2f} ({best[way].cpu / best['seal'].cpu:.2f})" if way in best else "–"
        for way in ("hash", "sign")
    ]
    return "| " + " | ".join([name, f"{size:,}", f"{facts['size']:,}", *told, *ratios]) + " |"


def measured(work: Callable[[], None]) -> Cost:
    """What a piece of work costs, its child processes included."""
    wall, cpu = time.perf_counter(), used()
    work()
    return Cost(time.perf_counter() - wall, used() - cpu)


def used() -> float:
    """Seconds of all cores so far."""
    both = [resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)]
    return sum(each.ru_utime + each.ru_stime for each in both)


def sealed(path: Path) -> None:
    """Ours."""
    shutil.rmtree(folder_for(path), ignore_errors=True)
    seal(path, None, settings(None))


def verified(path: Path) -> None:
    """Ours, in full."""
    assert verify(path, None, settings(None)).sound


def hashed(path: Path) -> None:
    """Every file by OpenSSL, on all cores."""
    with ThreadPoolExecutor(CORES) as pool:
        list(pool.map(digest, files(path)))


def digest(path: Path) -> bytes:
    """SHA-256 of a file."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").digest()


def signed(path: Path) -> None:
    """The reference implementation of OpenSSF model signing, with a local key."""
    from cryptography.hazmat.primitives.asymmetric import ec
    from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
    from model_signing import signing

    with tempfile.TemporaryDirectory() as name:
        key = Path(name) / "key.pem"
        key.write_bytes(ec.generate_private_key(ec.SECP256R1()).private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()))
        config: Any = signing.Config
        config().use_elliptic_key_signer(private_key=key).sign(path, Path(name) / "model.sig")


def files(path: Path) -> list[Path]:
    """Every file of a set."""
    return [path] if path.is_file() else sorted(file for file in path.rglob("*") if file.is_file())


def large(scratch: Path, scale: float) -> Path:
    """Four files of 512 MB."""
    folder = scratch / "large"
    folder.mkdir(exist_ok=True)
    for number in range(4):
        path = folder / f"{number}.bin"
        if not path.exists():
            with path.open("wb") as file:
                for _ in range(max(1, int(32 * scale))):
                    file.write(os.urandom(16 << 20))
    return folder


def small(scratch: Path, scale: float) -> Path:
    """100,000 files of 21 KB in ten folders."""
    folder = scratch / "small"
    if not folder.exists():
        count, noise = int(100_000 * scale), os.urandom(121_000)
        for number in range(count):
            path = folder / f"c{number % 10}" / f"{number:06d}.png"
            if number < 10:
                path.parent.mkdir(parents=True)
            path.write_bytes(noise[number % 100_000 :][:21_000])
    return folder


def records(scratch: Path, scale: float) -> Path:
    """1,000,000 labelled texts."""
    path = scratch / "records.jsonl"
    if not path.exists():
        rng, words = random.Random(1), [f"word{number}" for number in range(2000)]  # noqa: S311 - no secret
        with path.open("w") as file:
            for number in range(int(1_000_000 * scale)):
                text = " ".join(rng.choices(words, k=32))
                row = {
                    "text": text,
                    "label": "np"[number % 2],
                    "source": f"s{number % 50}",
                    "url": f"https://h{number % 500}.org/{number}",
                }
                file.write(json.dumps(row) + "\n")
    return path


if __name__ == "__main__":
    main()
