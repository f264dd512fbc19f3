"""The plan of a training: memory of a device, hours, and the smallest set-up that fits, at the data's own lengths.

    plan = run(load(train.Recipe, "train-v2", ["dataset=runs/limo-v2/selected"]), "H100")
    plan.smallest.words        # method.gradient_checkpointing=true --nproc 8 --launch fsdp2

Only the model's configuration and tokenizer are read, no weights; the paper's models are planned without the hub, by
shapes that ship with limo.  The loss at the longest row decides the memory
(`limo.train.memory`); the hours are the counted operations, attention's among them, at `MFU` of the peak.  With
`use_cpu` the plan is of this machine: its free memory, and passes over a row that are timed now, of the model's own
head and some of its layers with random weights.
"""

from __future__ import annotations

import copy
import itertools
import math
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from limo.core.errors import InputError, MissingFileError, ModelError
from limo.core.progress import duration
from limo.models.local.config import HUB_NAME, config_of_shape, read_config, unknown_shape
from limo.models.local.tokenizer import load_tokenizer as local_tokenizer
from limo.models.local.tokenizer import tokenizer_files
from limo.stages.plan import CHARACTERS
from limo.stages.train import Recipe
from limo.train.compute import GPUS
from limo.train.data import encode, read_rows, reading_note, texts_of
from limo.train.memory import (
    GB,
    HAS_NO_MASK,
    MemoryPlan,
    Sharding,
    available_bytes,
    count_parameters,
    fit_for_training,
    memory_lines,
    plan_memory,
    sized_model,
)
from limo.train.methods.sft import SftSettings
from limo.train.model import load_tokenizer

USABLE = 0.92  # of a GPU's memory: the rest is the driver's, the kernels' and fragmentation's (our own choice)
MFU = 0.4  # of the peak, with attention that keeps no mask; our own choice, not measured here
CPU = "this CPU"
MEASURED_S, MOST_TOKENS = 0.5, 128  # how long at least passes are timed, over how many tokens at most; our own choice
N_DEVICES = (1, 2, 4, 8, 16, 32, 64)
POLICIES = {"none": (False, 1), "every second layer": (True, 2), "every layer": (True, 1)}


@dataclass(frozen=True, slots=True)
class TrainingSetup:
    """Devices, how they share the model, and which layers are computed twice; `hours` of the training, if known."""

    n_devices: int
    sharding: Sharding
    recomputed: str
    memory: MemoryPlan
    fits: bool
    hours: float | None

    @property
    def words(self) -> str:
        """The words of the command that train so."""
        checkpointing, every = POLICIES[self.recomputed]
        words = f"method.gradient_checkpointing={str(checkpointing).lower()}"
        words += f" method.checkpoint_every={every}" if every > 1 else ""
        return words + (f" --nproc {self.n_devices} --launch {self.sharding}" if self.n_devices > 1 else "")


@dataclass(frozen=True, slots=True)
class TrainingPlan:
    """For each sharding and recomputation the fewest devices that fit, or the most that were tried.

    `attention`: how attention is computed; `smallest`: the set-up with the fewest devices, then the fewest hours.
    `notes`: what the plan had to assume; without rows (`n_examples` 0) the hours are not known.
    """

    gpu: str
    n_examples: int
    n_dropped: int
    n_tokens: int
    longest: int
    attention: str
    set_ups: list[TrainingSetup]
    notes: list[str] = field(default_factory=list)

    @property
    def smallest(self) -> TrainingSetup | None:
        """The smallest set-up that fits; None where none does."""
        fitting = [one for one in self.set_ups if one.fits]
        return min(fitting, key=lambda one: (one.n_devices, one.hours or 0.0), default=None)

    def table(self) -> list[list[object]]:
        """Head and one row for each set-up."""
        head: list[object] = ["devices", "sharing", "computed twice", "GB a device", "weights", "gradients"]
        rows: list[list[object]] = [[*head, "optimiser", "gathered", "activations", "time", ""]]
        for one in self.set_ups:
            memory = one.memory
            parts = [part / memory.n_shards for part in (memory.weights, memory.gradients, memory.optimiser)]
            sizes = [part / GB for part in (memory.total, *parts, memory.gathered, memory.activations)]
            cells = [f"{size:.{3 if 0 < size < 0.05 else 1}f}" for size in sizes]
            fits = "" if one.fits else "does not fit"
            rows.append(
                [
                    one.n_devices,
                    one.sharding,
                    one.recomputed,
                    *cells,
                    duration(one.hours * 3600) if self.n_examples and one.hours is not None else "?",
                    fits,
                ]
            )
        return rows

    @property
    def sentence(self) -> str:
        """What to do."""
        one = self.smallest
        if self.gpu == CPU:
            fits = "fits" if one else "does not fit"
            return f"it {fits} into the free memory of this machine; the time is an estimate"
        if one is None:
            return f"nothing up to {N_DEVICES[-1]} x {self.gpu} holds it: take method.kind=lora or a lower max_length"
        devices = f"{one.n_devices} x {self.gpu} ({one.sharding})"
        how = f"{self.attention}, computed twice: {one.recomputed}; add {one.words}"
        return f"the smallest set-up that fits: {devices}, {how}"


def run(recipe: Recipe, gpu: str = "H100") -> TrainingPlan:
    """Plan the training of a recipe.  Raises InputError (grpo, rows, an unknown GPU) and ModelError."""
    recipe.check_model_is_named()
    method = recipe.method
    if not isinstance(method, SftSettings):
        raise InputError("memory is planned for training on chains", method.kind, "sft, lora, qlora", "change kind")
    if gpu not in GPUS:
        raise InputError("this GPU is not known", gpu, known=GPUS, do="name the nearest one")
    config = _config(recipe.model)
    try:
        lengths, n_dropped, notes = _lengths(recipe, method)
    except MissingFileError:
        lengths, n_dropped = [], 0
        notes = [f"{recipe.dataset} is not there yet: planned for rows of {method.max_length:,} tokens, hours unknown"]
    attention = method.attn_implementation or "sdpa"
    kind = "a kernel without a mask" if any(name in attention for name in HAS_NO_MASK) else "its causal path"
    if method.use_cpu:
        set_ups, of_cpu = _on_cpu(config, method, lengths)
        notes, gpu = [*notes, *of_cpu], CPU
    else:
        set_ups = list(_set_ups(config, method, lengths or [method.max_length], gpu))
    counts = (len(lengths), n_dropped, sum(lengths), max(lengths, default=method.max_length))
    return TrainingPlan(gpu, *counts, f"attention by {attention} ({kind})", set_ups, notes)


def _config(model: str) -> Any:
    """Of a shipped shape, a folder, or the hub.  Raises ModelError, InputError where the hub does not give it."""
    if (config := config_of_shape(model)) is not None:
        return config
    try:
        return read_config(model)
    except ModelError as error:
        if Path(model).exists() or not HUB_NAME.fullmatch(model):
            raise
        raise unknown_shape(model) from error


def _lengths(recipe: Recipe, method: SftSettings) -> tuple[list[int], int, list[str]]:
    """Tokens of each row, how many rows are too long, and a note where the tokenizer is not here to count them."""
    rows = read_rows(recipe.dataset)
    tokenizer = _tokenizer(recipe.model)
    if tokenizer is not None:
        words = (method.max_length, method.on_too_long, method.join_reasoning)
        encoded = encode(rows, tokenizer, *words)
        note = reading_note(texts_of(rows), tokenizer)
        return [len(example.input_ids) for example in encoded.examples], len(encoded.dropped), [note] * bool(note)
    texts = [[str(turn.get("content", "")) for turn in row.get("messages") or []] for row in rows]
    lengths = [sum(map(_n_tokens, of_row)) for of_row in texts]
    kept = [n for n in lengths if n <= method.max_length] or [method.max_length]
    note = f"the tokenizer of {recipe.model} is not here: lengths are estimated at {CHARACTERS} characters a token"
    return kept, len(lengths) - len(kept), [note]


def _tokenizer(model: str) -> Any:
    """The model's tokenizer; None where a shipped shape stands for a model that was never loaded here."""
    if config_of_shape(model) is None:
        return load_tokenizer(model)
    return local_tokenizer(model, None, local_files_only=True) if tokenizer_files(model) else None


def _n_tokens(text: str) -> int:
    """About the tokens of a text; a Chinese character is one."""
    return round(sum(1.0 if character > "\u2e80" else 1 / CHARACTERS for character in text))


def _set_ups(config: Any, method: SftSettings, lengths: list[int], gpu: str) -> Iterator[TrainingSetup]:
    """For each sharding and policy the fewest devices that fit, or the most."""
    shardings: tuple[Sharding, ...] = ("one", "ddp", "fsdp2", "zero3")
    for sharding, (name, (checkpointing, every)) in itertools.product(shardings, POLICIES.items()):
        how = method.model_copy(update={"gradient_checkpointing": checkpointing, "checkpoint_every": every})
        at_once = method.per_device_train_batch_size
        tried = [
            n for n in N_DEVICES if (n == 1) == (sharding == "one") and not method.examples_per_update % (n * at_once)
        ]
        for n in tried:
            memory = plan_memory(config, how, max(lengths), sharding, n)
            fits = memory.total <= USABLE * GPUS[gpu].memory
            if fits or n == tried[-1] or sharding == "ddp":  # more copies need no less
                hours = _operations(config, how, lengths) / (MFU * GPUS[gpu].flops * n) / 3600
                yield TrainingSetup(n, sharding, name, memory, fits, hours)
                break


def _on_cpu(config: Any, method: SftSettings, lengths: list[int]) -> tuple[list[TrainingSetup], list[str]]:
    """The recipe's own set-up on this machine, and what the plan of it rests on; without rows the hours are unknown."""
    longest, free = max(lengths, default=method.max_length), available_bytes(use_cpu=True)
    memory = plan_memory(config, method, longest, gpu=False)
    policy = (method.gradient_checkpointing, method.checkpoint_every if method.gradient_checkpointing else 1)
    recomputed = next((name for name, values in POLICIES.items() if values == policy), "every layer")
    notes, hours, fits = memory_lines(memory, method, free)[1:], None, memory.total <= free
    if lengths and fits:
        speed, step_s = _cpu_speed(config, method, min(MOST_TOKENS, round(sum(lengths) / len(lengths))))
        n_updates = method.max_steps
        if n_updates <= 0:
            n_updates = math.ceil(len(lengths) * method.num_train_epochs / method.examples_per_update)
        seconds = _operations(config, method, lengths) / speed + n_updates * step_s
        hours = seconds / 3600
        each = f"an update takes about {duration(seconds / n_updates)}"
        notes = [f"{each}, by a part of the model that was timed here just now; other load makes it longer", *notes]
    return [TrainingSetup(1, "one", recomputed, memory, fits, hours)], notes


def _cpu_speed(config: Any, method: SftSettings, n_tokens: int) -> tuple[float, float]:
    """Operations a second of this machine in passes over a row of `n_tokens`, and the seconds of an optimiser's step.

    Timed with as many layers as weigh as much as what is outside them, and continued to the whole by operations and
    parameters.
    """
    import torch

    text, part = config.get_text_config(), copy.deepcopy(config)
    of_depth = [count_parameters(_with_layers(part, depth), method) for depth in (1, 2)]
    layer = of_depth[1] - of_depth[0]
    depth = min(text.num_hidden_layers, max(1, math.ceil((of_depth[0] - layer) / layer)))
    model = sized_model(config, method, depth, device="cpu")
    fit_for_training(model, method)
    optimiser = torch.optim.AdamW([weights for weights in model.parameters() if weights.requires_grad], lr=0.0)

    def timed(n: int) -> tuple[float, float]:
        began_s = time.perf_counter()
        row = torch.zeros(1, n, dtype=torch.long)
        with torch.autocast("cpu", torch.bfloat16, enabled=method.bf16):
            model(input_ids=row, labels=row, use_cache=False, fused_lm_head=True).log_probs.sum().backward()
        passed_s = time.perf_counter()
        optimiser.step()
        return passed_s - began_s, time.perf_counter() - passed_s

    timed(1)  # fills the optimiser's states
    times = [timed(n_tokens)]
    while sum(map(sum, times)) < MEASURED_S:
        times.append(timed(n_tokens))
    pass_s, step_s = (sum(parts) / len(times) for parts in zip(*times, strict=True))
    once = method.model_copy(update={"max_steps": -1, "num_train_epochs": 1})
    whole = count_parameters(config, method) / count_parameters(_with_layers(part, depth), method)
    return _operations(part, once, [n_tokens]) / pass_s, step_s * whole


def _with_layers(config: Any, depth: int) -> Any:
    """A configuration with so many layers, in place."""
    config.get_text_config().num_hidden_layers = depth
    return config


def _operations(config: Any, method: SftSettings, lengths: list[int]) -> float:
    """Of all passes: parameters, causal attention, and the second forward pass of the layers that are recomputed."""
    text = config.get_text_config()
    each = method.flops_per_token
    width = text.num_attention_heads * (getattr(text, "head_dim", None) or text.hidden_size // text.num_attention_heads)
    again = 2 / method.checkpoint_every if method.gradient_checkpointing else 0
    n_parameters, squares = count_parameters(config, method), sum(n * n for n in lengths)
    once = (each + again) * n_parameters * sum(lengths) + (each + again) * text.num_hidden_layers * width * squares
    shown = method.max_steps * method.examples_per_update / len(lengths) if method.max_steps > 0 else 0
    return once * (shown or method.num_train_epochs)
