"""A ledger as a table of its own, failures included: Parquet, or a dataset folder that `datasets` loads.

    n = export("runs/a/ledger.sqlite", "rollouts.parquet")
    n = export("runs/a/ledger.sqlite", "rollouts")            # datasets.load_from_disk("rollouts")

A row is a rollout: who, how and which, the text and thought, counts and times, the error where it failed, and its
verdict.  `system` and `sampling` say what the hashes stand for.

What it does not do: choose rows; that is what the columns are for.
"""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from itertools import islice
from pathlib import Path
from typing import Any

from limo.core.errors import InputError
from limo.core.files import atomic, storage_errors
from limo.core.records import Rollout
from limo.ledger.store import Ledger

BATCH = 2000  # rows in memory at once


def export(ledger: str | Path, out: str | Path) -> int:
    """Write every rollout of a ledger, whole or not at all; how many.

    `out` ends in .parquet, or names a folder that is not there yet.  Raises InputError, MissingFileError, StorageError.
    """
    import pyarrow as pa
    import pyarrow.parquet as pq

    out = Path(out)
    if out.suffix not in (".parquet", "") or (not out.suffix and out.exists()):
        raise InputError(
            "rollouts cannot be written so", out, "a .parquet, or a folder that is not there", "name another"
        )
    file = out if out.suffix else out.with_name(f"{out.name}.parquet.tmp")
    n = 0
    with Ledger(ledger, read_only=True) as opened, atomic(file) as aside:
        meanings = opened.meanings()
        with pq.ParquetWriter(aside, _schema(pa)) as sink:
            rows = (_row(rollout, meanings) for rollout in opened.rollouts())
            while batch := list(islice(rows, BATCH)):
                sink.write_table(pa.Table.from_pylist(batch, _schema(pa)))
                n += len(batch)
    if not out.suffix:
        _as_folder(file, out)
    return n


def _as_folder(file: Path, out: Path) -> None:
    from datasets import Dataset

    cache = out.with_name(f"{out.name}.cache.tmp")
    try:
        with storage_errors(out):
            Dataset.from_parquet(str(file), cache_dir=str(cache)).save_to_disk(str(out))
    finally:
        file.unlink(missing_ok=True)
        shutil.rmtree(cache, ignore_errors=True)


def _row(r: Rollout, meanings: dict[tuple[str, str], str]) -> dict[str, Any]:
    c, v = r.completion, r.verdict
    row: dict[str, Any] = {"problem_id": r.problem_id, "model": r.model, "index": r.index}
    row |= {"text": c.text, "reasoning": c.reasoning, "finish_reason": c.finish_reason, "error": c.error}
    row |= {
        "n_prompt_tokens": c.n_prompt_tokens,
        "n_completion_tokens": c.n_completion_tokens,
        "elapsed_s": c.elapsed_s,
    }
    row |= {"outcome": v.outcome, "extracted": v.extracted, "reason": v.reason, "answer": v.answer} if v else {}
    row |= {"prompt_hash": r.prompt_hash, "system": meanings.get(("prompt", r.prompt_hash), "")}
    return row | {"sampling_hash": r.sampling_hash, "sampling": meanings.get(("sampling", r.sampling_hash), "")}


def _schema(pa: Any) -> Any:
    texts = ["problem_id", "model", "text", "reasoning", "finish_reason", "error", "outcome", "extracted", "reason",
             "answer", "prompt_hash", "system", "sampling_hash", "sampling"]  # fmt: skip
    numbers = ["index", "n_prompt_tokens", "n_completion_tokens"]
    fields = [(name, pa.large_string()) for name in texts] + [(name, pa.int64()) for name in numbers]
    return pa.schema([*fields, ("elapsed_s", pa.float64())])


def lines(ledger: str | Path) -> Iterator[list[object]]:
    """What a ledger holds, for a person: a head, then by model rollouts, failures, verdicts by outcome and tokens."""
    yield ["model", "rollouts", "failed", "correct", "wrong", "no answer", "cut", "undecided", "cancelled", "tokens"]
    with Ledger(ledger, read_only=True) as opened:
        for model, (n, n_in, n_out) in sorted(opened.spent().items()):
            counts = opened.n_by_outcome(model)
            told = [counts.get(name, 0) for name in ("correct", "wrong", "no_answer", "truncated", "undecided")]
            yield [model, n, counts.get("error", 0), *told, opened.n_lost(model), n_in + n_out]


__all__ = ["export", "lines"]
