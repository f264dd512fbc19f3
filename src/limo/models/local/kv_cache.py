"""The cache of `decode` and the attention over it: keys and values written in place, prompts kept once.

At a batch of a few hundred rows one-token attention is bound by memory: every row's keys and values are read for every
token.  The attempts at one problem have the prompt in common, which is most of what they read, so it is kept once a
problem and met by all their queries in one product.

    layer = Layer(Window(n_rows, capacity))           # transformers calls `update`, `attend` does the rest
    groups = Groups(mask, group_of_row)
    layer.share(groups, n_positions)

What it does not do: choose tokens or move rows (decode does).  Imports torch at once, as decode does.
"""

from __future__ import annotations

from typing import Any

import torch
from transformers.cache_utils import DynamicLayer
from transformers.integrations.sdpa_attention import sdpa_attention_forward

NAME = "limo_rows"  # what transformers calls `attend`


class Window:
    """Which rows and from which position the next forward writes; shared by all layers of a cache."""

    def __init__(self, n_rows: int, capacity: int) -> None:
        self.rows, self.start, self.n_rows, self.capacity = slice(0, n_rows), 0, n_rows, capacity


class Layer(DynamicLayer):
    """Keys [rows, heads, dim, capacity] and values [rows, heads, capacity, dim], written in place, read as views.

    Keys lie with their positions last because the product with one query reads them faster so.
    """

    is_initialized: bool

    def __init__(self, window: Window) -> None:
        super().__init__()
        self.window = window
        self.groups: Groups | None = None

    def update(self, key: torch.Tensor, value: torch.Tensor, *_: object, **__: object) -> tuple[Any, Any]:
        """Write the new positions of the window's rows; those rows up to here, each [rows, heads, positions, dim]."""
        at = self.window
        end = at.start + key.shape[2]
        if not self.is_initialized:
            self.keys = key.new_empty((at.n_rows, key.shape[1], key.shape[3], at.capacity))
            self.values = value.new_empty((at.n_rows, value.shape[1], at.capacity, value.shape[3]))
            self.is_initialized = True
        self.keys[at.rows, :, :, at.start : end] = key.transpose(2, 3)
        self.values[at.rows, :, at.start : end] = value
        key = self.keys[at.rows, :, :, :end].transpose(2, 3)
        if self.groups is not None:
            key.limo_layer = self  # attend finds the prompts by it
        return key, self.values[at.rows, :, :end]

    def share(self, groups: Groups, n_positions: int) -> None:
        """Keep what was written as the prompts of `groups`; the window that follows is for the rows' own positions."""
        self.groups, self.is_initialized = groups, False
        self.prompt_keys = self.keys[:, :, :, :n_positions].contiguous()
        self.prompt_values = self.values[:, :, :n_positions].contiguous()

    def keep_prompts(self, kept: torch.Tensor) -> None:
        """Only these groups, in this order."""
        self.prompt_keys, self.prompt_values = self.prompt_keys[kept], self.prompt_values[kept]

    def get_seq_length(self) -> int:
        """Positions written before the next forward."""
        return self.window.start

    def copy_rows(self, source: torch.Tensor, target: torch.Tensor) -> None:
        """Write some rows over others, so far as they are filled."""
        n = self.window.start
        self.keys[target, :, :, :n] = self.keys[source, :, :, :n]
        self.values[target, :, :n] = self.values[source, :, :n]

    def lay_out(self, rows: torch.Tensor, capacity: int) -> None:
        """Make these rows, in this order (one may come more than once), with room for `capacity` positions."""
        n, keys, values = self.window.start, self.keys, self.values
        self.keys = keys.new_empty((len(rows), *keys.shape[1:3], capacity))
        self.values = values.new_empty((len(rows), values.shape[1], capacity, values.shape[3]))
        self.keys[:, :, :, :n] = keys[:, :, :, :n].index_select(0, rows)
        self.values[:, :, :n] = values[:, :, :n].index_select(0, rows)


class Groups:
    """Which rows have which prompt.  Each row has a slot in its group: `group` and `slot` [rows], `size` slots each.

    `mask` [groups, 1, 1, positions] is added to the weights of the prompts.
    """

    def __init__(self, mask: torch.Tensor, group: torch.Tensor) -> None:
        self.mask, self.group, self.kept = mask, group, group
        self._count = 0
        self._seat()

    def keep(self, order: torch.Tensor) -> bool:
        """The rows that are left, as they now lie; True when half of the groups are gone and only `kept` stay."""
        self.group = self.group[order]
        left = torch.unique(self.group)
        is_less = 2 * len(left) <= len(self.mask)
        if is_less:
            self.kept, self.group = left, torch.searchsorted(left, self.group)
            self.mask = self.mask[left]
        self._seat()
        return is_less

    def _seat(self) -> None:
        n = torch.bincount(self.group, minlength=len(self.mask))
        order = torch.argsort(self.group, stable=True)
        self.size = int(n.max())
        self.slot = torch.empty_like(self.group)
        self.slot[order] = torch.arange(len(order), device=order.device) - (n.cumsum(0) - n)[self.group[order]]

    def take_count(self) -> int:
        """How many layers have looked at the prompts since this was last asked."""
        count, self._count = self._count, 0
        return count

    def seat(self, rows: torch.Tensor) -> torch.Tensor:
        """[rows, kv heads, n, ...] to [groups, kv heads, size, n, ...]; empty slots hold zeros."""
        seated = rows.new_zeros(len(self.mask), rows.shape[1], self.size, *rows.shape[2:])
        seated.transpose(1, 2)[self.group, self.slot] = rows
        return seated

    def rows(self, seated: torch.Tensor) -> torch.Tensor:
        """The way back."""
        return seated.transpose(1, 2)[self.group, self.slot]

    def count(self) -> None:
        self._count += 1


def attend(
    module: Any, query: torch.Tensor, key: torch.Tensor, value: torch.Tensor, attention_mask: torch.Tensor | None,
    scaling: float | None = None, dropout: float = 0.0, **kwargs: Any,
) -> tuple[torch.Tensor, None]:  # fmt: skip
    """Attention of one new token a row over the cache in place; longer queries go the usual way.

    query [rows, heads, 1, dim], key and value [rows, kv heads, n, dim]; the result [rows, 1, heads, dim].
    """
    n_rows, n_heads, n_queries, dim = query.shape
    if n_queries > 1 or attention_mask is None:
        return sdpa_attention_forward(
            module, query, key, value, attention_mask, dropout=dropout, scaling=scaling, **kwargs
        )
    n_groups = key.shape[1]
    scale = dim**-0.5 if scaling is None else scaling
    layer = getattr(key, "limo_layer", None)
    if layer is not None:
        return _with_prompts(query * scale, key, value, layer), None
    grouped = (query * scale).reshape(n_rows * n_groups, n_heads // n_groups, dim)
    weights = torch.bmm(grouped, key.transpose(2, 3).flatten(0, 1)).view(n_rows, n_heads, -1)
    weights = (weights + attention_mask[:, 0]).softmax(-1)
    mixed = torch.bmm(weights.view(n_rows * n_groups, n_heads // n_groups, -1), value.flatten(0, 1))
    return mixed.view(n_rows, 1, n_heads, value.shape[-1]), None


def _with_prompts(query: torch.Tensor, key: torch.Tensor, value: torch.Tensor, layer: Layer) -> torch.Tensor:
    """As `attend`, over a prompt that several rows share and each row's own positions behind it."""
    groups = layer.groups
    assert groups is not None
    groups.count()
    n_rows, n_heads, _, dim = query.shape
    n_kv, n_own, n_prompt = key.shape[1], key.shape[2], layer.prompt_values.shape[2]
    each = query.reshape(n_rows, n_kv, n_heads // n_kv, dim)
    flat = groups.seat(each).view(len(groups.mask) * n_kv, -1, dim)
    seated = torch.bmm(flat, layer.prompt_keys.flatten(0, 1)).view(len(groups.mask), n_kv, -1, n_prompt) + groups.mask
    seen = groups.rows(seated.view(len(groups.mask), n_kv, groups.size, -1, n_prompt))
    own = torch.bmm(each.flatten(0, 1), key.transpose(2, 3).flatten(0, 1)).view(n_rows, n_kv, -1, n_own)
    weights = torch.cat([seen, own], dim=-1).softmax(-1)
    seated = groups.seat(weights[..., :n_prompt]).view(len(groups.mask) * n_kv, -1, n_prompt)
    mixed = torch.bmm(seated, layer.prompt_values.flatten(0, 1))
    mixed = groups.rows(mixed.view(len(groups.mask), n_kv, groups.size, -1, dim))
    mixed = mixed + torch.bmm(weights[..., n_prompt:].flatten(0, 1), value.flatten(0, 1)).view_as(mixed)
    return mixed.reshape(n_rows, 1, n_heads, dim)
