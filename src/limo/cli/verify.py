"""The command verify: by rules, by rules and a judge, or a ledger's rollouts again.

limo verify rows.jsonl -o verified.jsonl
limo verify rows.jsonl -o verified.jsonl --judge verify-judge
limo verify labelled.jsonl --audit
"""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from limo.cli.command import OVERRIDES, RETRY_ERRORS, Call, aligned_table, command, named_columns, output, workers
from limo.core.errors import InputError, PartialError
from limo.core.text import hide_keys, shorten, visible

if TYPE_CHECKING:
    from limo.stages.verify import Recipe
    from limo.verify.checker import Checker
    from limo.verify.files import Columns, Example, Summary


@command(
    "verify",
    click.argument("file"),
    OVERRIDES,
    output("The rows with their verdicts; with --ledger those that changed.", required=False),
    workers(),
    click.option(
        "--field",
        "fields",
        multiple=True,
        metavar="NAME=COLUMN",
        help="Which column holds problem, answer or completion, as `answer=key`.",
    ),
    click.option(
        "--verifier", default="maths", metavar="KIND", help="maths, choice, numeric, exact or python:MODULE:CLASS."
    ),
    click.option("--tolerance", type=float, help="Relative: of maths for rounded decimals (0), of numeric (0.01)."),
    click.option("--digits", type=int, help="maths: a decimal of so many digits may round an exact answer (15)."),
    click.option("--audit", is_flag=True, help="Rows carry `expected`: measure the verifier."),
    click.option("--plain", is_flag=True, help="With --audit: Math-Verify beside it."),
    click.option("--ledger", is_flag=True, help="FILE is a ledger or its run: verify its rollouts again."),
    click.option(
        "--pool",
        metavar="FILE",
        help="With --ledger: a pool with answers.  [default: the run's, else the verdicts' own]",
    ),
    click.option("--judge", metavar="RECIPE", help="A model decides the undecided rows; overrides are for it."),
    click.option("--judgements", metavar="FILE", help="With --judge: their ledger.  [default: beside the output]"),
    RETRY_ERRORS,
)
def verify(
    call: Call, file: str, overrides: tuple[str, ...], output: str | None, workers: int, fields: tuple[str, ...],
    verifier: str, tolerance: float | None, digits: int | None, audit: bool, plain: bool, ledger: bool,
    pool: str | None, judge: str | None, judgements: str | None, retry_errors: bool,
) -> None:  # fmt: skip
    """Verify completions against answers.

    Rows are {answer, completion}, with the problem where you have it, in JSON lines, CSV or Parquet.  Usual names of
    these columns are known, in English and Chinese (答案, 回答); --field names others.  Verdicts are correct, wrong,
    no_answer, truncated or undecided.  With --judge (recipe `verify-judge`) a model decides the undecided ones, each
    once, ever.
    """
    if overrides and not judge:
        raise InputError("overrides are for a judge's recipe", " ".join(overrides), "--judge RECIPE", "add it")
    if judge and (ledger or audit or not output):
        raise InputError("a judge needs rows to write its verdicts to", file, "-o FILE, no --ledger, no --audit", "")
    if fields and ledger:
        raise InputError("a ledger has its own columns", fields[0], "--field with a file of rows", "leave it out")
    given = {"kind": verifier, "tolerance": tolerance, "digits": digits}
    settings = {name: value for name, value in given.items() if value is not None}
    if ledger:
        from limo.verify.checker import Checker

        _reverify(call, file, pool, Checker(settings, workers), output)
        return
    from limo.verify.files import Columns, verify_file

    columns = Columns.named(named_columns(fields))
    if audit:
        _audit(call, file, plain, settings, columns)
        return
    recipe = _judge_recipe(judge, overrides) if judge else None  # its faults are told before anything is read
    examples: list[Example] | None = None if output else []
    summary = verify_file(file, output, workers, call.progress, None, settings, columns, examples)
    if recipe and output:
        _judge(call, output, recipe, judgements or f"{output}.judged.sqlite", summary, columns, retry_errors)
    else:
        call.result(asdict(summary), "\n\n".join([aligned_table(summary.table()), *_shown(examples or [])]))
    if summary.skipped:
        what, first = f"{len(summary.skipped):,} rows are too long and have no verdict", summary.skipped[0]
        raise PartialError(what, first, "", "shorten or drop them")


def _audit(call: Call, file: str, plain: bool, settings: dict[str, Any], columns: Columns) -> None:
    from limo.verify.audit import audit_file

    report = audit_file(file, plain, call.progress, settings, columns)
    tables = [report.table(), *filter(None, [report.mistakes()])]
    call.result(asdict(report), "\n\n".join(map(aligned_table, tables)))


def _shown(examples: list[Example]) -> list[str]:
    """The first rows that are wrong or undecided, a line each, and how all of them are had."""
    if not examples:
        return []
    rows = [[visible(shorten(hide_keys(text), 40)) for text in example] for example in examples]
    table = aligned_table([["row", "verdict", "extracted", "answer", "reason"], *rows])
    return [table, "these are the first wrong and undecided rows; -o FILE writes every row with its verdict"]


def _judge_recipe(recipe: str, overrides: tuple[str, ...]) -> Recipe:
    from limo.core.recipe import load
    from limo.stages import verify as stage

    settings = load(stage.Recipe, recipe, overrides)
    settings.check_inputs()
    return settings


def _judge(call: Call, rows: str, recipe: Recipe, ledger: str, rules: Summary, columns: Columns, retry: bool) -> None:
    from limo.rollouts.lacking import raise_lacking
    from limo.stages import verify as stage

    judged = stage.run(recipe, rows, ledger, call.progress, retry_errors=retry, columns=columns)
    agreement = judged.agreement
    value = {
        **asdict(judged.summary), "rules": asdict(rules), "n_judged": judged.n_judged, "n_decided": judged.n_decided,
        "n_requested": judged.n_requested, "n_ended": judged.n_ended, "n_both": agreement.n_both,
        "agreement": agreement.rate if agreement.n_both else None,
    }  # fmt: skip
    parts = [aligned_table(judged.summary.table())]
    if judged.n_judged:
        parts.append(aligned_table(agreement.table()))
    if agreement.n_both:
        share = f"{agreement.rate:.1%} of the {agreement.n_both:,} rows that both decided"
        parts.append(f"rules and judge agree on {share}")
    parts.append(
        f"{judged.n_judged:,} rows went to the judge, {judged.n_decided:,} came back decided; "
        f"{judged.n_requested:,} replies new in {ledger}"
    )
    if judged.n_ended:
        parts.append(f"{judged.n_ended:,} replies were ended by the server; --retry-errors requests them again")
    call.result(value, "\n\n".join(parts))
    raise_lacking(judged.lacks)


def _reverify(call: Call, file: str, pool: str | None, checker: Checker, output: str | None) -> None:
    from limo.cli.rollouts import ledger_of
    from limo.core.rows import write_rows
    from limo.core.run_folder import PROBLEMS, RunFolder
    from limo.pool.ingest import read_pool
    from limo.rollouts.reverify import reverify

    problems = read_pool(pool) if pool else []
    if not pool and (Path(file) / PROBLEMS).is_file():
        problems = RunFolder(file).read_problems()  # options, which verdicts do not hold
    with checker:
        summary = reverify(ledger_of(file), checker, problems, call.progress)
    counts = {name: dict(getattr(summary, name)) for name in ("n_by_outcome", "n_changed", "n_left")}
    parts = [aligned_table(summary.table()), *([aligned_table(summary.changed_table())] if summary.changed else [])]
    if pool and summary.lacking:
        parts.append(
            f"the pool lacks {len(summary.lacking):,} of the ledger's problems: their answers are the verdicts' own"
        )
    if output:
        write_rows(summary.changed, output)
        parts.append(f"{len(summary.changed):,} changed verdicts in {output}")
    if (Path(file) / "evaluations.json").is_file() and summary.changed:
        parts.append("the scores of this run are older than its verdicts: the same `limo evaluate` makes them anew")
    call.result(counts | {"changed": summary.changed}, "\n\n".join(parts))


COMMANDS = (verify,)
