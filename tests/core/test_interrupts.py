import os
import signal
import threading
import time
from contextlib import suppress

import pytest

from limo.core import interrupts
from limo.core.interrupts import STOPPING, end_with, handle_signals, stop_has_arrived, uninterrupted, was_stopped


@pytest.fixture(autouse=True)
def handlers():
    before = {number: signal.getsignal(number) for number in STOPPING}
    yield
    stop_has_arrived()
    interrupts._ending = None
    for number, handler in before.items():
        signal.signal(number, handler)


@pytest.fixture
def ended(monkeypatch):
    codes = []
    monkeypatch.setattr(interrupts.os, "_exit", codes.append)
    monkeypatch.setattr(interrupts.os, "write", lambda *_: 0)
    return codes


@pytest.mark.parametrize("number", STOPPING)
def test_the_first_signal_raises_and_the_second_ends_the_process(number, ended):
    handle_signals()
    assert not was_stopped()
    with pytest.raises(KeyboardInterrupt):
        signal.raise_signal(number)
    assert was_stopped() and ended == []
    with pytest.raises(KeyboardInterrupt):  # the process would be gone: `_exit` is replaced here
        signal.raise_signal(number)
    assert ended == [3]


def test_a_signal_that_is_ignored_stays_so():
    signal.signal(signal.SIGHUP, signal.SIG_IGN)
    handle_signals()
    signal.raise_signal(signal.SIGHUP)
    assert not was_stopped()


def test_what_must_not_be_cut_in_two_ends_first():
    handle_signals()
    done = []
    with pytest.raises(KeyboardInterrupt), uninterrupted():
        os.kill(os.getpid(), signal.SIGTERM)
        done.append("both halves")
    assert done and was_stopped()
    with uninterrupted():
        done.append("again")
    assert len(done) == 2


def test_a_second_signal_gets_through():
    handle_signals()
    with pytest.raises(KeyboardInterrupt), uninterrupted():
        signal.raise_signal(signal.SIGTERM)
        signal.raise_signal(signal.SIGTERM)
        pytest.fail("the second signal was put off too")


def test_a_thread_has_no_signals_to_put_off():
    failed = []

    def work():
        try:
            with uninterrupted():
                pass
        except ValueError as error:
            failed.append(error)

    thread = threading.Thread(target=work)
    thread.start()
    thread.join()
    assert failed == []


class Swallowing:
    def __del__(self):
        signal.raise_signal(signal.SIGTERM)


@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")
@pytest.mark.parametrize("where", ["except", "__del__"])
def test_a_first_signal_that_a_library_swallows_is_raised_again(ended, monkeypatch, where):
    monkeypatch.setattr(interrupts, "REPEAT_S", 0.05)
    handle_signals()
    try:
        if where == "__del__":
            Swallowing()
        else:
            with suppress(BaseException):
                signal.raise_signal(signal.SIGTERM)
        time.sleep(5)
        pytest.fail("the signal was lost")
    except KeyboardInterrupt:
        stop_has_arrived()
    assert ended == []


def test_what_ends_a_stopped_work_and_what_must_not_be_cut_in_two_is_not_cut_by_the_repetition(ended, monkeypatch):
    monkeypatch.setattr(interrupts, "REPEAT_S", 0.02)
    handle_signals()
    done = []
    with suppress(KeyboardInterrupt):
        signal.raise_signal(signal.SIGTERM)
    try:
        with uninterrupted():  # where the first was swallowed
            time.sleep(0.2)
            done.append("whole")
    except KeyboardInterrupt:
        time.sleep(0.2)
        done.append("on its way")
        with suppress(ValueError):
            int("x")
        with uninterrupted():
            time.sleep(0.2)
            done.append("whole too")
        stop_has_arrived()
    time.sleep(0.1)
    assert done == ["whole", "on its way", "whole too"] and ended == []


def test_where_the_work_is_done_a_signal_takes_the_exit_code_of_the_work(ended):
    handle_signals()
    end_with(0)
    with pytest.raises(KeyboardInterrupt):  # the process would be gone: `_exit` is replaced here
        signal.raise_signal(signal.SIGTERM)
    assert ended == [0]
