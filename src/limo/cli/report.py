"""The command report.

limo report runs/lab
limo report runs/base runs/limo -o report.html --charts charts/
"""

from __future__ import annotations

from pathlib import Path

import click

from limo.cli.command import Call, command, page_language


@command(
    "report",
    click.argument("runs", nargs=-1, required=True, metavar="RUN..."),
    click.option("-o", "--output", metavar="FILE", help="The page.  [default: report.html in the first run]"),
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
    from limo.stages.reports import build

    content, language = build.run(runs, sampled), page_language()
    first = Path(runs[0])
    target = Path(output) if output else first.with_suffix(".html") if first.is_file() else first / "report.html"
    page.write(content, target, language)
    value: dict[str, object] = {"report": target}
    if data:
        store.save(content, data)
        value["data"] = data
    if charts:
        value["charts"] = page.write_charts(content, charts, language)
    call.result(value, f"{tables.to_text(content, language)}\n{target}")


COMMANDS = (report,)
