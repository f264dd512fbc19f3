"""`limo init FILE`: recipes for a file of problems and a server, from what the one holds and the other says of itself.

    written = run("mine.jsonl", "limo", "http://127.0.0.1:8000/v1")
    written.commands[0]      # 'limo plan limo/mine.yaml'

Every tenth problem, at most 100, is held out as a benchmark of its own (`held_out.jsonl`) and kept out of the pool.
"""

from __future__ import annotations

import os
import shlex
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import Any

import yaml

from limo.core.errors import InputError
from limo.core.files import atomic_folder, write_text
from limo.core.recipe import load
from limo.core.records import Problem
from limo.core.rows import write_rows
from limo.models.server_info import ServedModel, served_models
from limo.pool.sources.fields import FieldMap, shape
from limo.pool.sources.readers import rows
from limo.stages import curate, evaluate, train
from limo.stages.plan import model_size

LOOKED_AT = 2000  # rows from which the columns are guessed
SHARE = 0.5  # of the rows that must give a problem with an answer, for a guess to be one
HELD_OUT, MOST_HELD_OUT = 10, 100
NO_SERVER = "http://127.0.0.1:8000/v1"
_WEAK, _STRONG = {"n": 4, "low": 0, "high": 0}, {"n": 8, "low": 1, "high": 6}  # the first is the paper's; ours
_MOST_TOKENS = 16384  # paper: all chains are shorter
_HINTS = {
    "problem": ("problem", "question", "stem", "prompt", "task", "exercise", "query", "text", "题"),
    "answer": ("answer", "key", "gold", "label", "result", "correct", "target", "ans", "答案"),
    "options": ("option", "choice", "选项"),
}


class _Plain(yaml.SafeDumper):
    """Writes equal parts out, without anchors."""

    def ignore_aliases(self, data: Any) -> bool:
        return True


@dataclass(frozen=True, slots=True)
class InitResult:
    """What was found and written; `fields` are the columns that had to be named, `notes` what to look at."""

    folder: Path
    fields: dict[str, str]
    n_rows: int
    n_usable: int
    n_held_out: int
    models: list[ServedModel]
    files: list[Path]
    commands: list[str]
    notes: list[str]


def run(
    file: str, folder: str | Path, server: str = "", fields: Mapping[str, str] | None = None, api_key_env: str = ""
) -> InitResult:
    """Write `mine.yaml` (curate), `train.yaml`, `evaluate.yaml` and `held_out.jsonl` into a new folder.

    `fields`: columns by name (see `FieldMap`), where the guess is wrong.  Raises InputError where no columns give
    problems with answers or the folder holds something else, ModelError where the server does not answer.
    """
    every = [row.value for row in islice(rows(file), LOOKED_AT) if not row.error]
    chosen = dict(fields or {}) or guess_fields(every, file)
    columns = FieldMap.model_validate(chosen)
    n_rows, usable = 0, dict[str, Problem]()
    for row in rows(file):
        n_rows += 1
        shaped = shape(row.value, Path(file).stem, columns)
        if shaped.problem and not shaped.reason:
            usable.setdefault(shaped.problem.id, shaped.problem)
    if len(usable) < 2:
        what, do = "these columns give no problems with answers", "name others with --field problem=COLUMN"
        raise InputError(what, chosen or file, "columns of " + ", ".join(every[0] if every else ()), do)
    models = served_models(server, api_key_env) if server else []
    notes = [] if models else ["no --server was given: put its address and the model's name into the recipes"]
    models = sorted(models or [ServedModel("my-model")], key=lambda model: model_size(model.name) or 0)
    ordered = sorted(usable.values(), key=lambda problem: problem.id)  # by hash: no order of the file's
    held_out = ordered[::HELD_OUT][:MOST_HELD_OUT]
    if any(model_size(model.name) is None for model in models):
        notes.append("GPU-hours unknown: set size_b of the models")
    if models[0].context is None:
        notes.append("the server does not say its context: see max_tokens in the recipes")
    http = {"base_urls": [server or NO_SERVER]} | ({"http": {"api_key_env": api_key_env}} if api_key_env else {})
    target = Path(folder)
    recipes = _recipes(os.path.abspath(file), target.absolute(), chosen, models, http, len(usable) - len(held_out))
    with atomic_folder(target, only_like_itself=True) as made:
        kept = ({"problem": p.problem, "answer": p.answer, "options": p.options} for p in held_out)
        write_rows([{key: value for key, value in row.items() if value} for row in kept], str(made / "held_out.jsonl"))
        for name, (kind, head, values) in recipes.items():
            text = yaml.dump(values, Dumper=_Plain, sort_keys=False, allow_unicode=True, width=120)
            write_text(made / name, f"# {head}\n\n{text}")
            load(kind, made / name)
    files = sorted(target.iterdir())
    found = (len(usable), len(held_out), models, files, _commands(target), notes)
    return InitResult(target, chosen, n_rows, *found)


def guess_fields(table: Sequence[Mapping[str, Any]], file: str) -> dict[str, str]:
    """The columns that have to be named so that rows give problems; empty where they are found by themselves.

    Raises InputError, naming the columns with an example each, where no guess gives enough of them.
    """
    names = list(dict.fromkeys(name for row in table for name in row))
    by_need = {need: _ranked(need, names, table) for need in ("problem", "answer", "options")}
    options = {"options": by_need["options"][0]} if by_need["options"] else {}
    pairs = [{"problem": p, "answer": a} for p in by_need["problem"][:3] for a in by_need["answer"][:3] if p != a]
    guesses = [{}, *[pair | options for pair in pairs if options], *pairs]
    shares = [(_usable_share(table, guess), guess) for guess in guesses]
    best, guess = max(shares, key=lambda pair: pair[0]) if table else (0.0, {})
    if shares and shares[0][0] >= SHARE:
        return {}
    if best < SHARE:
        shown = ", ".join(f"{name} ({str(table[0].get(name))[:30]!r})" for name in names) or "none"
        do = "name them: --field problem=COLUMN --field answer=COLUMN"
        raise InputError("which columns hold problem and answer is not clear", file, f"of {shown}", do)
    return guess


def _ranked(need: str, names: Sequence[str], table: Sequence[Mapping[str, Any]]) -> list[str]:
    """Columns that may be the statement (long texts), the answer (short ones) or the options (lists), best first."""
    ranks = []
    for name in names:
        values = [row[name] for row in table if row.get(name) not in (None, "")]
        hint = next((k for k, word in enumerate(_HINTS[need]) if word in name.lower()), 99)
        are_lists = bool(values) and all(isinstance(value, list | dict) for value in values)
        if need == "options":
            ranks += [(hint, 0.0, name)] if are_lists and hint < 99 else []
        elif values and not are_lists:
            length = sum(len(str(value)) for value in values) / len(values)
            ranks.append((hint, -length if need == "problem" else length, name))
    return [name for _, _, name in sorted(ranks)]


def _usable_share(table: Sequence[Mapping[str, Any]], guess: Mapping[str, str]) -> float:
    shaped = [shape(dict(row), "", FieldMap.model_validate(guess)) for row in table[:200]]
    return sum(one.problem is not None and not one.reason for one in shaped) / max(1, len(shaped))


def _recipes(
    file: str,
    folder: Path,
    fields: dict[str, str],
    models: Sequence[ServedModel],
    http: dict[str, Any],
    n: int,
) -> dict[str, tuple[Any, str, dict[str, Any]]]:
    """Each recipe's name with its class, its head and its values: those that are no defaults; `n` problems are left."""
    weak, strong = models[0], models[-1]
    contexts = [model.context for model in models if model.context]
    n_tokens = max(256, min(_MOST_TOKENS, min(contexts, default=8192) // 2))
    sampling = {"temperature": 0.6, "top_p": 0.95, "max_tokens": n_tokens}

    def served(model: ServedModel) -> dict[str, Any]:
        sent = http.get("http", {}) | ({"in_flight": model.slots} if model.slots else {})
        return {"kind": "http", "name": model.name, **http} | ({"http": sent} if sent else {})

    filters = [{"name": "weak_filter", "models": [served(weak)], **_WEAK, "sampling": sampling}]
    strong_filter = {"name": "strong_filter", "models": [served(strong)], **_STRONG, "sampling": sampling}
    filters = [*(filters if strong is not weak else []), {**strong_filter, "teacher": True}]
    curation = {
        "data": str(folder),
        "pool": {"sources": [{"path": file, "fields": fields} if fields else {"path": file}]},
        "benchmarks": {"held-out": "held_out.jsonl"},
        "decontaminate": {"renumbered": "report"},
        "filters": filters,
        "select": {"k": max(1, min(800, n // 4))},
        "export": {"name": Path(file).stem},
    }
    decoding = {"n": 4, "temperature": 0.6, "top_p": 0.95, "max_tokens": n_tokens}
    scores = {
        "data": str(folder),
        "model": served(weak),
        "benchmarks": {"held-out": "held_out.jsonl"},
        "protocol": "own",
    }
    training = {"model": weak.name, "dataset": str(folder / "runs/curate/selected"), "method": {"kind": "sft"}}
    weak_first = "a weak model drops what is too easy, a strong one keeps what is hard and writes the chains"
    return {
        "mine.yaml": (curate.Recipe, f"Curation of {Path(file).name}: {weak_first}; change what you like", curation),
        "train.yaml": (train.Recipe, "Training; `model` is a folder or a name on the hub", training),
        "evaluate.yaml": (
            evaluate.Recipe,
            "The held-out problems, answered by a model",
            scores | {"decoding": decoding},
        ),
    }


def _commands(folder: Path) -> list[str]:
    """The commands from the recipes to a trained, evaluated, reported model, in order."""
    at = lambda name: shlex.quote(str(folder / name))  # noqa: E731
    curated, trained = at("runs/curate"), at("runs/train")
    model = shlex.quote(f"model={{kind: local, name: trained, path: {folder.absolute() / 'runs/train/model'}}}")
    return [
        f"limo plan {at('mine.yaml')} --run {curated}",
        f"limo curate {at('mine.yaml')} --run {curated}",
        f"limo view {curated}",
        f"limo train {at('train.yaml')} --run {trained}",
        f"limo evaluate {at('evaluate.yaml')} --run {at('runs/before')}",
        f"limo evaluate {at('evaluate.yaml')} {model} --run {at('runs/after')}",
        f"limo compare {at('runs/before')} {at('runs/after')}",
        f"limo report {curated}",
    ]
