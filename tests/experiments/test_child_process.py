"""Programs that a run starts: their logs, their end, and what a killed run left of them."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import textwrap

import psutil
import pytest

from limo.core.errors import InputError
from limo.experiments.child_process import ChildProgram, end_leftover, last_lines

FAMILY = "import subprocess, sys, time; subprocess.Popen(['sleep', '60']); print('ready', flush=True); time.sleep(60)"


def members(pid):
    found = []
    for process in psutil.process_iter():
        try:
            found += [process] if os.getsid(process.pid) == pid and process.status() != "zombie" else []
        except (psutil.Error, OSError):
            continue
    return found


def wait_for(condition):
    for _ in range(400):
        if value := condition():
            return value
        __import__("threading").Event().wait(0.05)
    pytest.fail("it did not come to that")


def test_the_exit_code_and_the_last_lines_of_the_log_are_known(tmp_path):
    program = ChildProgram(["sh", "-c", "echo first; echo; echo second >&2; exit 3"], tmp_path / "job")
    assert program.wait() == 3
    assert program.last_lines(2) == "first | second"
    assert last_lines(tmp_path / "none.log") == ""


def test_the_error_of_a_limo_command_is_said_and_not_the_report_of_its_launcher_nor_of_an_earlier_start(tmp_path):
    log, report = tmp_path / "train.log", "ChildFailedError\n  exitcode : 2\n======\n"
    log.write_text(f"$ accelerate train\nlimo: no disk\n{report}$ accelerate train\ntrain: begins\n{report}")
    assert last_lines(log, 2) == "exitcode : 2 | ======"
    log.write_text(f"$ accelerate train\nlimo: no disk\n{report}$ accelerate train\nlimo: a row is too long\n{report}")
    assert last_lines(log, 2) == "limo: a row is too long"


def test_a_program_that_is_not_installed_is_one_line(tmp_path):
    with pytest.raises(InputError, match="not there: 'no-such-program'"):
        ChildProgram(["no-such-program"], tmp_path / "job")


def test_the_end_of_the_block_ends_what_the_program_started_too(tmp_path):
    with ChildProgram(["sh", "-c", "sleep 60 & sleep 60"], tmp_path / "job") as program:
        wait_for(lambda: len(members(program.process.pid)) == 3)
    assert members(program.process.pid) == []
    assert not (tmp_path / "job.json").exists()


def test_a_record_of_a_number_that_another_process_has_by_now_ends_nobody(tmp_path):
    with subprocess.Popen(["sleep", "60"], start_new_session=True) as other:
        values = {"pid": other.pid, "created_s": 1.0, "host": os.uname().nodename}
        (tmp_path / "job.json").write_text(json.dumps(values))
        end_leftover(tmp_path / "job.json")
        assert other.poll() is None
        other.kill()


@pytest.mark.slow
@pytest.mark.skipif(sys.platform != "linux", reason="the signal at the parent's death is Linux's")
def test_a_killed_parent_takes_its_program_along_and_the_next_start_ends_what_that_left(tmp_path):
    script = f"""
        import sys, os, signal
        from pathlib import Path
        from limo.experiments.child_process import ChildProgram
        program = ChildProgram([sys.executable, "-c", {FAMILY!r}], Path(sys.argv[1]))
        while "ready" not in program.log.read_text().replace("print('ready", ""):
            pass
        os.kill(os.getpid(), signal.SIGKILL)
    """
    stem = tmp_path / "job"
    subprocess.run([sys.executable, "-c", textwrap.dedent(script), str(stem)], timeout=120)
    pid = json.loads((tmp_path / "job.json").read_text())["pid"]
    wait_for(lambda: not psutil.pid_exists(pid))
    assert [process.name() for process in members(pid)] == ["sleep"]  # nobody told it
    with ChildProgram(["true"], stem):
        assert members(pid) == []
