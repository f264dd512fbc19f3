"""The commands on loose files: each takes files and `-o`, and needs no recipe.

    limo verify rows.jsonl -o verified.jsonl
    limo select graded.jsonl k=800 -o selected.jsonl

What it does not do: grade (`grading`), or remember what it did; commands with a run folder resume (`road`).
"""

from __future__ import annotations

from collections import Counter
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING

import click

from limo.cli.shape import OVERRIDES, Call, command, output, table, workers
from limo.errors import InputError

if TYPE_CHECKING:
    from limo.verify.check import Checker

DROPPED = click.option("--dropped", metavar="FILE", help="Write what was dropped, and why, as JSON lines.")


@command(
    "verify",
    click.argument("file"),
    output("The rows with their verdicts.", required=False),
    workers(),
    click.option("--tolerance", type=float, default=0.0, help="Relative, for rounded decimal answers only."),
    click.option(
        "--digits",
        type=int,
        default=15,
        help="A decimal of so many digits may round an exact answer.",
        show_default=True,
    ),
    click.option("--audit", is_flag=True, help="Rows carry `expected`: say how right the checker is."),
    click.option("--plain", is_flag=True, help="With --audit: plain Math-Verify beside it."),
    click.option("--ledger", is_flag=True, help="FILE is a ledger or its run: take its verdicts anew, ask nobody."),
    click.option("--pool", metavar="FILE", help="With --ledger: a pool with answers.  [default: the verdicts' own]"),
)
def verify(
    call: Call,
    file: str,
    output: str | None,
    workers: int,
    tolerance: float,
    digits: int,
    audit: bool,
    plain: bool,
    ledger: bool,
    pool: str | None,
) -> None:
    """Check completions against answers.

    Rows are {answer, completion} in JSON lines; verdicts are correct, wrong, no_answer, truncated or undecided.
    """
    if ledger:
        from limo.verify.check import Checker

        _renew(call, file, pool, Checker(workers, tolerance=tolerance, digits=digits))
        return
    if audit:
        from limo.verify.audit import audit_file

        report = audit_file(file, plain, call.progress, tolerance=tolerance, digits=digits)
        examples = report.examples()
        call.result(asdict(report), table(report.table()) + (f"\n\n{table(examples)}" if examples else ""))
        return
    from limo.verify.files import verify_file

    summary = verify_file(file, output, workers, call.progress, tolerance=tolerance, digits=digits)
    call.result(asdict(summary), table(summary.table()))


def _renew(call: Call, file: str, pool: str | None, checker: Checker) -> None:
    from limo.cli.asking import ledger_of
    from limo.pool.ingest import read_pool
    from limo.rollouts.renew import renew

    answers = {problem.id: problem.answer for problem in read_pool(pool)} if pool else {}
    with checker:
        done = renew(ledger_of(file), checker, answers, call.progress)
    counts = {"n_by_outcome": dict(done.n_by_outcome), "n_changed": dict(done.n_changed), "n_unknown": done.n_unknown}
    call.result(counts, table(done.table()))


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


COMMANDS = (verify, select, export)
