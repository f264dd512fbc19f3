"""The command report.

limo report runs/lab
limo report runs/base runs/limo -o report.html --charts charts/
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from limo.cli.arguments import refuse_ignored
from limo.cli.command import Call, command

if TYPE_CHECKING:
    from limo.report.content import Report

MAX_NAME = 120  # characters of a page's name; file systems hold some 250 bytes


@command(
    "report",
    click.argument("runs", nargs=-1, required=True, metavar="RUN..."),
    click.option(
        "-o",
        "--output",
        metavar="FILE",
        help="The page.  [default: report.html in the run; of several comparison-NAMES.html in the first]",
    ),
    click.option("--charts", metavar="DIR", help="Write every chart as SVG and PNG, and every table as CSV, as well."),
    click.option("--data", metavar="FILE", help="Write the report's content as JSON as well."),
    click.option("--sampled", metavar="RUN", help="The base, sampled often: what training elicited, taught and lost."),
)
def report(
    call: Call, runs: tuple[str, ...], output: str | None, charts: str | None, data: str | None, sampled: str | None
) -> None:  # fmt: skip
    """Draw the report of a run, or of several compared, and print its tables.

    RUN is a folder that limo lab, curate, train or evaluate made (evaluate --checkpoints as well), a decontaminated
    pool, or a report.json.  The page holds English and Chinese, and opens in the language of --lang.
    """
    from limo.report import page, store, tables
    from limo.report.words import page_language
    from limo.stages.reports import build

    if len(runs) == 1:
        refuse_ignored(["sampled"], "in the report of one run")
    unfinished, language = _unfinished_lab(runs), page_language()
    content = unfinished or build.run(runs, sampled)
    target = Path(output) if output else _default_page([Path(run) for run in runs])
    page.write(content, target, language)
    value: dict[str, object] = {"report": target}
    if data:
        store.save(content, data)
        value["data"] = data
    if charts:
        value["charts"] = page.write_charts(content, charts, language)
    shown = f"\n{unfinished.subtitle.text(language)}" if unfinished else ""
    call.result(value | {"is_finished": not unfinished}, f"{tables.to_text(content, language)}{shown}\n{target}")


def _default_page(runs: list[Path]) -> Path:
    """A run's own page is `report.html`; a comparison has one of its own, named after the runs, beside it."""
    from limo.core.text import content_hash
    from limo.stages.reports.training import run_names

    first = runs[0]
    folder = first.parent if first.is_file() else first
    if len(runs) == 1:
        return first.with_suffix(".html") if first.is_file() else first / "report.html"
    names = "-".join(name.replace("/", "-") for name in run_names([run.absolute() for run in runs]).values())
    return folder / f"comparison-{names if len(names) <= MAX_NAME else content_hash(names)}.html"


def _unfinished_lab(runs: tuple[str, ...]) -> Report | None:
    """The report of one lab that has not ended; None for anything else."""
    from limo.stages.recipe_kinds import kind_of_recipe

    if len(runs) > 1 or not kind_of_recipe(str(Path(runs[0]) / "recipe.yaml")).endswith("lab"):
        return None
    from limo.experiments.lab_status import unfinished_report

    return unfinished_report(runs[0])


COMMANDS = (report,)
