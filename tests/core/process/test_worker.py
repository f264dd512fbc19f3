"""A worker: a process of its own, a death that costs one call, limits, and nothing left behind."""

import os
import threading

import psutil
import pytest

from limo.core.process import worker as module
from limo.core.process.limits import CallLimits
from limo.core.process.worker import Worker

LIMITS = CallLimits(time_s=0.2, memory_bytes=1 << 29)
BUSY = "1 in iter(int, 1)"  # never ends, inside C code


def open_evaluator(command=""):
    """For children: a handler that evaluates its payload as Python, after a command."""
    names = {}
    exec("import os, signal, time\nfrom test_worker import Worker, open_evaluator\n" + command, names)
    return lambda payload: eval(payload, names)


@pytest.fixture(scope="module")
def worker():
    with Worker(open_evaluator, "n = 7", limits=LIMITS) as made:
        yield made


def test_a_worker_applies_its_function_in_a_process_of_its_own(worker):
    assert worker.call("n + 1") == (8, "")
    assert worker.call("os.getpid()").value not in (None, os.getpid())
    assert worker.call_many([f"{n} * n" for n in range(100)]) == [(7 * n, "") for n in range(100)]


@pytest.mark.parametrize(
    ("payload", "failure"),
    [
        (BUSY, "over 0.2 s of processor time"),
        ("os.kill(os.getpid(), signal.SIGALRM)", "over 4.2 s"),
        ("os.kill(os.getpid(), signal.SIGKILL)", "its process died (signal 9)"),
        ("os._exit(3)", "its process died (exit 3)"),
        ("undefined", "NameError: name 'undefined' is not defined"),
        ("bytes(1 << 30)", "MemoryError"),
        ("(lambda f: f(f))(lambda f: f(f))", "RecursionError: maximum recursion depth exceeded"),
    ],
)
def test_a_payload_that_fails_or_ends_its_process_costs_one_reply_and_says_why(worker, payload, failure):
    payloads = [str(n) for n in range(60)]
    payloads[40] = payload
    replies = worker.call_many(payloads)
    assert [reply.value for reply in replies] == [n if n != 40 else None for n in range(60)]
    assert {reply.failure for reply in replies} == {"", failure}


def test_replies_that_a_dead_process_had_not_sent_are_taken_anew_in_a_second_process():
    with Worker(open_evaluator, limits=LIMITS) as worker:
        replies = worker.call_many(["os.getpid()", "os.getpid()", "os._exit(1)", "os.getpid()"])
        assert worker.n_started == 2
    assert len({reply.value for reply in replies}) == 2  # the second process, and None
    assert [bool(reply.failure) for reply in replies] == [False, False, True, False]


def test_replies_sent_before_a_death_are_kept():
    slow = "[os.getpid(), [1 for _ in iter(lambda: time.process_time() > end, True)]]"
    with Worker(open_evaluator, "end = time.process_time() + 0.12", limits=LIMITS) as worker:
        first, second, dead, last = worker.call_many([slow, "os.getpid()", "os._exit(1)", "os.getpid()"])
    assert dead.failure
    assert first.value[0] not in (second.value, None)
    assert second.value == last.value


def test_a_handler_that_cannot_be_opened_is_the_failure_of_every_payload():
    with Worker(open_evaluator, "import no_such_module") as worker:
        replies = worker.call_many(["1", "2"])
    assert {reply.failure for reply in replies} == {"ModuleNotFoundError: No module named 'no_such_module'"}


def test_a_process_that_dies_before_the_first_payload_fails_all_of_them_and_is_tried_once():
    with Worker(open_evaluator, "os._exit(5)") as worker:
        replies = worker.call_many(["1", "2", "3"])
        assert worker.n_started == 1
    assert [reply.failure for reply in replies] == ["no worker could be started: its process died (exit 5)"] * 3


KILL = "os.kill(os.getpid(), signal.SIGKILL)"


def test_a_payload_that_its_process_was_killed_at_is_called_once_more(worker, tmp_path):
    once = f"(os.path.exists({str(tmp_path / 'a')!r}) or (open({str(tmp_path / 'a')!r}, 'w').close(), {KILL}), 7)[1]"
    assert worker.call_many(["1", once, "2"]) == [(1, ""), (7, ""), (2, "")]
    always = worker.call_many(["1", KILL, KILL, "2"])
    assert [reply.failure for reply in always] == ["", *["its process died (signal 9)"] * 2, ""]


def test_a_process_that_is_killed_before_it_begins_is_started_again(tmp_path):
    marks = str(tmp_path)
    opening = f"open(os.path.join({marks!r}, str(os.getpid())), 'w').close()\nif len(os.listdir({marks!r})) < N: {KILL}"
    with Worker(open_evaluator, opening.replace("N", "3")) as worker:
        assert worker.call("5") == (5, "") and worker.n_started == 3
    with Worker(open_evaluator, opening.replace("N", "99")) as worker:
        assert worker.call("5").failure == "no worker could be started: its process died (signal 9)"
        assert worker.n_started == 3


def test_a_process_killed_while_idle_is_replaced(worker):
    process = psutil.Process(worker.call("os.getpid()").value)
    process.kill()
    psutil.wait_procs([process], timeout=20)
    assert worker.call("1") == (1, "")


def test_opening_the_handler_is_not_on_the_clock_of_a_call():
    busy = "end = time.process_time() + 0.4\nwhile time.process_time() < end: pass"
    with Worker(open_evaluator, busy, limits=LIMITS) as worker:
        assert worker.call("1") == (1, "")
        assert worker.call(f"Worker(open_evaluator, {busy!r}).call('2')").value == (2, "")
        assert worker.call(BUSY).failure == "over 0.2 s of processor time"


def test_a_worker_inside_a_worker_runs_in_the_same_process(worker):
    inner, outer = worker.call("(Worker(open_evaluator).call('os.getpid()').value, os.getpid())").value
    assert inner == outer


def test_a_process_that_stops_its_own_timers_is_ended_by_its_parent(monkeypatch):
    no_timers = "signal.setitimer(signal.ITIMER_PROF, 0), signal.setitimer(signal.ITIMER_REAL, 0)"
    with Worker(open_evaluator, limits=LIMITS) as worker:
        assert worker.call("1") == (1, "")
        with monkeypatch.context() as patched:
            patched.setattr(module, "IMPORT_S", 1.0 - LIMITS.wall_s)
            assert worker.call(f"({no_timers}, {BUSY})") == (None, "over 4.2 s")
        assert worker.call("3") == (3, "")


def test_a_call_left_by_ctrl_c_does_not_disturb_the_next(worker, monkeypatch):
    def interrupt(_):
        raise KeyboardInterrupt

    with monkeypatch.context() as patched:
        patched.setattr(module._Process, "receive", interrupt)
        with pytest.raises(KeyboardInterrupt):
            worker.call("1")
    assert worker.call("2") == (2, "")


def test_a_closed_worker_fails_every_call_and_the_one_under_way():
    worker, replies = Worker(open_evaluator), []
    pid = worker.call("os.getpid()").value
    thread = threading.Thread(target=lambda: replies.extend(worker.call_many([BUSY, "1"])))
    thread.start()
    while psutil.Process(pid).status() != psutil.STATUS_RUNNING:
        pass
    worker.close()
    thread.join()
    assert replies == [(None, "the worker was closed")] * 2
    assert worker.call("1") == (None, "the worker was closed")
    assert not psutil.pid_exists(pid)


def test_calls_from_many_threads_get_their_own_replies(worker):
    replies = {}
    threads = [threading.Thread(target=lambda n=n: replies.update({n: worker.call(str(n)).value})) for n in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert replies == {n: n for n in range(8)}


def test_a_process_ends_with_its_worker():
    worker = Worker(open_evaluator)
    process = psutil.Process(worker.call("os.getpid()").value)
    del worker
    assert not psutil.wait_procs([process], timeout=20)[1]
