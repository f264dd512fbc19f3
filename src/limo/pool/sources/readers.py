"""Raw rows of every source of a pool: files and folders, datasets on the hub, problems made anew."""

from __future__ import annotations

from collections.abc import Iterator
from functools import lru_cache
from pathlib import Path

from limo.core.errors import MissingFileError
from limo.core.files import MADE_FROM, PACKED, TABLE_SUFFIXES, kind_of
from limo.core.rows import ALLOWED, SourceRow, numbered, read_file, splits
from limo.core.text import shorten
from limo.pool.summary import shards_in

GENERATED = "reasoning-gym:"


def rows(source: str | Path) -> Iterator[SourceRow]:
    """All rows of a file, a folder of files (sorted by path), a dataset saved to disk or on the hub, or made anew.

    Of a pool that a command wrote: its shards, and nothing of what was dropped.
    What is made anew is named `reasoning-gym:TASK?size=500&seed=0`, with any setting of the task (see `generators`).

    Raises MissingFileError, InputError (nothing readable there, or empty) and StorageError (damaged file).
    """
    if str(source).startswith(GENERATED):
        from limo.pool.sources.generators import generate_problems

        yield from numbered(generate_problems(str(source).removeprefix(GENERATED)), str(source).partition("?")[0])
    elif not Path(source).exists() and _is_hub_id(str(source)):
        yield from table_of_hub(str(source))
    elif (Path(source) / MADE_FROM).is_file():
        for shard in shards_in(source):
            yield from read_file(shard)
    else:
        yield from read_file(source)


@lru_cache(maxsize=256)
def stem(name: str) -> str:
    """The name of a pool file without its suffixes: `pools/a.b.jsonl.gz` -> `a.b`."""
    base = Path(name).name
    for suffix in (*PACKED, *TABLE_SUFFIXES):
        base = base.removesuffix(suffix)
    return base


def _is_hub_id(source: str) -> bool:
    parts = source.split("/")
    return len(parts) == 2 and all(parts) and not source.startswith((".", "~")) and not kind_of(source)


def table_of_hub(
    hub_id: str, config: str = "", split: str = "", revision: str = "", benchmark: str = ""
) -> Iterator[SourceRow]:
    """The rows of a data set on the hub, or from its cache where the hub is out of reach.

    Raises MissingFileError, with the client's reason, where neither has it; `benchmark`: the name that a file takes.
    """
    import datasets

    try:
        loaded = datasets.load_dataset(hub_id, config or None, split=split or None, revision=revision or None)
    except (OSError, ValueError, RuntimeError) as error:  # offline, gated, absent, several configurations
        why = shorten(f"{type(error).__name__}: {error}", 160)
        if benchmark:
            what, do = f"the hub did not give the benchmark {benchmark}", f"name a file of it: {benchmark}=FILE"
            raise MissingFileError(what, f"{hub_id}: {why}", ALLOWED, do) from None
        raise MissingFileError("no such path, and the hub did not give it", hub_id, ALLOWED, why) from None
    yield from splits(loaded, hub_id)
