"""The selected chains as a dataset that others can load, with a card that says how they were made.

The folder holds what `datasets.save_to_disk` writes and a README.md.  A row's `messages` (system, user, assistant) is
all that a trainer needs; the other columns are its lineage.  Nothing depends on the time or the machine, so the same
run gives the same bytes.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass, field
from itertools import pairwise
from pathlib import Path
from typing import Any

from pydantic import Field

from limo.core.errors import InputError
from limo.core.files import atomic_folder
from limo.core.recipe import Settings
from limo.core.records import LEVELS, Dropped
from limo.core.text import content_hash
from limo.curate.chains import chain_hash
from limo.curate.select import Candidate

Row = dict[str, Any]
_SIZES = ((1_000, "n<1K"), (10_000, "1K<n<10K"), (100_000, "10K<n<100K"), (1_000_000, "100K<n<1M"))


class ExportSettings(Settings):
    """What the card says beyond what the run knows."""

    name: str = Field("limo-selection", min_length=1, description="name of the dataset on its card")
    license: str = Field("", description="licence of the dataset, as the hub names it; empty: not stated")
    licenses: dict[str, str] = Field(default_factory=dict, description="source: its licence, as its owners state it")


@dataclass(frozen=True, slots=True)
class FunnelRow:
    """One stage: how many came in, were kept, were dropped and why; `n_problems` are different ones among the kept.

    `unit` says what is counted on the way in: rows, problems, rollouts or chains.
    """

    stage: str
    unit: str
    n_in: int
    n_kept: int
    n_problems: int
    n_by_reason: dict[str, int]


@dataclass(frozen=True, slots=True)
class ModelUse:
    """A model of the run: in which stage, how many rollouts of each problem at most, and their sampling as text."""

    stage: str
    model: str
    n: int
    sampling: str


@dataclass(frozen=True, slots=True)
class DatasetCard:
    """What stands on the card beside what the rows say; `contamination` counts problems by benchmark and method."""

    funnel: Sequence[FunnelRow]
    recipe: str
    recipe_hash: str
    settings: ExportSettings = field(default_factory=ExportSettings)
    contamination: dict[str, int] = field(default_factory=dict)
    models: Sequence[ModelUse] = ()
    scorer: str = ""


def dataset_row(candidate: Candidate, rank: int, prompt: list[dict[str, str]]) -> Row:
    """One example: `messages` is the prompt and the chain; all else is where it came from."""
    problem, chain, grade = candidate.problem, candidate.chain, candidate.grade
    return {
        "messages": [*prompt, {"role": "assistant", "content": chain.text}],
        "rank": rank,
        "problem_id": problem.id,
        "answer": problem.answer,
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


def write_dataset(rows: Sequence[Row], folder: str | Path, card: DatasetCard) -> Path:
    """Write the dataset and its card to `folder`, whole or not at all, replacing what an earlier call left there.

    Raises InputError when there is nothing to write, StorageError when the disk refuses.
    """
    if not rows:
        do = "see why in the run's stages; widen the band, add teachers, or loosen the chain rules"
        raise InputError("no chain is left to export", folder, "at least one", do)
    from datasets import Dataset
    from datasets.utils.logging import disable_progress_bar, enable_progress_bar, is_progress_bar_enabled

    shown = is_progress_bar_enabled()
    disable_progress_bar()
    try:
        with atomic_folder(folder) as temporary:
            Dataset.from_list([_storable(row) for row in rows]).save_to_disk(temporary, num_shards=1)
            (temporary / "README.md").write_text(render_card(rows, card), encoding="utf-8")
    finally:
        if shown:
            enable_progress_bar()
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
    return content_hash(*(part for row in rows for turn in row["messages"] for part in (turn["role"], turn["content"])))


def check_funnel(funnel: Sequence[FunnelRow]) -> None:
    """Raise AssertionError where counts do not add up: in a stage, or between stages that count the same things."""
    for row in funnel:
        if row.n_in != row.n_kept + sum(row.n_by_reason.values()):
            raise AssertionError(f"{row.stage}: {row.n_in} came in, {row.n_kept} were kept, dropped {row.n_by_reason}")
    for before, after in pairwise(funnel):
        if after.unit != "rollouts" and before.n_kept != after.n_in:
            raise AssertionError(f"{before.stage} kept {before.n_kept}, but {after.n_in} came to {after.stage}")


def describe_reasons(n_by_reason: dict[str, int]) -> str:
    """`280: solved too often 270, suspect 10`, or `0`."""
    total = sum(n_by_reason.values())
    return f"{total:,}: " + ", ".join(f"{reason} {n:,}" for reason, n in n_by_reason.items()) if total else "0"


def describe_dropped(dropped: Iterable[Dropped]) -> str:
    """How many were dropped for which reason, the commonest first."""
    return describe_reasons(dict(Counter(record.reason for record in dropped).most_common()))


def render_card(rows: Sequence[Row], card: DatasetCard) -> str:
    """The card in Markdown, with the header that dataset hubs read."""
    scorer = f"Levels and scores are those of the scorer `{_cell(card.scorer)}`.\n\n" if card.scorer else ""
    parts = [
        _header(rows, card.settings),
        f"# {card.settings.name}\n\n{len(rows)} worked examples, chosen by limo: each is a problem, a chain of a"
        " teacher model whose final answer was checked against the key, and the grade by which it was taken.",
        "## From pool to selection\n\n" + _funnel(card.funnel),
        "## Models\n\n" + _models(card.models),
        "## Teachers\n\n" + _count_table("teacher", Counter(row["teacher"] for row in rows)),
        "## Sources and their licences\n\n" + _sources(rows, card.settings),
        "## Contamination\n\n" + _contamination(card),
        "## Levels\n\n" + scorer + _count_table("level", Counter(row["level"] for row in rows), LEVELS),
        "## Columns\n\n`messages` is what a trainer reads.  The rest is lineage: `problem_id`, `answer`, `source`,"
        " `teacher`, how it was sampled (`prompt_hash`, `sampling_hash`, `index`), `pass_rates` (correct of decided"
        " of n, by model), `verdict`, `traits`, `score`, `level`, `rank`.",
        "## Hashes\n\n"
        + _table("what | hash", "---|---", [("rows", f"`{rows_hash(rows)}`"), ("recipe", f"`{card.recipe_hash}`")]),
        "## How to rebuild\n\nSave the recipe below as `recipe.yaml`, put what it names as files into a folder, and:"
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


def _funnel(funnel: Sequence[FunnelRow]) -> str:
    cells = []
    for row in funnel:
        reasons = "; ".join(f"{_cell(reason)} {n:,}" for reason, n in row.n_by_reason.items())
        cells.append((row.stage, row.unit, f"{row.n_in:,}", f"{row.n_kept:,}", reasons))
    return _table("stage | unit | in | kept | dropped, by reason", "---|---|--:|--:|---", cells)


def _models(models: Sequence[ModelUse]) -> str:
    if not models:
        return "The run did not say which models were used."
    cells = [(_cell(use.stage), _cell(use.model), f"{use.n:,}", _cell(use.sampling)) for use in models]
    return _table("stage | model | rollouts a problem, at most | sampling", "---|---|--:|---", cells)


def _count_table(title: str, counts: Counter[str], order: Sequence[str] = ()) -> str:
    names = order or _by_count(counts)
    return _table(f"{title} | examples", "---|--:", [(_cell(name), f"{counts[name]:,}") for name in names])


def _sources(rows: Sequence[Row], settings: ExportSettings) -> str:
    counts = Counter(row["source"] or "not stated" for row in rows)
    cells = [
        (_cell(name), f"{counts[name]:,}", _cell(settings.licenses.get(name, "not stated")))
        for name in _by_count(counts)
    ]
    return _table("source | examples | licence", "---|--:|---", cells)


def _contamination(card: DatasetCard) -> str:
    if not card.contamination:
        return "No problem of the pool was found in a benchmark; the recipe says which were searched and how."
    total = sum(card.contamination.values())
    cells = [(_cell(name), f"{n:,}") for name, n in card.contamination.items()]
    text = f"{total:,} problems of the pool stand in a benchmark and were kept out."
    return f"{text}\n\n{_table('benchmark, by | problems', '---|--:', cells)}"


def _by_count(counts: Counter[str]) -> list[str]:
    return sorted(counts, key=lambda name: (-counts[name], name))


def _table(heads: str, alignment: str, rows: Iterable[Sequence[str]]) -> str:
    """A table in Markdown."""
    return "\n".join([f"| {heads} |", f"|{alignment}|", *(f"| {' | '.join(cells)} |" for cells in rows)])


def _cell(text: str) -> str:
    """Text that cannot break out of a table's cell."""
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
