"""A training's parts of a report: loss, cost, forgetting, and by reinforcement learning the curve over FLOPs."""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from limo.core.run_folder import RunFolder
from limo.core.stats import Interval, wilson
from limo.core.text import operations
from limo.ledger.store import Ledger
from limo.report.content import LocalizedText, Section
from limo.stages import checkpoints
from limo.stages.compare import read_outcomes
from limo.stages.reports.texts import interval_series, label, make_chart, make_series, make_table, sentence, text
from limo.stages.train import DATA_COST
from limo.train.model_folder import read_result
from limo.train.result import TrainResult

FORGETTING = ("forgetting.json", "did_it_hurt.json")  # the second of earlier versions
_UPDATE = re.compile(r".*@(\d{1,18})$")


def record_of(folder: Path) -> TrainResult | None:
    """The record of a training run that is finished."""
    return read_result(folder / "model") if (folder / "model" / "training.json").is_file() else None


def run_names(folders: Sequence[Path]) -> dict[Path, str]:
    """A short name for each folder: as many of the last parts of its path as tell it from the others."""
    for n in range(1, max((len(folder.parts) for folder in folders), default=1) + 1):
        names = ["/".join(folder.parts[-n:]) for folder in folders]
        if len(set(names)) == len(names):
            return dict(zip(folders, names, strict=True))
    return {folder: str(folder) for folder in folders}


def _data_flops(folder: Path) -> str:
    """Operations of the models behind a training's data, where they are known."""
    values = RunFolder(folder).read_json(DATA_COST) if (folder / DATA_COST).is_file() else {}
    return "—" if values.get("flops") is None else operations(values["flops"])


def training_parts(folders: Sequence[Path]) -> dict[str, list[Any]]:
    """One section over all trainings: their losses in one chart, their costs in one table."""
    records = {folder: record for folder in folders if (record := record_of(folder))}
    names = run_names(list(records))
    series = [make_series(names[folder], _updates(record), record.losses) for folder, record in records.items()]
    series = [one for one in series if one.x]
    charts = [make_chart("loss_chart", "lines", series, "update", "loss")] if series else []
    cost = [
        [names[folder], record.method, sentence(record.examples), f"{record.n_updates:,}", f"{record.n_tokens_seen:,}",
         f"{record.seconds:,.1f}", f"{record.n_tokens_seen / record.seconds:,.0f}" if record.seconds else "—",
         operations(record.flops), _data_flops(folder)]
        for folder, record in records.items()
    ]  # fmt: skip
    heads = ("run", "method", "n_examples", "n_updates", "tokens_seen", "seconds", "tokens_per_s", "flops",
             "data_flops")  # fmt: skip
    tables = [make_table("training_table", heads, cost)]
    measures = [
        [names[folder], label(name), f"{value:,.4g}"]
        for folder, record in records.items()
        for name, value in record.measures.items()
    ]
    tables += [make_table("measures_table", ("run", "measure", "value"), measures)] if measures else []
    claims = [
        text(
            "kept_checkpoint",
            run=names[folder],
            base=Path(record.base).name,
            rule=sentence(record.checkpoint),
            method=record.method,
            n_examples=sentence(record.examples),
            n_updates=f"{record.n_updates:,}",
            losses=_went(record.losses),
        )
        for folder, record in records.items()
    ]
    for folder in records:
        for name in [name for name in FORGETTING if (folder / name).is_file()][:1]:
            claims.append(sentence(f"Forgetting check: {RunFolder(folder).read_json(name)['sentence']}"))
    sections = [Section("training", text("training"), text("training_lead"), claims, charts=charts, tables=tables)]
    return {"sections": [*sections, *_rl_sections(records, names)]}


def _went(losses: Sequence[float]) -> LocalizedText:
    return text("losses", first=f"{losses[0]:.3g}", last=f"{losses[-1]:.3g}") if losses else text("no_losses")


def _updates(record: TrainResult) -> list[float]:
    """The update of each recorded loss; they are evenly spaced."""
    step = record.settings.get("logging_steps", 1)
    every = int(step) if isinstance(step, int | float) else 1
    return [float(min(record.n_updates, (k + 1) * every)) for k in range(len(record.losses))]


def _rl_sections(records: dict[Path, TrainResult], names: dict[Path, str]) -> list[Section]:
    """The share of correct rollouts of each update, over the operations spent until then."""
    series = []
    for folder, record in records.items():
        if record.method == "grpo" and (folder / "ledger.sqlite").is_file():
            with Ledger(folder / "ledger.sqlite", read_only=True) as ledger:
                usage = {int(m[1]): u for name, u in ledger.usage_by_model().items() if (m := _UPDATE.match(name))}
                outcomes = {
                    int(m[1]): ledger.n_by_outcome(m[0]) for m in map(_UPDATE.match, ledger.usage_by_model()) if m
                }
            series += _rl_series(names[folder], record.flops, usage, outcomes)
    if not series:
        return []
    chart = make_chart("rl_chart", "lines", series, "flops_spent", "correct_share", percent=True)
    return [Section("rl", text("rl"), text("rl_lead"), charts=[chart])]


def _rl_series(name: str, flops: float, usage: dict[int, Any], outcomes: dict[int, dict[str, int]]) -> list[Any]:
    total, spent = sum(used.n_completion_tokens for used in usage.values()), 0
    xs, shares = [], []
    for update in sorted(usage):
        n_decided = sum(n for outcome, n in outcomes[update].items() if outcome not in ("", "undecided", "error"))
        spent += usage[update].n_completion_tokens
        if n_decided and total:
            n_correct = outcomes[update].get("correct", 0)
            xs.append(flops * spent / total)
            shares.append(Interval(n_correct / n_decided, *wilson(n_correct, n_decided)))
    return [interval_series(name, xs, shares)] if xs else []


def checkpoint_parts(folder: Path) -> dict[str, list[Any]]:
    """The curve over a training's checkpoints, which `limo evaluate --checkpoints` scored into `folder`."""
    found = sorted(folder.glob("checkpoint-*/scores.json"), key=lambda file: int(file.parent.name.split("-")[1]))
    outcomes = {}
    for file in found:
        (seeds,) = read_outcomes([file.parent]).values()
        (outcomes[file.parent.name.split("-")[1]],) = seeds.values()
    curve = checkpoints.checkpoint_curve(outcomes)
    xs = [float(name) for name in curve.scores]
    series = interval_series(folder.name, xs, list(curve.scores.values()), color="limo")
    chart = make_chart("epochs_chart", "lines", [series], "update", "score", percent=True)
    claims = [sentence(curve.sentence)]
    return {"sections": [Section("epochs", text("epochs"), text("epochs_lead"), claims, charts=[chart])]}
