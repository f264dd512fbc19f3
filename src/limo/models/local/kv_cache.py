"""The key-value cache of `decode`, written in place, and the attention of one new token a row over it.

    layer = PreallocatedCacheLayer(Window(n_rows, capacity))           # transformers calls `update` and `attend`

Imports torch at once, so it is imported only where a model is used.
"""

from __future__ import annotations

from typing import Any

import torch
from transformers.cache_utils import DynamicLayer
from transformers.integrations.sdpa_attention import sdpa_attention_forward

ATTENTION = "limo_rows"  # the name of `attend` in transformers


class Window:
    """Which rows and from which position the next forward pass writes; shared by all layers of a cache."""

    def __init__(self, n_rows: int, capacity: int) -> None:
        self.rows, self.start, self.n_rows, self.capacity = slice(0, n_rows), 0, n_rows, capacity


class PreallocatedCacheLayer(DynamicLayer):
    """Keys [rows, heads, dim, capacity] and values [rows, heads, capacity, dim], written in place, read as views.

    Keys have their positions last because the product with one query reads them faster so.
    """

    is_initialized: bool

    def __init__(self, window: Window) -> None:
        super().__init__()
        self.window = window

    def update(self, key: torch.Tensor, value: torch.Tensor, *_: object, **__: object) -> tuple[Any, Any]:
        """Write the new positions of the window's rows; those rows up to here, each [rows, heads, positions, dim]."""
        window = self.window
        end = window.start + key.shape[2]
        if not self.is_initialized:
            self.keys = key.new_empty((window.n_rows, key.shape[1], key.shape[3], window.capacity))
            self.values = value.new_empty((window.n_rows, value.shape[1], window.capacity, value.shape[3]))
            self.is_initialized = True
        self.keys[window.rows, :, :, window.start : end] = key.transpose(2, 3)
        self.values[window.rows, :, window.start : end] = value
        return self.keys[window.rows, :, :, :end].transpose(2, 3), self.values[window.rows, :, :end]

    def get_seq_length(self) -> int:
        """Positions written before the next forward pass."""
        return self.window.start

    def copy_rows(self, source: torch.Tensor, target: torch.Tensor) -> None:
        """Write some rows over others, as far as they are filled."""
        n = self.window.start
        self.keys[target, :, :, :n] = self.keys[source, :, :, :n]
        self.values[target, :, :n] = self.values[source, :, :n]

    def select_rows(self, rows: torch.Tensor, capacity: int) -> None:
        """Become these rows, in this order (one may come more than once), with room for `capacity` positions."""
        n, keys, values = self.window.start, self.keys, self.values
        self.keys = keys.new_empty((len(rows), *keys.shape[1:3], capacity))
        self.values = values.new_empty((len(rows), values.shape[1], capacity, values.shape[3]))
        self.keys[:, :, :, :n] = keys[:, :, :, :n].index_select(0, rows)
        self.values[:, :, :n] = values[:, :, :n].index_select(0, rows)


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
    grouped = (query * scale).reshape(n_rows * n_groups, n_heads // n_groups, dim)
    weights = torch.bmm(grouped, key.transpose(2, 3).flatten(0, 1)).view(n_rows, n_heads, -1)
    weights = (weights + attention_mask[:, 0]).softmax(-1)
    mixed = torch.bmm(weights.view(n_rows * n_groups, n_heads // n_groups, -1), value.flatten(0, 1))
    return mixed.view(n_rows, 1, n_heads, value.shape[-1]), None
