"""Pre-trains the pocket models from nothing: `limo pocket pretrain NAME` rebuilds what the package ships.

Qwen2 architecture at about a million parameters; loss on solutions only; batches of a few thousand tokens and many
steps; Muon on the matrices, AdamW on the rest.  Documents are a function of (seed, chunk), so a killed run continues
from its last checkpoint with the same data.  Nothing is chosen by a benchmark.

The tokenizer is Qwen2's own, trained on the world's words, with each number below 100 as one token: Qwen2 splits
numbers into digits, but a tiny model needs a running value to be one token.

    pretrain("pocket-rich", Path("models/pocket-rich"), progress)
"""

from __future__ import annotations

import json
import random
import time
from collections import defaultdict
from collections.abc import Callable, Iterator
from dataclasses import asdict
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

from limo.core.errors import InputError
from limo.core.files import atomic
from limo.core.prompts import Message, messages
from limo.core.records import Problem, Sampling
from limo.experiments.pocket.corpus import MIXTURES, TEACHER_SYSTEM, Part, sample_document
from limo.experiments.pocket.models import PretrainPlan, model_path, pretrain_plan
from limo.experiments.pocket.world import PRETRAIN_DEPTHS, benchmark_ids, families, sample_problems
from limo.models.completer import Request
from limo.models.local.completer import LocalCompleter
from limo.verify.checker import Checker

if TYPE_CHECKING:
    import torch
    from transformers import PreTrainedTokenizerFast, Qwen2ForCausalLM

    from limo.core.progress import Progress

VOCAB_SIZE = 1446  # before the ninety two-digit numbers are added
N_DOCUMENTS = 20_000  # that the merges are learnt from
IGNORED = -100  # label of a token that is not learnt
PAD, START, END = "<|endoftext|>", "<|im_start|>", "<|im_end|>"
CHAT_TEMPLATE = (
    "{% for message in messages %}<|im_start|>{{ message['role'] }}\n{{ message['content'] }}<|im_end|>\n{% endfor %}"
    "{% if add_generation_prompt %}<|im_start|>assistant\n{% endif %}"
)
CHUNK = 2048  # documents that are sorted by length together
CHECKPOINT_EVERY = 250  # steps
ANNEAL_RATE = 0.25
Document = tuple[list[int], list[int]]  # token ids and labels
Batch = tuple["torch.Tensor", "torch.Tensor"]  # of shape (documents, tokens)
SKILLS_SEED = 77
GREEDY = Sampling(temperature=0.0, max_tokens=320)
Prompt = Callable[[Problem], list[Message]]


def pretrain(
    name: str,
    out: Path,
    progress: Progress,
    plan: PretrainPlan | None = None,
    n_threads: int = 1,
    with_skills: bool = False,
) -> Path:
    """Train the model of that name (a key of PLANS, or any with its own `plan`) and save it in the folder `out`.

    `out` gets the model, its tokenizer and `card.json`, with measured pass rates if `with_skills`.  Returns `out`.
    """
    import torch

    plan = plan or pretrain_plan(name)
    torch.set_num_threads(n_threads)
    torch.manual_seed(plan.seed)
    tokenizer = world_tokenizer()
    model = build_model(plan, tokenizer)
    optimisers = _optimisers(model, plan)
    checkpoint = out.with_name(out.name + ".checkpoint.pt")
    state = _load_checkpoint(checkpoint, model, optimisers, plan)
    batches = _batches(plan, tokenizer, state["step"])
    n_steps = plan.n_steps + plan.n_anneal
    with progress.stage(f"pre-training {name}", n_steps, state["step"]) as stage:
        while state["step"] < n_steps:
            _step(model, optimisers, plan, state, next(batches))
            stage.advance(1, loss=round(state["loss"], 3))
            if state["step"] % CHECKPOINT_EVERY == 0:
                _save_checkpoint(checkpoint, model, optimisers, state)
    card = _card(name, plan, model, state)
    _save_model(model, tokenizer, out)
    _write_card(out, card)
    if with_skills:
        progress.log(f"measuring the skills of {name}")
        _write_card(out, card | {"skills": measure_skills(out, plan.mixture)})
    checkpoint.unlink(missing_ok=True)
    return out


def build_model(plan: PretrainPlan, tokenizer: PreTrainedTokenizerFast) -> Qwen2ForCausalLM:
    """A Qwen2 of the plan's size, float32: randomly initialised, or grown from a smaller one."""
    from transformers import Qwen2Config, Qwen2ForCausalLM

    config = Qwen2Config(
        vocab_size=len(tokenizer),
        hidden_size=plan.hidden,
        intermediate_size=plan.hidden * 3,
        num_hidden_layers=plan.layers,
        num_attention_heads=plan.hidden // 32,
        num_key_value_heads=plan.hidden // 32,
        max_position_embeddings=1024,
        tie_word_embeddings=True,
        bos_token_id=None,
        eos_token_id=tokenizer.convert_tokens_to_ids(END),
        pad_token_id=tokenizer.pad_token_id,
    )
    model = Qwen2ForCausalLM(config)
    return _grow(model, model_path(plan.grown_from)) if plan.grown_from else model


def _grow(model: Qwen2ForCausalLM, smaller: Path) -> Qwen2ForCausalLM:
    """Copy a smaller model of the same width into `model`; new layers follow each, their outputs zero at first.

    Source: depth up-scaling as in LLaMA Pro (arXiv 2401.02415, section 3).
    """
    import torch
    from transformers import AutoModelForCausalLM

    source = AutoModelForCausalLM.from_pretrained(smaller, dtype=torch.float32)
    each, rest = divmod(model.config.num_hidden_layers, source.config.num_hidden_layers)
    if rest or not each:
        depths = f"{source.config.num_hidden_layers} to {model.config.num_hidden_layers} layers"
        raise InputError("a model cannot grow like this", depths, "a multiple of the smaller's", "change the plan")
    model.model.embed_tokens.load_state_dict(source.model.embed_tokens.state_dict())
    model.model.norm.load_state_dict(source.model.norm.state_dict())
    for index, layer in enumerate(model.model.layers):
        if index % each == 0:
            layer.load_state_dict(source.model.layers[index // each].state_dict())
        else:
            torch.nn.init.zeros_(layer.self_attn.o_proj.weight)
            torch.nn.init.zeros_(layer.mlp.down_proj.weight)
    return model


def _batches(plan: PretrainPlan, tokenizer: PreTrainedTokenizerFast, skip: int) -> Iterator[Batch]:
    """Endless batches: chunks of documents, sorted by length inside a chunk, shuffled; the first `skip` left out."""
    n_seen = chunk = 0
    while True:
        rng = random.Random(f"{plan.mixture}/{plan.seed}/{chunk}")
        documents = [encode(sample_document(plan.mixture, rng), tokenizer) for _ in range(CHUNK)]
        groups: list[list[Document]] = [[]]
        for document in sorted(documents, key=lambda document: len(document[0])):
            if (len(groups[-1]) + 1) * len(document[0]) > plan.batch_tokens:
                groups.append([])
            groups[-1].append(document)
        rng.shuffle(groups)
        chunk += 1
        for group in groups:
            n_seen += 1
            if n_seen > skip:
                yield _pad(group, tokenizer.pad_token_id)


def _pad(group: list[Document], pad: int) -> Batch:
    import torch
    from torch.nn.utils.rnn import pad_sequence

    ids, labels = ([torch.tensor(document[part]) for document in group] for part in (0, 1))
    return pad_sequence(ids, True, pad), pad_sequence(labels, True, IGNORED)


def _optimisers(model: Qwen2ForCausalLM, plan: PretrainPlan) -> list[Any]:
    """Muon for the matrices inside the layers, AdamW for embeddings, norms and biases."""
    import torch

    matrices = [p for name, p in model.named_parameters() if p.ndim == 2 and "embed" not in name]
    chosen = {id(p) for p in matrices}
    rest = [p for p in model.parameters() if id(p) not in chosen]
    return [
        torch.optim.Muon(matrices, lr=plan.muon_lr, weight_decay=0.01),
        torch.optim.AdamW(rest, lr=plan.adamw_lr, betas=(0.9, 0.95), weight_decay=0.0),
    ]


def _rate(plan: PretrainPlan, step: int) -> float:
    """Warm-up, constant, linear to zero over the last `decay` of the steps; the anneal begins at ANNEAL_RATE."""
    if step >= plan.n_steps:
        return ANNEAL_RATE * (1 - (step - plan.n_steps) / plan.n_anneal)
    left = (plan.n_steps - step) / max(1, plan.n_steps * plan.decay)
    return min(1.0, (step + 1) / plan.warmup, left)


def _step(
    model: Qwen2ForCausalLM, optimisers: list[Any], plan: PretrainPlan, state: dict[str, Any], batch: Batch
) -> None:
    import torch

    began = time.perf_counter()
    ids, labels = batch
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
    saved = torch.load(path, weights_only=True)
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
        "architecture": "Qwen2",
        "n_parameters": sum(p.numel() for p in model.parameters()),
        "plan": asdict(plan),
        "corpus": MIXTURES[plan.mixture],
        "n_tokens": state["n_tokens"],
        "n_tokens_learnt": state["n_learnt"],
        "seconds": round(state["seconds"]),
        "n_threads": torch.get_num_threads(),
        "loss": round(state["loss"], 4),
    }


def _save_model(model: Qwen2ForCausalLM, tokenizer: PreTrainedTokenizerFast, out: Path) -> None:
    """Weights in bfloat16 (safetensors) and tokenizer, for AutoModelForCausalLM and AutoTokenizer."""
    import torch

    out.mkdir(parents=True, exist_ok=True)
    model.generation_config.pad_token_id = model.config.pad_token_id
    model.generation_config.eos_token_id = model.config.eos_token_id
    model.to(torch.bfloat16).save_pretrained(out)
    tokenizer.save_pretrained(out)


def _write_card(out: Path, card: dict[str, Any]) -> None:
    with atomic(out / "card.json") as path:
        path.write_text(json.dumps(card, indent=2, ensure_ascii=False) + "\n", encoding="utf-8")


@cache
def world_tokenizer() -> PreTrainedTokenizerFast:
    """The one tokenizer of every pocket model, learnt from the corpora that hold every word."""
    from transformers import AddedToken, Qwen2Tokenizer

    rng = random.Random("tokenizer")
    documents = (sample_document("teacher" if n % 4 else "rich", rng) for n in range(N_DOCUMENTS))
    untrained = Qwen2Tokenizer(pad_token=PAD, eos_token=END, extra_special_tokens=[START])
    texts = (render(document)[0] for document in documents)
    tokenizer = untrained.train_new_from_iterator(texts, VOCAB_SIZE, show_progress=False)
    tokenizer.add_tokens([AddedToken(str(number), normalized=False) for number in range(10, 100)])
    tokenizer.chat_template = CHAT_TEMPLATE
    return tokenizer


def render(parts: list[Part]) -> tuple[str, list[tuple[int, int]]]:
    """The text of a document, ChatML around its turns, and the (begin, end) characters that are learnt."""
    text, learnt = "", []
    for number, part in enumerate(parts):
        opens = part.role != "text" and (number == 0 or parts[number - 1].role != part.role)
        closes = part.role != "text" and (number + 1 == len(parts) or parts[number + 1].role != part.role)
        text += f"{START}{part.role}\n" if opens else ""
        begin = len(text)
        text += part.text
        if part.learn:
            learnt.append((begin, len(text) + (len(END) if closes else 0)))
        text += f"{END}\n" if closes else ""
    return text, learnt


def encode(parts: list[Part], tokenizer: PreTrainedTokenizerFast) -> tuple[list[int], list[int]]:
    """Token ids and labels (IGNORED where nothing is learnt) of a document, equally long."""
    text, learnt = render(parts)
    encoding = tokenizer(text, return_offsets_mapping=True, add_special_tokens=False)
    labels = []
    for token, (begin, _) in zip(encoding["input_ids"], encoding["offset_mapping"], strict=True):
        labels.append(token if any(low <= begin < high for low, high in learnt) else IGNORED)
    return encoding["input_ids"], labels


def measure_skills(path: Path, mixture: str, n_by_depth: int = 40) -> dict[str, dict[str, float]]:
    """Prompt -> depth -> share of correct greedy answers, over `n_by_depth` fresh problems a depth, of no benchmark.

    The teacher is prompted for each of its styles; a student as it is (`default`), and with its answer begun by the
    first letter of the statement (`begun`), as a careful note begins: what it can do and does not do by default.
    """
    n = n_by_depth * len(PRETRAIN_DEPTHS)
    drawn = sample_problems(families(), n, PRETRAIN_DEPTHS, SKILLS_SEED, "skills")
    problems = [problem for problem in drawn if problem.id not in benchmark_ids()]
    completer = LocalCompleter(path, "model", 256)
    prompts = skill_prompts(mixture)
    with Checker() as checker:
        return {name: _pass_rates(completer, checker, problems, prompt) for name, prompt in prompts.items()}


def skill_prompts(mixture: str) -> dict[str, Prompt]:
    """Name -> the prompt of a problem, for models of that mixture."""
    if mixture == "teacher":
        return {
            style: lambda problem, system=system: messages(problem.problem, system)  # type: ignore[misc]
            for style, system in TEACHER_SYSTEM.items()
        }
    return {"default": lambda problem: messages(problem.problem), "begun": _begun_prompt}


def _begun_prompt(problem: Problem) -> list[Message]:
    return [*messages(problem.problem), {"role": "assistant", "content": problem.problem.partition(":")[0] + ":"}]


def _pass_rates(
    completer: LocalCompleter, checker: Checker, problems: list[Problem], prompt: Prompt
) -> dict[str, float]:
    requests = (Request(problem, prompt(problem), GREEDY, 0) for problem in problems)
    is_correct: dict[str, list[bool]] = defaultdict(list)
    for group in completer.complete(requests):
        for request, completion in group:
            verdict = checker.verify(request.problem, completion)
            is_correct[f"depth {request.problem.meta['depth']}"].append(verdict.outcome == "correct")
    return {depth: round(sum(flags) / len(flags), 3) for depth, flags in sorted(is_correct.items())}
