"""Repair a model that may carry a backdoor."""

from collections.abc import Callable
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING, Any, final

import numpy as np

from untaint.api.data import load, writable
from untaint.api.models import house_model, reference_of
from untaint.errors import BadInput, CannotWrite, MissingExtra

if TYPE_CHECKING:
    from torch import nn

    from untaint.models.repair.course.mended import Mended, Triggered
    from untaint.nets.subject import Reference

_ADVICE = "Give a folder that `untaint train` wrote, a .safetensors file of untaint's own, or a torch module from Python."


def repair(
    model: object,
    data: object = None,
    *,
    method: str | None = None,
    test: object = None,
    triggered: object = None,
    target: str | None = None,
    out: str | Path | None = None,
    seed: int = 0,
    progress: Callable[[str, int, int], None] | None = None,
    **columns: str | None,
) -> "Mended":
    """A network of the same shape that answers as the model does on clean inputs, and to no trigger; the model stays as it came.

    model: a torch module (it takes (n, c, h, w) floats in 0..1, or rows, and returns logits), or a file or folder of untaint's own.
    data: some 500 clean inputs with labels: a `Reference`, or what `load` reads; None = none, which only a few methods do without.
    method: such as 'fine-tuning(steps=200)', or several joined by +; None = the best one there is (`untaint list repairs`).
    test: clean inputs to measure on, None = a fifth of `data` is held back.
    triggered: inputs that carry the trigger, with their own labels; target: the label the attacker wants for them (inputs of that class
    are left out). With both the attack's success is measured, and how fast it comes back.
    out: folder for the repaired model (as it was given), `repair.json` and `report.html`.
    Raises BadInput for a model or data that do not fit, CannotWrite, MissingExtra without PyTorch.

    Example:
        mended = untaint.repair(module, untaint.load("clean/"))
        module.load_state_dict(mended.module.state_dict())
    """
    try:
        from untaint.models.repair.base import quiet
        from untaint.models.repair.course.mended import Asked, mend
    except ModuleNotFoundError as error:
        if error.name != "torch":
            raise
        raise MissingExtra("Repairing models", "torch") from error
    path = Path(model) if isinstance(model, str | Path) else None
    opened = _opened(model, path)
    clean = _read(data, path, columns)
    measured = _alike(_read(test, path, columns), clean)
    tried = _triggered(_read(triggered, path, columns), target, clean)
    folder = None if out is None else _own(Path(out), path, data)
    done = mend(opened.module, Asked(clean, method, measured, tried, seed), progress or quiet)
    if folder is not None:
        _write(done, opened, path, folder)
    return done


@final
@dataclass(frozen=True)
class _Opened:
    """A network, and how one like it is written into a folder."""

    module: "nn.Module"
    save: "Callable[[nn.Module, Path], Path]"


def _opened(model: object, path: Path | None) -> _Opened:
    from safetensors.torch import save_file
    from torch import nn

    if path is None:
        if not isinstance(model, nn.Module):
            raise BadInput(f"a {type(model).__name__} cannot be repaired: its weights are not within reach.", advice=_ADVICE)

        def weights(module: nn.Module, target: Path) -> Path:
            save_file({name: value.contiguous() for name, value in module.state_dict().items()}, target / "model.safetensors")
            return target / "model.safetensors"

        return _Opened(model, weights)
    if not path.exists():
        raise BadInput(f"no such file or folder: {path}.", advice=_ADVICE)
    about = house_model(path)
    if about is not None:
        return _trained(path, about)
    if path.is_dir() or path.suffix != ".safetensors":
        raise BadInput(f"{path} is no model that can be repaired from its file.", advice=_ADVICE)
    from untaint.nets import foreign

    def convnet(module: Any, target: Path) -> Path:
        foreign.save(module, target / path.name)
        return target / path.name

    return _Opened(foreign.load(path), convnet)


def _trained(path: Path, about: dict[str, Any]) -> _Opened:
    from dataclasses import replace

    from untaint.training.engines.trained import Trained

    if about.get("factory") is not None:
        raise BadInput(
            f"{path} says that code makes its network ({about['factory']}), which is not run.",
            advice="Load it yourself and call untaint.repair(module, data).",
        )
    trained = Trained.load(path if path.is_dir() else path.parent)
    return _Opened(trained.net, lambda module, target: replace(trained, net=module).save(target))


def _read(data: object, path: Path | None, columns: dict[str, str | None]) -> "Reference | None":
    from untaint.nets.subject import Reference

    return data if data is None or isinstance(data, Reference) else reference_of(load(data, **columns), path)


def _alike(found: "Reference | None", clean: "Reference | None") -> "Reference | None":
    """The same inputs with the class codes of the clean ones. Raises BadInput for a class that those lack."""
    from untaint.nets.subject import Reference

    if found is None or clean is None or found.classes == clean.classes:
        return found
    places = {name: at for at, name in enumerate(clean.classes)}
    lacking = sorted(set(found.classes) - set(places))
    if lacking:
        raise BadInput(f"no clean input is of class {lacking[0]!r}.", advice="Give clean inputs of every class of the model.")
    return Reference(found.inputs, np.array([places[name] for name in found.classes])[found.labels], clean.classes)


def _triggered(found: "Reference | None", target: str | None, clean: "Reference | None") -> "Triggered | None":
    import torch

    from untaint.models.repair.course.mended import Triggered
    from untaint.nets.subject import Reference

    if (found is None) != (target is None):
        raise BadInput(
            "triggered inputs and the label the attacker wants for them belong together.", advice="Give both, or neither."
        )
    known = _alike(found, clean)
    if known is None or target is None:
        return None
    if target not in known.classes:
        raise BadInput(f"no class is called {target!r}.", advice=f"Known: {', '.join(known.classes[:20])}.")
    wanted = known.classes.index(target)
    others = known.labels != wanted
    if not others.any():
        raise BadInput(
            f"every triggered input is of class {target!r} itself: an answer of {target!r} would be no success of an attack.",
            advice="Give inputs of other classes with the trigger on them, labelled with what they show.",
        )
    kept = Reference(known.inputs[others], known.labels[others], known.classes)
    return Triggered(kept, torch.full((len(kept.labels),), wanted))


def _own(folder: Path, model: Path | None, data: object) -> Path:
    """The folder to write, which must be neither that of the model nor within what is read."""
    from untaint.report.models import repair as pages

    if model is not None and folder.resolve() == model.resolve().parent:
        raise BadInput(f"the repaired model would replace {model}.", advice="Name another folder with --out.")
    for read in (Path(data) if isinstance(data, str | Path) else None, model):
        writable(folder, read)
    if (folder / pages.DOCUMENT).exists():
        raise CannotWrite(f"{folder} holds a finished repair.", advice="Name a new folder with --out.")
    return folder


def _write(done: "Mended", opened: _Opened, path: Path | None, folder: Path) -> None:
    from untaint.nets import foreign
    from untaint.report.models import repair as pages

    written = opened.save(done.module, folder)
    named = {"name": path.name or str(path), "path": str(path)} if path is not None else {"name": type(opened.module).__name__}
    digests = {"before": foreign.digest(opened.module), "after": foreign.digest(done.module)}
    pages.write(done, {**named, "repaired": written.name, "digests": digests, "untaint": version("untaint")}, folder)
