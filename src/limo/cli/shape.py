"""What every command has in common: `--json`, `--debug`, a display for progress, and how results are printed.

    @command("curate", RECIPE, OVERRIDES, run_folder())
    def curate(call: Call, recipe: str, overrides: tuple[str, ...], run: str | None) -> None:
        call.result({"n_selected": 12}, "selected 12")

What it does not do: catch errors (`boundary` does), except to say what an interrupted command had still to do.
"""

from __future__ import annotations

import functools
import json
import os
import re
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import click

from limo.core.errors import PartialError
from limo.core.progress import Progress, choose, start_logging

Decorator = Callable[[Callable[..., None]], Callable[..., None]]
RECIPE = click.argument("recipe", metavar="RECIPE")
_NUMBER = re.compile(r"[-+]?[0-9][0-9,.]*%?|-?")
OVERRIDES = click.argument("overrides", nargs=-1, metavar="[section.key=value]...")


@dataclass(frozen=True, slots=True)
class Call:
    """One call of a command: where it tells what it does, and how it gives its result."""

    progress: Progress
    as_json: bool

    def result(self, value: dict[str, Any], text: str) -> None:
        """The result on stdout: `text` for a person, one JSON event for a program."""
        if self.as_json:
            print(json.dumps({"event": "result", **value}, default=str), flush=True)
        else:
            print(text, flush=True)


def command(name: str, *parameters: Decorator, group: click.Group | None = None) -> Callable[..., click.Command]:
    """Make a function a command of the common shape; its first argument is the `Call`."""

    def made(body: Callable[..., None]) -> click.Command:
        @functools.wraps(body)
        def run(as_json: bool, debug: bool, **values: Any) -> None:
            with choose(as_json) as progress:
                start_logging(progress, debug)
                try:
                    body(Call(progress, as_json), **values)
                except KeyboardInterrupt:
                    raise PartialError(_left(progress)) from None
                except BrokenPipeError:  # whoever read the output has gone, for example `head`; click would exit 1
                    os.dup2(os.open(os.devnull, os.O_WRONLY), 1)
                    sys.exit(PartialError.exit_code)

        shaped: Callable[..., None] = run
        json_help = "One JSON event a line on stdout, the result last."
        shaped = click.option("--debug", is_flag=True, help="Show where an error came from.")(shaped)
        shaped = click.option("--json", "as_json", is_flag=True, help=json_help)(shaped)
        for parameter in reversed(parameters):
            shaped = parameter(shaped)
        return (group.command(name) if group else click.command(name))(shaped)

    return made


def _left(progress: Progress) -> str:
    return "interrupted" + (f" ({'; '.join(progress.stopped)})" if progress.stopped else "")


def run_folder(default: str | None = None) -> Decorator:
    """The option `--run`; without a default it is `runs/` and the recipe's name."""
    shown = default or "runs/ and the recipe's name"
    return click.option("--run", default=default, metavar="DIR", help=f"Folder of the run.  [default: {shown}]")


def run_of(run: str | None, recipe: str) -> Path:
    """The run's folder: as given, or named like the recipe."""
    return Path(run) if run else Path("runs") / Path(recipe).stem


def output(what: str, required: bool = True) -> Decorator:
    """The option `-o` for commands on loose files."""
    return click.option("-o", "--output", required=required, metavar="FILE", help=what)


def workers() -> Decorator:
    """The option `--workers`; results do not depend on it."""
    shown = "Processes that check answers.  [default: one a core]"
    return click.option("--workers", type=click.IntRange(1), default=n_cores, metavar="N", help=shown)


def n_cores() -> int:
    """Cores that this process may use."""
    return len(os.sched_getaffinity(0)) if sys.platform == "linux" else os.cpu_count() or 1


def table(rows: Sequence[Sequence[object]]) -> str:
    """Rows (the first is the head) as aligned text: columns of numbers to the right, all others to the left."""
    columns = [_column([str(row[place]) for row in rows]) for place in range(len(rows[0]))]
    return "\n".join("  ".join(cells).rstrip() for cells in zip(*columns, strict=True))


def _column(cells: list[str]) -> list[str]:
    width, numbers = max(map(len, cells)), all(_NUMBER.fullmatch(cell) for cell in cells[1:])
    return [cell.rjust(width) if numbers else cell.ljust(width) for cell in cells]
