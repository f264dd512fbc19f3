"""Tokens from a model, many rows at once: the loop that makes small models fast on a CPU.

Compared with transformers' `generate` the key-value cache has its room from the start instead of being copied for
every token, a row that ends gives its place to the last one, each distinct prompt is read once, and only last positions
go through the vocabulary.

    for ended in decode(model, [DecodingRow([1, 2, 3], uniforms, temperature=1.0, top_p=1.0)], stop={0}):
        ...                                     # {0: [5, 9, 0]}

A token is sampled by inverting the cumulative distribution at a uniform number that belongs to the row, so a row
depends on its neighbours only through the rounding of a matrix product.  Layers other than full attention go through
`generate`, with the same numbers.  Imports torch at once, so it is imported only where a model is used.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from transformers import AttentionInterface, GenerationConfig
from transformers.cache_utils import Cache

from limo.core.errors import ModelError
from limo.models.local.kv_cache import ATTENTION, PreallocatedCacheLayer, Window, attend

# Our own choices, all measured on a 1M-parameter model on one core; results do not depend on them beyond rounding.
PREFILL_TOKENS = 2048  # prompt tokens in one forward pass: activations that stay in a core's cache
ROOM = 256  # new tokens that the cache has room for at first; it grows by half
NUCLEUS = 64  # tokens tried for top_p before the whole vocabulary is sorted


@dataclass(frozen=True, slots=True)
class DecodingRow:
    """Prompt tokens, one uniform number in [0, 1) for each new token at most, and how to sample."""

    prompt: Sequence[int]
    uniforms: np.ndarray
    temperature: float
    top_p: float


def prepare(model: Any) -> None:
    """Give a loaded model the attention that `decode` is fast with; once, after loading, on a CPU."""
    AttentionInterface.register(ATTENTION, attend)
    model.set_attn_implementation(ATTENTION)


@contextmanager
def borrowed(model: Any, is_fast: bool) -> Iterator[None]:
    """A model in training, ready for `decode` (`is_fast`) or `generate` in a block: cached, and nothing dropped out.

    Its own attention comes back afterwards: `decode` brings a mask, which flash kernels take none of, and its attention
    on a CPU builds no mask of a training's padding.
    """
    attention, is_training = model.config._attn_implementation, model.training
    model.eval()
    if is_fast:
        AttentionInterface.register(ATTENTION, attend)
        model.set_attn_implementation(ATTENTION if model.device.type == "cpu" else "sdpa")
    try:
        yield
    finally:
        model.set_attn_implementation(attention)
        model.train(is_training)


@torch.inference_mode()
def decode(
    model: Any, rows: Sequence[DecodingRow], stop: Iterable[int], tell: Callable[[int], None] = lambda n: None
) -> Iterator[dict[int, list[int]]]:
    """After each new token of every row, all new tokens of the rows that it ends, by their numbers: a stop token, or
    the last of `len(uniforms)`.  `tell` gets how many new tokens the others have."""
    batch = _Batch(model, rows)
    logits = batch.read_prompts()
    stops = torch.tensor(sorted(stop), device=model.device)
    longest = int(batch.limit.max())
    out = torch.zeros(len(rows), longest, dtype=torch.long, device=model.device)
    for step in range(longest):
        tokens = sample_tokens(logits, batch.temperature, batch.top_p, batch.uniforms[:, step])
        out[batch.origin, step] = tokens
        is_running = ~torch.isin(tokens, stops) & (batch.limit > step + 1)
        ended = {}
        if not bool(is_running.all()):
            ended = {row: out[row, : step + 1].tolist() for row in batch.origin[~is_running].tolist()}
            tokens = tokens[batch.keep(is_running)]
        yield ended
        if not len(tokens):
            break
        logits = batch.forward(tokens)
        tell(step + 1)


@torch.inference_mode()
def generate(
    model: Any, rows: Sequence[DecodingRow], stop: Iterable[int], tell: Callable[[int], None] = lambda n: None
) -> Iterator[dict[int, list[int]]]:
    """As `decode`, by transformers' `generate`: slower, all rows at the end, and for every causal language model."""
    batch, stops = _Batch(model, rows), set(stop)
    width = max(len(row.prompt) for row in rows)
    prompts = [[0] * (width - len(row.prompt)) + list(row.prompt) for row in rows]
    is_token = [[0] * (width - len(row.prompt)) + [1] * len(row.prompt) for row in rows]

    def sample(tokens: torch.Tensor, logits: torch.Tensor) -> torch.Tensor:
        tell(tokens.shape[1] - width)
        uniforms = batch.uniforms[:, tokens.shape[1] - width]
        sampled = sample_tokens(logits, batch.temperature, batch.top_p, uniforms)
        return torch.full_like(logits, -torch.inf).scatter(1, sampled[:, None], 0.0)

    settings = GenerationConfig(
        max_new_tokens=int(batch.limit.max()), do_sample=False, repetition_penalty=1.0, pad_token_id=0,
        eos_token_id=sorted(stops) or None,
    )  # fmt: skip
    out = model.generate(
        torch.tensor(prompts, device=model.device), attention_mask=torch.tensor(is_token, device=model.device),
        generation_config=settings, logits_processor=[sample],
    )[:, width:].tolist()  # fmt: skip
    ends = [next((k + 1 for k, token in enumerate(new) if token in stops), len(new)) for new in out]
    yield {k: new[: min(ends[k], len(rows[k].uniforms))] for k, new in enumerate(out)}


def sample_tokens(
    logits: torch.Tensor, temperature: torch.Tensor, top_p: torch.Tensor, uniforms: torch.Tensor
) -> torch.Tensor:
    """Token ids [rows]: the likeliest where temperature is 0, else the one at each row's uniform number.

    logits [rows, vocabulary]; the others [rows].  Every row is sampled by its own settings alone.
    """
    is_greedy = temperature == 0
    if bool(is_greedy.all()):
        return logits.argmax(-1)
    scaled = logits.float() / torch.where(is_greedy, 1.0, temperature)[:, None]
    probabilities = scaled.softmax(-1)
    tokens = _invert(probabilities, uniforms)
    if bool((top_p < 1).any()):
        tokens = torch.where(top_p < 1, _sample_nucleus(probabilities, top_p, uniforms), tokens)
    return torch.where(is_greedy, logits.argmax(-1), tokens) if bool(is_greedy.any()) else tokens


def _invert(weights: torch.Tensor, uniforms: torch.Tensor) -> torch.Tensor:
    """The first column whose cumulative weight exceeds the uniform share of the row's total."""
    cumulative = weights.cumsum(-1, dtype=torch.float64)
    target = uniforms[:, None] * cumulative[:, -1:]
    column = torch.searchsorted(cumulative, target, right=True)[:, 0]
    n_zeros_at_end = (weights > 0).to(torch.uint8).flip(-1).argmax(-1)  # rounding may aim past the last weight
    return torch.minimum(column, weights.shape[-1] - 1 - n_zeros_at_end)


def _sample_nucleus(probabilities: torch.Tensor, top_p: torch.Tensor, uniforms: torch.Tensor) -> torch.Tensor:
    """Sample from the fewest likeliest tokens whose probabilities reach `top_p`."""
    n_vocabulary = probabilities.shape[-1]
    weights, tokens = probabilities.topk(min(NUCLEUS, n_vocabulary), dim=-1)
    before = weights.cumsum(-1) - weights
    if bool((before[:, -1] < top_p).any()) and weights.shape[-1] < n_vocabulary:
        weights, tokens = probabilities.sort(dim=-1, descending=True, stable=True)
        before = weights.cumsum(-1) - weights
    kept = torch.where(before < top_p[:, None], weights, 0.0)
    return tokens.gather(-1, _invert(kept, uniforms)[:, None])[:, 0]


class _Batch:
    """The rows that have not ended: their cache, mask, positions and settings, all moved together.

    `origin` is each row's number in the call of `decode`, `limit` its most new tokens.
    """

    def __init__(self, model: Any, rows: Sequence[DecodingRow]) -> None:
        device = model.device
        self.model, self.prompts = model, [tuple(row.prompt) for row in rows]
        self.origin = torch.arange(len(rows), device=device)
        self.limit = torch.tensor([len(row.uniforms) for row in rows], device=device)
        self.temperature = torch.tensor([row.temperature for row in rows], device=device)
        self.top_p = torch.tensor([row.top_p for row in rows], device=device)
        uniforms = np.zeros((len(rows), int(self.limit.max())))
        for number, row in enumerate(rows):
            uniforms[number, : len(row.uniforms)] = row.uniforms
        self.uniforms = torch.from_numpy(uniforms).to(device)

    def read_prompts(self) -> torch.Tensor:
        """Fill the cache; the logits [rows, vocabulary] after each prompt.

        Each distinct prompt is read once, padded at its beginning, so that all end in the same column.
        """
        distinct = sorted(set(self.prompts))
        width, device, dtype = max(map(len, distinct)), self.model.device, self.model.dtype
        self.window = Window(len(distinct), width + min(int(self.limit.max()), ROOM))
        n_layers = self.model.config.num_hidden_layers
        self.cache = Cache(layers=[PreallocatedCacheLayer(self.window) for _ in range(n_layers)])
        tokens = torch.tensor([[0] * (width - len(prompt)) + list(prompt) for prompt in distinct], device=device)
        n_padding = torch.tensor([width - len(prompt) for prompt in distinct], device=device)
        column = torch.arange(width, device=device)
        is_padding, is_future = column < n_padding[:, None], column > column[:, None]
        logits, n_rows = [], max(1, PREFILL_TOKENS // width)
        for start in range(0, len(distinct), n_rows):
            self.window.rows = rows = slice(start, min(start + n_rows, len(distinct)))
            mask = _additive(is_future | is_padding[rows, None, :], dtype)[:, None]
            logits.append(self._forward(tokens[rows], mask, (column - n_padding[rows, None]).clamp_min(0)))
        self.window.start = width
        number = {prompt: row for row, prompt in enumerate(distinct)}
        row_of = torch.tensor([number[prompt] for prompt in self.prompts], device=device)
        self.position = torch.tensor([len(prompt) for prompt in self.prompts], device=device)
        self.mask = _additive(is_padding, dtype)[row_of, None, None, :]
        if self.prompts != distinct:
            self._select_rows(row_of)
        if bool(torch.cat(logits).isnan().any()):
            do = "take an earlier checkpoint, or another dtype"
            raise ModelError("the model computes no numbers", self.model.config.name_or_path, "finite logits", do)
        return torch.cat(logits)[row_of]

    def _forward(self, tokens: torch.Tensor, mask: torch.Tensor, position: torch.Tensor) -> torch.Tensor:
        return self.model(
            input_ids=tokens, attention_mask=mask, position_ids=position, past_key_values=self.cache,
            use_cache=True, logits_to_keep=1,
        ).logits[:, -1]  # fmt: skip

    def forward(self, tokens: torch.Tensor) -> torch.Tensor:
        """One more token on every row; the logits after it."""
        self.mask = torch.nn.functional.pad(self.mask, (0, 1))
        if self.window.start == self.window.capacity:
            self.window.capacity += self.window.capacity // 2
            self._select_rows(torch.arange(len(tokens), device=tokens.device))
        logits = self._forward(tokens[:, None], self.mask, self.position[:, None])
        self.window.start += 1
        self.position = self.position + 1
        return logits

    def keep(self, is_running: torch.Tensor) -> torch.Tensor:
        """Drop the rows that ended; the rows that are left, in their new order.

        The last rows move into the gaps, so that no more is copied than what ended.
        """
        n = int(is_running.sum())
        gaps, movers = (~is_running[:n]).nonzero()[:, 0], is_running[n:].nonzero()[:, 0] + n
        order = torch.arange(n, device=is_running.device)
        order[gaps] = movers
        for name in ("origin", "limit", "temperature", "top_p", "uniforms", "position", "mask"):
            setattr(self, name, getattr(self, name)[order])
        for layer in self.cache.layers if len(gaps) else ():
            layer.copy_rows(movers, gaps)
        self.window.rows = slice(0, n)
        return order

    def _select_rows(self, rows: torch.Tensor) -> None:
        for layer in self.cache.layers:
            layer.select_rows(rows, self.window.capacity)
        self.window.rows = slice(0, len(rows))


def _additive(is_hidden: torch.Tensor, dtype: torch.dtype) -> torch.Tensor:
    """0 where seen, the lowest finite number where hidden (a row that sees nothing must not become NaN)."""
    mask = torch.zeros(is_hidden.shape, dtype=dtype, device=is_hidden.device)
    return mask.masked_fill_(is_hidden, torch.finfo(dtype).min)
