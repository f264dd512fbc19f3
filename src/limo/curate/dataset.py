"""The selected chains as a dataset that others can load, with a card that says how they were made.

The folder holds what `datasets.save_to_disk` writes and a README.md.  A row's `messages` (system, user, assistant) is
all that a trainer needs; the other columns are its lineage.  Nothing depends on the time or the machine, so the same
run gives the same bytes.
"""

from __future__ import annotations

import json
import re
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass, field
from importlib.util import find_spec
from pathlib import Path
from typing import Any, NamedTuple

from pydantic import Field, field_validator

from limo.core.errors import InputError
from limo.core.files import atomic_folder
from limo.core.recipe import Settings, public_path
from limo.core.records import LEVELS, Dropped, Row
from limo.core.text import content_hash
from limo.curate.chains import chain_hash
from limo.curate.funnel import FunnelRow
from limo.curate.select import Candidate

MAX_NAME = 200  # as longer ones are no heading of a card
_SIZES = ((1_000, "n<1K"), (10_000, "1K<n<10K"), (100_000, "10K<n<100K"), (1_000_000, "100K<n<1M"))


class ExportSettings(Settings):
    """What the card says beyond what the run knows."""

    name: str = Field("limo-selection", min_length=1, description="name of the dataset on its card")
    license: str = Field("", description="licence of the dataset, as the hub names it; empty: not stated")
    licenses: dict[str, str] = Field(default_factory=dict, description="source: its licence, as its owners state it")

    @field_validator("name")
    @classmethod
    def _is_one_line(cls, value: str) -> str:
        if len(value) > MAX_NAME or not value.isprintable() or not value.strip():
            raise ValueError(f"a name is one line of at most {MAX_NAME} characters that can be seen: give another")
        return value


class ModelUse(NamedTuple):
    """A model of the run: in which stage, how many rollouts of each problem at most, and their sampling as text."""

    stage: str
    model: str
    n: int
    sampling: str


@dataclass(frozen=True, slots=True)
class DatasetCard:
    """What stands on the card beside what the rows say; `contamination` counts problems by benchmark and method.

    `inputs`: hashes of the files that the run read, by what they are.
    """

    funnel: Sequence[FunnelRow]
    recipe: str
    recipe_hash: str
    settings: ExportSettings = field(default_factory=ExportSettings)
    contamination: dict[str, int] = field(default_factory=dict)
    models: Sequence[ModelUse] = ()
    scorer: str = ""
    inputs: dict[str, str] = field(default_factory=dict)


def dataset_row(candidate: Candidate, rank: int, prompt: list[dict[str, str]]) -> Row:
    """One example: `messages` is the prompt and the chain; all else is where it came from."""
    problem, chain, grade = candidate.problem, candidate.chain, candidate.grade
    return {
        "messages": [*prompt, {"role": "assistant", "content": chain.text}],
        "rank": rank,
        "problem_id": problem.id,
        "answer": problem.answer,
        "meta": json.dumps(problem.meta, ensure_ascii=False, sort_keys=True, default=str),
        "source": problem.source,
        "topic": problem.topic,
        "language": problem.language,
        "teacher": chain.teacher,
        "prompt_hash": chain.prompt_hash,
        "sampling_hash": chain.sampling_hash,
        "index": chain.index,
        "n_tokens": chain.n_tokens,
        "pass_rates": [asdict(rate) for rate in candidate.rates],
        "verdict": {"outcome": chain.verdict.outcome, "extracted": chain.verdict.extracted, "tier": chain.verdict.tier},
        "traits": {name: float(value) for name, value in grade.traits.items()},
        "score": float(grade.score),
        "level": grade.level,
        "chain_hash": chain_hash(chain),
    }


def require_datasets() -> None:
    """Raise ModuleNotFoundError where the library that writes the dataset, of the extra `pool`, is not installed."""
    if find_spec("datasets") is None:
        raise ModuleNotFoundError("No module named 'datasets'", name="datasets")


def write_dataset(rows: Sequence[Row], folder: str | Path, card: DatasetCard) -> Path:
    """Write the dataset and its card to `folder`, whole or not at all, replacing what an earlier call left there.

    Raises InputError when there is nothing to write, StorageError when the disk refuses.
    """
    if not rows:
        do = "see why in the run's stages; widen the band, add teachers, or loosen the chain rules"
        raise InputError("no chain is left to export", folder, "at least one", do)
    from datasets import Dataset, are_progress_bars_disabled, disable_progress_bars, enable_progress_bars

    restore = disable_progress_bars if are_progress_bars_disabled() else enable_progress_bars
    disable_progress_bars()
    try:
        with atomic_folder(folder) as temporary:
            Dataset.from_list([_storable(row) for row in rows]).save_to_disk(temporary, num_shards=1)
            (temporary / "README.md").write_text(render_card(rows, card), encoding="utf-8")
    finally:
        restore()
    return Path(folder)


def count_contaminated(dropped: Iterable[Dropped]) -> dict[str, int]:
    """How many problems were kept out for each benchmark that they stand in and each way of finding it."""
    counts: Counter[str] = Counter()
    for record in dropped:
        hits = record.detail.get("hits")
        first = hits[0] if isinstance(hits, list) and hits and isinstance(hits[0], dict) else {}
        counts[f"{first.get('benchmark', 'not said')}: {record.detail.get('method', 'not said')}"] += 1
    return dict(sorted(counts.items()))


def rows_hash(rows: Sequence[Row]) -> str:
    """Names the exported rows by their messages, in order."""
    return content_hash(*(turn[key] for row in rows for turn in row["messages"] for key in ("role", "content")))


def render_card(rows: Sequence[Row], card: DatasetCard) -> str:
    """The card in Markdown, with the header that dataset hubs read."""
    settings, scorer = card.settings, f"Levels and scores are those of the scorer `{_cell(card.scorer)}`.\n\n"
    levels = Counter(row["level"] for row in rows)
    sources = _by_count(row["source"] or "not stated" for row in rows)
    licences = [(name, n, settings.licenses.get(name, "not stated")) for name, n in sources]
    funnel = [
        (
            stage.stage,
            stage.unit,
            stage.n_in,
            stage.n_kept,
            "; ".join(f"{k} {n:,}" for k, n in stage.n_by_reason.items()),
        )
        for stage in card.funnel
    ]
    contamination = "No problem of the pool was found in a benchmark; the recipe says which were searched and how."
    if card.contamination:
        contamination = (
            f"{sum(card.contamination.values()):,} problems of the pool stand in a benchmark and were kept out."
        )
        contamination += "\n\n" + _table("benchmark, by | problems", card.contamination.items())
    parts = [
        _header(rows, settings),
        f"# {settings.name}\n\n{len(rows)} worked examples, chosen by limo: each is a problem, a chain of a"
        " teacher model whose final answer was checked against the key, and the grade by which it was taken.",
        "## From pool to selection\n\n" + _table("stage | unit | in | kept | dropped, by reason", funnel),
        "## Models\n\n" + _table("stage | model | rollouts a problem, at most | sampling", card.models)
        if card.models
        else "## Models\n\nThe run did not say which models were used.",
        "## Teachers\n\n" + _table("teacher | examples", _by_count(row["teacher"] for row in rows)),
        "## Sources and their licences\n\n" + _table("source | examples | licence", licences),
        f"## Contamination\n\n{contamination}",
        f"## Levels\n\n{scorer if card.scorer else ''}"
        + _table("level | examples", [(level, levels[level]) for level in LEVELS]),
        "## Columns\n\n`messages` is what a trainer reads.  The rest is lineage: `problem_id`, `answer`, `source`,"
        " `meta` (the source's own columns, its ids too, as JSON), `teacher`, how it was sampled (`prompt_hash`,"
        " `sampling_hash`, `index`), `pass_rates` (correct of decided of n, by stage and model), `verdict`, `traits`,"
        " `score`, `level`, `rank`.",
        "## Hashes\n\n"
        + _table(
            "what | hash",
            [("rows", f"`{rows_hash(rows)}`"), ("recipe", f"`{card.recipe_hash}`")]
            + [(_public_name(name), f"`{value}`") for name, value in card.inputs.items()],
        ),
        "## How to rebuild\n\nSave the recipe below as `recipe.yaml`, put what it names as files into a folder and the"
        " address of a server where it says SERVER, and:"
        "\n\n```\nlimo curate recipe.yaml data=FOLDER --run runs/again\n```\n\nThe same rollouts give the same bytes;"
        " compare the hash of the rows.  New rollouts are other draws.",
        f"## Recipe\n\n{_code(card.recipe.strip())}",
    ]
    return "\n\n".join(parts) + "\n"


def _header(rows: Sequence[Row], settings: ExportSettings) -> str:
    import yaml

    size = next((name for most, name in _SIZES if len(rows) < most), "n>1M")
    languages = sorted({row["language"] for row in rows} & {"en", "zh"})
    head: Row = {"pretty_name": settings.name, "size_categories": [size], "task_categories": ["text-generation"]}
    head |= {"language": languages} if languages else {}
    head |= {"license": settings.license} if settings.license else {}
    return "---\n" + yaml.safe_dump(head, sort_keys=False, allow_unicode=True) + "---"


def _public_name(name: str) -> str:
    """`source /data/mine.jsonl` without the folder."""
    kind, _, path = name.partition(" ")
    return f"{kind} {public_path(path)}"


def _by_count(names: Iterable[str]) -> list[tuple[str, int]]:
    return sorted(Counter(names).items(), key=lambda pair: (-pair[1], pair[0]))


def _table(heads: str, rows: Iterable[Sequence[str | int]]) -> str:
    """A table in Markdown: counts with thousands separated, to the right; texts that cannot break out of a cell."""
    rows = list(rows)
    sides = ["--:" if isinstance(value, int) else "---" for value in (rows or [heads.split("|")])[0]]
    cells = [[f"{value:,}" if isinstance(value, int) else _cell(value) for value in row] for row in rows]
    return "\n".join([f"| {heads} |", f"|{'|'.join(sides)}|", *(f"| {' | '.join(row)} |" for row in cells)])


def _cell(text: str) -> str:
    return " ".join(text.replace("|", "\\|").replace("<", "&lt;").split())


def _code(text: str) -> str:
    """Text as a block of YAML that no run of backticks in it can end."""
    fence = "`" * max(3, 1 + max(map(len, re.findall("`+", text)), default=0))
    return f"{fence}yaml\n{text}\n{fence}"


def _storable(value: Any) -> Any:
    """The same value with lone surrogates, which no file can hold, replaced in every text."""
    if isinstance(value, str):
        return value.encode("utf-8", "replace").decode("utf-8")
    if isinstance(value, dict):
        return {key: _storable(item) for key, item in value.items()}
    return [_storable(item) for item in value] if isinstance(value, list) else value
