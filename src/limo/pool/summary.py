"""What a pool in shards holds, noted in its folder by the command that wrote it and looked at by all that open it.

    write_summary(folder, counts, ["part-00000.parquet"])
    shards_in(folder)      # raises where a shard is missing, cut, of another pool, or one more than were written

`counts.json`: `counts` of rows kept (`kept`) and dropped, by reason, and `shards`: the size of each, and of what was
dropped and found beside it, and a hash of its end, where Parquet keeps what the whole file holds.
"""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from hashlib import blake2b
from pathlib import Path

from limo.core.errors import RESTORE, InputError, foreign_data
from limo.core.files import write_json
from limo.core.run_files import read_json

SUMMARY = "counts.json"
_END = 1 << 16  # bytes: the counts and bounds of each column, and a last part of the rows


def write_summary(
    folder: Path, counts: Mapping[str, int], shards: Sequence[str], sources: Sequence[str] = ()
) -> Counter[str]:
    """Note these shards of the folder beside those noted before, and the counts of all; the counts."""
    noted = read_json(folder / SUMMARY)["shards"] if (folder / SUMMARY).is_file() else {}
    for file in (file for name in shards for file in (folder / name, *folder.glob(f"*/{name}"))):
        noted[str(file.relative_to(folder))] = _contents(file)
    more = {"sources": list(sources)} if sources else {}
    write_json(folder / SUMMARY, {**more, "counts": dict(counts), "shards": noted})
    return Counter(counts)


def read_summary(folder: Path) -> tuple[Counter[str], list[str]] | None:
    """The counts and the names of the shards that were written; None for a folder without the note.

    Raises InputError where one of them is not as it was written.
    """
    if not (folder / SUMMARY).is_file():
        return None
    with foreign_data("this summary of a pool cannot be read", folder / SUMMARY, "what limo wrote", RESTORE):
        noted = read_json(folder / SUMMARY)
        counts, shards = Counter[str](noted["counts"]), dict[str, str](noted["shards"])
    names = [name for name in shards if "/" not in name]
    _refuse((name for name in shards if _contents(folder / name) != shards[name]), folder, len(names))
    return counts, names


def shards_in(folder: str | Path) -> list[Path]:
    """The Parquet files of a folder, in order.  Raises InputError where they are not those that were written."""
    found, summary = sorted(Path(folder).glob("*.parquet")), read_summary(Path(folder))
    if summary:
        _refuse((shard.name for shard in found if shard.name not in summary[1]), Path(folder), len(summary[1]))
    return found


def _refuse(others: Iterable[str], folder: Path, n: int) -> None:
    for name in others:
        what, allowed = "the shards of this pool are not those that were written", f"{n:,} shards, as {SUMMARY} says"
        raise InputError(what, folder / name, allowed, "remove the folder, and make the pool again")


def _contents(shard: Path) -> str:
    """Size of a shard and hash of its end; '' where it is missing."""
    if not shard.is_file():
        return ""
    with open(shard, "rb") as opened:
        n_bytes = opened.seek(0, os.SEEK_END)
        opened.seek(max(0, n_bytes - _END))
        return f"{n_bytes}-{blake2b(opened.read(), digest_size=8).hexdigest()}"
