"""The command as a process: standard streams that are closed or full, and signals at any moment."""

import os
import signal
import subprocess
import sys
import textwrap
import time
from pathlib import Path

import pytest

pytestmark = [pytest.mark.slow, pytest.mark.hostile]  # a process each
ENVIRONMENT = os.environ | {"PYTHONPATH": os.pathsep.join(sys.path), "PYTHONUNBUFFERED": ""}
LIMO = f"{sys.executable} -m limo"


def shell(line, folder):
    done = subprocess.run(
        ["bash", "-c", line], cwd=folder, env=ENVIRONMENT, capture_output=True, text=True, timeout=300
    )
    return done.returncode, done.stdout, done.stderr


COMMANDS = ["--help", "--version", "verify --help", "benchmarks list", "benchmarks list --json", "pool"]


@pytest.mark.parametrize("command", COMMANDS)
@pytest.mark.parametrize("target", [">&-", "> /dev/full"])
def test_a_result_that_cannot_be_written_is_one_line_and_exit_code_2(tmp_path, command, target):
    code, out, err = shell(f"{LIMO} {command} {target}", tmp_path)
    assert (code, out) == (2, "")
    if command != "pool":  # a group without a command is an error of usage, told on stderr
        assert "cannot be written to stdout" in err and err.count("\n") <= 1 + err.count("benchmark")
    assert "Traceback" not in err and "bug" not in err and "Exception ignored" not in err


@pytest.mark.parametrize("command", ["--help", "--version", "pool --help", "verify --help --lang zh"])
def test_an_unbuffered_stdout_that_is_full_is_named_too(tmp_path, command):
    code, _, err = shell(f"PYTHONUNBUFFERED=1 {LIMO} {command} > /dev/full", tmp_path)
    assert code == 2 and "unknown file" not in err and ("stdout" in err or "标准输出" in err)


@pytest.mark.parametrize("command", [*COMMANDS, "verify nothing.jsonl"])
@pytest.mark.parametrize("target", ["2>&-", "2> /dev/full", "0<&- 2>&-"])
def test_without_a_place_for_messages_the_command_does_its_work(tmp_path, command, target):
    code, out, _ = shell(f"{LIMO} {command} {target}", tmp_path)
    assert code == (2 if command in ("pool", "verify nothing.jsonl") else 0)
    assert out or code == 2


def test_work_goes_on_where_its_messages_cannot_be_written_and_files_never_get_them(tmp_path):
    rows = '{"answer": "1", "completion": "\\\\boxed{1}"}\n' * 3
    (tmp_path / "rows.jsonl").write_text(rows)
    code, *_ = shell(f"{LIMO} verify rows.jsonl -o out.jsonl --workers 1 >&- 2>&- 0<&-", tmp_path)
    assert code == 2  # the counts, which go to stdout, are lost
    assert [line[:10] for line in (tmp_path / "out.jsonl").read_text().splitlines()] == ['{"answer":'] * 3


@pytest.mark.parametrize("command", ["--help", "benchmarks list"])
def test_a_reader_that_goes_away_is_no_error(tmp_path, command):
    _, out, err = shell(f"{LIMO} {command} | true; echo ${{PIPESTATUS[0]}}", tmp_path)
    assert out.strip() in ("0", "3") and err == ""


WAITING = """
    import signal, sys, threading, time
    from limo.cli.command import command, end_process, run_command

    @command("wait")
    def wait(call):
        with call.progress.stage("wait", total=1):
            if "thread" in sys.argv:
                threading.Thread(target=time.sleep, args=(30,)).start()
            try:
                print("ready", flush=True)
                time.sleep(30)
            finally:
                if "slow" in sys.argv:
                    print("ending", flush=True)
                    time.sleep(30)

    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):  # nohup and shells in the background ignore some
        signal.signal(number, signal.default_int_handler if number == signal.SIGINT else signal.SIG_DFL)
    end_process(lambda: run_command(wait, []))
"""


@pytest.fixture
def waiting():
    started = []

    def start(*words):
        command = [sys.executable, "-c", textwrap.dedent(WAITING), *words]
        pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE}
        process = subprocess.Popen(command, env=ENVIRONMENT, text=True, **pipes)
        started.append(process)
        assert process.stdout.readline() == "ready\n"
        return process

    yield start
    for process in started:
        process.kill()
        process.communicate()


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
@pytest.mark.parametrize("words", [(), ("thread",)])
def test_the_first_signal_stops_in_order_and_says_how_to_go_on(waiting, number, words):
    process = waiting(*words)
    process.send_signal(number)
    _, err = process.communicate(timeout=60)
    assert process.returncode == 3
    assert err.splitlines()[-1].startswith("limo: interrupted (wait: stopped after ")
    assert "continue with: limo" in err and "Traceback" not in err and "FATAL" not in err


@pytest.mark.parametrize("first", [signal.SIGINT, signal.SIGTERM])
@pytest.mark.parametrize("second", [signal.SIGINT, signal.SIGTERM])
def test_a_second_signal_ends_at_once(waiting, first, second):
    process = waiting("slow")
    process.send_signal(first)
    assert process.stdout.readline() == "ending\n"
    process.send_signal(second)
    _, err = process.communicate(timeout=60)
    assert process.returncode == 3 and "stopped at once" in err and "Traceback" not in err


def test_many_signals_in_one_moment_end_with_3(waiting):
    process = waiting()
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGINT, signal.SIGINT):
        process.send_signal(number)
    _, err = process.communicate(timeout=60)
    assert process.returncode == 3 and "Traceback" not in err


def test_a_stopped_verify_leaves_no_process_and_no_temporary_file(tmp_path):
    rows = tmp_path / "rows.jsonl"
    rows.write_text('{"answer": "\\\\sqrt{2}+1", "completion": "\\\\boxed{1+2^{1/2}}"}\n' * 20000)
    command = [*LIMO.split(), "verify", "rows.jsonl", "-o", "out.jsonl", "--workers", "1"]
    process = subprocess.Popen(command, cwd=tmp_path, env=ENVIRONMENT, stderr=subprocess.PIPE, text=True)
    while not list(tmp_path.glob(".out*")):
        time.sleep(0.01)
    process.kill()
    process.communicate()
    assert list(tmp_path.glob(".out*.tmp"))
    rows.write_text(rows.read_text().partition("\n")[0])
    code, *_ = shell(f"{LIMO} verify rows.jsonl -o out.jsonl --workers 1", tmp_path)
    assert code == 0
    assert sorted(path.name for path in Path(tmp_path).iterdir()) == ["out.jsonl", "rows.jsonl"]


ENDING = """
    import atexit, os, signal, sys, threading, time
    from limo.cli.command import command, end_process, run_command

    @command("done")
    def done(call):
        if sys.argv[1] == "thread":  # waited for before the functions of atexit are called
            threading.Timer(0.3, os.kill, (os.getpid(), signal.SIGTERM)).start()
            threading.Timer(5, print, ("not waited for",)).start()

    class AtTheEnd:  # of a library, in the interpreter's own end
        def __init__(self):
            self.kill, self.arguments = os.kill, (os.getpid(), signal.SIGTERM)

        def __del__(self):
            self.kill(*self.arguments)

    if sys.argv[1] == "end":
        sys.flag = AtTheEnd()
    if sys.argv[1] == "atexit":
        atexit.register(os.kill, os.getpid(), signal.SIGTERM)
    signal.signal(signal.SIGTERM, signal.SIG_DFL)
    end_process(lambda: run_command(done, []))
"""


@pytest.mark.parametrize("when", ["thread", "atexit", "end"])
def test_a_signal_after_the_work_changes_no_exit_code(when):
    command = [sys.executable, "-c", textwrap.dedent(ENDING), when]
    done = subprocess.run(command, env=ENVIRONMENT, capture_output=True, text=True, timeout=60)
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")


def test_a_signal_on_the_way_from_the_work_to_the_end_of_the_process_ends_with_3(monkeypatch):
    """Not with a traceback and the signal's own code, which a script would take for a failure."""
    from limo.cli import command

    codes = []
    monkeypatch.setattr(command.os, "_exit", codes.append)

    def stopped():
        raise KeyboardInterrupt

    command.end_process(stopped)
    assert codes == [3]
