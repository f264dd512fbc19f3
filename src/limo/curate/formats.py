"""A selected dataset in the shapes that trainers and hubs read.

| to | what is written | read by |
|---|---|---|
| hf | a folder: `data/train.parquet` and the card | `datasets.load_dataset(folder)`, TRL, the hub as it is |
| openai | JSON lines of `messages` | fine-tuning APIs, and most trainers |
| sharegpt | JSON lines of `system` and `conversations` (human, gpt) | trainers of that family |
| llamafactory | a folder: `limo.json`, `dataset_info.json` | LLaMA-Factory: `dataset: limo`, `dataset_dir: FOLDER` |
| axolotl | a folder: `limo.jsonl` and `datasets.yaml`, to be put into its config | Axolotl |

The system text stands in every row of every form, because some trainers' templates otherwise put in another.

    write(rows, "llamafactory", "out/lf", card="# ...")

What it does not do: change a message.  Whoever reads the rows back finds the same messages (`messages_of` does, for
`openai` and `sharegpt`).
"""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, Literal

from limo.core.errors import InputError
from limo.core.files import atomic, storage_errors

Row = dict[str, Any]
Format = Literal["hf", "openai", "sharegpt", "llamafactory", "axolotl"]
FORMATS: tuple[Format, ...] = ("hf", "openai", "sharegpt", "llamafactory", "axolotl")
_NAMES = {"system": "system", "user": "human", "assistant": "gpt"}
_ROLES = {name: role for role, name in _NAMES.items()}


def write(
    rows: Sequence[Row], to: Format, path: str | Path, card: str = "", beside: Mapping[str, Sequence[Row]] | None = None
) -> Path:
    """Write `rows` (each with `messages`) as `to`; `beside` are other tables for `hf`, by name, such as pass rates.

    Files and folders appear whole or not at all.  Raises InputError for a format that there is not, for rows without
    messages, and where a folder would take the place of something else; StorageError when the disk refuses.
    """
    path = Path(path)
    if to not in FORMATS:
        raise InputError("there is no such format", to, ", ".join(FORMATS), "name one of them with --to")
    plain = [{"messages": _messages(row, number)} for number, row in enumerate(rows, 1)]
    if to in ("openai", "sharegpt"):
        with atomic(path) as aside:
            aside.write_text(_lines(plain if to == "openai" else map(sharegpt, plain)), encoding="ascii")
        return path
    if path.exists() and (not path.is_dir() or any(path.iterdir())):
        raise InputError("a folder cannot be written there", path, "a new or an empty folder", "name another with -o")
    makers: dict[str, Callable[[Path], None]] = {
        "hf": lambda folder: _hub(rows, folder, card, beside or {}),
        "llamafactory": lambda folder: _llamafactory(plain, folder),
        "axolotl": lambda folder: _axolotl(plain, folder),
    }
    _folder(path, makers[to])
    return path


def sharegpt(row: Row) -> Row:
    """One row in ShareGPT's words: the system text apart, then human and gpt in turn."""
    system = "\n\n".join(one["content"] for one in row["messages"] if one["role"] == "system")
    turns = [one for one in row["messages"] if one["role"] != "system"]
    said = [{"from": _NAMES[one["role"]], "value": one["content"]} for one in turns]
    return {"conversations": said, **({"system": system} if system else {})}


def messages_of(row: Row) -> list[dict[str, str]]:
    """The messages of a row as `openai` or `sharegpt` wrote it."""
    if "messages" in row:
        return list(row["messages"])
    head = [{"role": "system", "content": row["system"]}] if row.get("system") else []
    return head + [{"role": _ROLES[one["from"]], "content": one["value"]} for one in row["conversations"]]


def _messages(row: Row, number: int) -> list[dict[str, str]]:
    messages = row.get("messages")
    if not isinstance(messages, list) or not messages or any(one.get("role") not in _NAMES for one in messages):
        raise InputError(f"row {number} has no messages", ", ".join(row), "turns of system, user, assistant", "")
    return [{"role": one["role"], "content": one["content"]} for one in messages]


def _lines(rows: Any) -> str:
    return "".join(json.dumps(row) + "\n" for row in rows)  # escapes carry whatever a model wrote


def _folder(path: Path, make: Callable[[Path], None]) -> None:
    """Make a folder aside and put it in place at once."""
    aside = path.with_name(f".{path.name}.{os.getpid()}.tmp")
    with storage_errors(path):
        try:
            shutil.rmtree(aside, ignore_errors=True)
            aside.mkdir(parents=True)
            make(aside)
            if path.exists():
                path.rmdir()
            os.replace(aside, path)
        finally:
            shutil.rmtree(aside, ignore_errors=True)


def _hub(rows: Sequence[Row], folder: Path, card: str, beside: Mapping[str, Sequence[Row]]) -> None:
    """Parquet files and the card; its header names the tables, so that the first is what `load_dataset` gives."""
    import yaml

    tables = {
        "default": ("data/train.parquet", rows),
        **{n: (f"{n}/train.parquet", some) for n, some in beside.items()},
    }
    for file, some in tables.values():
        (folder / file).parent.mkdir(parents=True)
        _parquet(some, folder / file)
    configs = [{"config_name": name, "data_files": file} for name, (file, _) in tables.items()]
    head, _, body = card.removeprefix("---\n").partition("\n---") if card.startswith("---\n") else ("", "", "\n" + card)
    told = yaml.safe_load(head) or {}
    header = yaml.safe_dump({**told, "configs": configs}, sort_keys=False, allow_unicode=True)
    (folder / "README.md").write_text(f"---\n{header}---{body}", encoding="utf-8")


def _parquet(rows: Sequence[Row], path: Path) -> None:
    import pyarrow as pa
    import pyarrow.parquet as pq

    pq.write_table(pa.Table.from_pylist(list(rows)), path)


def _llamafactory(rows: Sequence[Row], folder: Path) -> None:
    tags = {"role_tag": "role", "content_tag": "content"} | {f"{role}_tag": role for role in _NAMES}
    entry = {"file_name": "limo.json", "formatting": "sharegpt", "columns": {"messages": "messages"}, "tags": tags}
    (folder / "limo.json").write_text(json.dumps(list(rows), indent=1), encoding="ascii")
    (folder / "dataset_info.json").write_text(json.dumps({"limo": entry}, indent=1) + "\n", encoding="ascii")


def _axolotl(rows: Sequence[Row], folder: Path) -> None:
    import yaml

    (folder / "limo.jsonl").write_text(_lines(rows), encoding="ascii")
    mapping = {"role": "role", "content": "content"}
    entry = {"path": "limo.jsonl", "ds_type": "json", "type": "chat_template", "field_messages": "messages"}
    told = {"datasets": [{**entry, "message_property_mappings": mapping, "roles_to_train": ["assistant"]}]}
    (folder / "datasets.yaml").write_text(yaml.safe_dump(told, sort_keys=False), encoding="utf-8")
