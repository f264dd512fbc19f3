"""A whole curation in a few lines: ten problems, recordings of a weak and a strong model, and the command itself."""

from __future__ import annotations

import json
import logging
import os
import signal

import pytest
import yaml

from limo.cli import root
from limo.cli.command import run_command
from limo.core.interrupts import STOPPING
from limo.core.language import ENGLISH, set_language

N = 10


@pytest.fixture
def limo(capsys, monkeypatch):
    """Calls the command as a shell would: `code, out, err = limo("curate", ...)`."""
    logger, environment = logging.getLogger(), dict(os.environ)
    before, handlers = (logger.handlers[:], logger.level), {number: signal.getsignal(number) for number in STOPPING}

    def call(*arguments):
        capsys.readouterr()
        with pytest.raises(SystemExit) as ended:
            run_command(root, [str(argument) for argument in arguments])
        out, err = capsys.readouterr()
        return ended.value.code, out, err

    yield call
    set_language(ENGLISH)
    logger.handlers[:], logger.level = before
    for number, handler in handlers.items():
        signal.signal(number, handler)
    logging.captureWarnings(False)
    os.environ.clear()
    os.environ.update(environment)


@pytest.fixture
def fault(limo):
    """Calls the command with something wrong: the exit code must be 2 and the message one line without a trace."""

    def call(*arguments):
        code, _, err = limo(*arguments)
        told = [line for line in err.splitlines() if line.startswith("limo: ")]
        assert code == 2, err
        assert len(told) == 1, err
        assert "Traceback" not in err
        return told[0]

    return call


def statement(i):
    return f"Ship {'abcdefghij'[i]} carries {i + 3} crates and loads {i * i + 5} more: how many crates is that?"


def lines(path, rows):
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    return path


@pytest.fixture
def world(tmp_path):
    """A folder with `pool.jsonl`, `said.jsonl` (the recordings) and `recipe.yaml`."""
    answers = [i + 3 + i * i + 5 for i in range(N)]
    lines(tmp_path / "pool.jsonl", [{"problem": statement(i), "answer": str(a)} for i, a in enumerate(answers)])
    lines(tmp_path / "held_out.jsonl", [{"problem": "What is the first prime above 90?", "answer": "97"}])
    said = [
        {"problem": statement(i), "model": "weak", "index": 0, "text": f"\\boxed{{{a if i < 2 else a + 1}}}"}
        for i, a in enumerate(answers)
    ]
    for i, a in enumerate(answers):
        for index in range(4):
            right = index <= i % 3
            text = f"Adding. Perhaps so, let me check {'again ' * index}\\boxed{{{a if right else a + 2 + index}}}"
            said.append({"problem": statement(i), "model": "strong", "index": index, "text": text})
    lines(tmp_path / "said.jsonl", said)
    model = {"kind": "replay", "files": ["said.jsonl"]}
    recipe = {
        "data": str(tmp_path),
        "pool": {"sources": ["pool.jsonl"]},
        "benchmarks": {"held-out": "held_out.jsonl"},
        "dedup": {"reworded_similarity": 1},
        "filters": [
            {"name": "weak_filter", "models": [model | {"name": "weak"}], "n": 1, "low": 0, "high": 0},
            {
                "name": "strong_filter",
                "models": [model | {"name": "strong"}],
                "n": 4,
                "low": 1,
                "high": 3,
                "teacher": True,
            },
        ],
        "select": {"k": 5},
    }
    (tmp_path / "recipe.yaml").write_text(yaml.safe_dump(recipe, sort_keys=False))
    return tmp_path
