import json
import os
import pickle
import subprocess
import sys
import tempfile
import zipfile
from pathlib import Path

import pytest

from untaint.bench import honest_models
from untaint.bench.hostile_models import corpus
from untaint.bench.hostile_models.base import Hostile
from untaint.bench.hostile_models.corpus import CORPUS
from untaint.errors import BadInput, NothingChecked
from untaint.models.base import Case, checks
from untaint.models.formats.scan import scan
from untaint.models.load_safety import LoadSafety


def test_every_hostile_file_is_caught_and_none_runs(tmp_path: Path) -> None:
    missed = []
    with tempfile.TemporaryDirectory() as short:  # a tar archive keeps names of up to 100 bytes as they are
        for case, _, path in corpus.written(tmp_path / "files", Path(short)):
            if path is not None and not scan(path).at_least("high"):
                missed.append(case.name)
        assert not missed
        assert not list(Path(short).iterdir())


def test_the_corpus_is_large_and_of_every_published_class() -> None:
    assert len(CORPUS) >= 60
    assert len({case.name for case in CORPUS}) == len(CORPUS)
    kinds = " ".join(case.kind for case in CORPUS)
    for advisory in (
        *(
            "CVE-2025-1716",
            "CVE-2025-1889",
            "CVE-2025-1944",
            "CVE-2025-1945",
            "CVE-2025-10155",
            "CVE-2025-10156",
            "CVE-2025-10157",
        ),
        *("CVE-2026-56315", "CVE-2026-56304", "CVE-2026-22608", "GHSA-mhc9-48gj-9gp3", "GHSA-mxhj-88fx-4pcv"),
        *("GHSA-5j3x-jp52-966f", "GHSA-6ggj-6f2q-f7mx", "modelscan 338", "modelscan 330", "CVE-2025-32434", "CVE-2026-24747"),
        *("CVE-2024-3660", "CVE-2025-1550", "CVE-2025-8747", "CVE-2025-9905", "CVE-2025-9906", "CVE-2025-49655"),
        *("CVE-2025-23304", "CVE-2025-54412", "CVE-2025-54413", "CVE-2025-54886", "CVE-2024-27318", "CVE-2025-51480"),
    ):
        assert advisory in kinds, advisory


@pytest.mark.parametrize("case", [case for case in CORPUS if case.live], ids=lambda case: case.name)
def test_the_payloads_are_real(case: Hostile, tmp_path: Path) -> None:
    """What the corpus holds does run when it is loaded as its victims load it: otherwise catching it would prove nothing."""
    canary = tmp_path / "canary"
    path = case.write(tmp_path, canary)
    code = f"import pickle, contextlib\nwith contextlib.suppress(Exception): pickle.load(open({str(path)!r}, 'rb'))"
    subprocess.run([sys.executable, "-c", code], check=True, env=os.environ | {"PYTHONWARNINGS": "ignore"})  # noqa: S603
    assert canary.is_dir()


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("name", [name for name, _ in honest_models.HONEST if not name.startswith("keras")])
def test_honest_files_pass(name: str, tmp_path: Path) -> None:
    write = dict(honest_models.HONEST)[name]
    try:
        path = write(tmp_path)
    except ModuleNotFoundError as error:
        pytest.skip(str(error))
    found = scan(path)
    assert not found.nothing
    assert not found.at_least("medium")


@pytest.mark.slow
def test_files_of_keras_pass(tmp_path: Path) -> None:
    """In a process of its own: TensorFlow takes seconds, and its threads, to import."""
    pytest.importorskip("tensorflow")
    code = (
        "import sys, pathlib; from untaint.bench.honest_models import HONEST\n"
        "for n, (name, write) in enumerate(HONEST):\n"
        "    if name.startswith('keras'): d = pathlib.Path(sys.argv[1]) / str(n); d.mkdir(); write(d)"
    )
    environment = os.environ | {"TF_CPP_MIN_LOG_LEVEL": "3"}
    subprocess.run([sys.executable, "-W", "ignore", "-c", code, str(tmp_path)], check=True, env=environment, capture_output=True)  # noqa: S603
    written = [next(folder.iterdir()) for folder in sorted(tmp_path.iterdir())]
    assert len(written) == 4
    for path in written:
        found = scan(path)
        assert found.formats
        assert not found.flaws


def test_configurations_of_keras_pass(tmp_path: Path) -> None:
    """As Keras 3.15 writes them, in both of its files."""
    h5py = pytest.importorskip("h5py")
    kind = {"module": "keras", "class_name": "DTypePolicy", "config": {"name": "float32"}, "registered_name": None}
    start = {"module": "keras.initializers", "class_name": "GlorotUniform", "config": {"seed": None}, "registered_name": None}
    tensor = {
        "class_name": "__keras_tensor__",
        "config": {"shape": [None, 4], "dtype": "float32", "keras_history": ["dense", 0, 0]},
    }
    layers = [
        {
            "module": "keras.layers",
            "class_name": "Dense",
            "registered_name": None,
            "config": {"dtype": kind, "activation": "relu", "kernel_initializer": start},
        },
        {
            "module": "keras.src.ops.nn",
            "class_name": "Relu",
            "registered_name": "Relu",
            "config": {},
            "inbound_nodes": [{"args": [tensor]}],
        },
    ]
    model = {
        "module": "keras.src.models.functional",
        "class_name": "Functional",
        "registered_name": "Functional",
        "config": {"layers": layers},
    }
    with h5py.File(tmp_path / "m.h5", "w") as file:
        file.attrs["model_config"] = json.dumps({"class_name": "Functional", "config": {"layers": layers}})
        weights = file.create_group("model_weights/dense")
        weights.attrs["weight_names"] = [b"kernel", b"bias"]
        weights.create_dataset("kernel", data=[[1.0, 2.0]], compression="gzip", chunks=(1, 2))
        for number in range(40):
            file.create_group(f"many/{number}")
    with zipfile.ZipFile(tmp_path / "m.keras", "w") as archive:
        archive.writestr("metadata.json", '{"keras_version": "3.15.1"}')
        archive.writestr("config.json", json.dumps(model))
        archive.write(tmp_path / "m.h5", "model.weights.h5")
    assert scan(tmp_path).formats == ("hdf5", "keras")
    assert not scan(tmp_path).flaws


def test_a_whole_module_is_a_finding(tmp_path: Path) -> None:
    """It pickles classes, whose state may hold code: honest or not, nobody can tell."""
    torch = pytest.importorskip("torch")
    torch.save(torch.nn.Linear(2, 2), tmp_path / "m.pt")
    found = scan(tmp_path / "m.pt")
    assert {flaw.rule for flaw in found.at_least("high")} == {"pickle-global", "pickle-state"}


def test_nothing_scanned_is_no_pass(tmp_path: Path) -> None:
    (tmp_path / "notes.txt").write_text("only words\n")
    assert scan(tmp_path).nothing
    with pytest.raises(NothingChecked, match="nothing was scanned"):
        LoadSafety().examine(Case(path=tmp_path))
    with pytest.raises(BadInput, match="there is no"):
        scan(tmp_path / "absent")
    empty = tmp_path / "empty"
    empty.mkdir()
    with pytest.raises(NothingChecked, match="there is none"):
        LoadSafety().examine(Case(path=empty))


def test_an_empty_file_and_random_bytes_are_no_pass(tmp_path: Path) -> None:
    (tmp_path / "model.pt").write_bytes(b"")
    (tmp_path / "model.safetensors").write_bytes(bytes(range(256)) * 4)
    found = scan(tmp_path)
    assert found.nothing
    assert [flaw.rule for flaw in found.at_least("high")] == ["wrong-name"]


def test_the_check_says_what_it_saw(tmp_path: Path) -> None:
    assert checks()[LoadSafety.id] is LoadSafety
    (tmp_path / "m.pkl").write_bytes(pickle.dumps({"a": 1}))
    passed = LoadSafety().examine(Case(path=tmp_path / "m.pkl"))
    assert (passed.answer, passed.findings) == ("no evidence", ())
    assert passed.facts["formats"] == ["pickle"]
    (tmp_path / "m.pkl").write_bytes(b"cos\nsystem\n(S'true'\ntR.")
    refused = LoadSafety().examine(Case(path=tmp_path / "m.pkl"))
    assert refused.answer == "unsafe"
    assert [(each.kind, each.severity, each.where, each.what) for each in refused.findings] == [
        ("code", "critical", "m.pkl byte 0", "it imports os.system")
    ]
    assert "safetensors" in refused.findings[0].advice


def test_links(tmp_path: Path) -> None:
    blobs, snapshot = tmp_path / "cache" / "blobs", tmp_path / "cache" / "snapshots" / "0"
    blobs.mkdir(parents=True)
    snapshot.mkdir(parents=True)
    name = "0" * 64
    (blobs / name).write_bytes(pickle.dumps({"a": 1}))
    (snapshot / "model.pkl").symlink_to(f"../../blobs/{name}")
    assert not scan(snapshot).flaws
    (tmp_path / "secret").write_text("secret")
    (snapshot / "vocab.txt").symlink_to(tmp_path / "secret")
    assert [(flaw.severity, flaw.rule, flaw.where) for flaw in scan(snapshot).flaws] == [("high", "link", "vocab.txt")]
    os.mkfifo(snapshot / "pipe")
    assert [flaw.what for flaw in scan(snapshot).flaws if flaw.where == "pipe"] == ["it is a device, a pipe or a socket"]


def test_memory_is_bounded(tmp_path: Path) -> None:
    """Headers that claim 100 GB, and a bomb of 300 MB, within 500 MB of memory beyond what Python takes."""
    wanted = (
        "header of 100 GB",
        "tensor of 100 GB",
        "npy of 100 GB",
        "array of 100 GB",
        "member of 4 GB",
        "zip bomb",
        "memo of 64 GB",
        "2^60 tensors",
    )
    paths = [str(case.write(tmp_path, tmp_path / "canary")) for case in CORPUS if case.name in wanted]
    assert len(paths) == len(wanted)
    code = (
        "import resource, sys, pathlib; from untaint.models.formats.scan import scan\n"
        "now = int(open('/proc/self/statm').read().split()[0]) * resource.getpagesize()\n"
        "resource.setrlimit(resource.RLIMIT_AS, (now + 500_000_000,) * 2)\n"
        "assert all(scan(pathlib.Path(path)).at_least('high') for path in sys.argv[1:])"
    )
    subprocess.run([sys.executable, "-c", code, *paths], check=True)  # noqa: S603
