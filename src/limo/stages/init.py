"""`limo init FILE`: recipes for a file of problems and a server, from what the one holds and the other says of itself.

    written = run("mine.jsonl", "limo", "http://127.0.0.1:8000/v1", weights="Qwen/Qwen2.5-1.5B-Instruct")
    written.commands[0]      # 'limo plan limo/mine.yaml'

Some problems are held out as a benchmark of their own (`held_out.jsonl`) and kept out of the pool: see `held_out_of`.
"""

from __future__ import annotations

import json
import os
import shlex
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import yaml

from limo.core.errors import InputError
from limo.core.files import write_text
from limo.core.heartbeat import announced
from limo.core.progress import NoProgress, Progress
from limo.core.recipe import load
from limo.core.records import Problem
from limo.core.rows import SourceRow, no_rows, unreadable, write_rows
from limo.core.stats import Estimate, detectable_difference, expected_detectable, mean_interval
from limo.core.text import as_argument, printable, shorten, visible
from limo.curate.dataset import MAX_NAME
from limo.models.local.config import check_model
from limo.models.openai.address import checked_address
from limo.models.openai.settings import checked_variable
from limo.models.server_info import ServedModel, served_models
from limo.pool.decontaminate import HELD_OUT
from limo.pool.sources.fields import FieldMap, row_to_problem
from limo.pool.sources.guess import find_fields, head_of, named, oddities
from limo.pool.sources.readers import rows
from limo.stages import curate, evaluate, train
from limo.stages.doctor import has_gpu
from limo.stages.plan import model_size
from limo.train.data import reading_note
from limo.verify.numeric import read_leading_unit, read_quantities
from limo.verify.verifier import open_verifier

FEWEST_HELD_OUT, MOST_HELD_OUT = 50, 200  # a tenth between them, as long as three quarters are left for the pool; ours
WIDE = 0.1  # half the width of a score's interval from which on the reader is warned; our choice
NO_SERVER = "http://127.0.0.1:8000/v1"
_WEAK, _STRONG = {"n": 4, "low": 0, "high": 0}, {"n": 8, "low": 1, "high": 6}  # the first is the paper's; ours
_KINDS = {"choice": "name an option", "numeric": "are numbers with a unit", "maths": "can be compared by rules"}
_MEASURED = {"m", "kg", "s", "A", "K", "mol", "cd"}  # base units of quantities that are measured, not counted or paid
_ALL, _MOST, _SAMPLE = 0.9, 0.5, 1000  # shares of answers that decide for a verifier, and how many are looked at; ours
_MOST_TOKENS = 16384  # paper: all chains are shorter
CPU_TRAINING = (  # a few updates of a very small model; ours
    "method.bf16=false method.use_cpu=true method.max_steps=20 method.learning_rate=5e-5 "
    "method.examples_per_update=4 method.max_length=1024 method.on_too_long=drop"
)
N_SCORED, CPU_DECODING, CPU_TOKENS = 4, "decoding.n=1", 512  # of every model that is compared; ours
CPU_POOL = "pool.limit=50 chains.boxed=false"  # small models often write no box; ours
CPU_CURATION = "filters.{at}.n=3 filters.{at}.high={high} filters.{at}.sampling.max_tokens={n_tokens}"  # ours


class _Plain(yaml.SafeDumper):
    """Writes equal parts out, without anchors."""

    def ignore_aliases(self, data: Any) -> bool:
        return True


@dataclass(frozen=True, slots=True)
class InitResult:
    """What was found and written; `fields` are the columns that had to be named, `notes` what to look at.

    `verifier`: the kind that the recipes name, and in words why, with two of the answers.

    `half_width`: of the interval of a score near 50% on the held-out problems, one completion each; `detectable`: the
    smallest difference between two models that the printed evaluations are expected to show; shares.
    """

    folder: Path
    fields: dict[str, str]
    verifier: tuple[str, str]
    n_rows: int
    n_usable: int
    n_held_out: int
    half_width: float
    detectable: float
    models: list[ServedModel]
    files: list[Path]
    commands: list[str]
    notes: list[str]


def run(
    file: str,
    folder: str | Path,
    server: str = "",
    fields: Mapping[str, str] | None = None,
    api_key_env: str = "",
    n_held_out: int | None = None,
    weights: str = "",
    replace: bool = False,
    progress: Progress | None = None,
) -> InitResult:
    """Write `mine.yaml` (curate), `train.yaml`, `evaluate.yaml` and `held_out.jsonl` into a folder.

    `fields`: columns by name (see `FieldMap`), where the guess is wrong.  `weights`: folder or hub name of the model to
    train.  `replace`: also files that stand there with other contents; nothing else of the folder is touched.  Raises
    InputError where no columns give problems with answers, too few are left for the pool, or a file would be replaced
    without it; ModelError where the server does not answer, or `weights` is neither a model here nor a name of the hub.
    """
    checked_variable(api_key_env)
    given = load(FieldMap, None, [f"{name}={json.dumps(column)}" for name, column in (fields or {}).items()])
    if not (table := head_of(rows(file))):
        first = next(rows(file), None)
        raise unreadable(first) if first else no_rows(file)
    columns = find_fields(table, file, given, strict=True)
    usable, left_out, damaged = _problems(file, columns, list(table[0]))
    n_rows = len(usable) + left_out.total()
    n_held_out = n_held_out or held_out_of(len(usable))
    if n_held_out >= len(usable):
        do = "give a smaller --hold-out"
        raise InputError("nothing would be left for the pool", n_held_out, f"1 to {len(usable) - 1:,} problems", do)
    server, models = _asked(server, api_key_env, weights, progress := progress or NoProgress())
    notes = [] if models else ["no --server was given: put its address and the model's name into the recipes"]
    models = sorted(models or [ServedModel("my-model")], key=lambda model: model_size(model.name) or 0)
    by_hash = sorted(usable.values(), key=lambda problem: problem.id)  # no order of the file's
    held_out, interval = by_hash[:n_held_out], score_of_half(n_held_out)
    of_rows = _notes_on_rows(left_out, damaged, list(usable.values()), list(table[0]))
    notes = [*of_rows, *notes, *_notes(models, interval, n_held_out, weights)]
    verifier, why, unchecked = propose_verifier(by_hash[:_SAMPLE])
    notes = [*unchecked, *_notes_on_weights(weights, by_hash, progress), *notes]
    http = {"base_urls": [server or NO_SERVER]} | ({"http": {"api_key_env": api_key_env}} if api_key_env else {})
    target, served = Path(folder), [_served(model, http) for model in models]
    weights = os.path.abspath(weights) if Path(weights).exists() and weights else weights
    n_tokens = _completion_tokens(models)
    recipes = _recipes(os.path.abspath(file), target.absolute(), named(columns), served, weights, n_tokens)
    for name in ("mine.yaml", "evaluate.yaml") if verifier != "maths" else ():
        recipes[name][2]["verifier"] = verifier
    recipes["mine.yaml"][2]["select"] = {"k": max(1, min(800, (len(usable) - n_held_out) // 4))}
    with TemporaryDirectory() as made:
        kept = ({"problem": p.problem, "answer": p.answer, "options": p.options} for p in held_out)
        write_rows([{key: value for key, value in row.items() if value} for row in kept], f"{made}/held_out.jsonl")
        for name, (kind, head, values) in recipes.items():
            text = yaml.dump(values, Dumper=_Plain, sort_keys=False, allow_unicode=True, width=120)
            write_text(Path(made) / name, f"# {printable(shorten(head, 400))}\n\n{text}")
            load(kind, Path(made) / name)
        files = _placed(Path(made), target, replace)
    half = (interval.interval.high - interval.interval.low) / 2
    commands = _commands(target, served, weights, n_tokens)
    counts = (n_rows, len(usable), n_held_out, half, detectable_difference(n_held_out, n_scored()))
    return InitResult(target, named(columns), (verifier, why), *counts, models, files, commands, notes)


def _asked(server: str, api_key_env: str, weights: str, progress: Progress) -> tuple[str, list[ServedModel]]:
    """Where the models of a server are, and which; `weights` that cannot be a model are told before."""
    if weights and not Path(weights).is_dir():
        check_model(weights)
    if not server:
        return "", []
    server = f"{checked_address(server).removesuffix('/v1')}/v1"
    with announced(progress, f"asking {server} for its models"):
        return server, served_models(server, api_key_env)


def _problems(
    file: str, columns: FieldMap, names: Sequence[str]
) -> tuple[dict[str, Problem], Counter[str], list[SourceRow]]:
    """The usable problems of a file, by id, each once; the rows left out by their reason; those that are none."""
    usable, left_out, damaged = dict[str, Problem](), Counter[str](), list[SourceRow]()
    for row in rows(file):
        damaged += [row] if row.error else []
        read = row_to_problem(row.value, Path(file).stem, columns)
        if read.problem is None or read.reason or read.problem.id in usable:
            left_out["malformed row" if row.error else read.reason or "said before"] += 1
        else:
            usable[read.problem.id] = read.problem
    if damaged and len(usable) < 2:
        raise unreadable(damaged[0])
    if len(usable) == 1 and not left_out:
        do = "add problems to it"
        raise InputError("this file holds one problem, and one has to be held out", file, "two or more, each once", do)
    if len(usable) < 2:
        what = f"these columns give too few problems with answers ({len(usable)}; {_counts(left_out)})"
        do = "add problems, or name other columns with --field problem=COLUMN"
        raise InputError(what, named(columns) or file, f"two or more, of columns {', '.join(map(repr, names))}", do)
    return usable, left_out, damaged


def _placed(made: Path, target: Path, replace: bool) -> list[Path]:
    """Bring the files of one folder into another.  Raises InputError where one is there with other contents."""
    contents = {target / file.name: file.read_text(encoding="utf-8") for file in sorted(made.iterdir())}
    others = [str(file) for file, text in contents.items() if file.exists() and file.read_bytes() != text.encode()]
    if others and not replace:
        what = "files that are there differ from what would be written now, and are kept"
        do = "edit them, write elsewhere with -o DIR, or give --replace, which loses what they hold"
        raise InputError(what, ", ".join(others), "a new folder, or files as init writes them", do)
    for file, text in contents.items():
        write_text(file, text)
    return list(contents)


def propose_verifier(problems: Sequence[Problem]) -> tuple[str, str, list[str]]:
    """The kind of verifier that fits the answers, in words why, and a note where it cannot check some of them."""
    checkers = {kind: open_verifier(kind) for kind in _KINDS}
    why_not = {kind: [checker.why_not(problem) for problem in problems] for kind, checker in checkers.items()}
    share = {kind: reasons.count("") / len(problems) for kind, reasons in why_not.items()}
    measured = [_is_measured(problem.answer) for problem in problems]
    if share["choice"] >= _ALL:
        kind, fitting = "choice", [reason == "" for reason in why_not["choice"]]
    elif sum(measured) >= _MOST * len(problems) and share["numeric"] >= min(_ALL, share["maths"]):
        kind, fitting = "numeric", measured
    else:
        kind, fitting = "maths", [reason == "" for reason in why_not["maths"]]
    shown = list(dict.fromkeys(p.answer for p, fits in zip(problems, fitting, strict=True) if fits))[:2]
    examples = ", ".join(repr(shorten(answer, 40)) for answer in shown)
    why = f"{sum(fitting) / len(problems):.0%} of the answers {_KINDS[kind]}" + (f", as {examples}" if examples else "")
    odd = [(p.answer, reason) for p, reason in zip(problems, why_not[kind], strict=True) if reason]
    if not odd:
        return kind, why, []
    example = f"{shorten(odd[0][0], 40)!r} ({odd[0][1]})"
    note = f"{len(odd) / len(problems):.0%} of the answers cannot be checked by {kind} and leave the pool, such as"
    return kind, why, [f"{note} {example}; another is named by `verifier` in the recipes: exact, judge"]


def _is_measured(answer: str) -> bool:
    """Whether an answer is a number with a unit of measurement."""
    units = [read_leading_unit(quantity.unit) for quantity in read_quantities(answer)]
    return any(unit is not None and _MEASURED & {base for base, _ in unit.dimensions} for unit in units)


def _notes_on_rows(
    left_out: Counter[str], damaged: Sequence[SourceRow], problems: Sequence[Problem], columns: Sequence[str]
) -> list[str]:
    """Why rows were left out, and what is odd in the others."""
    notes = oddities(problems)
    if notes:
        advice = "if a column is wrong, name it with --field answer=COLUMN or --field problem=COLUMN; there are"
        notes.append(f"{advice}: {shorten(', '.join(map(repr, columns)), 400)}")
    counts = _counts(left_out)
    shown = [f"line {row.line} of {row.file} is not a row ({row.error})" for row in damaged[:1]]
    return [f"rows left out: {counts}"] * bool(counts) + shown + notes


def _counts(left_out: Counter[str]) -> str:
    return ", ".join(f"{reason} {n:,}" for reason, n in left_out.most_common())


def held_out_of(n: int) -> int:
    """How many of `n` problems are held out: a tenth, 50 to 200 of them, and never more than a quarter."""
    return max(1, min(MOST_HELD_OUT, max(n // 10, min(FEWEST_HELD_OUT, n // 4))))


def score_of_half(n: int) -> Estimate:
    """The score of a model that solves every second of `n` problems, one completion each."""
    return mean_interval([k % 2 for k in range(n)], [1] * n)


def _notes_on_weights(weights: str, problems: Sequence[Problem], progress: Progress) -> list[str]:
    """What a model in a folder cannot read of the problems; one on the hub is looked at when it is trained."""
    if not (Path(weights) / "config.json").is_file() or not weights:
        return []
    try:
        from limo.train.model import load_tokenizer

        with announced(progress, "reading the tokenizer of the model"):
            note = reading_note((problem.problem for problem in problems), load_tokenizer(weights))
    except ImportError:  # the core writes recipes too
        note = "whether the model reads these problems was not looked at: it needs the extra `train`"
    return [note] if note else []


def n_scored() -> int:
    """Rollouts of a held-out problem in the evaluations that are printed."""
    return N_SCORED if has_gpu() else 1


def _notes(models: Sequence[ServedModel], interval: Estimate, n_held_out: int, weights: str) -> list[str]:
    """What the user has to set or should know before anything is paid for."""
    notes = []
    if interval.interval.high - interval.interval.low > 2 * WIDE:
        found = expected_detectable(n_held_out, n_scored())
        notes.append(
            f"few problems are held out: only large differences will show; --hold-out N sets more aside; {found}"
        )
    if any(model_size(model.name) is None for model in models):
        notes.append("GPU-hours unknown: set size_b of the models")
    if models[0].context is None:
        notes.append("the server does not say its context: see max_tokens in the recipes")
    if not has_gpu():
        notes.append(
            "no GPU was found here: the commands train a few updates on the CPU and score short answers; with a GPU "
            "leave their method.* and decoding.* out"
        )
    if not weights:
        notes.append("which weights to train is not known: put a folder or a name on the hub for model= in limo train")
    elif not Path(weights).exists():
        notes.append(f"there is no folder {weights!r} here: it is taken for a name on the hub")
    return notes


def _served(model: ServedModel, http: Mapping[str, Any]) -> dict[str, Any]:
    """A model of the server as in a recipe; its slots are the requests in flight."""
    sent = http.get("http", {}) | ({"in_flight": model.slots} if model.slots else {})
    return {"kind": "http", "name": model.name, **http} | ({"http": sent} if sent else {})


def _completion_tokens(models: Sequence[ServedModel]) -> int:
    """Half of the smallest context, within bounds."""
    contexts = [model.context for model in models if model.context]
    return max(256, min(_MOST_TOKENS, min(contexts, default=8192) // 2))


def _recipes(
    file: str,
    folder: Path,
    fields: dict[str, str],
    models: Sequence[dict[str, Any]],
    weights: str,
    n_tokens: int,
) -> dict[str, tuple[Any, str, dict[str, Any]]]:
    """Each recipe's name with its class, its head and its values: those that are no defaults."""
    weak, strong = models[0], models[-1]
    sampling = {"temperature": 0.6, "top_p": 0.95, "max_tokens": n_tokens}
    filters = [{"name": "weak_filter", "models": [weak], **_WEAK, "sampling": sampling}]
    strong_filter = {"name": "strong_filter", "models": [strong], **_STRONG, "sampling": sampling}
    filters = [*(filters if strong is not weak else []), {**strong_filter, "teacher": True}]
    curation = {
        "data": str(folder),
        "pool": {"sources": [{"path": file, "fields": fields} if fields else {"path": file}]},
        "benchmarks": {HELD_OUT: "held_out.jsonl"},
        "decontaminate": {"renumbered": "report"},
        "filters": filters,
        "select": {},
        "export": {"name": shorten(visible(Path(file).stem), MAX_NAME)},
    }
    scores = {
        "data": str(folder),
        "model": {"kind": "local", "name": "base", "path": weights} if weights else weak,
        "benchmarks": {HELD_OUT: "held_out.jsonl"},
        "protocol": "own",
        "decoding": {"n": N_SCORED, **sampling},
    }
    training = {
        "model": weights or train.NO_WEIGHTS,
        "dataset": str(folder / "runs/mine/selected"),
        "method": {"kind": "sft"},
    }
    who = "a weak model drops what is too easy, a strong one keeps what is hard and writes the chains"
    who = who if strong is not weak else "one model keeps what is neither too easy nor too hard and writes the chains"
    return {
        "mine.yaml": (curate.Recipe, f"Curation of {Path(file).name}: {who}; change what you like", curation),
        "train.yaml": (train.Recipe, "Training; `model` is a folder or a name on the hub", training),
        "evaluate.yaml": (evaluate.Recipe, "The held-out problems, answered by a model", scores),
    }


def _commands(folder: Path, models: Sequence[dict[str, Any]], weights: str, n_tokens: int) -> list[str]:
    """The commands from the recipes to a trained, evaluated, reported model, in order.

    The model that writes the chains is scored too, unless it is the one that is scored before training.  `--run` stands
    where a run is not named like its recipe.  A line that begins with # says what to add to the one above it.
    """
    at = lambda name: shlex.quote(as_argument(str(folder / name)))  # noqa: E731
    curated, trained, runs = at("runs/mine"), at("runs/train"), [at("runs/before"), at("runs/after")]
    own = shlex.quote(f"model={{kind: local, name: trained, path: {folder.absolute() / 'runs/train/model'}}}")
    teacher = shlex.quote(f"model={json.dumps(models[-1], ensure_ascii=False)}")
    training = decoding = ""
    small: list[str] = []
    if not has_gpu():
        bands = [(k, min(2, band["high"])) for k, band in enumerate((_WEAK, _STRONG)[-min(2, len(models)) :])]
        words = [CPU_CURATION.format(at=k, high=high, n_tokens=min(CPU_TOKENS, n_tokens)) for k, high in bands]
        small = [f"  # for a first run of minutes on a server without a GPU add: {' '.join([CPU_POOL, *words])}"]
        training, decoding = f"{CPU_TRAINING} ", f"{CPU_DECODING} decoding.max_tokens={min(CPU_TOKENS, n_tokens)} "
    of_teacher = [f"limo evaluate {at('evaluate.yaml')} {teacher} {decoding}--run {at('runs/teacher')}"]
    of_teacher = of_teacher if weights or len(models) > 1 else []
    runs += [at("runs/teacher")] if of_teacher else []
    return [
        f"limo plan {at('mine.yaml')}",
        f"limo curate {at('mine.yaml')}",
        *small,
        f"limo view {curated}",
        f"limo train {at('train.yaml')} {'' if weights else 'model=FOLDER_OR_HUB_NAME '}{training}--run {trained}",
        f"limo evaluate {at('evaluate.yaml')} {decoding}--run {runs[0]}",
        f"limo evaluate {at('evaluate.yaml')} {own} {decoding}--run {runs[1]}",
        *of_teacher,
        f"limo compare {' '.join(runs)}",
        f"limo report {curated}",
    ]
