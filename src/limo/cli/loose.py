"""The commands on loose files: each takes files and `-o`, and needs no recipe.

    limo select graded.jsonl k=800 -o selected.jsonl
    limo strata pool/ by=stated 'cuts=[3, 5]' -o strata/

What it does not do: verify (`verifying`), grade (`grading`), or remember what it did; commands with a run folder
resume (`road`).
"""

from __future__ import annotations

from collections import Counter
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING

import click

from limo.cli.shape import OVERRIDES, Call, command, output, table
from limo.core.errors import InputError

if TYPE_CHECKING:
    from limo.core.records import PassRate

DROPPED = click.option("--dropped", metavar="FILE", help="Write what was dropped, and why, as JSON lines.")


@command("select", click.argument("file"), OVERRIDES, output("The selected rows."), DROPPED)
def select(call: Call, file: str, overrides: tuple[str, ...], output: str, dropped: str | None) -> None:
    """Select from graded rows.

    The best chain of each problem, then the best k of all; or a control: by=random, longest, hardest, easiest, full.
    """
    from limo.cli.rows import candidates_of, read_rows, write_rows
    from limo.core.recipe import load
    from limo.curate import select as room

    rows = read_rows(file)
    candidates = candidates_of(rows)
    row_of = {id(candidate): row for candidate, row in zip(candidates, rows, strict=True)}
    settings = load(room.SelectSettings, None, overrides)
    kept, gone = room.select(candidates, settings)
    write_rows([row_of[id(one)] | {"rank": rank} for rank, one in enumerate(kept, 1)], output)
    if dropped:
        write_rows([asdict(one) for one in gone], dropped)
    reasons = Counter(one.reason for one in gone)
    value = {"n_selected": len(kept), "n_by_reason": dict(reasons), "output": output}
    short = room.shortfall(kept, gone, settings)
    text = table([["what", "chains"], ["selected", len(kept)], *map(list, reasons.most_common())])
    call.result(value | {"shortfall": short}, f"{text}\n{short}".strip())


@command(
    "export",
    click.argument("run"),
    click.option("--to", metavar="FORMAT", help="hf, openai, sharegpt, llamafactory or axolotl.  [default: rows]"),
    output("The dataset: a folder for hf, llamafactory and axolotl, else .jsonl (or .parquet for rows)."),
    click.option("--evidence", is_flag=True, help="With hf: pass rates, and what was dropped and why, beside it."),
    click.option("--push", metavar="REPO", help="With hf: upload the folder to this dataset on the hub, private."),
)
def export(call: Call, run: str, to: str | None, output: str, evidence: bool, push: str | None) -> None:
    """Write a run's selected dataset for a trainer or the hub.

    Rows of `messages` with their lineage, or one of the formats; every row carries the system text.
    """
    from limo.cli import publishing
    from limo.cli.rows import read_rows, write_rows
    from limo.core.run_folder import RunFolder
    from limo.stages.curate import SELECTED

    folder = RunFolder(run).path / SELECTED
    if (evidence or push) and to != "hf":
        raise InputError("--evidence and --push belong to one format", f"--to {to or 'rows'}", "--to hf", "add it")
    rows = read_rows(str(folder))
    if to is None:
        write_rows(rows, output)
    else:
        publishing.written(run, rows, to, output, evidence)
    where = publishing.pushed(output, push) if push else ""
    told = f"{len(rows):,} rows of {Path(folder)} in {output}" + (f"\n{where}" if where else "")
    call.result({"n_rows": len(rows), "output": output, "pushed": where}, told)


@command(
    "strata",
    click.argument("file"),
    OVERRIDES,
    click.option("--run", metavar="DIR", help="With by=pass_rate: the run whose ledger has the rollouts."),
    click.option("--model", metavar="NAME", help="With by=pass_rate: whose rollouts count."),
    click.option("-o", "--output", required=True, metavar="DIR", help="Gets a pool of each: simple.parquet, ..."),
)
def strata(call: Call, file: str, overrides: tuple[str, ...], run: str | None, model: str | None, output: str) -> None:
    """Draw Simple, Complex and Advanced problems from a pool.

    By source as the paper does, by the difficulty that sources state, or by a model's pass rates.
    """
    from limo.core.recipe import load
    from limo.curate import strata as room
    from limo.pool.ingest import read_pool, write_pool

    settings = load(room.StrataSettings, None, overrides)
    if (settings.by == "pass_rate") != bool(run and model):
        allowed = "by=pass_rate with --run and --model, or neither"
        raise InputError("pass rates come from a run and are one model's", f"by={settings.by}", allowed, "give both")
    problems = read_pool(file)
    rates = _rates(run, model) if run and model else {}
    everyone = room.stratify(problems, settings.model_copy(update={"n": None}), rates)
    drawn = {name: some[: settings.n] for name, some in everyone.items()}
    rows: list[list[object]] = [["stratum", "in the pool", "drawn", "file"]]
    for name, some in drawn.items():
        path = Path(output) / f"{name.lower()}.parquet"
        path.unlink(missing_ok=True)  # an earlier draw
        if some:
            write_pool(some, str(path))
        rows.append([name, len(everyone[name]), len(some), str(path) if some else "none"])
    n_left = len(problems) - sum(map(len, everyone.values()))
    value = {"n_by_stratum": {name: len(some) for name, some in drawn.items()}, "n_unknown": n_left, "output": output}
    told = f"{n_left:,} of {len(problems):,} problems belong to none: nothing is known of them to go by"
    call.result(value, table(rows) + (f"\n{told}" if n_left else ""))


def _rates(run: str, model: str) -> dict[str, PassRate]:
    """A model's pass rate on each problem over all that the run asked of it.  Raises InputError for no rollouts."""
    from limo.core.records import PassRate
    from limo.core.run_folder import RunFolder
    from limo.ledger.store import Ledger

    outcomes: dict[str, list[str]] = {}
    with Ledger(RunFolder(run).ledger_path, read_only=True) as ledger:
        names = sorted(ledger.usage_by_model())
        for rollout in ledger.rollouts(model) if model in names else ():
            if rollout.verdict is not None:
                outcomes.setdefault(rollout.problem_id, []).append(rollout.verdict.outcome)
    if not outcomes:
        raise InputError("the run has no rollouts of this model", model, ", ".join(names) or "none", "name another")
    return {
        name: PassRate(model, len(some), len(some) - some.count("undecided"), some.count("correct"))
        for name, some in outcomes.items()
    }


COMMANDS = (select, export, strata)
