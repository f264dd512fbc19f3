"""Two runs with hostile text in them, and their pages: served without a socket, or to a real browser."""

from __future__ import annotations

import threading
from contextlib import contextmanager
from dataclasses import asdict
from pathlib import Path

import pytest

from limo.core.records import Chain, Completion, Dropped, Problem, Rollout, Verdict
from limo.core.run_folder import RunFolder
from limo.core.text import content_hash
from limo.ledger.store import Ledger
from limo.report.view import app
from limo.report.view.index import open_index
from limo.report.view.query import Browser, OpenedRun
from limo.stages.rollouts import Recipe

TOKEN = "a-token-of-the-tests"
HOSTILE = (
    "</script><!--<script>document.title='pwned'</script><img src=x onerror=\"document.title='pwned'\">"
    "<a href=\"javascript:document.title='pwned'\">click</a> \u202eevil\u202c zero\u200bwidth </pre></details>"
)
PROBLEMS = [Problem.make(f"Ship {i} carries {i} crates: how many?", str(i), source=f"set{i % 2}") for i in range(120)]
PROBLEMS += [Problem.make("求 1 + 1 的值。", "2", options=["<b>1</b>", "2"], source="turned \u202eset\x00")]


def completion(i: int, model: str, index: int) -> str:
    if i == 3 and model == "weak":
        return HOSTILE + "x" * 200_000
    if i == 120:
        return "由勾股定理，答案是 2。"
    return f"Ship {i} has its crates. Let me check number {index} of {model}. So \\boxed{{{i}}}"


def outcome(i: int, model: str, index: int) -> str:
    if model == "strong":
        return "correct" if index < 2 else "wrong"
    return ("wrong", "correct", "no_answer", "truncated")[(i + index) % 4]


def rollout(i: int, problem: Problem, model: str, index: int) -> Rollout:
    reason = "boxed" if model == "strong" else "last line"
    verdict = Verdict(outcome(i, model, index), problem.answer, reason, answer=problem.answer)
    return Rollout(problem.id, model, "prompt-a", "sampling-a", index, Completion(completion(i, model, index)), verdict)


def write_run(folder: Path, models: tuple[str, ...], problems: list[Problem], n: int = 3) -> Path:
    recipe = {
        "pool": {"sources": ["x.jsonl"]},
        "rollouts": [{"models": [{"kind": "local", "name": "m", "path": "m"}], "n": 3}],
    }
    rollouts = [rollout(i, p, model, k) for i, p in enumerate(problems) for model in models for k in range(n)]
    with RunFolder(folder, Recipe.model_validate(recipe)) as run, Ledger(run.ledger_path) as ledger:
        run.write_problems(problems)
        ledger.add(rollouts)
        chains = [
            Chain(r.problem_id, r.completion.text, r.model, r.prompt_hash, r.sampling_hash, r.index, 9, r.verdict)
            for r in rollouts
            if r.model == "strong" and r.index == 0
        ]
        run.write_stage("weak_filter", [{"id": p.id} for p in problems[10:]], [
            Dropped(p.id, "weak_filter", "too easy") for p in problems[:10]
        ])  # fmt: skip
        run.write_stage("chains", [asdict(chain) for chain in chains], [])
        graded = [
            {"problem_id": c.problem_id, "chain_hash": content_hash(c.problem_id, c.text), "level": f"L{k % 5 + 1}"}
            for k, c in enumerate(chains)
        ]
        run.write_stage("grade", graded, [])
        run.write_stage("select", [{"problem_id": c.problem_id} for c in chains[20:30]], [])
    return folder


def opened(folder: Path) -> OpenedRun:
    return OpenedRun(str(folder), folder / "ledger.sqlite", open_index(folder / "ledger.sqlite", folder))


@pytest.fixture(scope="session")
def folders(tmp_path_factory) -> list[Path]:
    base = tmp_path_factory.mktemp("runs")
    return [
        write_run(base / "a", ("weak", "strong"), PROBLEMS),
        write_run(base / "b", ("weak",), [*PROBLEMS[60:], Problem.make("Only in b?", "7")], 1),
    ]


@pytest.fixture
def browser(folders):
    with Browser([opened(folder) for folder in folders]) as browser:
        yield browser


@pytest.fixture
def one_run(folders):
    with Browser([opened(folders[0])]) as browser:
        yield browser


@contextmanager
def served(browser: Browser):
    """The address of the pages while they are served, by a thread."""
    import uvicorn

    with app.listen(0) as listening:
        name = f"limo-view-{listening.getsockname()[1]}"
        config = uvicorn.Config(app.make_app(browser, TOKEN, name), log_config=None, lifespan="off")
        server = uvicorn.Server(config)
        thread = threading.Thread(target=server.run, kwargs={"sockets": [listening]})
        thread.start()
        try:
            yield f"http://{app.HOST}:{listening.getsockname()[1]}"
        finally:
            server.should_exit = True
            thread.join()
