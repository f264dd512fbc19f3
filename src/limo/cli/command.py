"""What every command has in common: `--json`, `--debug`, progress, printing, exit codes.

    @command("curate", RECIPE, OVERRIDES, run_folder())
    def curate(call: Call, recipe: str, overrides: tuple[str, ...], run: str | None) -> None:
        call.result({"n_selected": 12}, "selected 12")

Exit codes: 0 done, 1 a bug of limo, 2 an input error, 3 stopped before the end.  An error is one line on stderr, and
with `--json` an event on stdout too; `--debug` prints the traceback.
"""

from __future__ import annotations

import contextlib
import functools
import io
import itertools
import json
import math
import os
import re
import shlex
import sys
import traceback
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import click

from limo.cli.arguments import check_arguments
from limo.cli.next_step import next_command, run_of
from limo.core.environment import n_cores
from limo.core.errors import (
    InputError,
    LimoError,
    PartialError,
    RecipeError,
    StorageError,
    did_you_mean,
    machine_limit,
    named_once,
)
from limo.core.files import READ_FAILED, disk_reason, disk_remedy
from limo.core.interrupts import end_with, handle_signals, stop_has_arrived, was_stopped
from limo.core.language import (
    ENGLISH,
    LANGUAGES,
    set_language,
    translated,
    translated_together,
    width,
)
from limo.core.progress import Progress, choose_display, print_line, start_logging
from limo.core.secrets import hide_in_own
from limo.core.text import printable, shorten

if TYPE_CHECKING:
    from limo.core.recipe import Settings
    from limo.stages.recipe_kinds import Kind

T = TypeVar("T", bound="Settings")

DONE, BUG, INPUT, PARTIAL = 0, 1, 2, 3
Decorator = Callable[[Callable[..., None]], Callable[..., None]]
RECIPE = click.argument("recipe", metavar="RECIPE")
_NUMBER = re.compile(r"[-−+]?[0-9][0-9,.]*%?|[-—]?")
OVERRIDES = click.argument("overrides", nargs=-1, metavar="[section.key=value]...")
# Modules that are not in the core, and the extra of pyproject.toml that brings each.
EXTRA_OF_MODULE = {
    "datasets": "pool", "numba": "pool", "opencc": "pool", "huggingface_hub": "pool", "torch": "train", "peft": "train",
    "transformers": "train", "trl": "train", "accelerate": "train", "tokenizers": "train", "matplotlib": "report",
    "math_core": "report", "starlette": "view", "uvicorn": "view", "ray": "ray", "sklearn": "diverse",
    "submitit": "slurm", "sentence_transformers": "embedding", "reasoning_gym": "generators",
}  # fmt: skip
_WHOLE_EXTRA = ("lab", "pool", "report", "train", "view")  # commands whose extra of that name has all they need


@dataclass(frozen=True, slots=True)
class Call:
    """One call of a command: its progress display, and whether results are printed as JSON."""

    progress: Progress
    as_json: bool

    def result(self, value: dict[str, Any], text: str) -> None:
        """Print the result on stdout: `text`, or with `--json` one event with the fields of `value`."""
        line = json.dumps({"event": "result", **value}, default=str) if self.as_json else printable(translated(text))
        try:
            print_line(hide_in_own(line), sys.stdout)
        except BrokenPipeError:
            raise
        except OSError as error:
            raise _unwritable_result(error) from error


def command(name: str, *parameters: Decorator, group: click.Group | None = None) -> Callable[..., click.Command]:
    """Make a function a command of the common shape; its first argument is the `Call`."""

    called = f"{group.name} {name}" if group else name

    def decorate(body: Callable[..., None]) -> click.Command:
        @functools.wraps(body)
        def run(as_json: bool, debug: bool, lang: str, **values: Any) -> None:  # lang: see run_command
            with choose_display(as_json) as progress:
                start_logging(progress, debug)
                try:
                    check_arguments(called, values)
                    body(Call(progress, as_json), **values)
                    following = next_command(called, values)
                    if following and not as_json and os.environ.get("RANK", "0") == "0":  # once of several processes
                        progress.log(f"next: {following}")
                except KeyboardInterrupt:
                    raise PartialError(_interrupted(progress)) from None
                except BrokenPipeError:  # the reader of the output has closed it, for example `head`
                    _replace_by_nothing(1)
                    sys.exit(PARTIAL)
                except Exception as error:
                    if (limit := machine_limit(error)) and progress.n_shown and _goes_on(values):
                        raise PartialError(limit[0], None, "", limit[1]) from error
                    raise

        function: Callable[..., None] = run
        json_help = "One JSON event a line on stdout, the result last."
        language_help = "Language of what is printed.  [default: $LIMO_LANG, else en]"
        function = click.option("--lang", type=click.Choice(LANGUAGES), default=ENGLISH, help=language_help)(function)
        function = click.option("--debug", is_flag=True, help="Print the traceback of an error.")(function)
        function = click.option("--json", "as_json", is_flag=True, help=json_help)(function)
        for parameter in reversed(parameters):
            function = parameter(function)
        return (group.command(name) if group else click.command(name))(function)

    return decorate


def _goes_on(values: Mapping[str, Any]) -> bool:
    """Whether the same command goes on with a run, which is there."""
    if "overrides" not in values or "run" not in values or values.get("dry_run"):
        return False
    run = run_of(values["run"], values["recipe"]) if "recipe" in values else Path(values["run"])
    return (run / "recipe.yaml").is_file()


def _interrupted(progress: Progress) -> str:
    return "interrupted" + (f" ({'; '.join(progress.stopped)})" if progress.stopped else "")


def run_folder(default: str | None = None) -> Decorator:
    """The option `--run`; without a default see `run_of`."""
    shown = default or "runs/ beside the recipe + its name"
    return click.option("--run", default=default, metavar="DIR", help=f"Folder of the run.  [default: {shown}]")


def benchmark_option(what: str) -> Decorator:
    """The option `--benchmark`; see `benchmark_overrides`."""
    return click.option("--benchmark", multiple=True, metavar="NAME[=FILE]", help=what)


def benchmark_overrides(given: Sequence[str]) -> list[str]:
    """What `--benchmark NAME=FILE` means for a recipe: these benchmarks instead of its own."""
    named = named_once(given, "a benchmark")
    return [f"benchmarks={json.dumps(named)}"] if named else []


def named_columns(given: Sequence[str]) -> dict[str, str]:
    """What `--field NAME=COLUMN` names.  Raises InputError for a name that is given twice, or without a column."""
    named = named_once(given, "a column")
    if wrong := [name for name, column in named.items() if not column]:
        raise InputError("this names no column", wrong[0], "--field NAME=COLUMN", "for example --field problem=stem")
    return named


def output(what: str, required: bool = True) -> Decorator:
    """The option `-o` for commands on loose files."""
    return click.option("-o", "--output", required=required, metavar="FILE", help=what)


class Finite(click.FloatRange):
    """A number of a range that is neither infinite nor no number, which compare as if they were in it."""

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        """The number."""
        number = super().convert(value, param, ctx)
        if not math.isfinite(number):
            self.fail(f"'{value}' is not a finite number.", param, ctx)
        return number


RETRY_ERRORS = click.option(
    "--retry-errors", is_flag=True, help="Request again what failed or was ended by the server."
)


def workers() -> Decorator:
    """The option `--workers`; results do not depend on it."""
    shown = "Processes that verify.  [default: one a core]"
    return click.option("--workers", type=click.IntRange(1, 1024), default=n_cores, metavar="N", help=shown)


def load_recipe(model: type[T], kind: Kind, recipe: str, overrides: Sequence[str] = ()) -> T:
    """The recipe of a command.  Raises what `load` does, and one line for a recipe of another kind."""
    from limo.core.recipe import load

    try:
        return load(model, recipe, list(overrides))
    except RecipeError:
        from limo.stages.recipe_kinds import check_kind

        check_kind(recipe, kind)
        raise


def aligned_table(rows: Sequence[Sequence[object]]) -> str:
    """Rows (the first is the head) as aligned text: columns of numbers to the right, all others to the left."""
    columns = [_column([translated(str(row[position])) for row in rows]) for position in range(len(rows[0]))]
    return "\n".join("  ".join(cells).rstrip() for cells in zip(*columns, strict=True))


def _column(cells: list[str]) -> list[str]:
    widest, numbers = max(map(width, cells)), all(_NUMBER.fullmatch(cell) for cell in cells[1:])
    padded = [(cell, " " * (widest - width(cell))) for cell in cells]
    return [space + cell if numbers else cell + space for cell, space in padded]


def run_command(command: click.Command, arguments: list[str] | None = None) -> None:
    """Run the command and exit with its code, whatever became of its standard streams."""
    arguments = sys.argv[1:] if arguments is None else arguments
    set_language(ENGLISH if "--json" in arguments else _language(arguments))
    _open_standard_streams()
    handle_signals()
    code = DONE
    try:
        _check_language(arguments)
        for argument in arguments:
            argument.encode()
        code = command.main(arguments, "limo", standalone_mode=False) or DONE
        sys.stdout.flush()
    except SystemExit as error:  # 1 is click's own where the reader of a help text has gone
        code = PARTIAL if error.code == BUG else int(error.code or DONE)
    except click.ClickException as error:
        code = INPUT
        if isinstance(error, click.NoSuchOption) and error.possibilities:  # without the dashes, which all begin with
            nearest = did_you_mean(error.option_name.strip("-"), [one.strip("-") for one in error.possibilities])
            near = [one for one in error.possibilities if repr(one.strip("-")) in nearest]
            error = click.NoSuchOption(error.option_name, possibilities=near, ctx=error.ctx)
        shown = io.StringIO()
        error.show(shown)
        text = shown.getvalue().rstrip()
        is_help = isinstance(error, getattr(click.exceptions, "NoArgsIsHelpError", ()))  # whole, as --help gives it
        with contextlib.suppress(OSError):
            print(text if is_help else translated(text), file=sys.stderr)
    except BaseException as error:
        if "--debug" in arguments:
            print(printable(hide_in_own(traceback.format_exc())), file=sys.stderr)
        code, text = error_line(error, arguments)
        set_language(_language(arguments))  # an event is English, the line beside it the reader's
        _print_error(text, error_line(error, arguments)[1], code, "--json" in arguments)
    stop_has_arrived()
    for number in (1, 2):
        _cannot_be_written(number)
    sys.exit(code)


def _language(arguments: Sequence[str]) -> str:
    """The value of `--lang`, which errors of parsing need before anything is parsed, or the environment's."""
    given = [word.partition("=")[2] for word in arguments if word.startswith("--lang=")]
    given += [word for option, word in itertools.pairwise(arguments) if option == "--lang"]
    return given[-1] if given else os.environ.get("LIMO_LANG") or ENGLISH


def _check_language(arguments: Sequence[str]) -> None:
    """Raise InputError where the environment names a language that is not printed; `--lang` is a choice."""
    if (language := _language(arguments)) not in LANGUAGES and "--lang" not in " ".join(arguments):
        do = "export LIMO_LANG=zh, or unset it"
        raise InputError("LIMO_LANG names a language that is not printed", language, known=LANGUAGES, do=do)


def end_process(run: Callable[[], None]) -> None:
    """Run the command of this process and end it; after a signal without the interpreter's end, which threads abort."""
    try:
        try:
            run()
        except SystemExit as ended:
            code = ended.code if isinstance(ended.code, int) else BUG
            if not was_stopped():
                end_with(code)
                raise
            for stream in (sys.stdout, sys.stderr):
                with contextlib.suppress(OSError, ValueError):
                    stream.flush()
            os._exit(code)
    except KeyboardInterrupt:  # between the end of the work and here
        os._exit(PARTIAL)


def _open_standard_streams() -> None:
    """Give closed standard streams a file, else the next file opened would be written to as if it were one of them.

    Writing to a closed stdout then fails as it does for other tools; a closed stderr swallows what is written.
    """
    for number, name, flags in ((0, "stdin", os.O_RDONLY), (1, "stdout", os.O_RDONLY), (2, "stderr", os.O_RDWR)):
        if getattr(sys, name) is None:
            opened = os.open(os.devnull, flags)  # the lowest free number, mostly this one
            os.dup2(opened, number)
            setattr(sys, name, open(number, "r" if number == 0 else "w", closefd=False))  # noqa: SIM115
        if number and isinstance(stream := getattr(sys, name), io.TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")


def error_line(error: BaseException, arguments: list[str]) -> tuple[int, str]:
    """The exit code of an error and its one line."""
    if not isinstance(error, PartialError) and (limit := machine_limit(error)):
        error = LimoError(limit[0], None, "", limit[1])
    if isinstance(error, LimoError):
        text, code = error.text(translated_together), error.exit_code
        if isinstance(error, PartialError):
            again = [*arguments, *(option for option in error.options if option not in arguments)]
            text += translated("; ") + translated(f"continue with: limo {shlex.join(again)}")
        return code, _one_safe_line(text)
    if isinstance(error, KeyboardInterrupt | click.Abort):
        text, code = f"interrupted; continue with: limo {shlex.join(arguments)}", PARTIAL
    elif isinstance(error, ImportError) and (missing := _missing_extra(error, arguments)):
        text, code = missing, INPUT
    elif isinstance(error, OSError) and (_cannot_be_written(1) or _is_of_help(error)):
        text, code = str(_unwritable_result(error)), INPUT
    elif isinstance(error, UnicodeEncodeError) and error.object in arguments:
        text, code = f"an argument is not UTF-8: {error.object!a}; rename the file or folder", INPUT
    elif reason := disk_reason(error):
        path = getattr(error, "filename", None) or "unknown file"
        full = StorageError(f"cannot write ({reason})", path, "", disk_remedy(reason))
        return INPUT, _one_safe_line(full.text(translated_together))
    elif isinstance(error, FileNotFoundError) and not error.filename and _has_no_folder():
        gone = InputError("the current folder was removed", None, "a folder that is there", "go to one (`cd`)")
        return INPUT, _one_safe_line(gone.text(translated_together))
    elif isinstance(error, OSError) and error.filename:
        path = shorten(os.fsdecode(error.filename), 200)
        text, code = f"a file or folder cannot be used ({error.strerror}): {path!r}; check the path", INPUT
    elif isinstance(error, OSError) and error.errno in READ_FAILED:
        text, code = f"a file or folder cannot be used ({error.strerror}); check the disk (--debug says where)", INPUT
    else:
        text = f"bug: {type(error).__name__}: {error}; please report it; --debug prints where it happened"
        code = BUG
    return code, _one_safe_line(translated(" ".join(text.split())))


def _has_no_folder() -> bool:
    try:
        os.getcwd()
    except FileNotFoundError:
        return True
    return False


def _one_safe_line(text: str) -> str:
    return printable(hide_in_own(" ".join(text.split())))


def _missing_extra(error: ImportError, arguments: list[str]) -> str:
    """Which extra of limo brings the module that could not be imported; '' for one that no extra brings."""
    module = (error.name or "").partition(".")[0]
    if module == "pyarrow":  # of the core, and large enough that somebody leaves it out
        return f"pyarrow cannot be imported ({error}); runs and pools are Parquet: pip install pyarrow"
    if module not in EXTRA_OF_MODULE:
        return ""
    extra = arguments[0] if arguments and arguments[0] in _WHOLE_EXTRA else EXTRA_OF_MODULE[module]
    return f"{module} cannot be imported ({error}); it comes with the extra {extra!r}: pip install 'limo[{extra}]'"


def _cannot_be_written(number: int) -> bool:
    """Whether stdout (1) or stderr (2) refuses what it holds; then it is replaced, so that no end complains."""
    stream = sys.stdout if number == 1 else sys.stderr
    try:
        stream.flush()
    except OSError:
        _replace_by_nothing(number)
        return True
    return False


def _is_of_help(error: OSError) -> bool:
    """Whether click raised it, which writes help texts and nothing else; an unbuffered stdout holds nothing then."""
    frames = [frame for frame, _ in traceback.walk_tb(error.__traceback__)]
    return bool(frames) and frames[-1].f_globals["__name__"].startswith("click.")


def _unwritable_result(error: OSError) -> StorageError:
    what, do = "the result cannot be written to stdout", "give it a file with room or a reader"
    return StorageError(what, error.strerror or "closed", "", do)


def _replace_by_nothing(number: int) -> None:
    os.dup2(os.open(os.devnull, os.O_WRONLY), number)


def _print_error(text: str, line: str, code: int, as_json: bool) -> None:
    with contextlib.suppress(OSError):
        if as_json:
            print(json.dumps({"event": "error", "exit_code": code, "text": text}), flush=True)
    with contextlib.suppress(OSError):
        print(f"limo: {line}", file=sys.stderr, flush=True)
