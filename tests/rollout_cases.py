"""Recordings small enough to reckon with by hand, and a replay server on this machine."""

from __future__ import annotations

import json

import pytest

from limo.core.records import Problem, Verdict

PROBLEMS = [Problem.make(f"Ship {i} carries {i} crates{' and more' * (i % 4)}: how many?", str(i)) for i in range(24)]
N = 8


class Exact:
    """Right when the text is the answer."""

    identity = "exact"

    def verify_many(self, pairs):
        for problem, completion in pairs:
            yield Verdict("correct" if completion.text == problem.answer else "wrong")


def right(i, index):
    """Every rate from never to always occurs, in no simple order."""
    return (i * 7 + index * index * 5 + index) % 24 < i


@pytest.fixture(scope="session")
def recording(tmp_path_factory):
    """The file: `model` answers every problem N times, with a thought now and then."""
    path = tmp_path_factory.mktemp("recorded") / "said.jsonl"
    with open(path, "w") as file:
        for i, problem in enumerate(PROBLEMS):
            for index in range(N):
                row = {"problem": problem.problem, "model": "m", "index": index}
                row |= {"text": str(i) if right(i, index) else "?", "n_prompt_tokens": 20, "n_completion_tokens": 30}
                if index % 3 == 0:
                    row["reasoning"] = f"Ship {i}, thought {index}."
                file.write(json.dumps(row) + "\n")
    return path


BAND = (2, 5, N)


def collect_in_child(path, url, moment, said, limit=None):
    """What a process of its own does: asks through HTTP, and is killed at a moment: a time, or a statement's number.

    At a negative number Ctrl-C comes instead, while it stores that rollout: not its time but its work decides, and what
    comes next is what the signal did, since this thread gets it.  `limit` is the largest file it may write, in
    bytes; 0 makes it a nobody who may write nothing.
    """
    import os
    import resource
    import signal
    import threading
    from functools import partial
    from itertools import count

    from limo.core.errors import LimoError
    from limo.core.pass_rate_band import PassRateBand
    from limo.ledger.store import Ledger
    from limo.models.openai.completer import HttpCompleter
    from limo.models.openai.settings import HttpSettings
    from limo.rollouts.collect import collect_rollouts

    if limit:
        resource.setrlimit(resource.RLIMIT_FSIZE, (limit, resource.RLIM_INFINITY))
    if limit == 0 and os.geteuid() == 0:
        os.setuid(65534)
    die = lambda: os.kill(os.getpid(), signal.SIGKILL)  # noqa: E731
    try:
        with Ledger(path) as ledger:
            if isinstance(moment, float):
                threading.Timer(moment, die).start()
            elif moment is not None:
                sent, starts = count(1), "" if moment > 0 else "INSERT OR REPLACE INTO rollouts"
                act = die if moment > 0 else partial(signal.raise_signal, signal.SIGINT)
                ledger._db.set_trace_callback(
                    lambda sql: act() if sql.startswith(starts) and next(sent) == abs(moment) else None
                )
            completer = HttpCompleter([url], "m", settings=HttpSettings(in_flight=12, backoff_s=0.01))
            collect_rollouts(ledger, completer, PROBLEMS, Exact(), n=N, band=PassRateBand(*BAND))
        said.send("done")
    except LimoError as error:
        said.send(str(error))
    os._exit(0)
