"""What every command has in common: `--json`, `--debug`, progress, printing, exit codes.

    @command("curate", RECIPE, OVERRIDES, run_folder())
    def curate(call: Call, recipe: str, overrides: tuple[str, ...], run: str | None) -> None:
        call.result({"n_selected": 12}, "selected 12")

Exit codes: 0 done, 1 a bug of limo, 2 an input error, 3 stopped before the end.  An error is one line on stderr, and
with `--json` an event on stdout too; `--debug` prints the traceback.
"""

from __future__ import annotations

import errno
import functools
import json
import os
import re
import shlex
import signal
import sys
import traceback
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import FrameType
from typing import Any

import click

from limo.core.errors import LimoError, PartialError
from limo.core.progress import Progress, choose_display, start_logging

DONE, BUG, INPUT, PARTIAL = 0, 1, 2, 3
_DISK = {errno.ENOSPC, errno.EROFS, errno.EDQUOT, errno.EACCES, errno.EPERM}
Decorator = Callable[[Callable[..., None]], Callable[..., None]]
RECIPE = click.argument("recipe", metavar="RECIPE")
_NUMBER = re.compile(r"[-+]?[0-9][0-9,.]*%?|-?")
OVERRIDES = click.argument("overrides", nargs=-1, metavar="[section.key=value]...")


@dataclass(frozen=True, slots=True)
class Call:
    """One call of a command: its progress display, and whether results are printed as JSON."""

    progress: Progress
    as_json: bool

    def result(self, value: dict[str, Any], text: str) -> None:
        """Print the result on stdout: `text`, or with `--json` one event with the fields of `value`."""
        if self.as_json:
            print(json.dumps({"event": "result", **value}, default=str), flush=True)
        else:
            print(text, flush=True)


def command(name: str, *parameters: Decorator, group: click.Group | None = None) -> Callable[..., click.Command]:
    """Make a function a command of the common shape; its first argument is the `Call`."""

    def decorate(body: Callable[..., None]) -> click.Command:
        @functools.wraps(body)
        def run(as_json: bool, debug: bool, **values: Any) -> None:
            with choose_display(as_json) as progress:
                start_logging(progress, debug)
                try:
                    body(Call(progress, as_json), **values)
                except KeyboardInterrupt:
                    raise PartialError(_interrupted(progress)) from None
                except BrokenPipeError:  # the reader of the output has closed it, for example `head`
                    os.dup2(os.open(os.devnull, os.O_WRONLY), 1)
                    sys.exit(PartialError.exit_code)

        function: Callable[..., None] = run
        json_help = "One JSON event a line on stdout, the result last."
        function = click.option("--debug", is_flag=True, help="Print the traceback of an error.")(function)
        function = click.option("--json", "as_json", is_flag=True, help=json_help)(function)
        for parameter in reversed(parameters):
            function = parameter(function)
        return (group.command(name) if group else click.command(name))(function)

    return decorate


def _interrupted(progress: Progress) -> str:
    return "interrupted" + (f" ({'; '.join(progress.stopped)})" if progress.stopped else "")


def run_folder(default: str | None = None) -> Decorator:
    """The option `--run`; without a default it is `runs/` plus the recipe's name."""
    shown = default or "runs/ + the recipe's name"
    return click.option("--run", default=default, metavar="DIR", help=f"Folder of the run.  [default: {shown}]")


def run_of(run: str | None, recipe: str) -> Path:
    """The run's folder: as given, or named like the recipe."""
    return Path(run) if run else Path("runs") / Path(recipe).stem


def output(what: str, required: bool = True) -> Decorator:
    """The option `-o` for commands on loose files."""
    return click.option("-o", "--output", required=required, metavar="FILE", help=what)


def workers() -> Decorator:
    """The option `--workers`; results do not depend on it."""
    shown = "Processes that verify.  [default: one a core]"
    return click.option("--workers", type=click.IntRange(1), default=n_cores, metavar="N", help=shown)


def n_cores() -> int:
    """Cores that this process may use."""
    return len(os.sched_getaffinity(0)) if sys.platform == "linux" else os.cpu_count() or 1


def aligned_table(rows: Sequence[Sequence[object]]) -> str:
    """Rows (the first is the head) as aligned text: columns of numbers to the right, all others to the left."""
    columns = [_column([str(row[position]) for row in rows]) for position in range(len(rows[0]))]
    return "\n".join("  ".join(cells).rstrip() for cells in zip(*columns, strict=True))


def _column(cells: list[str]) -> list[str]:
    width, numbers = max(map(len, cells)), all(_NUMBER.fullmatch(cell) for cell in cells[1:])
    return [cell.rjust(width) if numbers else cell.ljust(width) for cell in cells]


def run_command(command: click.Command, arguments: list[str] | None = None) -> None:
    """Run the command and exit; SIGTERM ends it as Ctrl-C does: run folders are unlocked and whole."""
    arguments = sys.argv[1:] if arguments is None else arguments
    signal.signal(signal.SIGTERM, _interrupt)
    try:
        code = command.main(arguments, "limo", standalone_mode=False)
        sys.stdout.flush()
    except click.ClickException as error:
        error.show()
        sys.exit(INPUT)
    except BaseException as error:
        if isinstance(error, SystemExit):
            raise
        if "--debug" in arguments:
            traceback.print_exc()
        code, text = error_line(error, arguments)
        _print_error(text, code, "--json" in arguments)
    sys.exit(code if isinstance(code, int) else DONE)


def error_line(error: BaseException, arguments: list[str]) -> tuple[int, str]:
    """The exit code of an error and its one line."""
    if isinstance(error, LimoError):
        text, code = str(error), error.exit_code
        if code == PARTIAL:
            text += f"; continue with: limo {shlex.join(arguments)}"
    elif isinstance(error, KeyboardInterrupt | click.Abort):
        text, code = f"interrupted; continue with: limo {shlex.join(arguments)}", PARTIAL
    elif isinstance(error, OSError) and error.errno in _DISK:
        text, code = f"the disk cannot be written ({error.strerror}): {error.filename or 'unknown file'!r}", INPUT
    else:
        text = f"bug: {type(error).__name__}: {error}; please report it; --debug prints where it happened"
        code = BUG
    return code, " ".join(text.split())


def _print_error(text: str, code: int, as_json: bool) -> None:
    if as_json:
        print(json.dumps({"event": "error", "exit_code": code, "text": text}), flush=True)
    print(f"limo: {text}", file=sys.stderr, flush=True)


def _interrupt(_: int, __: FrameType | None) -> None:
    raise KeyboardInterrupt
