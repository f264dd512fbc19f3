"""What a training needs of a device's memory, before it starts: weights, gradients, optimiser states, activations.

Activations are counted, not estimated: one forward and backward pass of the model's own code, TRL's loss and the
recipe's checkpointing run on tensors without data, at the true length and at two depths, and the peak of the bytes that
live is continued to the true depth (it grows by the same amount with every layer).  A row alone needs no mask, and none
is counted; several rows at once are counted with the mask of their padding, where attention builds one.

    plan = plan_memory(config, settings, longest=16384)
    print(plan)      # 21.4 GB a device: weights 6.2, gradients 6.2, ...
"""

from __future__ import annotations

import copy
import math
import os
import weakref
from contextlib import nullcontext
from dataclasses import dataclass
from typing import Any, Literal, NamedTuple

from limo.train.settings import TrainSettings

GB = 1e9
HEAD_TOKENS, HEAD_VOCAB = 4096, 32768  # the largest tile of scores that TRL's loss holds at once
MARGIN = 1.08  # of the sum, for buffers that nobody counts
HAS_NO_MASK = ("flash", "flex")  # attention that keeps examples of one row apart without a mask of tokens x tokens
SMALL = 50_000_000  # parameters of a model whose memory is not worth a line
QUANTISED = 0.52  # bytes of a weight in 4 bits with its scales (QLoRA's double quantisation)
OPTIMISER_BYTES = {"sgd": 0, "adafactor": 0, "adamw_8bit": 2, "adamw_bnb_8bit": 2, "paged_adamw_8bit": 2}  # else 8
ZERO3_PARAMETERS = 2e9  # DeepSpeed's defaults: 1e9 parameters gathered at once, two buckets of 5e8

Sharding = Literal["one", "ddp", "fsdp2", "zero3"]


@dataclass(frozen=True, slots=True)
class MemoryPlan:
    """Bytes on one device; `n_shards` devices share weights, gradients and optimiser states.

    `gathered`: what a device holds beside its shard, of parameters and gradients that are whole for a moment.
    """

    weights: float
    gradients: float
    optimiser: float
    activations: float
    gathered: float = 0.0
    n_shards: int = 1

    @property
    def total(self) -> float:
        """Bytes on one device."""
        shared = (self.weights + self.gradients + self.optimiser) / self.n_shards
        return MARGIN * (shared + self.gathered + self.activations)

    def __str__(self) -> str:
        shares = [("weights", self.weights), ("gradients", self.gradients), ("optimiser", self.optimiser)]
        parts = [f"{name} {size / self.n_shards / GB:.2g}" for name, size in shares]
        parts += [f"gathered {self.gathered / GB:.2g}"] if self.gathered else []
        return f"{self.total / GB:.3g} GB a device: {', '.join(parts)}, activations {self.activations / GB:.2g}"


def plan_memory(
    config: Any, settings: TrainSettings, longest: int, sharding: Sharding = "one", n_devices: int = 1, gpu: bool = True
) -> MemoryPlan:
    """The memory of one device of `n_devices` for rows of `longest` tokens; `gpu`: by TRL's kernels for GPUs."""
    is_sharded = sharding in ("fsdp2", "zero3") and n_devices > 1
    n_layers = config.get_text_config().num_hidden_layers
    outside, layer = _sizes(config, settings, False)
    weights, trained = outside.weights + n_layers * layer.weights, float(outside.trained + n_layers * layer.trained)
    gathered = 0.0
    if settings.is_quantised:
        frozen = layer.weights - layer.trained  # in bfloat16
        weights = outside.weights + n_layers * (layer.trained + QUANTISED / 2 * frozen)
        gathered = float(frozen)  # one layer's weights in bfloat16
    if sharding == "ddp" and n_devices > 1:
        gathered += trained  # the buckets that gradients are averaged in
    if is_sharded:  # the root's parameters, and of a layer and the next both parameters and gradients, in bfloat16
        gathered += 2.0 * (2 * outside.n + 4 * layer.n)
    if is_sharded and sharding == "zero3":
        gathered = max(gathered, 2.0 * min(ZERO3_PARAMETERS, outside.n + n_layers * layer.n))
    peak, alone = _peaks(config, settings, longest, is_sharded, gpu)
    if settings.examples_per_update == settings.per_device_train_batch_size * n_devices:
        peak = max(0.0, max(peak, alone + trained) - trained)  # one pass an update: gradients come as activations go
    states = OPTIMISER_BYTES.get(settings.optim, 8) / 4 * trained
    return MemoryPlan(float(weights), trained, states, peak, gathered, n_devices if is_sharded else 1)


def count_parameters(config: Any, settings: TrainSettings) -> int:
    """Parameters of the model that a configuration describes, an adapter's included."""
    outside, layer = _sizes(config, settings, False)
    return outside.n + config.get_text_config().num_hidden_layers * layer.n


def memory_lines(plan: MemoryPlan, settings: TrainSettings, available: float) -> list[str]:
    """The plan as lines of the log, with what would need less where it does not fit into `available` bytes."""
    lines = [f"memory: {plan}"]
    if plan.total > available:
        ways = {
            "gradient_checkpointing=true": not settings.gradient_checkpointing,
            "checkpoint_every=1": settings.gradient_checkpointing and settings.checkpoint_every > 1,
            "per_device_train_batch_size=1": settings.per_device_train_batch_size > 1,
            "kind: lora": settings.kind == "sft",  # type: ignore[attr-defined]
            "more devices (accelerate/fsdp2.yaml)": plan.n_shards == 1,
            "a lower max_length with on_too_long=drop": True,
        }
        do = ", ".join(way for way, helps in ways.items() if helps)
        lines.append(f"memory: this device has {available / GB:.3g} GB; it would fit with one of: {do}")
    return lines


def available_bytes(use_cpu: bool) -> int:
    """Memory of the device that trains: a GPU's whole, or what this machine has free."""
    import psutil
    import torch

    if torch.cuda.is_available() and not use_cpu:
        return int(torch.cuda.get_device_properties(0).total_memory)
    return int(psutil.virtual_memory().available)


def launched_sharding() -> tuple[Sharding, int]:
    """How this process's launch shares the model, and among how many."""
    n = int(os.environ.get("WORLD_SIZE", "1"))
    by_name: dict[str, Sharding] = {"ACCELERATE_USE_FSDP": "fsdp2", "ACCELERATE_USE_DEEPSPEED": "zero3"}
    found = [sharding for name, sharding in by_name.items() if os.environ.get(name) == "true"]
    return (found[0] if found else "ddp" if n > 1 else "one"), n


class _Size(NamedTuple):
    """Parameters, their bytes, and the bytes of those that learn."""

    n: int
    weights: int
    trained: int


def _sizes(config: Any, settings: TrainSettings, in_bfloat16: bool) -> tuple[_Size, _Size]:
    """What is outside the layers, and one layer."""
    counted = []
    for depth in (1, 2):
        parameters = list(sized_model(config, settings, depth, in_bfloat16).parameters())
        n_bytes = [(p.numel(), p.numel() * p.element_size(), p.requires_grad) for p in parameters]
        counted.append(
            _Size(sum(n for n, _, _ in n_bytes), sum(b for _, b, _ in n_bytes), sum(b for _, b, t in n_bytes if t))
        )
    one, two = counted
    layer = _Size(*(b - a for a, b in zip(one, two, strict=True)))
    return _Size(*(a - b for a, b in zip(one, layer, strict=True))), layer


def sized_model(
    config: Any, settings: TrainSettings, depth: int, in_bfloat16: bool = False, device: str = "meta"
) -> Any:
    """The model that is trained, with `depth` layers and random weights."""
    import torch
    from transformers import AutoModelForCausalLM

    config = copy.deepcopy(config)
    text = config.get_text_config()
    text.num_hidden_layers, text.use_cache = depth, False
    if getattr(text, "layer_types", None):
        text.layer_types = (text.layer_types * (depth + 1))[:depth]
    dtype = torch.bfloat16 if in_bfloat16 or settings.is_quantised else getattr(torch, settings.dtype)
    with torch.device(device):
        model = AutoModelForCausalLM.from_config(config, dtype=dtype, attn_implementation=_attention()).train()
        return settings.adapted(model)


def fit_for_training(model: Any, settings: TrainSettings) -> Any:
    """Give a model TRL's loss and the recipe's checkpointing in place; the model below an adapter is returned."""
    from trl.trainer.utils import add_fused_lm_head

    causal = model.get_base_model() if hasattr(model, "get_base_model") else model
    add_fused_lm_head(causal, outputs=("log_probs", "entropy", "is_top1"))
    if settings.gradient_checkpointing:
        causal.activation_checkpointing_enable({"use_reentrant": False}, every_n_layers=settings.checkpoint_every)
        causal.enable_input_require_grads()
    return causal


def _attention() -> str:
    """The name of `sdpa` that builds no mask for rows without padding.

    transformers reads in the positions whether a row holds several examples; tensors without data do not tell, and it
    would build a mask for rows that hold one.
    """
    from transformers import AttentionInterface, AttentionMaskInterface
    from transformers.integrations.sdpa_attention import sdpa_attention_forward
    from transformers.masking_utils import sdpa_mask

    def mask(**how: Any) -> Any:
        return sdpa_mask(**{**how, "allow_is_causal_skip": True})

    name = "sdpa_of_whole_rows"
    AttentionInterface.register(name, sdpa_attention_forward)
    AttentionMaskInterface.register(name, mask)
    return name


def _peaks(config: Any, settings: TrainSettings, length: int, in_bfloat16: bool, gpu: bool) -> tuple[float, float]:
    """Peak bytes of a pass over a batch of rows of `length` tokens: of the whole model, and without its layers."""
    every = settings.checkpoint_every if settings.gradient_checkpointing else 1
    depths = [every * n for n in (2, 3)]  # whole periods of the checkpointing
    first, second = (_peak_bytes(config, settings, length, depth, in_bfloat16, gpu) for depth in depths)
    period = second - first
    n_periods = math.ceil(config.get_text_config().num_hidden_layers / every)
    return max(0.0, first + period * (n_periods - 2)), max(0.0, first - 2 * period)


def _peak_bytes(config: Any, settings: TrainSettings, length: int, depth: int, in_bfloat16: bool, gpu: bool) -> float:
    """Peak of the bytes that live beside parameters and gradients, in a forward and a backward pass."""
    import torch
    from torch._subclasses.fake_tensor import FakeTensorMode

    model = sized_model(config, settings, depth, in_bfloat16)
    causal = fit_for_training(model, settings)
    n_rows, head = settings.per_device_train_batch_size, 0.0
    with FakeTensorMode(allow_non_fake_inputs=True):
        _materialise(model)
        rows: dict[str, Any] = {"input_ids": torch.zeros(n_rows, length, dtype=torch.long), "use_cache": False}
        if n_rows > 1 and not any(name in settings.attn_implementation for name in HAS_NO_MASK):
            rows["attention_mask"] = torch.ones(n_rows, length, dtype=torch.long)
        bf16 = settings.bf16 and not in_bfloat16
        with _live_bytes(model) as live, torch.autocast("cpu", torch.bfloat16) if bf16 else nullcontext():
            if gpu:  # the loss by a formula: its kernels for GPUs hold a tile of scores and the head's gradient
                hidden = causal.base_model(**rows).last_hidden_state
                width = config.get_text_config().hidden_size
                vocab = config.get_text_config().vocab_size
                tile = min(n_rows * length, HEAD_TOKENS) * HEAD_VOCAB * hidden.element_size()
                head = 2.0 * tile + 4.0 * width * (vocab + n_rows * length)
                loss = hidden.sum()
            else:
                loss = model(**rows, labels=rows["input_ids"], fused_lm_head=True).log_probs.sum()
                unused = max(0, HEAD_VOCAB - config.get_text_config().vocab_size)  # columns of the tile, never written
                head = -4.0 * min(n_rows * length, HEAD_TOKENS) * unused
            loss.backward()
    return float(live.peak + head)


def _materialise(model: Any) -> None:
    """Put tensors without data in place of a model's meta tensors, tied ones once; each parameter has a gradient."""
    import torch

    made: dict[int, Any] = {}
    for module in model.modules():
        for stored in (module._parameters, module._buffers):
            for name, tensor in stored.items():
                if tensor is not None and id(tensor) not in made:
                    new = torch.empty(tensor.shape, dtype=tensor.dtype)
                    if isinstance(tensor, torch.nn.Parameter):
                        new = torch.nn.Parameter(new, requires_grad=tensor.requires_grad)
                        new.grad = torch.empty_like(new) if new.requires_grad else None
                    made[id(tensor)] = new
                if tensor is not None:
                    stored[name] = made[id(tensor)]


def _live_bytes(model: Any) -> Any:
    """A context that counts the bytes of living tensors, those of the model's parameters and gradients left out."""
    from torch.utils._python_dispatch import TorchDispatchMode
    from torch.utils._pytree import tree_leaves

    class LiveBytes(TorchDispatchMode):
        """See `_live_bytes`; `peak` is the most there was."""

        def __init__(self) -> None:
            super().__init__()
            known = [t for p in [*model.parameters(), *model.buffers()] for t in (p, p.grad) if t is not None]
            self.seen = {tensor.untyped_storage()._cdata for tensor in known}
            self.live = self.peak = 0

        def __torch_dispatch__(self, function: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
            output = function(*args, **(kwargs or {}))
            for tensor in tree_leaves(output):
                if hasattr(tensor, "untyped_storage"):
                    self.add(tensor.untyped_storage())
            return output

        def add(self, storage: Any) -> None:
            if storage._cdata not in self.seen:  # views share the storage of what they are views of
                self.seen.add(storage._cdata)
                self.live += storage.nbytes()
                self.peak = max(self.peak, self.live)
                weakref.finalize(storage, self.free, storage._cdata, storage.nbytes())

        def free(self, key: int, n_bytes: int) -> None:
            self.seen.discard(key)
            self.live -= n_bytes

    return LiveBytes()
