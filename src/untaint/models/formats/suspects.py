"""How bad a name is that is not on the list: it decides the severity, never whether there is a finding."""

import sys
from typing import Final

from untaint.evidence.finding import Severity

_DATA: Final = {"argparse", "array", "collections", "datetime", "decimal", "enum", "fractions", "pathlib", "zoneinfo"}
"""Parts of the standard library whose classes hold data. Still not on the list: nobody reviewed what their state may do."""
_GADGETS: Final = (
    "IPython",
    "_pytest",
    "bdb",
    "cloudpickle",
    "cffi",
    "dill",
    "distutils",
    "django",
    "fickling",
    "fsspec",
    "huggingface_hub",
    "hydra",
    "jax._src",
    "jinja2",
    "joblib",
    "jsonpickle",
    "keras.src.saving",
    "keras.saving",
    "keras.utils",
    "lib2to3",
    "matplotlib",
    "mlflow",
    "nltk",
    "numba",
    "numexpr",
    "numpy.ctypeslib",
    "numpy.distutils",
    "numpy.f2py",
    "numpy.lib",
    "numpy.testing",
    "omegaconf",
    "pandas",
    "pip",
    "pkg_resources",
    "psutil",
    "pytest",
    "requests",
    "scipy",
    "setuptools",
    "sympy",
    "tensorflow",
    "test",
    "torch._C",
    "torch._dynamo",
    "torch._inductor",
    "torch.cpp_extension",
    "torch.distributed",
    "torch.fx",
    "torch.hub",
    "torch.jit",
    "torch.onnx",
    "torch.package",
    "torch.serialization",
    "torch.utils",
    "transformers.utils",
    "yaml",
)
"""Modules, with what lies in them, that hold functions which run, load or write what they are given: those of published bypasses of
scanners (advisories of picklescan and fickling, issues of modelscan), and their neighbours."""


def severity_of(module: str, name: str) -> Severity:
    """Of naming something that is not on the list: critical where it runs, loads or writes, high where nobody knows."""
    root = module.partition(".")[0]
    if "." in name or name.startswith("__") or "__" in module:
        return "critical"  # reaches into a module or an object, past whatever a list of names says
    if any(module == gadget or module.startswith(f"{gadget}.") for gadget in _GADGETS):
        return "critical"
    standard = root in sys.stdlib_module_names or root.startswith("_")
    return "critical" if standard and root not in _DATA else "high"
