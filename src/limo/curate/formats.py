"""A selected dataset in the formats that trainers and hubs read.

| format | what is written | read by |
|---|---|---|
| hf | a folder: `data/train.parquet` and the card | `datasets.load_dataset(folder)`, TRL, the hub as it is |
| openai | JSON lines of `messages` | fine-tuning APIs, and most trainers |
| sharegpt | JSON lines of `system` and `conversations` (human, gpt) | trainers of that family |
| llamafactory | a folder: `limo.json`, `dataset_info.json` | LLaMA-Factory: `dataset: limo`, `dataset_dir: FOLDER` |
| axolotl | a folder: `limo.jsonl` and `datasets.yaml`, to be put into its config | Axolotl |

No message is changed; the system text stands in every row of every format.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Literal, get_args

from limo.core.bounded_yaml import load_yaml
from limo.core.errors import InputError
from limo.core.files import atomic, atomic_folder
from limo.core.records import Row
from limo.core.rows import json_line

Format = Literal["hf", "openai", "sharegpt", "llamafactory", "axolotl"]
FORMATS: tuple[Format, ...] = get_args(Format)
_SHAREGPT_NAMES = {"system": "system", "user": "human", "assistant": "gpt"}


def write_format(
    rows: Sequence[Row],
    format: Format,
    path: str | Path,
    card: str = "",
    tables: Mapping[str, Sequence[Row]] | None = None,
) -> Path:
    """Write `rows` (each with `messages`) in a format, whole or not at all; `tables`: further ones for `hf`, by name.

    Raises InputError (unknown format, rows without messages, a folder that would replace something), StorageError.
    """
    path = Path(path)
    if format not in FORMATS:
        raise InputError("there is no such format", format, known=FORMATS, do="name one of them with --to")
    chats = [{"messages": _messages(row, number)} for number, row in enumerate(rows, 1)]
    if format in ("openai", "sharegpt"):
        lines = chats if format == "openai" else [_sharegpt_row(chat) for chat in chats]
        with atomic(path) as temporary:
            temporary.write_bytes(b"".join(map(json_line, lines)))
        return path
    if path.exists() and not path.is_dir():
        raise InputError("a folder cannot be written there", path, "a new or an empty folder", "name another with -o")
    with atomic_folder(path, only_like_itself=True, more=tables or {}) as temporary:
        if format == "hf":
            _write_hub(rows, temporary, card, tables or {})
        elif format == "llamafactory":
            _write_llamafactory(chats, temporary)
        else:
            _write_axolotl(chats, temporary)
    return path


def _sharegpt_row(row: Row) -> Row:
    """One row in ShareGPT's words: the system text apart, then human and gpt in turn."""
    turns = [{"from": _SHAREGPT_NAMES[turn["role"]], "value": turn["content"]} for turn in row["messages"]]
    system = "\n\n".join(turn["value"] for turn in turns if turn["from"] == "system")
    return {"conversations": [turn for turn in turns if turn["from"] != "system"]} | (
        {"system": system} if system else {}
    )


def _messages(row: Row, number: int) -> list[dict[str, str]]:
    messages = row.get("messages")
    is_chat = isinstance(messages, list) and messages and all(turn.get("role") in _SHAREGPT_NAMES for turn in messages)
    if not is_chat:
        raise InputError(f"row {number} has no messages", ", ".join(row), "turns of system, user, assistant", "")
    return [{"role": turn["role"], "content": turn["content"]} for turn in row["messages"]]


def _write_hub(rows: Sequence[Row], folder: Path, card: str, tables: Mapping[str, Sequence[Row]]) -> None:
    """Parquet files and the card; its header names the tables, so that the first is what `load_dataset` gives."""
    import pyarrow as pa
    import pyarrow.parquet as pq
    import yaml

    files = {"default": "data/train.parquet", **{name: f"{name}/train.parquet" for name in tables}}
    for name, table in {"default": rows, **tables}.items():
        ((folder / files[name]).absolute()).parent.mkdir(parents=True)
        pq.write_table(pa.Table.from_pylist(list(table)), (folder / files[name]).absolute())
    configs = [{"config_name": name, "data_files": file} for name, file in files.items()]
    head, _, body = card.removeprefix("---\n").partition("\n---") if card.startswith("---\n") else ("", "", "\n" + card)
    values = load_yaml(head)[0] or {}
    header = yaml.safe_dump({**values, "configs": configs}, sort_keys=False, allow_unicode=True)
    (folder / "README.md").write_text(f"---\n{header}---{body}", encoding="utf-8")


def _write_llamafactory(rows: Sequence[Row], folder: Path) -> None:
    tags = {"role_tag": "role", "content_tag": "content"} | {f"{role}_tag": role for role in _SHAREGPT_NAMES}
    entry = {"file_name": "limo.json", "formatting": "sharegpt", "columns": {"messages": "messages"}, "tags": tags}
    (folder / "limo.json").write_bytes(b"[\n" + b",\n".join(json_line(row).rstrip() for row in rows) + b"\n]\n")
    (folder / "dataset_info.json").write_text(json.dumps({"limo": entry}, indent=1) + "\n", encoding="ascii")


def _write_axolotl(rows: Sequence[Row], folder: Path) -> None:
    import yaml

    (folder / "limo.jsonl").write_bytes(b"".join(map(json_line, rows)))
    mapping = {"role": "role", "content": "content"}
    entry = {"path": "limo.jsonl", "ds_type": "json", "type": "chat_template", "field_messages": "messages"}
    config = {"datasets": [{**entry, "message_property_mappings": mapping, "roles_to_train": ["assistant"]}]}
    (folder / "datasets.yaml").write_text(yaml.safe_dump(config, sort_keys=False), encoding="utf-8")
