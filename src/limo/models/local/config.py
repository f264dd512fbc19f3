"""Reads the configuration of a model folder, or of a name on the Hugging Face hub, and runs nothing that it brings.

A folder can ask transformers for two programs: Python files beside the weights (`auto_map`), and an attention or
experts kernel from a hub repository.  The first run only where the caller says so, the second never.

config = read_config("Qwen/Qwen2.5-32B-Instruct")
model = AutoModelForCausalLM.from_pretrained(path, config=config, trust_remote_code=False)
"""

from __future__ import annotations

import re
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any

from limo.core.errors import InputError, ModelError
from limo.core.files import shipped_yaml
from limo.core.text import shorten

if TYPE_CHECKING:
    from collections.abc import Iterator

    from transformers import PretrainedConfig

_HUB_NAME = re.compile(r"\w[\w.-]*/\w[\w.-]*")
_ALLOWED = "a folder with config.json, safetensors and a tokenizer, or a hub name owner/name"
_KERNELS = ("_attn_implementation", "_experts_implementation")


def check_model(model: str | Path) -> None:
    """Raise ModelError unless this is a folder that holds a model, or could be a name on the hub."""
    path = Path(model)
    if path.is_dir():
        if not (path / "config.json").is_file():
            raise ModelError("this folder holds no model", path, _ALLOWED, "check the path")
    elif path.exists() or not _HUB_NAME.fullmatch(str(model)):
        raise ModelError("there is no such model", path, _ALLOWED, "check the path")


def read_config(model: str | Path, trust_remote_code: bool = False) -> PretrainedConfig:
    """The model's configuration.  Raises ModelError, also where it asks for code that may not run."""
    from transformers import AutoConfig

    check_model(model)
    try:
        config: PretrainedConfig = AutoConfig.from_pretrained(str(model), trust_remote_code=trust_remote_code)
    except Exception as error:  # whatever transformers found wrong with the file
        raise loading_error("model", model, error) from error
    for part in _parts(config):
        for kernel in (str(getattr(part, name, None) or "") for name in _KERNELS):
            if "/" in kernel:
                do = "take it out of config.json; a training recipe can name an attn_implementation itself"
                raise ModelError("the model asks for a kernel from the hub", shorten(kernel, 80), "none", do)
    return config


def config_of_shape(model: str | Path) -> PretrainedConfig | None:
    """The configuration of a model whose shape ships with limo, which is enough for a plan; None of another one."""
    from transformers import AutoConfig

    values = shipped_yaml(__file__, "shapes.yaml").get(str(model))
    config: PretrainedConfig | None = AutoConfig.for_model(**values) if values else None
    return config


def unknown_shape(model: str | Path) -> InputError:
    """The error for a plan with a model that is neither here nor of a shipped shape."""
    shapes = list(shipped_yaml(__file__, "shapes.yaml"))
    allowed = "a folder with config.json, or " + ", ".join(shapes)
    do = f"plan with the shape that is nearest in size, as model={shapes[1]}, or download it and name its folder"
    return InputError("the shape of a model is not known", model, allowed, do)


def check_weights(model: Any, path: str | Path) -> None:
    """Raise ModelError where a weight is not finite: what it writes or learns would be noise."""
    for name, weights in model.named_parameters():
        is_here = weights.is_floating_point() and not weights.is_meta
        if is_here and not bool(weights.detach().isfinite().all()):
            do = "take an earlier checkpoint, or load the model again"
            raise ModelError(f"the model's weights are damaged ({name})", path, "finite numbers", do)


def loading_error(what: str, model: str | Path, error: Exception) -> ModelError:
    """The error for a model or tokenizer that transformers could not load, in one line.

    Raises ModuleNotFoundError where torch is not installed, which transformers says of each of its classes.
    """
    if find_spec("torch") is None:
        raise ModuleNotFoundError("No module named 'torch'", name="torch") from error
    if "trust_remote_code" in str(error):
        allowed = "an architecture that transformers has; a local model of a recipe may set trust_remote_code"
        return ModelError(f"the {what} brings code of its own, which is not run", model, allowed, "")
    if "ignore_mismatched_sizes" in str(error):
        do = "take the config.json that was saved with the weights"
        return ModelError(f"the {what}'s weights have other shapes than its config.json says", model, _ALLOWED, do)
    return ModelError(f"the {what} cannot be loaded ({shorten(str(error), 160)})", model, _ALLOWED, "")


def _parts(config: PretrainedConfig) -> Iterator[PretrainedConfig]:
    """The configuration and those inside it (of a vision model's text part, for one)."""
    yield config
    for name in config.sub_configs:
        part = getattr(config, name, None)
        if part is not None:
            yield from _parts(part)
