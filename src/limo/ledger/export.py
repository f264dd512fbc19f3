"""A ledger as a table, failed rollouts included: Parquet, or a dataset folder that `datasets` loads.

A row is a rollout with its verdict; `system` and `sampling` are what the hashes stand for.
"""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from dataclasses import asdict
from itertools import islice
from pathlib import Path
from typing import Any

from limo.core.errors import InputError
from limo.core.files import atomic, storage_errors
from limo.core.records import Rollout
from limo.ledger.store import Ledger

BATCH = 2000  # rows in memory at once
_VERDICT = ("outcome", "extracted", "reason", "answer", "verifier")
_TEXTS = ("problem_id", "model", "text", "reasoning", "finish_reason", "error", *_VERDICT, "prompt_hash", "system",
          "sampling_hash", "sampling")  # fmt: skip
_NUMBERS = ("index", "n_prompt_tokens", "n_completion_tokens")


def export(ledger: str | Path, out: str | Path) -> int:
    """Write every rollout of a ledger, whole or not at all; how many.

    `out` ends in .parquet, or names a folder that does not exist.  Raises InputError, MissingFileError, StorageError.
    """
    import pyarrow as pa
    import pyarrow.parquet as pq

    out = Path(out)
    if out.suffix not in (".parquet", "") or (not out.suffix and out.exists()):
        allowed = "a .parquet, or a folder that does not exist"
        raise InputError("rollouts cannot be written there", out, allowed, "name another")
    file = out if out.suffix else out.with_name(f"{out.name}.parquet.tmp")
    fields = [(name, pa.large_string()) for name in _TEXTS] + [(name, pa.int64()) for name in _NUMBERS]
    schema = pa.schema([*fields, ("elapsed_s", pa.float64())])
    n = 0
    with Ledger(ledger, read_only=True) as opened, atomic(file) as temporary:
        definitions = opened.definitions()
        with pq.ParquetWriter(temporary, schema) as writer:
            rows = (_row(rollout, definitions) for rollout in opened.rollouts())
            while batch := list(islice(rows, BATCH)):
                writer.write_table(pa.Table.from_pylist(batch, schema))
                n += len(batch)
    if not out.suffix:
        _to_dataset_folder(file, out)
    return n


def _to_dataset_folder(file: Path, out: Path) -> None:
    from datasets import Dataset

    cache = out.with_name(f"{out.name}.cache.tmp")
    try:
        with storage_errors(out):
            Dataset.from_parquet(str(file), cache_dir=str(cache)).save_to_disk(str(out))
    finally:
        file.unlink(missing_ok=True)
        shutil.rmtree(cache, ignore_errors=True)


def _row(rollout: Rollout, definitions: dict[tuple[str, str], str]) -> dict[str, Any]:
    verdict = asdict(rollout.verdict) if rollout.verdict else {}
    return {
        "problem_id": rollout.problem_id,
        "model": rollout.model,
        "index": rollout.index,
        **asdict(rollout.completion),
        **{name: verdict.get(name) for name in _VERDICT},
        "prompt_hash": rollout.prompt_hash,
        "system": definitions.get(("prompt", rollout.prompt_hash), ""),
        "sampling_hash": rollout.sampling_hash,
        "sampling": definitions.get(("sampling", rollout.sampling_hash), ""),
    }


def summary_table(ledger: str | Path) -> Iterator[list[object]]:
    """A head, then a row for each model: rollouts, failures, verdicts by outcome, cancelled requests and tokens."""
    outcomes = ("correct", "wrong", "no_answer", "truncated", "undecided")
    yield ["model", "rollouts", "failed", "correct", "wrong", "no answer", "cut", "undecided", "cancelled", "tokens"]
    with Ledger(ledger, read_only=True) as opened:
        for model, usage in sorted(opened.usage_by_model().items()):
            n_by_outcome = opened.n_by_outcome(model)
            counts = [n_by_outcome.get(name, 0) for name in ("error", *outcomes)]
            n_tokens = usage.n_prompt_tokens + usage.n_completion_tokens
            yield [model, usage.n_rollouts, *counts, opened.n_lost(model), n_tokens]
