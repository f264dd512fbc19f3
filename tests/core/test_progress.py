import io
import itertools
import json
import logging
import os
import shlex
import subprocess
import sys
import warnings

import pytest

from limo.core.progress import (
    Event,
    JsonProgress,
    NoProgress,
    PlainProgress,
    Progress,
    TerminalProgress,
    choose_display,
    describe,
    duration,
    start_logging,
)


class Clock:
    def __init__(self):
        self.now = 100.0

    def __call__(self):
        return self.now


@pytest.fixture
def clock():
    return Clock()


def test_a_stage_shows_its_start_its_steps_and_its_end(clock):
    progress = NoProgress(clock)
    with progress.stage("filter", total=4) as stage:
        clock.now += 2
        stage.advance(2, kept=1)
    assert [event.kind for event in progress.events] == ["start", "advance", "end"]
    step = progress.events[1]
    assert (step.n_done, step.total, step.elapsed_s, step.remaining_s, step.fields) == (2, 4, 2, 2, {"kept": 1})


def test_what_an_earlier_start_did_sets_no_pace(clock):
    progress = NoProgress(clock)
    with progress.stage("filter", total=100, n_done=80) as stage:
        assert stage.remaining_s is None
        clock.now += 10
        stage.advance(10)
        assert stage.remaining_s == 10
    assert progress.events[-1].n_done == 90


def test_between_two_pieces_the_time_left_falls_and_is_unknown_where_it_has_passed(clock):
    with NoProgress(clock).stage("train", total=3) as stage:
        clock.now += 60
        stage.advance(1)
        assert stage.remaining_s == 120
        clock.now += 50
        stage.advance(0, update="2: 3 of 4 examples after 50 s")
        assert stage.remaining_s == 70
        clock.now += 71
        assert stage.remaining_s is None


def test_more_than_the_total_leaves_nothing_to_do(clock):
    with NoProgress(clock).stage("filter", total=1) as stage:
        clock.now += 1
        stage.advance(3)
        assert stage.remaining_s == 0


def test_a_stage_that_fails_is_stopped_and_not_done():
    progress = NoProgress()
    with pytest.raises(ZeroDivisionError), progress.stage("filter"):
        _ = 1 / 0
    assert [event.kind for event in progress.events] == ["start", "stop"]


def test_a_planned_run_has_its_end_in_sight_and_learns_its_pace(clock):
    progress = NoProgress(clock)
    progress.plan({"pool": 10, "filter": 20, "train": 30})
    with progress.stage("pool", total=2) as stage:
        assert progress.events[-1].run_remaining_s == 60  # before anything is counted: the plan's word
        clock.now += 10
        stage.advance(1)  # half in the time of all; the plan weighs half of the 55 s to come against it
        assert progress.events[-1].run_remaining_s == pytest.approx((10 + 27.5) / (5 + 27.5) * 55)
        clock.now += 10
        stage.advance(1)
    with progress.stage("filter", total=2) as stage:
        clock.now += 10
        with progress.stage("asking", total=2) as inner:  # a stage inside: the planned one around it counts
            clock.now += 1
            inner.advance(1)
            assert progress.events[-1].run_remaining_s is not None
        clock.now += 9
        stage.advance(1)
        assert progress.events[-1].run_remaining_s == pytest.approx((40 + 20) / (20 + 20) * 40)


def test_no_stage_says_that_it_outlasts_its_run(clock):
    progress = NoProgress(clock)
    progress.plan({"train": 40.0, "report": 1.0})
    with progress.stage("train", total=40) as stage:
        for n in range(40):
            clock.now += 10 if not n else 1  # a slow first piece
            stage.advance()
            event = progress.events[-1]
            assert event.remaining_s is None or event.remaining_s < event.run_remaining_s
    assert progress.events[-2].remaining_s == 0


def test_the_time_left_of_a_run_jumps_neither_at_a_first_piece_nor_at_the_end_of_a_stage(clock):
    progress, left = NoProgress(clock), []
    progress.plan({"curation": 100, "measure": 500})
    with progress.stage("curation"):  # counted by nothing, and done in a third of its time
        clock.now += 33
        with progress.stage("filter", total=1) as inner:
            inner.advance(1)
            left.append(progress.events[-1].run_remaining_s)
    with progress.stage("measure", total=10) as stage:
        left.append(progress.events[-1].run_remaining_s)
        for _ in range(10):
            clock.now += 50
            stage.advance(1)
            left.append(progress.events[-1].run_remaining_s)
    assert left[0] == pytest.approx(567) and left[-1] == 0
    assert left[1] > 400, "what one stage took says little of the next"
    falls = [before - after for before, after in itertools.pairwise(left)]
    assert min(falls) > 0 and max(falls[1:]) < 80, "a piece of 50 s is seen as one"


def test_the_times_that_are_left_have_one_form_and_say_of_what(clock):
    progress = NoProgress(clock)
    progress.plan({"filter": 10, "train": 30})
    with progress.stage("filter", total=4) as stage:
        assert describe(progress.events[-1]) == "begins, 0 of 4, 40 s left in this run"
        clock.now += 5
        stage.advance()
        shown = describe(progress.events[-1])
    assert shown == "1 of 4, 15 s left in this stage, 42 s left in this run"


def test_without_a_plan_the_end_of_the_run_is_unknown(clock):
    progress = NoProgress(clock)
    with progress.stage("filter", total=2) as stage:
        clock.now += 1
        stage.advance()
    assert {event.run_remaining_s for event in progress.events} == {None}


def test_plain_lines_come_at_most_every_few_seconds(clock):
    out = io.StringIO()
    progress = PlainProgress(out, every_s=10, clock=clock)
    with progress.stage("filter", total=100) as stage:
        for _ in range(100):
            clock.now += 0.25
            stage.advance(kept=3)
    lines = out.getvalue().splitlines()
    assert lines[0] == "filter: begins, 0 of 100"
    assert lines[1] == "filter: 40 of 100, 15 s left in this stage, kept 3"
    assert lines[-1] == "filter: done after 25 s, 100 of 100, kept 3"
    assert len(lines) == 4


def test_json_events_are_one_object_a_line(clock):
    out = io.StringIO()
    progress = JsonProgress(out, every_s=0, clock=clock)
    with progress.stage("filter", total=3) as stage:
        clock.now += 1
        stage.advance(1, share=1 / 3)
        progress.log("a line\nbroken")
    events = [json.loads(line) for line in out.getvalue().splitlines()]
    assert [event["event"] for event in events] == ["start", "advance", "log", "end"]
    assert events[1] == {
        "event": "advance", "stage": "filter", "n_done": 1, "total": 3, "elapsed_s": 1.0, "remaining_s": 2.0,
        "fields": {"share": 1 / 3},
    }  # fmt: skip
    assert events[2] == {"event": "log", "text": "a line\nbroken"}


def test_a_terminal_sees_bars_and_finished_stages_and_gets_its_cursor_back(clock, monkeypatch):
    monkeypatch.setenv("TERM", "xterm")
    monkeypatch.setenv("COLUMNS", "100")
    progress = TerminalProgress(clock)
    progress._bars.console.file = out = io.StringIO()
    with progress, progress.stage("filter", total=2) as stage:
        with progress.stage("asking [red]", total=1) as inner:
            clock.now += 1
            inner.advance()
        stage.advance(2)
    assert "asking [red]: done after 1 s, 1 of 1" in out.getvalue()
    assert "filter: done after 1 s, 2 of 2" in out.getvalue()
    assert not progress._bars.live.is_started


class Tty(io.StringIO):
    def isatty(self):
        return True


def test_the_display_fits_who_looks_at_it(monkeypatch):
    monkeypatch.setenv("TERM", "xterm")
    assert isinstance(choose_display(as_json=True), JsonProgress)
    assert isinstance(choose_display(stderr=io.StringIO()), PlainProgress)
    assert isinstance(choose_display(stderr=Tty()), TerminalProgress)
    monkeypatch.setenv("TERM", "dumb")
    assert isinstance(choose_display(stderr=Tty()), PlainProgress)


def test_rich_is_imported_on_a_terminal_only():
    code = "import io, sys; from limo.core import progress; progress.choose_display(stderr=io.StringIO())"
    code += "; print('rich' in sys.modules)"
    environment = os.environ | {"PYTHONPATH": os.pathsep.join(sys.path)}
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, env=environment, check=True)
    assert done.stdout.strip() == "False"


def test_a_display_must_define_show():
    with pytest.raises(NotImplementedError):
        Progress().log("x")


@pytest.mark.parametrize(
    ("seconds", "text"),
    [(0.04, "0.0 s"), (0.4, "0.4 s"), (8.25, "8.2 s"), (9, "9 s"), (59.4, "59 s"), (59.6, "1 min"), (125, "2 min 05 s"),
     (3600, "1 h 00 min"), (5025, "1 h 23 min"), (11400, "3 h 10 min")],
)  # fmt: skip
def test_durations_are_written_as_people_say_them(seconds, text):
    assert duration(seconds) == text


def test_a_stage_of_unknown_length_is_described_by_what_it_did():
    assert describe(Event("advance", "read", n_done=1200)) == "1,200"
    assert describe(Event("start", "read")) == "begins"
    assert describe(Event("advance", "read", n_done=3, fields={"waiting_for": "", "kept": 0})) == "3, kept 0"
    assert describe(Event("stop", "read", n_done=3, elapsed_s=2)) == "stopped after 2 s, 3"


@pytest.fixture
def root_logging():
    root = logging.getLogger()
    before = root.handlers[:], root.level
    yield root
    root.handlers[:], root.level = before
    logging.captureWarnings(False)


def test_libraries_log_through_the_display_and_of_errors_only(root_logging, monkeypatch):
    monkeypatch.setenv("TRANSFORMERS_VERBOSITY", "info")
    progress = NoProgress()
    start_logging(progress)
    logging.getLogger("some.library").warning("chatter")
    logging.getLogger("some.library").error("broken %s", "pipe")
    logging.getLogger("limo.train").warning("look here")
    with warnings.catch_warnings():
        warnings.simplefilter("always")
        warnings.warn("old", stacklevel=1)
    assert progress.logged == ["error: some.library: broken pipe", "warning: look here"]
    assert os.environ["TRANSFORMERS_VERBOSITY"] == "info"  # what the user set stays
    assert os.environ["TOKENIZERS_PARALLELISM"] == "false"


def test_with_debug_everything_is_logged(root_logging):
    progress = NoProgress()
    start_logging(progress, debug=True)
    logging.getLogger("some.library").info("chatter")
    assert progress.logged == ["info: some.library: chatter"]


def test_a_library_that_logs_badly_stops_nothing_and_prints_no_traceback(root_logging, capsys):
    progress = NoProgress()
    start_logging(progress)
    logging.getLogger("some.library").error("%d of %s", "one")
    assert progress.logged == ["error: some.library: %d of %s"] and capsys.readouterr().err == ""


def test_a_reader_of_json_events_that_has_gone_stops_the_work_in_order_and_once():
    code = """
import sys, time
from limo.core.interrupts import handle_signals
from limo.core.progress import JsonProgress
handle_signals()
progress = JsonProgress(sys.stdout)
try:
    for number in range(600):
        progress.log("line")
        time.sleep(0.05)
except KeyboardInterrupt:
    progress.log("after the stop")
    print("stopped in order", file=sys.stderr)
"""
    line = f"{shlex.quote(sys.executable)} -c {shlex.quote(code)} | head -1"
    environment = os.environ | {"PYTHONPATH": os.pathsep.join(sys.path)}
    done = subprocess.run(["bash", "-c", line], capture_output=True, text=True, timeout=20, env=environment)
    assert done.stdout == '{"event": "log", "text": "line"}\n' and done.stderr.startswith("stopped in order\n")
