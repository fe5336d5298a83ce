"""What an audit ran on: enough to run it again."""

import platform
from collections.abc import Mapping
from importlib.metadata import PackageNotFoundError, version

from untaint.audit.settings import AuditSettings
from untaint.errors import FeatureUnavailable, UntaintError
from untaint.features.graph import Features, code_digest
from untaint.nets import encoders, language

_PACKAGES = ("untaint", "numpy", "scipy", "torch", "pyarrow", "pillow")


def environment(settings: AuditSettings, features: Features) -> Mapping[str, object]:
    """Versions, seed, budget, and which networks served as encoder, language model and proxy."""
    found: dict[str, object] = {package: _version(package) for package in _PACKAGES}
    found |= {"python": platform.python_version(), "seed": settings.seed, "budget": settings.budget, "code": code_digest()[:16]}
    if settings.encoder is not None:
        found["encoder"] = encoders.digest(settings.encoder)
    if settings.fluency is not None:
        found["language_model"] = language.digest(settings.fluency)
    if settings.budget != "fast":
        try:
            found["proxy"] = features.get("proxy").origin
        except FeatureUnavailable as missing:
            found["proxy"] = f"none: {missing.message}"
        except UntaintError:
            raise
        except Exception as error:  # noqa: BLE001 - the detectors that needed it have failed; the others' findings stand
            found["proxy"] = f"none: {type(error).__name__}: {error}"
    return found


def _version(package: str) -> str | None:
    try:
        return version(package)
    except PackageNotFoundError:
        return None
