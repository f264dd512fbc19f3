"""Scores made elsewhere, as measurements that `limo compare` reads.

| file | made by |
|---|---|
| .eval, .json | Inspect |
| samples_*.jsonl | lm-evaluation-harness with --log_samples |
| details_*.parquet | lighteval with --save-details |
| reviews/MODEL/*.jsonl | evalscope |
| rows: a problem and `correct`, `outcome` or `answers_correctness` | `limo verify -o`, recordings, LIMO's own code |

    import_scores(["samples_math.jsonl"], "base", "MATH500", load_benchmark("MATH500", "eval/data"), "runs/base")

A row belongs to the problem whose statement its prompt is, or else holds; what matches none is counted, never guessed.
"""

from __future__ import annotations

import math
import os
import zipfile
from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from limo.core.errors import InputError, MissingFileError, foreign_data
from limo.core.files import write_json
from limo.core.records import Problem, Row
from limo.core.rows import MAX_JSON_BYTES, read_rows, text_of
from limo.core.text import normalise_statement, parse_json
from limo.stages.compare import stored_scores
from limo.stages.evaluate import SCORES

ZSTANDARD = 93  # a zip entry's method of compression, which zipfile does not know
MAX_ENTRY_BYTES, MAX_LOG_BYTES = 1 << 26, 1 << 34  # unpacked: one sample of Inspect's zip, and all
_LETTERS = {"C": 1.0, "I": 0.0, "P": 0.5, "N": 0.0}  # Inspect's: correct, incorrect, partly, no answer
_OUTCOMES = {"correct": 1.0, "wrong": 0.0, "no_answer": 0.0, "truncated": 0.0}
_FORMATS = "a log of Inspect, samples of lm-eval, details of lighteval, reviews of evalscope, rows with `correct`"


@dataclass(frozen=True, slots=True)
class ScoredRow:
    """One scored rollout made elsewhere: its prompt or statement, and its value in 0..1, None where it has none."""

    prompt: str
    value: float | None


@dataclass(frozen=True, slots=True)
class ImportedScores:
    """What was read: rows, those that match no problem, those without a value, and the mean over problems."""

    n_rows: int
    n_unmatched: int
    n_without_value: int
    n_problems: int
    mean: float
    scores: Path


def import_scores(
    files: Sequence[str | Path], model: str, benchmark: str, problems: Sequence[Problem], folder: str | Path,
    metric: str = "", seed: int = 0,
) -> ImportedScores:  # fmt: skip
    """Write the rows of `files` as the scores of `model` on a benchmark into `folder`, beside earlier imports.

    `metric` names one where a file holds several.  Raises InputError for an unknown format, an unclear metric, rows of
    which none matches, or the folder of a run; MissingFileError, StorageError.
    """
    if (Path(folder) / "recipe.yaml").exists():
        do = "name another with --run; limo compare takes both"
        raise InputError("the folder holds a run of limo, whose scores are its own", folder, "a folder of imports", do)
    if len({os.path.realpath(name) for name in files}) < len(files):
        raise InputError("a file of scores is named twice", ", ".join(map(str, files)), "each once", "name it once")
    rows: list[ScoredRow] = []
    for name in files:
        with foreign_data("these scores cannot be read", name, _FORMATS, "write them anew"):
            rows += read_scores(name, metric)
    statements = {normalise_statement(problem.problem): problem.id for problem in problems}
    values: dict[str, list[float]] = defaultdict(list)
    n_unmatched = n_without_value = 0
    for row in rows:
        problem_id = _match(row.prompt, statements)
        n_unmatched += problem_id is None
        n_without_value += problem_id is not None and row.value is None
        if problem_id is not None and row.value is not None:
            values[problem_id].append(row.value)
    if n_without_value and not values:
        do = "name another value with --metric, or score the rows first"
        raise InputError("no row has a value", f"{n_without_value} of {len(rows)} rows match", "a share in 0..1", do)
    if not values:
        do = "name the benchmark that they were made on, with its --path"
        raise InputError(f"no row is of {benchmark}", f"{len(rows)} rows", "prompts that hold its statements", do)
    rates = {name: math.fsum(of_problem) / len(of_problem) for name, of_problem in values.items()}
    file = Path(folder) / SCORES
    found = stored_scores(file) if file.is_file() else {}
    stored = {name: [one.model_dump() for one in measurements] for name, measurements in found.items()}
    others = [measurement for measurement in stored.get(model, []) if measurement["seed"] != seed]
    same = [measurement for measurement in stored.get(model, []) if measurement["seed"] == seed]
    own: dict[str, Any] = same[0] if same else {"arm": model, "seed": seed, "outcomes": {}, "provenance": {}}
    own["outcomes"][benchmark] = rates
    write_json(file, {**stored, model: [*others, own]})
    return ImportedScores(
        len(rows), n_unmatched, n_without_value, len(rates), math.fsum(rates.values()) / len(rates), file
    )


def _match(prompt: str, statements: dict[str, str]) -> str | None:
    """The problem whose statement a prompt is, or the longest that it holds."""
    text = normalise_statement(prompt)
    if text in statements:
        return statements[text]
    inside = [statement for statement in statements if statement in text]
    return statements[max(inside, key=len)] if inside else None


def read_scores(file: str | Path, metric: str = "") -> Iterator[ScoredRow]:
    """The scored rows of a file in any of the formats.  Raises as `import_scores`."""
    file = Path(file)
    if not file.is_file():
        raise MissingFileError("there are no such scores", file, _FORMATS, "check the path")
    if file.suffix == ".eval":
        return _inspect_rows(_eval_samples(file), metric)
    if file.suffix == ".json":
        if file.stat().st_size > MAX_JSON_BYTES:
            raise InputError("the log is too large", file, f"{MAX_JSON_BYTES:,} bytes", "write it as .eval")
        log = parse_json(file.read_bytes())
        if isinstance(log, dict) and "eval" in log:
            return _inspect_rows(log.get("samples") or [], metric)
    rows = read_rows(file)
    if "filtered_resps" in rows[0] and "doc" in rows[0]:
        return _lm_eval_rows(rows, metric)
    if "doc" in rows[0] and "metric" in rows[0]:
        return _lighteval_rows(rows, metric)
    if "sample_score" in rows[0]:
        return _evalscope_rows(rows, metric)
    if metric:
        do = "leave --metric out"
        raise InputError("rows with `correct` hold one value, and no metric has a name", metric, _FORMATS, do)
    return _plain_rows(rows, file)


def _inspect_rows(samples: Iterable[Any], metric: str) -> Iterator[ScoredRow]:
    for sample in samples:
        score = _one(sample.get("scores") or {}, metric, "scorer")
        value = score.get("value") if isinstance(score, dict) else None
        text = _user_text(sample.get("input"))
        yield ScoredRow(text, _LETTERS.get(value) if isinstance(value, str) else _number(value))


def _user_text(turns: Any) -> str:
    """The text of a prompt: itself, or of the last user turn of a chat, whose content may be in parts."""
    if not isinstance(turns, list):
        return str(turns or "")
    content = next((turn.get("content") for turn in reversed(turns) if turn.get("role") == "user"), "")
    parts = content if isinstance(content, list) else [{"text": content or ""}]
    return "".join(str(part.get("text", "")) for part in parts if isinstance(part, dict))


def _eval_samples(file: Path) -> Iterator[Any]:
    """The samples of Inspect's zip, one after another."""
    n_bytes = 0
    with zipfile.ZipFile(file) as archive, file.open("rb") as raw:
        for entry in archive.infolist():
            if entry.filename.startswith("samples/") and entry.filename.endswith(".json"):
                n_bytes += entry.file_size
                if entry.file_size > MAX_ENTRY_BYTES or n_bytes > MAX_LOG_BYTES:
                    allowed = f"{MAX_ENTRY_BYTES:,} bytes, all {MAX_LOG_BYTES:,}"
                    raise InputError("a sample is too large, or all together", entry.filename, allowed, "")
                yield parse_json(_zstandard(raw, entry) if entry.compress_type == ZSTANDARD else archive.read(entry))


def _zstandard(raw: Any, entry: zipfile.ZipInfo) -> bytes:
    import pyarrow as pa

    raw.seek(entry.header_offset + 26)
    n_name, n_extra = (int.from_bytes(raw.read(2), "little") for _ in range(2))
    raw.seek(n_name + n_extra, 1)
    return bytes(pa.Codec("zstd").decompress(raw.read(entry.compress_size), entry.file_size, asbytes=True))


def _lm_eval_rows(rows: Sequence[Row], metric: str) -> Iterator[ScoredRow]:
    """lm-eval writes a document once for each filter; `metric` is NAME or NAME,FILTER as in its tables."""
    filters = list(dict.fromkeys(str(row.get("filter", "")) for row in rows))
    name, _, chosen = metric.partition(",")
    if (chosen or len(filters) > 1) and chosen not in filters:
        do = f"name one with --metric, for example {name or 'exact_match'},{filters[0]}"
        raise InputError("which filter counts is not clear", chosen or "none named", ", ".join(filters), do)
    for row in rows:
        if chosen in ("", str(row.get("filter", ""))):
            doc = row["doc"] if isinstance(row["doc"], dict) else {}
            asked = text_of(doc)
            measured = {key: row.get(key) for key in row.get("metrics") or ["exact_match"]}
            yield ScoredRow(str(asked or _first_text(row.get("arguments"))), _number(_one(measured, name, "metric")))


def _lighteval_rows(rows: Sequence[Row], metric: str) -> Iterator[ScoredRow]:
    for row in rows:
        doc, measured = (parse_json(row[key]) if isinstance(row[key], str) else row[key] for key in ("doc", "metric"))
        asked = doc.get("original_query") or doc.get("query")
        yield ScoredRow(str(asked or ""), _number(_one(measured, metric, "metric")))


def _evalscope_rows(rows: Sequence[Row], metric: str) -> Iterator[ScoredRow]:
    """A review of each sample, without a value where it could not be scored; the main value, if none is named."""
    for row in rows:
        score = row["sample_score"]["score"]
        measured, main = score.get("value") or {}, score.get("main_score_name")
        main = main if main in measured else next(iter(measured), "")
        yield ScoredRow(_user_text(row.get("messages")), _number(_one(measured, metric or main, "metric")))


def _plain_rows(rows: Sequence[Row], file: Path) -> Iterator[ScoredRow]:
    for number, row in enumerate(rows, 1):
        asked, outcome, each = text_of(row), row.get("outcome"), row.get("answers_correctness")
        if asked is None or (outcome is None and "correct" not in row and not isinstance(each, list)):
            raise InputError(f"row {number} of {file.name} is no scored rollout", ", ".join(row), _FORMATS, "")
        if outcome is not None:
            yield ScoredRow(asked, _OUTCOMES.get(str(outcome)))
        else:  # LIMO's own code keeps a verdict for each sample beside `is_correct`, which says whether any is right
            yield from (ScoredRow(asked, _number(v)) for v in (each if isinstance(each, list) else [row["correct"]]))


def _one(measured: dict[str, Any], wanted: str, what: str) -> Any:
    """The value called `wanted`, or the only one; None where there is none at all."""
    present = {name: value for name, value in measured.items() if value is not None}
    if not present:
        return None
    if wanted in present:
        return present[wanted]
    if wanted or len(present) != 1:
        do = f"name one with --metric, for example {next(iter(present), 'exact_match')}"
        raise InputError(f"which {what} counts is not clear", wanted or "none named", ", ".join(present), do)
    return next(iter(present.values()))


def _number(value: Any) -> float | None:
    """A value in 0..1; None for what is none."""
    if isinstance(value, bool | int | float) and 0 <= value <= 1:
        return float(value)
    return None


def _first_text(value: Any) -> str:
    """The first text inside lists and objects: lm-eval's arguments of a request."""
    while isinstance(value, list | dict) and value:
        value = next(iter(value.values() if isinstance(value, dict) else value))
    return value if isinstance(value, str) else ""
