"""Tokens out of a model, many rows at once: the loop that makes small models fast on a CPU.

A plain `generate` spends its time on what small models make dear: copying the whole key-value cache for every token
(concatenation), computing rows that ended long ago, reading the same prompt again for each of its n rollouts, and
bookkeeping.  Here the cache is laid out beforehand, a row that ends gives its place to the last one, the text that all
prompts share is read once and so is each distinct prompt, only last positions go through the vocabulary, and on a CPU
one-token attention is a few batched products over the cache in place, at the speed of its memory; the attempts at one
problem look at one copy of its prompt (see `attention`).

    tokens = decode(model, [Ask([1, 2, 3], uniforms, temperature=1.0, top_p=1.0)], stop={0})

A token is drawn by inverting the cumulative distribution at a uniform number that belongs to the row, so a row does
not depend on its neighbours beyond the rounding of a matrix product.

What it does not do: text, templates or seeds (local does); layers that are not plain attention.  Imports torch at
once, so it is imported only where a model is used.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from transformers import AttentionInterface
from transformers.cache_utils import Cache

from limo.core.errors import ModelError
from limo.models.local.kv_cache import NAME, Groups, Layer, Window, attend

# Our own choices, all measured on a 1M-parameter model on one core; results do not depend on them beyond rounding.
PREFILL_TOKENS = 2048  # prompt tokens in one forward: activations that stay in a core's cache
ROOM = 256  # new tokens that the cache has room for at first; it grows by half
SHARED = 2  # rows a prompt from which its one copy is cheaper than one a row
NUCLEUS = 64  # tokens tried for top_p before the whole vocabulary is sorted


@dataclass(frozen=True, slots=True)
class Ask:
    """One row: prompt tokens, one uniform number in [0, 1) for each new token at most, and how to draw."""

    prompt: Sequence[int]
    uniforms: np.ndarray
    temperature: float
    top_p: float


def prepare(model: Any) -> None:
    """Give a loaded model the attention that `decode` is fast with; once, after loading, on a CPU."""
    AttentionInterface.register(NAME, attend)
    model.set_attn_implementation(NAME)


@torch.inference_mode()
def decode(model: Any, asks: Sequence[Ask], stop: Iterable[int]) -> list[list[int]]:
    """The new tokens of each row, ending with a stop token or after `len(uniforms)` tokens."""
    rows = _Rows(model, asks)
    logits = rows.read_prompts()
    stops = torch.tensor(sorted(stop), device=model.device)
    longest = int(rows.limit.max())
    out = torch.zeros(len(asks), longest, dtype=torch.long, device=model.device)
    length = torch.zeros(len(asks), dtype=torch.long, device=model.device)
    for step in range(longest):
        tokens = pick(logits, rows.temperature, rows.top_p, rows.uniforms[:, step])
        out[rows.origin, step] = tokens
        length[rows.origin] = step + 1
        running = ~torch.isin(tokens, stops) & (rows.limit > step + 1)
        if not bool(running.all()):
            tokens = tokens[rows.keep(running)]
        if not len(tokens):
            break
        logits = rows.forward(tokens)
    return [row[:n] for row, n in zip(out.tolist(), length.tolist(), strict=True)]


def pick(logits: torch.Tensor, temperature: torch.Tensor, top_p: torch.Tensor, uniforms: torch.Tensor) -> torch.Tensor:
    """Token ids [rows]: the likeliest where temperature is 0, else the draw at each row's uniform number.

    logits [rows, vocabulary]; the others [rows].  Every row is drawn by its own settings alone.
    """
    greedy = temperature == 0
    if bool(greedy.all()):
        return logits.argmax(-1)
    scaled = logits.float() / torch.where(greedy, 1.0, temperature)[:, None]
    probabilities = scaled.softmax(-1)
    drawn = _invert(probabilities, uniforms)
    if bool((top_p < 1).any()):
        drawn = torch.where(top_p < 1, _nucleus(probabilities, top_p, uniforms), drawn)
    return torch.where(greedy, logits.argmax(-1), drawn) if bool(greedy.any()) else drawn


def _invert(weights: torch.Tensor, uniforms: torch.Tensor) -> torch.Tensor:
    """The first column whose cumulative weight exceeds the uniform share of the row's total."""
    cumulative = weights.cumsum(-1, dtype=torch.float64)
    aim = uniforms[:, None] * cumulative[:, -1:]
    column = torch.searchsorted(cumulative, aim, right=True)[:, 0]
    last = (weights > 0).to(torch.uint8).flip(-1).argmax(-1)  # rounding may aim past the end
    return torch.minimum(column, weights.shape[-1] - 1 - last)


def _nucleus(probabilities: torch.Tensor, top_p: torch.Tensor, uniforms: torch.Tensor) -> torch.Tensor:
    """Draw from the fewest likeliest tokens whose probabilities reach `top_p`."""
    n_vocabulary = probabilities.shape[-1]
    weights, tokens = probabilities.topk(min(NUCLEUS, n_vocabulary), dim=-1)
    before = weights.cumsum(-1) - weights
    if bool((before[:, -1] < top_p).any()) and weights.shape[-1] < n_vocabulary:
        weights, tokens = probabilities.sort(dim=-1, descending=True, stable=True)
        before = weights.cumsum(-1) - weights
    kept = torch.where(before < top_p[:, None], weights, 0.0)
    return tokens.gather(-1, _invert(kept, uniforms)[:, None])[:, 0]


class _Rows:
    """The rows still in the batch: their cache, mask, positions and settings, all moved together."""

    def __init__(self, model: Any, asks: Sequence[Ask]) -> None:
        device = model.device
        self.model, self.asks = model, asks
        self.groups: Groups | None = None
        self.origin = torch.arange(len(asks), device=device)
        self.limit = torch.tensor([len(ask.uniforms) for ask in asks], device=device)
        self.temperature = torch.tensor([ask.temperature for ask in asks], device=device)
        self.top_p = torch.tensor([ask.top_p for ask in asks], device=device)
        uniforms = np.zeros((len(asks), int(self.limit.max())))
        for row, ask in enumerate(asks):
            uniforms[row, : len(ask.uniforms)] = ask.uniforms
        self.uniforms = torch.from_numpy(uniforms).to(device)

    def read_prompts(self) -> torch.Tensor:
        """Fill the cache; the logits [rows, vocabulary] after each prompt.

        A row lies as: shared beginning, padding, its own rest; so every row ends in the same column.
        """
        prompts = [tuple(ask.prompt) for ask in self.asks]
        distinct = sorted(set(prompts))
        place = {prompt: row for row, prompt in enumerate(distinct)}
        shared = _shared_length(distinct)
        rests = [prompt[shared:] for prompt in distinct]
        width = max(map(len, rests))
        self.window = Window(len(distinct), shared + width + min(int(self.limit.max()), ROOM))
        self.cache = Cache(layers=[Layer(self.window) for _ in range(self.model.config.num_hidden_layers)])
        if shared:
            self._read_shared(distinct[0][:shared])
        logits = self._read_rests(rests, width, shared)
        self.window.start = shared + width
        device = self.model.device
        index = torch.tensor([place[prompt] for prompt in prompts], device=device)
        self.position = torch.tensor([len(prompt) for prompt in prompts], device=device)
        padding = torch.tensor([width - len(rest) for rest in rests], device=device)
        column = torch.arange(shared + width, device=device)
        hidden = (column >= shared) & (column < shared + padding[:, None])
        mask = _additive(hidden, self.model.dtype)[:, None, None, :]
        if len(prompts) >= SHARED * len(distinct) and self.model.config._attn_implementation == NAME:
            self._share(mask, index)
            return logits[index]
        self.mask = mask[index]
        if len(distinct) < len(prompts) or prompts != distinct:
            self._lay_out(index)
        return logits[index]

    def _share(self, mask: torch.Tensor, index: torch.Tensor) -> None:
        """Leave the prompts where they are, once each, and begin an empty cache for what the rows will write."""
        self.groups = Groups(mask, index)
        for layer in self.cache.layers:
            layer.share(self.groups, self.window.start)
        self.window = Window(len(index), min(int(self.limit.max()), ROOM))
        for layer in self.cache.layers:
            layer.window = self.window
        self.mask = mask.new_zeros(1, 1, 1, 1)  # new positions are seen by all; those of the prompts have their own

    def _read_shared(self, tokens: Sequence[int]) -> None:
        """The beginning that all prompts share is computed in row 0 and copied to the others."""
        self.window.rows = slice(0, 1)
        n, device = len(tokens), self.model.device
        hidden = torch.ones(n, n, dtype=torch.bool, device=device).triu(1)
        self._call(torch.tensor([tokens], device=device), hidden[None], torch.arange(n, device=device)[None])
        for layer in self.cache.layers:
            layer.keys[1:, :, :, :n], layer.values[1:, :, :n] = layer.keys[:1, :, :, :n], layer.values[:1, :, :n]
        self.window.start = n

    def _read_rests(self, rests: list[tuple[int, ...]], width: int, shared: int) -> torch.Tensor:
        device = self.model.device
        tokens = torch.tensor([[0] * (width - len(rest)) + list(rest) for rest in rests], device=device)
        padding = torch.tensor([width - len(rest) for rest in rests], device=device)
        column = torch.arange(width, device=device)
        future = column > column[:, None]
        logits = []
        for rows in _slices(len(rests), max(1, PREFILL_TOKENS // width)):
            self.window.rows = rows
            hidden = future | (column < padding[rows, None])[:, None, :]
            hidden = torch.nn.functional.pad(hidden, (shared, 0))
            position = (column - padding[rows, None]).clamp_min(0) + shared
            logits.append(self._call(tokens[rows], hidden, position))
        return torch.cat(logits)

    def _call(self, tokens: torch.Tensor, hidden: torch.Tensor, position: torch.Tensor) -> torch.Tensor:
        """One forward over [rows, n] tokens; hidden [rows, n, positions so far]; the last logits."""
        mask = _additive(hidden, self.model.dtype)[:, None]
        return self._forward(tokens, mask, position)

    def _forward(self, tokens: torch.Tensor, mask: torch.Tensor, position: torch.Tensor) -> torch.Tensor:
        return self.model(
            input_ids=tokens, attention_mask=mask, position_ids=position, past_key_values=self.cache,
            use_cache=True, logits_to_keep=1,
        ).logits[:, -1]  # fmt: skip

    def forward(self, tokens: torch.Tensor) -> torch.Tensor:
        """One more token on every row; the logits after it."""
        if self.groups is None:
            self.mask = torch.nn.functional.pad(self.mask, (0, 1))
        if self.window.start == self.window.capacity:
            self.window.capacity += self.window.capacity // 2
            self._lay_out(torch.arange(len(tokens), device=tokens.device))
        logits = self._forward(tokens[:, None], self.mask, self.position[:, None])
        if self.groups is not None and self.groups.take_count() != len(self.cache.layers):
            name = type(self.model).__name__
            raise ModelError("the model's layers do not read their cache as others do", name, "", "serve it over HTTP")
        self.window.start += 1
        self.position = self.position + 1
        return logits

    def keep(self, running: torch.Tensor) -> torch.Tensor:
        """Drop the rows that ended; the rows that are left, as they now lie.

        The last rows move into the gaps, so that no more is copied than what ended.
        """
        n = int(running.sum())
        gaps, movers = (~running[:n]).nonzero()[:, 0], running[n:].nonzero()[:, 0] + n
        order = torch.arange(n, device=running.device)
        order[gaps] = movers
        for name in ("origin", "limit", "temperature", "top_p", "uniforms", "position"):
            setattr(self, name, getattr(self, name)[order])
        for layer in self.cache.layers if len(gaps) else ():
            layer.copy_rows(movers, gaps)
        self.window.rows = slice(0, n)
        if self.groups is None:
            self.mask = self.mask[order]
        elif n and self.groups.keep(order):
            for layer in self.cache.layers:
                layer.keep_prompts(self.groups.kept)
        return order

    def _lay_out(self, rows: torch.Tensor) -> None:
        for layer in self.cache.layers:
            layer.lay_out(rows, self.window.capacity)
        self.window.rows = slice(0, len(rows))


def _additive(hidden: torch.Tensor, dtype: torch.dtype) -> torch.Tensor:
    """0 where seen, the lowest finite number where hidden (a row that sees nothing must not become NaN)."""
    return torch.zeros(hidden.shape, dtype=dtype, device=hidden.device).masked_fill_(hidden, torch.finfo(dtype).min)


def _shared_length(prompts: Sequence[Sequence[int]]) -> int:
    """Tokens that all prompts begin with; each keeps at least one of its own."""
    first, last = prompts[0], prompts[-1]  # sorted: what these two share, all share
    most = min(map(len, prompts)) - 1
    return next((n for n in range(most) if first[n] != last[n]), most)


def _slices(n: int, size: int) -> list[slice]:
    return [slice(start, min(start + size, n)) for start in range(0, n, size)]
