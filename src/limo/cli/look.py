"""The commands that look at what is there: report and doctor.

    limo report runs/lab
    limo doctor

What it does not do: change anything but the page that `report` draws.
"""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path

import click

from limo.cli.shape import Call, command, table


@command(
    "report",
    click.argument("run", metavar="RUN"),
    click.option("-o", "--output", metavar="FILE", help="The page.  [default: report.html in the run]"),
    click.option("--language", type=click.Choice(["en", "zh"]), default="en", help="The one the page opens in."),
)
def report(call: Call, run: str, output: str | None, language: str) -> None:
    """Draw a run's report anew and print its tables.  RUN is a run's folder, or its report.json."""
    from limo.report import content, page, tables

    file = Path(run) if run.endswith(".json") else Path(run) / "report.json"
    target = Path(output) if output else file.with_suffix(".html")
    found = content.load(file)
    page.write(found, target, language)  # type: ignore[arg-type]
    call.result({"report": target}, f"{tables.to_text(found, language)}\n{target}")  # type: ignore[arg-type]


@command("doctor")
def doctor(call: Call) -> None:
    """What this machine has, as far as limo cares.

    Cores, memory, disk, packages, GPU, hub.
    """
    from limo.cli.machine import machine

    found = machine()
    rows = [["what", "here", "for limo"], *([one.what, one.here, one.advice] for one in found)]
    call.result({"machine": [asdict(one) for one in found]}, table(rows))


COMMANDS = (report, doctor)
