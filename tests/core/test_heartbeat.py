"""What beats beside a block is called while the block lasts, and never after it."""

from __future__ import annotations

import threading

import pytest

from limo.core.heartbeat import announced, heartbeat
from limo.core.progress import NoProgress


def test_it_is_called_again_and_again_until_the_block_ends() -> None:
    three, called = threading.Event(), list[int]()

    def call() -> None:
        called.append(len(called))
        if len(called) == 3:
            three.set()

    with heartbeat(call, 0.001):
        assert three.wait(30)
    assert not [thread for thread in threading.enumerate() if thread.name == "limo-heartbeat"]


def test_it_ends_with_a_block_that_fails() -> None:
    with pytest.raises(ValueError, match="over"), heartbeat(lambda: None, 60):
        raise ValueError("over")
    assert not [thread for thread in threading.enumerate() if thread.name == "limo-heartbeat"]


def test_a_block_that_is_long_in_silence_is_announced_once_and_others_never():
    progress = NoProgress()
    with announced(progress, "reading", after_s=0.001):
        assert wait_for(lambda: progress.logged == ["reading"])
    with announced(progress, "not said", after_s=3600):
        pass
    with announced(progress, "not said after another line", after_s=0.05):
        progress.log("another line")
        threading.Event().wait(0.2)
    with announced(progress, "not said after a stage", after_s=0.05), progress.stage("work"):
        threading.Event().wait(0.2)
    assert progress.logged == ["reading", "another line"]


def wait_for(is_so):
    return any(is_so() or threading.Event().wait(0.01) for _ in range(1000))
