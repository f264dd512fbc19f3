import errno
import json
import os
import signal
import subprocess
import sys

import click
import pytest

from limo.cli.command import Call, aligned_table, command, error_line, run_command
from limo.core.errors import InputError, PartialError, StorageError
from limo.core.secrets import remember_secret


def raising(error):
    @command("do")
    def do(call: Call) -> None:
        """Raise the error in the middle of a stage."""
        with call.progress.stage("asking", total=8) as stage:
            stage.advance(3)
            raise error

    return do


@pytest.fixture
def end(limo, capsys):
    """Runs a command that raises; `limo` is asked for only because it puts signals and logging back."""

    def call(error, *arguments):
        with pytest.raises(SystemExit) as ended:
            run_command(raising(error), list(arguments))
        out, err = capsys.readouterr()
        return ended.value.code, out, [line for line in err.splitlines() if not line.startswith("asking")]

    return call


def test_what_the_user_gave_exits_with_two_and_one_line(end):
    code, _, err = end(InputError("the pool is empty", "a.jsonl", "one problem", "check\nthe path"))
    assert (code, err) == (2, ["limo: the pool is empty: 'a.jsonl' (allowed: one problem); check the path"])


@pytest.mark.parametrize("is_wrapped", [False, True])
@pytest.mark.parametrize("number", [errno.ENOSPC, errno.EROFS, errno.EDQUOT, errno.EFBIG])
def test_a_disk_that_refuses_is_the_users_business_too(end, number, is_wrapped):
    error = OSError(number, os.strerror(number), "runs/a")
    code, _, err = end(wrapped("it failed", error) if is_wrapped else error)
    assert code == 2 and len(err) == 1
    do = "name a folder that may be written" if number == errno.EROFS else "free some space"
    path = "unknown file" if is_wrapped else "runs/a"
    assert err[0].startswith(f"limo: cannot write ({os.strerror(number)}): '{path}'; {do}")


@pytest.mark.parametrize("number", [errno.EACCES, errno.ENAMETOOLONG, errno.ENOTDIR, errno.EISDIR, errno.ELOOP])
def test_a_path_that_cannot_be_used_is_the_users_business_too(end, number):
    code, _, err = end(OSError(number, os.strerror(number), "runs/" + "a" * 5000))
    assert code == 2 and len(err) == 1 and len(err[0]) < 400
    assert err[0].startswith(f"limo: a file or folder cannot be used ({os.strerror(number)}): 'runs/aaa")


def wrapped(message, cause):
    error = RuntimeError(message)
    error.__cause__ = cause
    return error


@pytest.mark.parametrize(
    "error",
    [
        wrapped("An error occurred while generating the dataset", OSError(errno.ENOSPC, "No space left on device")),
        RuntimeError("Error while serializing: I/O error: No space left on device (os error 28)"),
        RuntimeError("Error while serializing: IoError(os error 28)"),
    ],
    ids=str,
)
def test_a_full_disk_that_a_library_tells_in_its_own_way_is_no_bug(end, error):
    code, _, err = end(error)
    assert code == 2 and err[0].startswith("limo: cannot write (No space left on device)")


def test_what_a_terminal_would_obey_is_shown_as_marks(end):
    code, _, err = end(InputError("the column \x1b]0;owned\x07 is \u202eunknown", "\x9b2J"))
    assert (code, err) == (2, ["limo: the column \\x1b]0;owned\\x07 is \\u202eunknown: '\\x9b2J'"])


def test_arguments_that_are_no_utf8_are_refused_whole(limo):
    code, _, err = limo("verify", "a\udcff.jsonl")
    assert (code, err) == (2, "limo: an argument is not UTF-8: 'a\\udcff.jsonl'; rename the file or folder\n")


@pytest.mark.parametrize("number", [errno.EIO, errno.ENODEV, errno.ESTALE])
def test_a_disk_that_fails_while_it_is_read_is_no_bug(end, number):
    code, _, err = end(OSError(number, os.strerror(number)))
    assert code == 2 and err == [
        f"limo: a file or folder cannot be used ({os.strerror(number)}); check the disk (--debug says where)"
    ]


@pytest.mark.parametrize("error", [ZeroDivisionError("division"), OSError(errno.EPIPE + 900, "odd"), AssertionError()])
def test_everything_else_is_a_bug_and_says_so(end, error):
    code, _, err = end(error)
    assert code == 1
    assert err[0].startswith("limo: bug: ") and "please report" in err[0] and len(err) == 1


def test_debug_shows_where_it_happened(end):
    code, _, err = end(ZeroDivisionError("division"), "--debug")
    assert code == 1
    assert any("raise error" in line for line in err)


def test_an_interrupted_command_says_how_far_it_was_and_how_to_go_on(end):
    code, _, err = end(KeyboardInterrupt(), "--debug")
    assert code == 3
    assert err[-1].startswith("limo: interrupted (asking: stopped after ")
    assert err[-1].endswith("3 of 8); continue with: limo --debug")


def test_a_stop_that_a_room_made_goes_on_with_the_same_command():
    code, text = error_line(PartialError("the budget is spent", "10 USD"), ["curate", "a recipe.yaml"])
    assert (code, text) == (3, "the budget is spent: '10 USD'; continue with: limo curate 'a recipe.yaml'")


def test_with_json_the_error_is_an_event_too(end):
    code, out, err = end(StorageError("cannot write"), "--json")
    events = [json.loads(line) for line in out.splitlines()]
    assert [event["event"] for event in events] == ["start", "stop", "error"]
    assert (code, events[-1]) == (2, {"event": "error", "exit_code": 2, "text": "cannot write"})
    assert err == ["limo: cannot write"]


def test_a_wrong_option_is_the_users_and_names_the_nearest(limo):
    code, _, err = limo("curate", "r.yaml", "--rnu", "x")
    assert code == 2
    assert "--run" in err and "Traceback" not in err


def test_a_reader_that_went_away_is_no_error_of_ours(end):
    kept = os.dup(1)
    try:
        code, _, err = end(BrokenPipeError(errno.EPIPE, "Broken pipe"))
    finally:
        os.dup2(kept, 1)
        os.close(kept)
    assert (code, err) == (3, [])


def test_a_polite_kill_ends_as_ctrl_c_does(limo, capsys):
    @command("do")
    def do(call: Call) -> None:
        """Be killed."""
        with call.progress.stage("asking"):
            os.kill(os.getpid(), signal.SIGTERM)

    with pytest.raises(SystemExit) as ended:
        run_command(do, [])
    assert ended.value.code == 3
    assert "continue with" in capsys.readouterr().err


def test_results_are_the_only_thing_on_stdout(limo, capsys):
    @command("do")
    def do(call: Call) -> None:
        """Say, and give a result."""
        call.progress.log("working")
        call.result({"n": 2}, "two")

    for arguments, wanted in (([], "two\n"), (["--json"], None)):
        with pytest.raises(SystemExit) as ended:
            run_command(do, arguments)
        out, err = capsys.readouterr()
        assert ended.value.code == 0
        if wanted:
            assert (out, err) == (wanted, "working\n")
    assert [json.loads(line) for line in out.splitlines()] == [
        {"event": "log", "text": "working"},
        {"event": "result", "n": 2},
    ]


@pytest.mark.parametrize("arguments", [[], ["--json"]])
def test_a_result_that_names_the_key_is_printed_without_it(arguments, capsys):
    @command("do")
    def do(call: Call) -> None:
        """Give a result."""
        tags = "".join(chr(0xE0000 + ord(c)) for c in "q7Zx0Lk3vB9nT2mR")
        call.result({"run": "q/q7Zx0Lk3vB9nT2mR", tags: tags}, f"next: limo view q/q7Zx0Lk3vB9nT2mR {tags}")

    remember_secret("q7Zx0Lk3vB9nT2mR")
    with pytest.raises(SystemExit) as ended:
        run_command(do, arguments)
    out = capsys.readouterr().out
    assert ended.value.code == 0 and "q7Zx" not in out and "0071" not in out and "dc71" not in out
    if arguments:
        assert json.loads(out)["run"] == "q/[hidden]"
    else:
        assert out == "next: limo view q/[hidden] [hidden]\n"


def test_columns_of_numbers_stand_to_the_right():
    assert aligned_table([["what", "n", "note"], ["a", 5, "x 1"], ["bb", 1200, "7"]]) == (
        "what     n  note\na        5  x 1\nbb    1200  7"
    )


def test_every_command_has_the_common_shape():
    from limo.cli import root

    def commands(group):
        for one in group.commands.values():
            yield from commands(one) if isinstance(one, click.Group) else [one]

    for one in commands(root):
        assert {"as_json", "debug"} <= {parameter.name for parameter in one.params}, one.name
        assert one.help, one.name


SIGNALLED = """
import os, runpy, signal, sys

class Signals:
    def find_spec(self, name, *_):
        if name == sys.argv[1]:
            os.kill(os.getpid(), getattr(signal, sys.argv[2]))

sys.meta_path.insert(0, Signals())
runpy.run_module("limo", run_name="__main__")
"""


@pytest.mark.parametrize("name", ["SIGINT", "SIGTERM", "SIGHUP"])
@pytest.mark.parametrize("module", ["limo.cli", "click", "limo.cli.view"])
def test_a_signal_while_modules_are_imported_is_one_line_and_exit_code_3(module, name):
    command = [sys.executable, "-c", SIGNALLED, module, name]
    environment = os.environ | {"PYTHONPATH": os.pathsep.join(sys.path)}
    ended = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=60)
    assert (ended.returncode, ended.stdout) == (3, "")
    assert ended.stderr == "limo: interrupted before anything was begun; start it again\n"
