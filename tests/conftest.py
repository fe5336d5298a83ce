"""What must stand before the product is imported: quiet OpenMP threads, reproducible properties, checked array shapes."""

import os

os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")  # idle threads that spin take the cores from those that work
if "PYTEST_XDIST_WORKER" in os.environ:  # one process a core
    for name in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS"):
        os.environ.setdefault(name, "1")

import tests.typecheck
from hypothesis import settings
from jaxtyping import install_import_hook

settings.register_profile("house", deadline=None, derandomize=True, max_examples=50)
settings.load_profile("house")

CHECKED = [f"untaint.{room}" for room in ("numerics", "features", "nets", "evidence", "audit", "quarantine", "bench")]
"""Rooms whose every call is checked against its annotations, array shapes included. Not the others: attacks and readers check
types themselves and are given wrong ones here; the report takes protocols that cannot be checked at run time; some detectors
name two different lengths alike."""
install_import_hook(CHECKED, f"{tests.typecheck.__name__}.checked")
