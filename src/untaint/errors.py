"""Every error a user can meet. Each says what was expected, what came, and what to do."""

from typing_extensions import override


class UntaintError(Exception):
    """Base of all errors raised on purpose; `advice` says what to do about it."""

    def __init__(self, message: str, *, advice: str = "") -> None:
        super().__init__(message)
        self.message = message
        self.advice = advice

    @override
    def __str__(self) -> str:
        return f"{self.message} {self.advice}".rstrip()


class BadInput(UntaintError):
    """Data, a file or an argument that cannot be used as given (exit code 2)."""


class UnfitInput(BadInput, ValueError):
    """Input of a model that is not like what the model was trained on; a `ValueError` as well, as scikit-learn's own checks raise."""


class NothingChecked(BadInput):
    """No detector could run: silence would read as a pass (exit code 2)."""


class MissingExtra(UntaintError):
    """An optional dependency is needed and not installed (exit code 2)."""

    def __init__(self, what: str, extra: str) -> None:
        super().__init__(f"{what} needs the optional part '{extra}'.", advice=f"Install it: pip install 'untaint[{extra}]'")


class CannotWrite(UntaintError):
    """The output folder is read-only, full, or in the way (exit code 2)."""


class FeatureUnavailable(UntaintError):
    """A feature cannot be provided for this data set; detectors that ask for it are skipped with this reason."""
