"""The attacks that detection is measured on, by the names its tables use."""

from collections.abc import Mapping
from dataclasses import fields, replace
from zlib import crc32

import numpy as np

from untaint.attacks.adaptive_blend import AdaptiveBlend
from untaint.attacks.badnets import BadNets
from untaint.attacks.base import Attack, Poisoned, pick_class
from untaint.attacks.blended import Blended
from untaint.attacks.bpp import Bpp
from untaint.attacks.flood import Flood
from untaint.attacks.input_aware import InputAware
from untaint.attacks.label_consistent import LabelConsistent
from untaint.attacks.label_only import LabelOnly
from untaint.attacks.low_frequency import LowFrequency
from untaint.attacks.multi_trigger import MultiTrigger
from untaint.attacks.natural_object import NaturalObject
from untaint.attacks.random_flips import RandomFlips
from untaint.attacks.sample_specific import SampleSpecific
from untaint.attacks.sinusoid import Sinusoid
from untaint.attacks.wanet import WaNet
from untaint.data.dataset import Dataset
from untaint.errors import BadInput

_SOURCE_SPECIFIC = "source-specific 1 % + cover 1 %"
ATTACKS: Mapping[str, Attack] = {
    "patch-fixed .5 %": BadNets(rate=0.005),
    "patch-floating .5 %": BadNets(rate=0.005, position="random"),
    "patch-jittered .5 %": BadNets(rate=0.005, jitter=3),
    "patch all-to-all 5 %": BadNets(rate=0.05, all_to_all=True),
    _SOURCE_SPECIFIC: BadNets(rate=0.01, cover=0.01),
    "blend .15 1 %": Blended(rate=0.01, alpha=0.15),
    f"{LowFrequency.id} 3 %": LowFrequency(rate=0.03),
    f"{AdaptiveBlend.id} 1 % + 1 %": AdaptiveBlend(rate=0.01, cover=0.01),
    f"{Sinusoid.id} 30 % of class": Sinusoid(rate=0.3),
    f"{Sinusoid.id} 50 % of class": Sinusoid(rate=0.5),
    "warp 5 %": WaNet(rate=0.05),
    "warp 8 %": WaNet(rate=0.08),
    "warp noise mode 8 %": WaNet(rate=0.08, noise_mode=True, cover=0.16),
    f"{Bpp.id} 5 %": Bpp(rate=0.05),
    f"{InputAware.id} 5 %": InputAware(rate=0.05),
    f"{SampleSpecific.id} 5 %": SampleSpecific(rate=0.05),
    f"{LabelConsistent.id} 50 % of class": LabelConsistent(rate=0.5),
    f"{MultiTrigger.id} 3 %": MultiTrigger(rate=0.03),
    f"{NaturalObject.id} 2 %": NaturalObject(rate=0.02),
    f"{LabelOnly.id} 2 %": LabelOnly(rate=0.02),
    "random flips 5 %": RandomFlips(rate=0.05),
    f"{Flood.id} 200 copies": Flood(originals=5, copies=40),
}
"""Targets are left to chance; what `poisoned` draws besides is said there."""


def chosen(parts: tuple[str, ...]) -> tuple[str, ...]:
    """Names of the attacks that hold any of the parts; all of them when there are no parts.

    Raises BadInput for a part that no name holds.
    """
    for part in parts:
        if not any(part in name for name in ATTACKS):
            raise BadInput(f"no attack's name holds {part!r}.", advice=f"Names: {', '.join(ATTACKS)}.")
    return tuple(name for name in ATTACKS if not parts or any(part in name for part in parts))


def poisoned(name: str, dataset: Dataset, seed: int) -> tuple[Attack, Poisoned]:
    """The attack as it was carried out, and its result. The seed draws target, victims, picture and, if it has one, the source."""
    rng = np.random.default_rng([seed, crc32(name.encode())])
    drawn: dict[str, object] = {}
    if any(field.name == "seed" for field in fields(ATTACKS[name])):
        drawn["seed"] = int(rng.integers(2**31))
    if name == _SOURCE_SPECIFIC:
        drawn["source"] = pick_class(dataset, None, rng)
    attack = replace(ATTACKS[name], **drawn)  # type: ignore[arg-type]
    return attack, attack.poison(dataset, rng)
