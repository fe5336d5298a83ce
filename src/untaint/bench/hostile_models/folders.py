"""Hostile folders: code that rides along with weights that are as they should be."""

import json
from collections.abc import Callable, Mapping
from typing import Any, Final

from untaint.bench.hostile_models.base import Hostile, archive, named, pickled

_HEADER: Final = b'{"a":{"dtype":"F32","shape":[2],"data_offsets":[0,8]}}'
_WEIGHTS: Final = len(_HEADER).to_bytes(8, "little") + _HEADER + bytes(8)
_MOST: Final = b"import os\n\n\nclass M:\n    pass\n"


def _with(**files: bytes | str | dict[str, Any] | list[Any]) -> Callable[[str], Mapping[str, bytes]]:
    """A folder with weights and these files; `__` in a name stands for a dot."""

    def build(canary: str) -> Mapping[str, bytes]:
        made = {"model.safetensors": _WEIGHTS}
        for name, content in files.items():
            raw = content if isinstance(content, bytes) else content if isinstance(content, str) else json.dumps(content)
            made[name.replace("__", ".")] = raw if isinstance(raw, bytes) else raw.replace("CANARY", canary).encode()
        return made

    return build


_AUTO: Final = {"model_type": "x", "auto_map": {"AutoModel": "modeling_x.M"}}
_REMOTE: Final = {"model_type": "x", "auto_map": {"AutoModel": "somebody/repository--modeling_x.M"}}
_TEMPLATE: Final = {"chat_template": "{% for m in messages %}{{ ''.__class__.__mro__[1].__subclasses__() }}{% endfor %}"}
_HYDRA: Final = "model:\n  _target_: os.system\n  command: mkdir CANARY\n"
_TAG: Final = "a: !!python/object/apply:os.system ['mkdir CANARY']\n"
_LOOK_UP: Final = "{% set g = lipsum.__globals__ %}{{ g.os.mkdir('CANARY') }}"


def _skops(module: str, name: str, loader: str = "ObjectNode") -> Callable[[str], bytes]:
    schema = {"__class__": name, "__module__": module, "__loader__": loader, "content": {}, "protocol": 1}
    return lambda _canary: archive({"schema.json": json.dumps(schema).encode()})


CASES: Final = (
    Hostile("auto_map", "snapshot", "trust_remote_code", _with(config__json=_AUTO, modeling_x__py=_MOST)),
    Hostile("auto_map elsewhere", "snapshot", "trust_remote_code", _with(config__json=_REMOTE)),
    Hostile("auto_map of a tokenizer", "snapshot", "trust_remote_code", _with(tokenizer_config__json=_AUTO)),
    Hostile("loader beside", "snapshot", "loader.py of May 2026", _with(loader__py="import os\nos.system('mkdir CANARY')\n")),
    Hostile("chat template", "snapshot", "Jinja", _with(tokenizer_config__json=_TEMPLATE)),
    Hostile("chat template of its own", "snapshot", "Jinja", _with(chat_template__jinja=_LOOK_UP)),
    Hostile("hydra in YAML", "snapshot", "CVE-2025-23304", _with(config__yaml=_HYDRA)),
    Hostile("hydra in JSON", "snapshot", "CVE-2025-23304", _with(config__json={"m": {"_target_": "builtins.eval"}})),
    Hostile("hydra in an archive", "m.nemo", "CVE-2025-23304", lambda canary: archive({
        "model_config.yaml": _HYDRA.replace("CANARY", canary).encode(), "weights.ckpt": pickled(b"}")})),
    Hostile("YAML tag", "snapshot", "PyYAML", _with(config__yaml=_TAG)),
    Hostile("pipeline of somebody's", "snapshot", "diffusers", _with(model_index__json={"_class_name": "P", "unet": ["my_code", "U"]})),
    Hostile("module of somebody's", "snapshot", "sentence-transformers", _with(modules__json=[{"idx": 0, "type": "my_code.Pool"}])),
    Hostile("library of an adapter", "snapshot", "PEFT", _with(adapter_config__json={"auto_mapping": {"parent_library": "my_code"}})),
    Hostile("library", "snapshot", "compiled library", _with(kernel__so=b"\x7fELF\x02\x01\x01" + bytes(60))),
    Hostile("compiled Python", "snapshot", "compiled Python", _with(config__pyc=b"\xcb\r\r\n" + bytes(60))),
    Hostile("script", "snapshot", "scripts", _with(setup__sh="#!/bin/sh\nmkdir CANARY\n")),
    Hostile("second checkpoint", "snapshot", "pickle beside safetensors", _with(pytorch_model__bin=pickled(named("os", "system")))),
    Hostile("skops: unknown class", "m.skops", "CVE-2025-54412", _skops("os", "system")),
    Hostile("skops: method", "m.skops", "CVE-2025-54413", _skops("builtins", "dict", "MethodNode")),
    Hostile("skops: operator", "m.skops", "CVE-2025-54886", _skops("_operator", "methodcaller", "OperatorFuncNode")),
)  # fmt: skip
