"""The one place where an exception becomes a line and an exit code.

0 done, 1 a bug (ours), 2 your input, 3 stopped on the way.  An error is one line on stderr, and with `--json` an event
on stdout too; `--debug` shows where it came from.

    guarded(root)       # parses sys.argv, runs, exits

What it does not do: decide what is an error; rooms raise LimoError, and everything else is a bug.
"""

from __future__ import annotations

import errno
import json
import shlex
import signal
import sys
import traceback
from types import FrameType

import click

from limo.core.errors import LimoError

DONE, BUG, INPUT, PARTIAL = 0, 1, 2, 3
_DISK = {errno.ENOSPC, errno.EROFS, errno.EDQUOT, errno.EACCES, errno.EPERM}


def guarded(command: click.Command, arguments: list[str] | None = None) -> None:
    """Run the command and exit; SIGTERM ends it as Ctrl-C does, with everything put away."""
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
        code, text = told(error, arguments)
        _show(text, code, "--json" in arguments)
    sys.exit(code if isinstance(code, int) else DONE)


def told(error: BaseException, arguments: list[str]) -> tuple[int, str]:
    """The exit code of an error and its one line."""
    if isinstance(error, LimoError):
        text, code = str(error), error.exit_code
        if code == PARTIAL:
            text += f"; go on with: limo {shlex.join(arguments)}"
    elif isinstance(error, KeyboardInterrupt | click.Abort):
        text, code = f"interrupted; go on with: limo {shlex.join(arguments)}", PARTIAL
    elif isinstance(error, OSError) and error.errno in _DISK:
        text, code = f"the disk refuses ({error.strerror}): {error.filename or 'no file named'!r}", INPUT
    else:
        text = f"bug: {type(error).__name__}: {error}; please report it; --debug shows where it happened"
        code = BUG
    return code, " ".join(text.split())


def _show(text: str, code: int, as_json: bool) -> None:
    if as_json:
        print(json.dumps({"event": "error", "exit_code": code, "text": text}), flush=True)
    print(f"limo: {text}", file=sys.stderr, flush=True)


def _interrupt(_: int, __: FrameType | None) -> None:
    raise KeyboardInterrupt
