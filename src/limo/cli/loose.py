"""The commands on loose files: each takes files and `-o`, and needs no recipe.

    limo select graded.jsonl k=800 -o selected.jsonl

What it does not do: verify (`verifying`), grade (`grading`), or remember what it did; commands with a run folder
resume (`road`).
"""

from __future__ import annotations

from collections import Counter
from dataclasses import asdict
from pathlib import Path

import click

from limo.cli.shape import OVERRIDES, Call, command, output, table
from limo.errors import InputError

DROPPED = click.option("--dropped", metavar="FILE", help="Write what was dropped, and why, as JSON lines.")


@command("select", click.argument("file"), OVERRIDES, output("The selected rows."), DROPPED)
def select(call: Call, file: str, overrides: tuple[str, ...], output: str, dropped: str | None) -> None:
    """Select from graded rows.

    The best chain of each problem, then the best k of all; or a control: by=random, longest, hardest, easiest, full.
    """
    from limo.cli.rows import candidates_of, read_rows, write_rows
    from limo.curate import select as room
    from limo.recipe import load

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
    from limo.pipeline import SELECTED
    from limo.runs import RunFolder

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


COMMANDS = (select, export)
