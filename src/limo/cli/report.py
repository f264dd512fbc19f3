"""The command report.

limo report runs/lab
"""

from __future__ import annotations

from pathlib import Path

import click

from limo.cli.command import Call, command


@command(
    "report",
    click.argument("run", metavar="RUN"),
    click.option("-o", "--output", metavar="FILE", help="The page.  [default: report.html in the run]"),
    click.option("--language", type=click.Choice(["en", "zh"]), default="en", help="Language the page opens in."),
)
def report(call: Call, run: str, output: str | None, language: str) -> None:
    """Draw a run's report again and print its tables.  RUN is a run folder, or its report.json."""
    from limo.report import page, store, tables

    file = Path(run) if run.endswith(".json") else Path(run) / "report.json"
    target = Path(output) if output else file.with_suffix(".html")
    loaded = store.load(file)
    page.write(loaded, target, language)  # type: ignore[arg-type]
    call.result({"report": target}, f"{tables.to_text(loaded, language)}\n{target}")  # type: ignore[arg-type]


COMMANDS = (report,)
