"""The commands that look at what is there: report, benchmarks, doctor.

    limo report runs/lab
    limo benchmarks --path eval/data
    limo doctor

What it does not do: change anything but the page that `report` draws.
"""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path

import click

from limo.cli.shape import Call, command, table
from limo.errors import LimoError


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
    call.result({"report": target}, f"{tables.plain(found, language)}\n{target}")  # type: ignore[arg-type]


@command(
    "benchmarks",
    click.option("--path", metavar="PATH", help="Look which of them are in this folder, and whether they are whole."),
)
def benchmarks(call: Call, path: str | None) -> None:
    """The benchmarks that are known.

    The paper's group, rows, decoding, and where they are published or whether they are here.
    """
    from limo.pool.benchmarks import benchmarks as known
    from limo.pool.benchmarks import decoding

    rows: list[list[object]] = [["benchmark", "group", "rows", "decoding", "judge", "here" if path else "home"]]
    value = {}
    for name, entry in known().items():
        n, sampling = decoding(name)
        how = f"{n} at {sampling.temperature}" if n > 1 else "greedy"
        where = _found(name, path) if path else entry.home
        rows.append([name, entry.group, entry.n, how, "model" if entry.judge else "rules", where])
        value[name] = entry.model_dump(mode="json") | ({"here": where} if path else {})
    call.result({"benchmarks": value}, table(rows))


def _found(name: str, path: str) -> str:
    from limo.pool.benchmarks import load_benchmark

    try:
        return f"{len(load_benchmark(name, path))} rows"
    except LimoError as error:
        return str(error).split(" (allowed")[0]


@command("doctor")
def doctor(call: Call) -> None:
    """What this machine has, as far as limo cares.

    Cores, memory, disk, packages, GPU, hub.
    """
    from limo.cli.machine import machine

    found = machine()
    rows = [["what", "here", "for limo"], *([one.what, one.here, one.advice] for one in found)]
    call.result({"machine": [asdict(one) for one in found]}, table(rows))


COMMANDS = (report, benchmarks, doctor)
