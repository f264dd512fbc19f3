import os
import signal
import threading

import pytest

from limo.core import interrupts
from limo.core.interrupts import STOPPING, handle_signals, uninterrupted, was_stopped


@pytest.fixture(autouse=True)
def handlers():
    before = {number: signal.getsignal(number) for number in STOPPING}
    yield
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
