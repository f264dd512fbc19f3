"""Recordings small enough to reckon with by hand, and a replay server on this machine."""

from __future__ import annotations

import json

import pytest

from limo.records import Problem, Verdict

PROBLEMS = [Problem.make(f"Ship {i} carries {i} crates{' and more' * (i % 4)}: how many?", str(i)) for i in range(24)]
N = 8


class Exact:
    """Right when the text is the answer."""

    def check_many(self, rows):
        for answer, text, _ in rows:
            yield Verdict("correct" if text == answer else "wrong")


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
