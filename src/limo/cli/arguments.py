"""What is checked of the arguments of every command before it begins: none is empty, no option lacks its partner, and
outputs have names that can be written, are no input, and end as what is written in them.

    check_arguments("pool ingest", {"sources": ("rows.jsonl",), "output": "rows.csv"})  # InputError
"""

from __future__ import annotations

import contextlib
import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import click
from click.core import ParameterSource

from limo.core.errors import InputError
from limo.core.files import MADE_FROM, PACKED, TABLE_SUFFIXES
from limo.core.rows import WRITTEN, check_name

OUTPUTS = ("output", "dropped", "conflicts", "evidence", "report", "data", "charts", "judgements")
"""Parameters of commands that name a file or folder to write."""
WORDS = ("FORMAT", "KIND", "NAME", "REPO")
"""Metavars of parameters that name no file."""

WRITERS = (*OUTPUTS, "run", "ledger")
"""These, and parameters that name a file or folder to go on with."""
_ENDINGS = (
    *TABLE_SUFFIXES, *PACKED, ".html", ".htm", ".pdf", ".sqlite", ".sqlite3", ".db", ".yaml", ".yml", ".txt", ".md",
    ".xlsx", ".zip", ".tar", ".svg", ".png", ".safetensors", ".gguf",
)  # fmt: skip
FOLDER, LINES, LEDGER, PAGE = (), (".jsonl", ".ndjson", ".json"), (".sqlite", ".sqlite3", ".db"), (".html", ".htm")
_POOL = (*WRITTEN, "")
_OUTPUTS_OF = {  # the endings that its output may have besides none, "" where a folder may be meant; rows must have one
    "grade": WRITTEN, "select": WRITTEN, "benchmarks fetch": WRITTEN,
    "pool ingest": _POOL, "pool dedup": _POOL, "pool decontaminate": _POOL,
    "ledger export": (".parquet", ""),
    "ledger merge": LEDGER, "report": PAGE, "init": FOLDER, "pool strata": FOLDER, "scores export": FOLDER,
    "pocket pretrain": FOLDER,
}  # fmt: skip
_KIND_OF = {
    "dropped": WRITTEN, "conflicts": WRITTEN, "evidence": (".parquet",), "report": PAGE, "data": (".json",),
    "charts": FOLDER, "judgements": LEDGER, "ledger": LEDGER, "run": FOLDER,
}  # fmt: skip
_FORMATS = {"hf": FOLDER, "llamafactory": FOLDER, "axolotl": FOLDER, "openai": LINES, "sharegpt": LINES}
_PARTNERS = {  # options that do nothing without another, by command
    "verify": {"plain": "audit", "pool": "ledger", "judgements": "judge", "retry_errors": "judge"},
    "grade": {"against": "audit"},
    "train": {"launch": "nproc"},
    "pool strata": {"run": "model", "model": "run"},
    "serve-replay": {"retry_after_s": "fault", "drip_s": "fault", "seed": "fault"},
}  # fmt: skip
_APART = {  # options of which the first does nothing beside the second
    "verify": [("audit", "ledger"), ("output", "audit"), ("workers", "audit")],
    "curate": [("retry_errors", "dry_run")],
    "evaluate": [("checkpoints", "dry_run"), ("retry_errors", "dry_run"), ("retry_errors", "checkpoints")],
    "train": [("nproc", "show_batch"), ("run", "show_batch")],
    "compare": [("self_test", "reach")],
    "pool decontaminate": [("dropped", "check")],
}


def check_arguments(command: str, values: Mapping[str, Any]) -> None:
    """Raise InputError where the arguments of the command that runs now cannot be meant."""
    _check_empty(values)
    _check_partners(command, values)
    _check_outputs(values)
    for name in WRITERS:
        if isinstance(path := values.get(name), str):
            _check_name(command, name, path, values)


def is_given(name: str) -> bool:
    """Whether a parameter of the command that runs now stands on its command line."""
    return click.get_current_context().get_parameter_source(name) == ParameterSource.COMMANDLINE


def refuse_ignored(names: Sequence[str], where: str) -> None:
    """Raise InputError for the first of these options that is given, since it does nothing `where` it is."""
    for name in filter(is_given, names):
        raise InputError(f"{where} an option does nothing", _option(name), "the others", "leave it out")


def _option(name: str) -> str:
    """A parameter as it is written: an option by its longest name, an argument as the usage line has it."""
    one = next(one for one in click.get_current_context().command.params if one.name == name)
    return max(one.opts, key=len) if isinstance(one, click.Option) else one.human_readable_name.strip("[].")


def _check_empty(values: Mapping[str, Any]) -> None:
    for name, value in values.items():
        if is_given(name) and "" in (value if isinstance(value, tuple) else (value,)):
            do = "give it a value: a variable of the shell that is not set leaves nothing"
            raise InputError(f"{_option(name)} is empty", "", "one character or more", do)


def _check_partners(command: str, values: Mapping[str, Any]) -> None:
    """Raise InputError for an option that would be ignored in silence."""
    for name, partner in _PARTNERS.get(command, {}).items():
        if is_given(name) and not is_given(partner):
            what, shown = f"{_option(name)} does nothing without {_option(partner)}", _shown(name, values)
            raise InputError(what, shown, "both or none", "add the other, or leave it out")
    for name, other in _APART.get(command, ()):
        if is_given(name) and is_given(other):
            what, shown = f"{_option(name)} does nothing beside {_option(other)}", _shown(name, values)
            raise InputError(what, shown, "one of the two", "leave one of them out")
    if values.get("executor") == "ray" and _ending(values.get("output") or ".json"):
        do = "leave it out, or name a folder with -o"
        raise InputError("--executor does nothing without a folder of shards", "ray", "-o FOLDER", do)


def _shown(name: str, values: Mapping[str, Any]) -> str:
    return _option(name) if values[name] is True else str(values[name])


def _ending(path: str) -> str:
    """The ending by which a name says its kind of file, packed or not; "" where it says none."""
    name, packed = path.rstrip("/").lower(), ""
    for end in PACKED:
        if name.endswith(end):
            name, packed = name.removesuffix(end), end
    return next((end for end in _ENDINGS if name.endswith(end)), "") + packed


def _check_name(command: str, name: str, path: str, values: Mapping[str, Any]) -> None:
    """Raise InputError for the name of an output that says another kind than what would be written."""
    if path == "-":
        do = "name a file or folder; ./- is one of that name"
        raise InputError(f"{_option(name)} writes nothing to stdout", path, "a name", do)
    if os.path.dirname(real := os.path.realpath(path)) == real:
        raise InputError("nothing is written into the root of all folders", path, "a folder", "name one in it")
    endings: Any = _OUTPUTS_OF.get(command) if name == "output" else _KIND_OF[name]
    if command == "export" and name == "output":
        endings = _FORMATS.get(values["to"]) if values["to"] else WRITTEN
    if command == "verify" and name == "output" and values["ledger"]:
        endings = WRITTEN
    is_file = endings is None or (endings != FOLDER and "" not in endings)
    if is_file and (os.path.basename(path) in ("", ".", "..") or os.path.isdir(path)):
        raise InputError(f"{_option(name)} writes a file, and this is a folder", path, "a file", "name a file in it")
    if endings == FOLDER and os.path.lexists(path) and not os.path.isdir(path):
        raise InputError(
            f"{_option(name)} is a folder, and this is none", path, "a folder or a new name", "name another"
        )
    if endings is WRITTEN:
        check_name(path)
        return
    if endings is None or not (found := _ending(path)) or os.path.isdir(path):
        return
    folder = "a folder, by a name without such an ending"
    allowed = f"a name in {', '.join(filter(None, endings))}" if endings else folder
    if found not in endings:
        allowed += ", or a folder" if "" in endings else ""
        raise InputError(f"{_option(name)} writes no file of this kind", path, allowed, "rename it")


def _check_outputs(values: Mapping[str, Any]) -> None:
    """Raise InputError where a command would write to what it reads, or to one file twice, however it is spelt."""
    outputs = {name: path for name in OUTPUTS if isinstance(path := values.get(name), str) and path}
    words = {
        one.name
        for one in click.get_current_context().command.params
        if isinstance(one.type, click.Choice) or one.metavar in WORDS
    }
    given = [one for name, value in values.items() if name not in outputs and name not in words
             for one in (value if isinstance(value, tuple) else (value,)) if isinstance(one, str)]  # fmt: skip
    inputs = [path for one in given for path in (one, one.partition("=")[2]) if path and os.path.exists(path)]
    inputs += [ledger for path in inputs if os.path.exists(ledger := os.path.join(path, "ledger.sqlite"))]
    for name, path in outputs.items():
        if any(_is_same(path, other) for other in inputs):
            raise InputError("the output is the input", path, "a new name", "name another file or folder to write")
        if any(_is_same(path, other) for key, other in outputs.items() if key != name):
            raise InputError("two outputs are one file", path, "a name for each", "name another for one of them")
        above = {os.path.realpath(one) for one in inputs if not os.path.exists(os.path.join(one, "recipe.yaml"))}
        folders = Path(os.path.realpath(path)).parents
        if not path.endswith(".html") and above & set(map(str, folders)):
            what = "the output lies inside of the input, and would be read as a part of it the next time"
            raise InputError(what, path, "a name outside of it", "name another file or folder to write")
        if any((folder / MADE_FROM).is_file() for folder in folders[:1]):
            what = "the output lies among the files of a folder that limo wrote"
            raise InputError(what, path, "a name outside of it", "name another file or folder to write")
        for run in (folder for folder in folders if (folder / "environment.json").exists()):
            from limo.core.run_folder import OWN_NAMES

            if Path(os.path.realpath(path)).relative_to(run).parts[0] in OWN_NAMES:
                what, do = "the output lies among a run's own files", "name another file or folder to write"
                raise InputError(what, path, "a name outside of them", do)


def _is_same(path: str, other: str) -> bool:
    with contextlib.suppress(OSError):
        return os.path.samefile(path, other)
    return os.path.realpath(path) == os.path.realpath(other)
