"""Reads the configuration of a model folder, or of a name on the Hugging Face hub, and runs nothing that it brings.

A folder can ask transformers for two programs: Python files beside the weights (`auto_map`), and an attention or
experts kernel from a hub repository.  The first run only where the caller says so, the second never.

config = read_config("Qwen/Qwen2.5-32B-Instruct")
model = AutoModelForCausalLM.from_pretrained(path, config=config, trust_remote_code=False)
"""

from __future__ import annotations

import logging
import math
import os
import re
from contextlib import contextmanager
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from limo.core.errors import InputError, ModelError
from limo.core.files import shipped_yaml
from limo.core.text import parse_json, shorten

if TYPE_CHECKING:
    from collections.abc import Iterator

    from transformers import PretrainedConfig

LOG = logging.getLogger(__name__)
HUB_NAME = re.compile(r"\w[\w.-]*/\w[\w.-]*")
_ALLOWED = "a folder with config.json, safetensors and a tokenizer, or a hub name owner/name"
_SIZES = re.compile(
    r"(?P<layers>num_\w*layers|n_layers?|(?:en|de)coder_layers)|(?P<experts>(?:num|n)_\w*experts)"
    r"|vocab_size|(?:hidden|intermediate)_size|\w*_dim|n_(?:embd|inner|head)|num_\w*heads|\w*_position_embeddings"
)
_ABOVE_0 = {"num_hidden_layers", "n_layer", "vocab_size", "hidden_size", "n_embd", "num_attention_heads", "n_head"}
_ABOVE_0 |= {"max_position_embeddings", "n_positions"}
_MAX_LAYERS, _MAX_SIZE = 10_000, 1 << 31  # where there are no weights to compare with
_MAX_LACKING = 10_000_000  # numbers; where weights lack more, memory would be filled before the lack is told
_MAX_SETTINGS = 1_000_000  # bytes; larger are vocabularies, whose readers say what is wrong
_AGAIN = "download the model again"
_OBJECTS = {  # the index of weights, and what transformers reads as objects
    "config.json", "generation_config.json", "tokenizer.json", "tokenizer_config.json", "special_tokens_map.json",
    "added_tokens.json", "model.safetensors.index.json", "pytorch_model.bin.index.json", "adapter_config.json",
}  # fmt: skip
_MAX_INDEX = 100_000_000
_MAX_HEADER = 100_000_000  # bytes, as safetensors itself has it
_FILES = {".json", ".safetensors", ".bin", ".jinja", ".txt", ".model"}
_KERNELS = ("_attn_implementation", "_experts_implementation")


def check_model(model: str | Path) -> None:
    """Raise ModelError unless this is a folder that holds a model, or could be a name on the hub."""
    path = Path(model)
    if path.is_dir():
        for file in sorted(path.iterdir()):
            if file.suffix in _FILES and not file.is_file():
                do = "take it out, or download the model again"
                raise ModelError("this entry of a model folder is no file that can be read", file, "a file", do)
            if file.suffix in _FILES - {".safetensors"} and not _is_of_a_model(file):  # weights say what they are
                what = "this entry of a model folder links to a file that belongs to no model"
                allowed = "a file, or a link to one of a model folder or of the hub's cache"
                raise ModelError(what, file, allowed, "copy the file into the folder, or take it out")
            if file.suffix == ".jinja":
                _check_text(file)
            most = _MAX_INDEX if file.name.endswith(".index.json") else _MAX_SETTINGS
            if file.suffix == ".json" and file.stat().st_size <= most:
                _check_settings(file)
        if not (path / "config.json").is_file():
            raise ModelError("this folder holds no model", path, _ALLOWED, "check the path")
        _check_sizes(path)
    elif os.path.lexists(path) or not HUB_NAME.fullmatch(str(model)):  # also a link to nothing
        raise ModelError("there is no such model", path, _ALLOWED, "check the path")


def _is_of_a_model(file: Path) -> bool:
    """Whether a file, behind its links, lies in its own folder, in another one of a model, or in the hub's cache."""
    home = file.resolve().parent
    is_cache = home.name == "blobs" and (home.parent / "snapshots").is_dir()
    return is_cache or home.is_relative_to(file.parent.resolve()) or (home / "config.json").is_file()


def _check_text(file: Path) -> None:
    """Raise ModelError unless a file is UTF-8; transformers says of others that they are not there."""
    try:
        file.read_text(encoding="utf-8")
    except (OSError, ValueError) as error:
        shown = f"{file}: {shorten(str(error), 100)}"
        raise ModelError("this file of a model folder is damaged", shown, "UTF-8", _AGAIN) from None


def _check_settings(file: Path) -> None:
    """Raise ModelError unless a file is JSON and, of those that transformers reads, an object.

    Of damaged ones it passes over some in silence, and tells others in words of Python.
    """
    found = "this file of a model folder is damaged"
    try:
        value = parse_json(file.read_bytes())
    except (OSError, ValueError) as error:
        raise ModelError(found, f"{file}: {shorten(str(error), 100)}", "JSON", _AGAIN) from None
    if file.name in _OBJECTS and not isinstance(value, dict):
        raise ModelError(found, f"{file}: {shorten(repr(value), 40)}", "an object of JSON", _AGAIN)
    if file.name.endswith(".index.json"):
        _check_index(file, value.get("weight_map"))


def _check_index(file: Path, weight_map: Any) -> None:
    """Raise ModelError unless an index names files of weights in its own folder."""
    if not isinstance(weight_map, dict) or not weight_map:
        what = "the index of the weights names no file"
        raise ModelError(what, file, "a weight_map from tensors to files", _AGAIN)
    for name in dict.fromkeys(map(str, weight_map.values())):
        if file.name == "model.safetensors.index.json" and Path(name).suffix in (".bin", ".pt", ".pth"):
            raise _pickles(f"{file}: {shorten(name, 100)}")
        if Path(name).name != name or not (file.parent / name).is_file():
            what = "the index of the weights names what is no file of the model's folder"
            raise ModelError(what, f"{file}: {shorten(name, 100)}", "files of the folder", _AGAIN)


def _pickles(value: object) -> ModelError:
    do = "save it with save_pretrained(..., safe_serialization=True)"
    return ModelError("the weights are pickles, which can run code and are not read", value, "safetensors", do)


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


class _Tensor(NamedTuple):
    dtype: str
    shape: list[int]


def _shapes(folder: Path) -> dict[str, list[int]]:
    return {name: tensor.shape for name, tensor in _tensors(folder).items()}


def _tensors(folder: Path) -> dict[str, _Tensor]:
    """Every tensor of a folder's safetensors, by name.  Raises ModelError where a file is damaged."""
    found: dict[str, _Tensor] = {}
    for file in sorted(folder.glob("*.safetensors")):
        try:
            with open(file, "rb") as opened:
                n_bytes = int.from_bytes(opened.read(8), "little")
                if not 2 <= n_bytes <= min(_MAX_HEADER, file.stat().st_size - 8):
                    raise ValueError("its length is false")
                tensors = parse_json(opened.read(n_bytes))
            ends = [of["data_offsets"][1] for name, of in tensors.items() if name != "__metadata__"]
            n_stated, n_found = 8 + n_bytes + max(ends, default=0), file.stat().st_size
            if n_stated != n_found:
                what, shown = "this file of weights is not as long as its head says", f"{file}: {n_found:,} bytes"
                raise ModelError(what, shown, f"{n_stated:,} bytes", _AGAIN)
            tensors.pop("__metadata__", None)
            found |= {name: _Tensor(str(of["dtype"]), list(map(int, of["shape"]))) for name, of in tensors.items()}
        except (OSError, ValueError, TypeError, KeyError, AttributeError) as error:
            raise ModelError("the head of these weights is damaged", file, "safetensors", _AGAIN) from error
    return found


def _check_sizes(folder: Path) -> None:
    """Raise ModelError where config.json claims sizes that its own weights, or any model, cannot have."""
    try:
        config = parse_json((folder / "config.json").read_bytes())
    except (OSError, ValueError):
        return  # transformers says what is wrong with it
    shapes = _shapes(folder)
    n_numbers = sum(map(math.prod, shapes.values())) or _MAX_SIZE
    widest = max((max(shape, default=1) for shape in shapes.values()), default=_MAX_SIZE)
    n_tensors = len(shapes) or _MAX_LAYERS
    of_weights, of_any = (n_tensors, max(widest, n_tensors), n_numbers), (_MAX_LAYERS, _MAX_SIZE, _MAX_SIZE)
    open_parts = [(config, of_weights)]
    while open_parts:
        part, (layers, experts, size) = open_parts.pop()
        for name, value in part.items() if isinstance(part, dict) else ():
            open_parts.append((value, of_weights if name == "text_config" else of_any))  # an eye may have no weights
            kind = _SIZES.fullmatch(name)
            if kind is None or not isinstance(value, int | float | str):
                continue
            most = layers if kind["layers"] else experts if kind["experts"] else size
            most = _MAX_SIZE if name.endswith("_position_embeddings") else most
            if not isinstance(value, int) or isinstance(value, bool) or not int(name in _ABOVE_0) <= value <= most:
                what = f"config.json claims a size that its weights do not have ({name})"
                do = "take the config.json that was saved with the weights"
                raise ModelError(what, f"{folder}: {shorten(repr(value), 40)}", f"an integer up to {most:,}", do)


def load_weights(model: str | Path, config: PretrainedConfig, trust_remote_code: bool = False, **extra: Any) -> Any:
    """The model, every weight of it read from safetensors.  Raises ModelError where some are missing, damaged or of
    other shapes than the configuration says, and what transformers raises for the rest."""
    from transformers import AutoModelForCausalLM

    if Path(model).is_dir() and not any(Path(model).glob("*.safetensors")) and any(Path(model).glob("*.bin")):
        raise _pickles(model)
    _check_count(model, config)
    try:
        with _without_report():
            loaded, told = AutoModelForCausalLM.from_pretrained(
                str(model), config=config, trust_remote_code=trust_remote_code, use_safetensors=True,
                output_loading_info=True, **extra,
            )  # fmt: skip
    except Exception as error:
        packed = getattr(config, "quantization_config", None)
        if not packed or "ignore_mismatched_sizes" in str(error) or find_spec("torch") is None:
            raise
        method = packed.get("quant_method") if isinstance(packed, dict) else getattr(packed, "quant_method", "")
        what = f"the model's weights are quantised and cannot be read here ({shorten(str(error), 160)})"
        shown = f"{model}: {shorten(str(method), 40)}"
        allowed = "weights that are not quantised, or the package and device that their kind needs"
        raise ModelError(what, shown, allowed, "use the model that was quantised") from error
    if missing := sorted(told["missing_keys"]):
        what = f"the weights lack {len(missing)} of the model's tensors ({missing[0]})"
        raise ModelError(what, model, _ALLOWED, "take the config.json that was saved with the weights")
    if unused := sorted(told["unexpected_keys"]):
        LOG.warning("%s: %d tensors of its weights are not used (%s)", model, len(unused), unused[0])
    check_weights(loaded, model)
    return loaded


@contextmanager
def _without_report() -> Iterator[None]:
    """Without the coloured table of tensors that transformers writes: what is wrong with them is told in a line."""
    told = logging.getLogger("transformers.modeling_utils")

    def is_other(record: logging.LogRecord) -> bool:
        return record.funcName != "log_state_dict_report"

    told.addFilter(is_other)
    try:
        yield
    finally:
        told.removeFilter(is_other)


def _check_count(model: str | Path, config: PretrainedConfig) -> None:
    """Raise ModelError where the configuration, with the sizes that it leaves to transformers, makes a model with many
    more numbers than the folder's weights have, or where a parameter's are integers."""
    tensors = _tensors(Path(model)) if Path(model).is_dir() else {}
    if not tensors or getattr(config, "quantization_config", None):
        return
    wanted = _wanted(config)
    n_wanted = sum(map(math.prod, wanted.values()))
    n_here = sum(math.prod(tensor.shape) for tensor in tensors.values())
    if n_wanted > n_here + _MAX_LACKING:
        do = "take the config.json that was saved with the weights"
        what = f"config.json claims a model of {n_wanted:,} numbers"
        raise ModelError(what, model, f"{n_here:,}, as its weights have", do)
    for name in filter(tensors.__contains__, wanted):
        if (dtype := tensors[name].dtype)[:1] in "IUB" and dtype != "BF16":
            what = f"weights are stored as integers ({name}), and config.json does not say how they are quantised"
            do = "use the model that was quantised, or add its quantization_config"
            raise ModelError(what, f"{model}: {shorten(dtype, 20)}", "numbers of F64, F32, F16, BF16 or F8", do)


def _wanted(config: PretrainedConfig) -> dict[str, list[int]]:
    """The shapes of the parameters that a configuration asks for; none of a model that brings its own code."""
    import torch
    from transformers import AutoModelForCausalLM

    try:
        with torch.device("meta"):
            model = AutoModelForCausalLM.from_config(config, trust_remote_code=False)
    except Exception:  # what is wrong with it is told where it is loaded
        return {}
    return {name: list(weights.shape) for name, weights in model.named_parameters()}


def _other_shape(model: str | Path) -> str:
    """The first tensor whose shape in the file is not the one that the configuration asks for; '' where none is."""
    try:
        wanted = _wanted(read_config(model))
    except ModelError:
        return ""
    for name, shape in _shapes(Path(model)).items():
        if name in wanted and wanted[name] != shape:
            return f"{name} is {shape}, {wanted[name]} is expected"
    return ""


def check_weights(model: Any, path: str | Path) -> None:
    """Raise ModelError where a weight is not finite: what it writes or learns would be noise."""
    for name, weights in model.named_parameters():
        is_here = weights.is_floating_point() and not weights.is_meta
        numbers = (
            weights.detach().float() if weights.element_size() == 1 else weights.detach()
        )  # of 8 bits: no isfinite
        if is_here and not bool(numbers.isfinite().all()):
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
        shapes = f"{model}: {_other_shape(model)}".removesuffix(": ")
        return ModelError(f"the {what}'s weights have other shapes than its config.json says", shapes, _ALLOWED, do)
    if isinstance(error, ModelError):
        return error
    why = str(error)
    if isinstance(error, KeyError) and what == "model":
        shown, allowed = f"{model}: {shorten(why, 160)}", "names that the installed transformers knows"
        return ModelError("config.json names what transformers does not know", shown, allowed, "correct config.json")
    if " " not in why or not isinstance(
        error, OSError | ImportError | RuntimeError
    ):  # words of Python, not of a reader
        why = f"a value in its files is not what transformers expects; {type(error).__name__}: {why}"
    return ModelError(f"the {what} cannot be loaded ({shorten(why, 200)})", model, "", _AGAIN)


def _parts(config: PretrainedConfig) -> Iterator[PretrainedConfig]:
    """The configuration and those inside it (of a vision model's text part, for one)."""
    yield config
    for name in config.sub_configs:
        part = getattr(config, name, None)
        if part is not None:
            yield from _parts(part)
