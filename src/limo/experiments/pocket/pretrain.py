"""Pre-trains the pocket models from nothing: `limo pocket pretrain NAME` rebuilds what the package ships.

Qwen2 architecture at about 180,000 parameters; batches of a few thousand tokens and many steps; Muon on the matrices,
AdamW on the rest, both rates falling from the start.  The most frequent machines come first (CURRICULUM): with all of
them at once nothing is known after a thousand steps.  Documents are a function of (seed, chunk), so a killed run
continues from its last checkpoint with the same data.  Nothing is chosen by a benchmark.

    pretrain("pocket-rich", Path("models/pocket-rich"), progress)
"""

from __future__ import annotations

import math
import random
import time
from collections import defaultdict
from collections.abc import Iterator
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

from limo.core.errors import InputError
from limo.core.files import atomic, write_json
from limo.experiments.pocket.corpus import END, MIXTURES, Corpus, Document
from limo.experiments.pocket.models import PretrainPlan, model_path, pretrain_plan
from limo.experiments.pocket.tokenizer import PAD, build_tokenizer, vocabulary

if TYPE_CHECKING:
    import torch
    from transformers import Qwen2ForCausalLM

    from limo.core.progress import Progress

IGNORED = -100  # label of a token that is not learnt
CHUNK = 1024  # documents that are sorted by length together
CHECKPOINT_EVERY = 250  # steps
HEAD_SIZE = 16
OUTPUT_BIAS = "o_proj.bias"  # which Llama has and Qwen2 has not
CURRICULUM = ((250, 8), (500, 24))  # until this step only so many of the most frequent machines; then all
Encoded = tuple[list[int], list[int]]  # token ids and labels
Batch = tuple["torch.Tensor", "torch.Tensor"]  # of shape (documents, tokens)


def pretrain(
    name: str,
    out: Path,
    progress: Progress,
    plan: PretrainPlan | None = None,
    with_premise: bool = False,
    device: str = "cpu",
) -> Path:
    """Train the model of that name (a key of PLANS, or any with its own `plan`) and save it in the folder `out`.

    `out` gets the model, its tokenizer and `card.json`, with the measured premise if `with_premise`.  Returns `out`.
    """
    import torch

    plan = plan or pretrain_plan(name)
    torch.set_num_threads(1)
    torch.manual_seed(plan.seed)
    model = build_model(plan).to(device)
    optimisers = [StackedMuon(model, plan.muon_lr), _adamw(model, plan)]
    checkpoint = out.with_name(out.name + ".checkpoint.pt")
    state = _load_checkpoint(checkpoint, model, optimisers, plan)
    batches = _batches(plan, state["step"])
    with progress.stage(f"pre-training {name}", plan.n_steps, state["step"]) as stage:
        while state["step"] < plan.n_steps:
            _step(model, optimisers, plan, state, next(batches))
            stage.advance(1, loss=round(state["loss"], 3))
            if state["step"] % CHECKPOINT_EVERY == 0:
                _save_checkpoint(checkpoint, model, optimisers, state)
    card = _card(name, plan, model, state)
    _save_model(model, plan, out)
    write_json(out / "card.json", card, 2)
    if with_premise:
        from limo.experiments.pocket.premise import measure_premise

        progress.log(f"measuring the premise of {name}")
        write_json(out / "card.json", card | {"premise": measure_premise(out, plan)}, 2)
    checkpoint.unlink(missing_ok=True)
    return out


def build_model(plan: PretrainPlan) -> Qwen2ForCausalLM:
    """A Qwen2 of the plan's size, float32: randomly initialised, or the shipped model that the plan starts from."""
    import torch
    from transformers import AutoModelForCausalLM, Qwen2Config, Qwen2ForCausalLM

    words = vocabulary(plan.world)
    config = Qwen2Config(
        vocab_size=len(words),
        hidden_size=plan.hidden,
        intermediate_size=plan.hidden * 3,
        num_hidden_layers=plan.layers,
        num_attention_heads=plan.hidden // HEAD_SIZE,
        num_key_value_heads=plan.hidden // HEAD_SIZE,
        max_position_embeddings=1024,
        tie_word_embeddings=True,
        bos_token_id=None,
        eos_token_id=words[END],
        pad_token_id=words[PAD],
    )
    model = Qwen2ForCausalLM(config)
    if plan.starts_from:
        start = AutoModelForCausalLM.from_pretrained(model_path(plan.starts_from), dtype=torch.float32)
        model.load_state_dict({name: values for name, values in start.state_dict().items() if OUTPUT_BIAS not in name})
    return model


def _batches(plan: PretrainPlan, skip: int) -> Iterator[Batch]:
    """Endless batches: chunks of documents, sorted by length inside a chunk, shuffled; the first `skip` left out."""
    words = vocabulary(plan.world)
    n_seen = chunk = 0
    while True:
        rng = random.Random(f"{plan.mixture}/{plan.dose}/{plan.seed}/{chunk}")
        stages = () if plan.starts_from else CURRICULUM
        n_active = next((min(n, plan.world.n_machines) for until, n in stages if n_seen < until), 0)
        corpus = Corpus(plan.mixture, plan.dose, plan.world, n_active)
        documents = [encode(corpus.sample(rng), words) for _ in range(CHUNK)]
        groups: list[list[Encoded]] = [[]]
        for document in sorted(documents, key=lambda document: len(document[0])):
            if (len(groups[-1]) + 1) * len(document[0]) > plan.batch_tokens:
                groups.append([])
            groups[-1].append(document)
        rng.shuffle(groups)
        chunk += 1
        for group in groups:
            n_seen += 1
            if n_seen > skip:
                yield _pad(group, words[PAD])


def encode(document: Document, words: dict[str, int]) -> Encoded:
    """Token ids and labels (IGNORED where nothing is learnt) of a document, equally long."""
    ids = [words[word] for word in document.words]
    return ids, [token if learn else IGNORED for token, learn in zip(ids, document.learnt, strict=True)]


def _pad(group: list[Encoded], pad: int) -> Batch:
    import torch
    from torch.nn.utils.rnn import pad_sequence

    ids, labels = ([torch.tensor(document[part]) for document in group] for part in (0, 1))
    return pad_sequence(ids, True, pad), pad_sequence(labels, True, IGNORED)


class StackedMuon:
    """Muon as torch.optim.Muon computes it (Nesterov, original rates), for matrices of equal shape at once, in float32.

    torch's own takes longer than the whole backward pass of a model this small: one matrix at a time, in bfloat16.
    """

    MOMENTUM, WEIGHT_DECAY, N_ITERATIONS, COEFFICIENTS = 0.95, 0.01, 5, (3.4445, -4.7750, 2.0315)

    def __init__(self, model: torch.nn.Module, lr: float) -> None:
        import torch

        groups: dict[tuple[int, ...], list[torch.nn.Parameter]] = defaultdict(list)
        for parameter in _matrices(model):
            groups[tuple(parameter.shape)].append(parameter)
        self.groups = list(groups.values())
        self.buffers = [torch.zeros(len(group), *group[0].shape, device=group[0].device) for group in self.groups]
        self.param_groups = [{"lr": lr}]

    def step(self) -> None:
        """One update by the gradients of the matrices."""
        import torch

        lr = self.param_groups[0]["lr"]
        with torch.no_grad():
            for group, buffer in zip(self.groups, self.buffers, strict=True):
                gradients = torch.stack([parameter.grad for parameter in group])
                buffer.lerp_(gradients, 1 - self.MOMENTUM)
                updates = self._orthogonal(gradients.lerp_(buffer, self.MOMENTUM))
                size = lr * math.sqrt(max(1.0, buffer.shape[1] / buffer.shape[2]))
                for parameter, update in zip(group, updates, strict=True):
                    parameter.mul_(1 - lr * self.WEIGHT_DECAY).add_(update, alpha=-size)

    def _orthogonal(self, matrices: torch.Tensor) -> torch.Tensor:
        """Newton-Schulz iterations on matrices of shape (n, rows, columns), as in torch.optim.Muon."""
        a, b, c = self.COEFFICIENTS
        is_tall = matrices.shape[1] > matrices.shape[2]
        x = matrices.mT if is_tall else matrices
        x = x / x.norm(dim=(1, 2), keepdim=True).clamp(min=1e-7)
        for _ in range(self.N_ITERATIONS):
            gram = x @ x.mT
            x = a * x + (b * gram + c * gram @ gram) @ x
        return x.mT if is_tall else x

    def zero_grad(self, set_to_none: bool = True) -> None:
        """Forget the gradients."""
        for parameter in (parameter for group in self.groups for parameter in group):
            parameter.grad = None

    def state_dict(self) -> dict[str, Any]:
        """The momentum."""
        return {"buffers": self.buffers}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Set the momentum."""
        self.buffers = state["buffers"]


def _matrices(model: torch.nn.Module) -> list[torch.nn.Parameter]:
    """The matrices inside the layers."""
    return [p for name, p in model.named_parameters() if p.ndim == 2 and "embed" not in name]


def _adamw(model: torch.nn.Module, plan: PretrainPlan) -> torch.optim.Optimizer:
    """AdamW for embeddings, norms and biases."""
    import torch

    chosen = {id(p) for p in _matrices(model)}
    rest = [p for p in model.parameters() if id(p) not in chosen]
    return torch.optim.AdamW(rest, lr=plan.adamw_lr, betas=(0.9, 0.95), weight_decay=0.0)


def _rate(plan: PretrainPlan, step: int) -> float:
    """Warm-up, and from the start linear to zero."""
    return min(1.0, (step + 1) / plan.warmup) * (1 - step / plan.n_steps)


def _step(
    model: Qwen2ForCausalLM, optimisers: list[Any], plan: PretrainPlan, state: dict[str, Any], batch: Batch
) -> None:
    import torch

    began = time.perf_counter()
    ids, labels = (part.to(model.device) for part in batch)
    hidden = model.model(input_ids=ids).last_hidden_state[:, :-1]
    targets = labels[:, 1:]
    learnt = targets != IGNORED
    loss = torch.nn.functional.cross_entropy(model.lm_head(hidden[learnt]), targets[learnt])
    # Every learnt token weighs the same: if batches did, a few unguessable bare answers would weigh as much as notes.
    (loss * (int(learnt.sum()) / plan.batch_tokens)).backward()
    torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
    rate = _rate(plan, state["step"])
    for optimiser, base in zip(optimisers, (plan.muon_lr, plan.adamw_lr), strict=True):
        for group in optimiser.param_groups:
            group["lr"] = base * rate
        optimiser.step()
        optimiser.zero_grad(set_to_none=True)
    state["step"] += 1
    state["n_tokens"] += int((ids != model.config.pad_token_id).sum())
    state["n_learnt"] += int(learnt.sum())
    state["loss"] = 0.98 * state["loss"] + 0.02 * loss.item() if state["step"] > 1 else loss.item()
    state["seconds"] += time.perf_counter() - began


def _save_checkpoint(path: Path, model: Qwen2ForCausalLM, optimisers: list[Any], state: dict[str, Any]) -> None:
    import torch

    values = {"model": model.state_dict(), "optimisers": [o.state_dict() for o in optimisers], "state": dict(state)}
    with atomic(path) as temporary:
        torch.save(values, temporary)


def _load_checkpoint(path: Path, model: Qwen2ForCausalLM, optimisers: list[Any], plan: PretrainPlan) -> dict[str, Any]:
    """The state of a killed run, loaded into model and optimisers, or that of a new one."""
    import torch

    fresh = {"step": 0, "n_tokens": 0, "n_learnt": 0, "loss": 0.0, "seconds": 0.0, "plan": asdict(plan)}
    if not path.exists():
        return fresh
    saved = torch.load(path, weights_only=True, map_location=model.device)
    if saved["state"]["plan"] != fresh["plan"]:
        raise InputError("this checkpoint is of another plan", path, "the same plan", "delete it to start anew")
    model.load_state_dict(saved["model"])
    for optimiser, values in zip(optimisers, saved["optimisers"], strict=True):
        optimiser.load_state_dict(values)
    return dict(saved["state"])


def _card(name: str, plan: PretrainPlan, model: Qwen2ForCausalLM, state: dict[str, Any]) -> dict[str, Any]:
    import torch

    return {
        "name": name,
        "architecture": "Qwen2, saved as Llama",
        "n_parameters": sum(p.numel() for p in model.parameters()),
        "plan": asdict(plan),
        "corpus": MIXTURES[plan.mixture],
        "n_tokens": state["n_tokens"],
        "n_tokens_learnt": state["n_learnt"],
        "seconds": round(state["seconds"]),
        "n_threads": torch.get_num_threads(),
        "loss": round(state["loss"], 4),
    }


def _save_model(model: Qwen2ForCausalLM, plan: PretrainPlan, out: Path) -> None:
    """Weights in float16 (safetensors) and tokenizer, for AutoModelForCausalLM and AutoTokenizer.

    Saved as the Llama that computes the same: AutoTokenizer gives a model of type qwen2 Qwen2's own tokenizer, whatever
    its folder holds.
    """
    import torch
    from transformers import LlamaConfig, LlamaForCausalLM

    values = model.state_dict()
    same = [
        "vocab_size", "hidden_size", "intermediate_size", "num_hidden_layers", "num_attention_heads",
        "num_key_value_heads", "max_position_embeddings", "rms_norm_eps", "eos_token_id", "pad_token_id",
    ]  # fmt: skip
    settings = {name: getattr(model.config, name) for name in same}
    llama = LlamaForCausalLM(LlamaConfig(**settings, attention_bias=True, tie_word_embeddings=True, bos_token_id=None))
    biases = {name: torch.zeros(plan.hidden, device=model.device) for name in llama.state_dict() if OUTPUT_BIAS in name}
    llama.load_state_dict(values | biases)
    llama.generation_config.pad_token_id = llama.config.pad_token_id
    llama.generation_config.eos_token_id = llama.config.eos_token_id
    out.mkdir(parents=True, exist_ok=True)
    llama.to(torch.float16).save_pretrained(out)
    build_tokenizer(plan.world).save_pretrained(out)
