"""What beats beside a block is called while the block lasts, and never after it."""

from __future__ import annotations

import threading

import pytest

from limo.core.heartbeat import heartbeat


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
