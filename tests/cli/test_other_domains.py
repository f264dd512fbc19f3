"""The page on verifiers does what it says: its files and its commands, on its recordings."""

from __future__ import annotations

import json
import re
import shlex
import sqlite3
import sys
from pathlib import Path

import pytest
import yaml

from limo.pool.sources.benchmarks import load_benchmark

PAGE = (Path(__file__).resolve().parents[2] / "docs" / "verifier.md").read_text(encoding="utf-8")
FILES = dict(re.findall(r"```\w+ file=(\S+)\n(.*?)```", PAGE, re.S))
COMMANDS = re.findall(r"^ {4}limo (.*)$", PAGE, re.M)


@pytest.fixture
def page(tmp_path, monkeypatch):
    for name, text in FILES.items():
        (tmp_path / name).write_text(text, encoding="utf-8")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", list(sys.path))
    yield tmp_path
    sys.modules.pop("own_units", None)


def selected(folder):
    import datasets

    return list(datasets.load_from_disk(str(folder / "selected")))


def chains_of(limo, page, command):
    arguments = shlex.split(COMMANDS[command])
    code, _, err = limo(*arguments)
    assert code == 0, err
    rows = selected(page / arguments[-1])
    return {row["messages"][1]["content"]: [message["content"] for message in row["messages"]] for row in rows}


def test_the_page_holds_its_three_commands():
    assert len(COMMANDS) == 3 and len(FILES) == 7


def test_quantities_with_units_go_from_pool_to_selected_rows(limo, page):
    chains = chains_of(limo, page, 0)
    assert len(chains) == 2 and not any("6 N" in statement for statement in chains)
    assert all("its unit" in system and "boxed" not in system for system, *_ in chains.values())
    assert {reply.rpartition("Answer: ")[2] for *_, reply in chains.values()} == {"70.56 km/h", "180000 J"}


def test_multiple_choice_goes_from_pool_to_selected_rows(limo, page):
    chains = chains_of(limo, page, 1)
    assert {reply.rpartition("Answer: ")[2] for *_, reply in chains.values()} == {"the claimant", "B"}
    assert all("letter" in system for system, *_ in chains.values())


def test_a_class_of_your_own_goes_from_pool_to_selected_rows(limo, page):
    chains = chains_of(limo, page, 2)
    assert [reply.rpartition("Answer: ")[2] for *_, reply in chains.values()] == ["180000 J"]
    assert all("alone on the last line" in system for system, *_ in chains.values())


GPQA = [
    {"Question": f"What is the mass of particle {name}?", "Correct Answer": f"{number} GeV",
     "Incorrect Answer 1": f"{number + 1} GeV", "Incorrect Answer 2": f"{number + 2} GeV",
     "Incorrect Answer 3": f"{number + 3} GeV"}
    for number, name in enumerate(["alpha", "beta", "gamma", "delta"], 1)
]  # fmt: skip


def test_a_recorded_set_like_gpqa_is_scored_right(limo, tmp_path):
    path = tmp_path / "particles.jsonl"
    path.write_text("".join(json.dumps(row) + "\n" for row in GPQA))
    problems = load_benchmark("Particles", path)
    assert {problem.options[ord(problem.answer) - 65] for problem in problems} == {f"{n} GeV" for n in (1, 2, 3, 4)}
    first, second = problems[:2]
    other = next(text for text in second.options if text != "2 GeV")
    replies = [f"\\boxed{{{first.answer}}}", f"\\boxed{{{second.answer}. {other}}}", "\\boxed{3 GeV}", "\\boxed{1 GeV}"]
    rows = [
        {"problem": problem.problem, "model": "m", "index": 0, "text": text}
        for problem, text in zip(problems, replies, strict=True)
    ]
    (tmp_path / "recorded.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    recipe = {
        "model": {"kind": "replay", "name": "m", "files": [str(tmp_path / "recorded.jsonl")]},
        "benchmarks": {"Particles": str(path)}, "decoding": {"n": 1, "temperature": 0, "max_tokens": 100},
    }  # fmt: skip
    (tmp_path / "evaluate.yaml").write_text(json.dumps(recipe))
    code, out, err = limo("evaluate", tmp_path / "evaluate.yaml", "--run", tmp_path / "run", "--json")
    assert code == 0, err
    assert "0.5" in out or '"value": 50' in out
    with sqlite3.connect(tmp_path / "run" / "ledger.sqlite") as ledger:
        outcomes = sorted(row[0] for row in ledger.execute("select outcome from verdicts"))
    assert outcomes == ["correct", "correct", "wrong", "wrong"]


OWN = """
class Rules:
    identity = system = "rules"
    def verify(self, problem, completion):
        raise ValueError("no unit")
    def why_not(self, problem):
        WHY
"""


@pytest.fixture
def own(world, monkeypatch):
    """The recipe for rollouts of `world`, or the curation, by rules whose `why_not` is given."""

    def make(why, command):
        (world / "own_rules.py").write_text(OWN.replace("WHY", why))
        recipe = yaml.safe_load((world / "recipe.yaml").read_text()) | {"verifier": "python:own_rules:Rules"}
        if command == "rollouts":
            settings = recipe["filters"][1]
            recipe = {key: recipe[key] for key in ("data", "pool", "verifier")}
            recipe["rollouts"] = [{key: settings[key] for key in ("models", "n")}]
        (world / "own.yaml").write_text(yaml.safe_dump(recipe))
        return world / "own.yaml"

    monkeypatch.chdir(world)
    monkeypatch.setattr(sys, "path", list(sys.path))
    yield make
    sys.modules.pop("own_rules", None)


@pytest.mark.parametrize(("why", "told"), [("raise KeyError(1)", "KeyError in own_rules.py"), ("return 7", "no text")])
@pytest.mark.parametrize("command", ["rollouts", "curate"])
def test_why_no_row_came_into_the_pool_is_told(fault, world, own, command, why, told):
    assert told in fault(command, own(why, command), "--run", world / "run")


@pytest.mark.parametrize("command", ["rollouts", "curate"])
def test_where_nothing_could_be_decided_the_reason_is_told_and_a_mended_verifier_goes_on(limo, world, own, command):
    recipe, run = own("return ''", command), world / "run"
    for _ in range(2):
        code, _, err = limo(command, recipe, "--run", run, "--workers", 1)
        assert code == 3 and "rollouts could be decided (a rule failed: ValueError in own_rules.py" in err, err
