"""What a training needs of a device's memory, before it starts: weights, gradients, optimiser, activations.

Activations are counted, not estimated: the model's own code runs on tensors without data, at two lengths and two
depths, and the bytes that autograd keeps are fitted linearly (attention without a mask keeps no tokens x tokens).

    plan = plan_memory(model, settings, longest=16384, n_trained=model.num_parameters())
    print(plan)      # 21.4 GB a device: weights 6.2, gradients 6.2, ...
"""

from __future__ import annotations

import copy
import os
from dataclasses import dataclass
from typing import Any

from limo.train.result import TrainSettings

GB = 1e9
HEAD_TOKENS = 4096  # positions whose scores of the whole vocabulary TRL's loss holds at once
HEAD_COPIES = {"cuda": 2, "cpu": 6}  # of these scores in float32: the fused kernel's, and plain PyTorch's
MARGIN = 1.03  # of the sum, for buffers that nobody counts
SMALL = 50_000_000  # parameters of a model whose memory is not worth a line
_LENGTHS, _DEPTHS = (128, 256), (1, 2)
OPTIMISER_BYTES = {"sgd": 0, "adafactor": 0, "adamw_8bit": 2, "adamw_bnb_8bit": 2, "paged_adamw_8bit": 2}  # else 8


@dataclass(frozen=True, slots=True)
class MemoryPlan:
    """Bytes on one device; `n_shards` devices share weights, gradients and optimiser states."""

    weights: float
    gradients: float
    optimiser: float
    activations: float
    n_shards: int = 1

    @property
    def total(self) -> float:
        """Bytes on one device."""
        return MARGIN * ((self.weights + self.gradients + self.optimiser) / self.n_shards + self.activations)

    def __str__(self) -> str:
        shares = [("weights", self.weights), ("gradients", self.gradients), ("optimiser", self.optimiser)]
        parts = [f"{name} {size / self.n_shards / GB:.2g}" for name, size in shares]
        return f"{self.total / GB:.3g} GB a device: {', '.join(parts)}, activations {self.activations / GB:.2g}"


def plan_memory(
    model: Any, settings: TrainSettings, longest: int, n_trained: int, n_shards: int = 0, device: str = ""
) -> MemoryPlan:
    """The memory of one device for rows of `longest` tokens, where `n_trained` of the parameters learn.

    `n_shards` and `device` (cuda, cpu) are those of this process where they are not given.
    """
    import torch

    size = 2 if settings.dtype == "bfloat16" else 4
    per_layer, rest = activation_bytes(model.config, settings, longest)
    n_layers = model.config.get_text_config().num_hidden_layers
    hidden = longest * model.config.get_text_config().hidden_size * size
    kept = n_layers * hidden + per_layer if settings.gradient_checkpointing else n_layers * per_layer
    copies = HEAD_COPIES[device or ("cuda" if torch.cuda.is_available() and not settings.use_cpu else "cpu")]
    head = min(longest, HEAD_TOKENS) * model.config.get_text_config().vocab_size * 4 * copies
    return MemoryPlan(
        weights=size * model.num_parameters(),
        gradients=size * n_trained,
        optimiser=OPTIMISER_BYTES.get(settings.optim, 8) / 4 * size * n_trained,
        activations=settings.per_device_train_batch_size * (kept + rest) + head,
        n_shards=n_shards or (int(os.environ.get("WORLD_SIZE", "1")) if _is_sharded() else 1),
    )


def memory_lines(plan: MemoryPlan, settings: TrainSettings, available: int) -> list[str]:
    """The plan as lines of the log, with what would need less where it does not fit into `available` bytes."""
    lines = [f"memory: {plan}"]
    if plan.total > available:
        ways = {
            "gradient_checkpointing=true": not settings.gradient_checkpointing,
            "per_device_train_batch_size=1": settings.per_device_train_batch_size > 1,
            "kind: lora": settings.kind == "sft",  # type: ignore[attr-defined]
            "more devices (accelerate/fsdp2.yaml)": plan.n_shards == 1,
            "a lower max_length with on_too_long=drop": True,
        }
        do = ", or ".join(way for way, helps in ways.items() if helps)
        lines.append(f"memory: this device has {available / GB:.3g} GB; it would fit with {do}")
    return lines


def available_bytes(use_cpu: bool) -> int:
    """Memory of the device that trains: a GPU's whole, or what this machine has free."""
    import psutil
    import torch

    if torch.cuda.is_available() and not use_cpu:
        return int(torch.cuda.get_device_properties(0).total_memory)
    return int(psutil.virtual_memory().available)


def _is_sharded() -> bool:
    return any(os.environ.get(name) == "true" for name in ("ACCELERATE_USE_FSDP", "ACCELERATE_USE_DEEPSPEED"))


def activation_bytes(config: Any, settings: TrainSettings, length: int) -> tuple[float, float]:
    """Bytes that autograd keeps of a row of `length` tokens: of one layer, and of what is outside the layers."""
    counted = {(n, depth): _kept_bytes(config, settings, n, depth) for n in _LENGTHS for depth in _DEPTHS}
    layers = [counted[n, 2] - counted[n, 1] for n in _LENGTHS]
    rests = [counted[n, 1] - layer for n, layer in zip(_LENGTHS, layers, strict=True)]
    return _extrapolate(layers, length), _extrapolate(rests, length)


def _extrapolate(values: list[float], length: int) -> float:
    slope = (values[1] - values[0]) / (_LENGTHS[1] - _LENGTHS[0])
    return max(0.0, values[1] + slope * (length - _LENGTHS[1]))


def _kept_bytes(config: Any, settings: TrainSettings, length: int, depth: int) -> float:
    import torch
    from torch._subclasses.fake_tensor import FakeTensorMode
    from transformers import AutoModel

    config = copy.deepcopy(config)
    text = config.get_text_config()
    text.num_hidden_layers, text.use_cache = depth, False
    if getattr(text, "layer_types", None):
        text.layer_types = text.layer_types[:depth]
    kept: dict[int, Any] = {}

    def keep(tensor: Any) -> Any:
        kept[tensor.untyped_storage()._cdata] = tensor.untyped_storage()  # a storage that lives keeps its address
        return tensor

    with FakeTensorMode():
        model = AutoModel.from_config(config, dtype=getattr(torch, settings.dtype), attn_implementation="sdpa").train()
        weights = {p.untyped_storage()._cdata for p in model.parameters()}
        ids = torch.zeros(1, length, dtype=torch.long)
        autocast = torch.autocast("cpu", torch.bfloat16, enabled=settings.bf16)
        with torch.autograd.graph.saved_tensors_hooks(keep, lambda tensor: tensor), autocast:
            output = model(input_ids=ids)
        total = float(sum(storage.nbytes() for key, storage in kept.items() if key not in weights))
        del output
    return total
