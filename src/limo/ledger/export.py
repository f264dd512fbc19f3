"""A ledger as a table, failed rollouts included: Parquet, or a dataset folder that `datasets` loads.

A row is a rollout with its verdict; `system` and `sampling` are what the hashes stand for.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import asdict
from itertools import islice
from pathlib import Path
from typing import Any

from limo.core.errors import InputError
from limo.core.files import atomic, atomic_folder, remove
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
    out = Path(out)
    is_dataset = (out / "state.json").is_file()  # an earlier export, which is replaced
    if out.suffix not in (".parquet", "") or (not out.suffix and out.exists() and not is_dataset):
        allowed = "a .parquet, or a folder that does not exist or holds an earlier export"
        raise InputError("rollouts cannot be written there", out, allowed, "name another")
    if not out.suffix:
        with atomic_folder(out) as folder:
            return _to_dataset_folder(ledger, folder)
    return _to_parquet(ledger, out)


def _to_parquet(ledger: str | Path, out: Path) -> int:
    import pyarrow as pa
    import pyarrow.parquet as pq

    fields = [(name, pa.large_string()) for name in _TEXTS] + [(name, pa.int64()) for name in _NUMBERS]
    schema = pa.schema([*fields, ("elapsed_s", pa.float64())])
    n = 0
    with Ledger(ledger, read_only=True) as opened, atomic(out) as temporary:
        definitions = opened.definitions()
        with pq.ParquetWriter(temporary.absolute(), schema) as writer:
            rows = (_row(rollout, definitions) for rollout in opened.rollouts())
            while batch := list(islice(rows, BATCH)):
                writer.write_table(pa.Table.from_pylist(batch, schema))
                n += len(batch)
    return n


def _to_dataset_folder(ledger: str | Path, folder: Path) -> int:
    from datasets import Dataset

    file, cache = folder / "rollouts.parquet", folder / "cache"
    n = _to_parquet(ledger, file)
    Dataset.from_parquet(str(file), cache_dir=str(cache)).save_to_disk(str(folder))
    remove(file)
    remove(cache)
    return n


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
    """A head, then a row for each model: rollouts, failures, verdicts by outcome, cancelled requests and tokens,
    with who counted them."""
    outcomes = ("correct", "wrong", "no_answer", "truncated", "undecided")
    yield ["model", "rollouts", "failed", "correct", "wrong", "no answer", "cut", "undecided", "cancelled", "tokens",
           "token counts"]  # fmt: skip
    with Ledger(ledger, read_only=True) as opened:
        estimated = opened.estimated()
        for model, usage in sorted(opened.usage_by_model().items()):
            n_by_outcome = opened.n_by_outcome(model)
            counts = [n_by_outcome.get(name, 0) for name in ("error", *outcomes)]
            n_tokens = usage.n_prompt_tokens + usage.n_completion_tokens
            yield [
                model,
                usage.n_rollouts,
                *counts,
                opened.n_lost(model),
                n_tokens,
                "estimated" if model in estimated else "reported",
            ]
