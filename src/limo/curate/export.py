"""Export: the selected chains as a dataset that others can load, and a card that says how they came to be.

The folder holds what `datasets.save_to_disk` writes and a README.md.  A row's `messages` (system, user, assistant)
is all that a trainer needs; the other columns are its lineage.  Nothing in it depends on the time or the machine, so
the same run gives the same bytes.

    export([row(candidate, rank, prompt) for rank, candidate in ranked], "runs/a/selected", card)
    datasets.load_from_disk("runs/a/selected")

What it does not do: push anywhere, or convert to the formats of particular trainers (`formats` does).
"""

from __future__ import annotations

import os
import re
import shutil
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from pydantic import Field

from limo.core.errors import InputError, StorageError
from limo.core.recipe import Settings
from limo.core.records import LEVELS, Dropped
from limo.core.text import content_hash
from limo.curate.chains import chain_hash
from limo.curate.funnel import FunnelRow
from limo.curate.select import Candidate

Row = dict[str, Any]


class ExportSettings(Settings):
    """What the card says beyond what the run knows."""

    name: str = Field("limo-selection", min_length=1, description="name of the dataset on its card")
    license: str = Field("", description="licence of the dataset, as the hub names it; empty: not stated")
    licenses: dict[str, str] = Field(default_factory=dict, description="source: its licence, as its owners state it")


@dataclass(frozen=True, slots=True)
class Asked:
    """A model that the run asked: in which stage, how often a problem, and how its completions were drawn."""

    stage: str
    model: str
    n: int
    sampling: str


@dataclass(frozen=True, slots=True)
class Card:
    """What stands on the card beside what the rows say."""

    funnel: Sequence[FunnelRow]
    recipe: str
    recipe_hash: str
    settings: ExportSettings = field(default_factory=ExportSettings)
    contamination: dict[str, int] = field(default_factory=dict)
    asked: Sequence[Asked] = ()
    scorer: str = ""


def row(candidate: Candidate, rank: int, prompt: list[dict[str, str]]) -> Row:
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


def export(rows: Sequence[Row], folder: str | Path, card: Card) -> Path:
    """Write the dataset and its card to `folder`, whole or not at all, replacing what an earlier call left there.

    Raises InputError when there is nothing to write, StorageError when the disk refuses.
    """
    if not rows:
        do = "see why in the run's stages; widen the band, add teachers, or loosen the chain rules"
        raise InputError("no chain is left to export", folder, "at least one", do)
    folder = Path(folder)
    aside = folder.with_name(f".{folder.name}.{os.getpid()}.tmp")
    try:
        shutil.rmtree(aside, ignore_errors=True)
        aside.mkdir(parents=True)
        _save(rows, aside)
        (aside / "README.md").write_text(render(rows, card), encoding="utf-8")
        if folder.exists():
            shutil.rmtree(folder)
        os.replace(aside, folder)
    except OSError as error:
        why = error.strerror or str(error)
        raise StorageError("the dataset cannot be written", folder, "a writable place with room", why) from error
    finally:
        shutil.rmtree(aside, ignore_errors=True)
    return folder


def contamination(dropped: Iterable[Dropped]) -> dict[str, int]:
    """How many problems were kept out for each benchmark that they stand in and each way of finding it."""
    found: Counter[str] = Counter()
    for one in dropped:
        hits = one.detail.get("hits")
        first = hits[0] if isinstance(hits, list) and hits and isinstance(hits[0], dict) else {}
        found[f"{first.get('benchmark', 'not said')}: {one.detail.get('method', 'not said')}"] += 1
    return dict(sorted(found.items()))


def rows_hash(rows: Sequence[Row]) -> str:
    """Names the exported rows by their messages, in order."""
    return content_hash(*(part for one in rows for m in one["messages"] for part in (m["role"], m["content"])))


def render(rows: Sequence[Row], card: Card) -> str:
    """The card in Markdown, with the header that dataset hubs read."""
    parts = [
        _header(rows, card.settings),
        f"# {card.settings.name}\n\n{len(rows)} worked examples, chosen by limo: each is a problem, a chain of a"
        " teacher model whose final answer was checked against the key, and the grade by which it was taken.",
        "## From pool to selection\n\n" + _funnel(card.funnel),
        "## Models\n\n" + _models(card.asked),
        "## Teachers\n\n" + _counted("teacher", Counter(one["teacher"] for one in rows)),
        "## Sources and their licences\n\n" + _sources(rows, card.settings),
        "## Contamination\n\n" + _contamination(card),
        "## Levels\n\n" + _scorer(card.scorer) + _counted("level", Counter(one["level"] for one in rows), LEVELS),
        "## Columns\n\n`messages` is what a trainer reads.  The rest is lineage: `problem_id`, `answer`, `source`,"
        " `teacher`, how it was sampled (`prompt_hash`, `sampling_hash`, `index`), `pass_rates` (correct of decided"
        " of n, by model), `verdict`, `traits`, `score`, `level`, `rank`.",
        f"## Hashes\n\n| what | hash |\n|---|---|\n| rows | `{rows_hash(rows)}` |\n| recipe | `{card.recipe_hash}` |",
        "## How to rebuild\n\nSave the recipe below as `recipe.yaml`, put what it names as files into a folder, and:"
        "\n\n```\nlimo curate recipe.yaml data=FOLDER --run runs/again\n```\n\nThe same rollouts give the same bytes;"
        " compare the hash of the rows.  Rollouts asked anew are other draws.",
        f"## Recipe\n\n{_code(card.recipe.strip())}",
    ]
    return "\n\n".join(parts) + "\n"


def _code(text: str) -> str:
    """Text as a block of YAML that no run of backticks in it can end."""
    fence = "`" * max(3, 1 + max(map(len, re.findall("`+", text)), default=0))
    return f"{fence}yaml\n{text}\n{fence}"


def _save(rows: Sequence[Row], folder: Path) -> None:
    from datasets import Dataset
    from datasets.utils.logging import disable_progress_bar, enable_progress_bar, is_progress_bar_enabled

    shown = is_progress_bar_enabled()
    disable_progress_bar()
    try:
        Dataset.from_list([_storable(one) for one in rows]).save_to_disk(folder, num_shards=1)
    finally:
        if shown:
            enable_progress_bar()


def _storable(value: Any) -> Any:
    """The same value with lone surrogates, which no file can hold, replaced in every text."""
    if isinstance(value, str):
        return value.encode("utf-8", "replace").decode("utf-8")
    if isinstance(value, dict):
        return {key: _storable(item) for key, item in value.items()}
    return [_storable(item) for item in value] if isinstance(value, list) else value


def _header(rows: Sequence[Row], settings: ExportSettings) -> str:
    import yaml

    size = next((name for most, name in _SIZES if len(rows) < most), "n>1M")
    languages = sorted({one["language"] for one in rows} & {"en", "zh"})
    head: Row = {"pretty_name": settings.name, "size_categories": [size], "task_categories": ["text-generation"]}
    head |= {"language": languages} if languages else {}
    head |= {"license": settings.license} if settings.license else {}
    return "---\n" + yaml.safe_dump(head, sort_keys=False, allow_unicode=True) + "---"


_SIZES = ((1_000, "n<1K"), (10_000, "1K<n<10K"), (100_000, "10K<n<100K"), (1_000_000, "100K<n<1M"))


def _funnel(funnel: Sequence[FunnelRow]) -> str:
    lines = ["| stage | unit | in | kept | dropped, by reason |", "|---|---|--:|--:|---|"]
    for one in funnel:
        why = "; ".join(f"{_cell(reason)} {n:,}" for reason, n in one.n_by_reason.items())
        lines.append(f"| {one.stage} | {one.unit} | {one.n_in:,} | {one.n_kept:,} | {why} |")
    return "\n".join(lines)


def _counted(title: str, counts: Counter[str], order: Sequence[str] = ()) -> str:
    names = order or sorted(counts, key=lambda name: (-counts[name], name))
    lines = [f"| {title} | examples |", "|---|--:|", *(f"| {_cell(name)} | {counts[name]:,} |" for name in names)]
    return "\n".join(lines)


def _models(asked: Sequence[Asked]) -> str:
    if not asked:
        return "The run did not say which models were asked."
    lines = ["| stage | model | rollouts a problem, at most | drawn by |", "|---|---|--:|---|"]
    cells = [[_cell(one.stage), _cell(one.model), f"{one.n:,}", _cell(one.sampling)] for one in asked]
    return "\n".join([*lines, *(f"| {' | '.join(row)} |" for row in cells)])


def _scorer(name: str) -> str:
    return f"Levels and scores are those of the scorer `{_cell(name)}`.\n\n" if name else ""


def _sources(rows: Sequence[Row], settings: ExportSettings) -> str:
    counts = Counter(one["source"] or "not stated" for one in rows)
    lines = ["| source | examples | licence |", "|---|--:|---|"]
    for name in sorted(counts, key=lambda name: (-counts[name], name)):
        lines.append(f"| {_cell(name)} | {counts[name]:,} | {_cell(settings.licenses.get(name, 'not stated'))} |")
    return "\n".join(lines)


def _contamination(card: Card) -> str:
    if not card.contamination:
        return "No problem of the pool was found in a benchmark; the recipe says which were looked at and how."
    total = sum(card.contamination.values())
    lines = [
        f"{total:,} problems of the pool stand in a benchmark and were kept out.",
        "",
        "| benchmark, by | problems |",
    ]
    return "\n".join([*lines, "|---|--:|", *(f"| {_cell(name)} | {n:,} |" for name, n in card.contamination.items())])


def _cell(text: str) -> str:
    """Text that cannot break out of a table's cell."""
    return " ".join(text.replace("|", "\\|").replace("<", "&lt;").split())
