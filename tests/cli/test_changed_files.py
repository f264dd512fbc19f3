"""Files that a run depends on and that are not what they were: other recordings, verifiers, ledgers, outputs."""

from __future__ import annotations

import json
import re
import shutil
import sqlite3
import sys
from contextlib import closing

import pytest

from limo.ledger.store import Ledger

EVALUATE = {"benchmarks": {"own": "pool.jsonl"}, "decoding": {"n": 4, "temperature": 0.6, "max_tokens": 512}}
RECIPES = {
    "rollouts": {"pool": {"sources": ["pool.jsonl"]}, "rollouts": [{"n": 4}]},
    "evaluate": EVALUATE,
}


@pytest.fixture
def begin(limo, world, monkeypatch):
    """Does a command on the recordings of `strong`; its words, for doing it again."""
    monkeypatch.chdir(world)

    def begun(command):
        words = [command, "recipe.yaml", "--run", "run", "--workers", "1"]
        model = {"kind": "replay", "name": "strong", "files": ["said.jsonl"]}
        if command != "curate":
            values = json.loads(json.dumps(RECIPES[command])) | {"data": str(world)}
            if command == "evaluate":
                values["model"] = model
            else:
                values["rollouts"][0]["models"] = [model]
            (world / "recipe.yaml").write_text(json.dumps(values))
        code, _, err = limo(*words)
        assert code == 0, err
        return words

    return begun


def change_recordings(world, name):
    text = (world / "said.jsonl").read_text().replace("Adding", "Subtracting")
    (world / name).write_text(text)


FILES = {
    "evaluate": "model.files=[other.jsonl]",
    "rollouts": "rollouts.0.models.0.files=[other.jsonl]",
    "curate": "filters.1.models.0.files=[other.jsonl]",
}


@pytest.mark.parametrize("command", FILES)
def test_other_recordings_by_the_same_name_are_refused_and_the_run_stays_as_it_is(limo, fault, world, begin, command):
    words = begin(command)
    before = sorted((path, path.stat().st_size) for path in (world / "run").rglob("*") if path.is_file())
    change_recordings(world, "other.jsonl")
    said = fault(*words, FILES[command])
    assert "model strong has changed since this run was begun" in said and "name another --run" in said
    assert sorted((path, path.stat().st_size) for path in (world / "run").rglob("*") if path.is_file()) == before
    change_recordings(world, "said.jsonl")  # in place
    assert re.search("model (weak|strong) has changed since this run was begun", fault(*words))
    shutil.copy(world / "other.jsonl", world / "copy.jsonl")
    code, _, err = limo(*words[:2], FILES[command].replace("other", "copy"), "--run", "new")
    assert code == 0, err
    assert limo(*words[:2], FILES[command], "--run", "new")[0] == 0, "a copy elsewhere is the same recording"


def test_a_ledger_of_other_recordings_is_not_added_to(limo, fault, world, begin):
    words = begin("rollouts")
    (world / "new").mkdir()
    shutil.copy(world / "run" / "ledger.sqlite", world / "new")
    change_recordings(world, "said.jsonl")
    said = fault(*words[:2], "--run", "new")
    assert "the ledger holds rollouts of another model with this name: 'strong'" in said


@pytest.mark.parametrize("is_empty", [False, True])
@pytest.mark.parametrize(("command", "more"), [("curate", ""), ("rollouts", "rollouts.0.n=3"), ("evaluate", "")])
def test_a_ledger_that_is_gone_is_one_line_and_nothing_is_paid_again(
    limo, fault, world, begin, command, more, is_empty
):
    words = begin(command)
    ledger = world / "run" / "ledger.sqlite"
    whole = ledger.read_bytes()
    ledger.write_bytes(b"") if is_empty else ledger.unlink()
    said = fault(*words, *filter(None, [more]))
    assert "the ledger of this run held" in said and "is gone" in said and "put it back" in said
    assert not ledger.exists() or not ledger.stat().st_size
    ledger.write_bytes(whole)
    assert limo(*words)[0] == 0


def test_a_ledger_that_lost_its_rollouts_is_told(limo, fault, world, begin):
    words = begin("rollouts")
    with closing(sqlite3.connect(world / "run" / "ledger.sqlite")) as db, db:
        db.execute("DELETE FROM verdicts")
        db.execute("DELETE FROM rollouts WHERE rollout_index > 0")
    assert "held 40 rollouts, and lacks some" in fault(*words)
    (world / "run" / "ledger.json").unlink()
    assert limo(*words)[0] == 0, "without the note it goes on with what there is"


@pytest.mark.parametrize("n", [1, 4])
def test_another_runs_ledger_is_told_whatever_it_holds(limo, fault, world, begin, n):
    words = begin("rollouts")
    assert limo("rollouts", "recipe.yaml", "--run", "other", f"rollouts.0.n={n}")[0] == 0
    own, other, note = world / "own.sqlite", world / "other" / "ledger.sqlite", world / "run" / "ledger.json"
    shutil.copy(world / "run" / "ledger.sqlite", own)
    before = note.read_bytes()
    for _ in range(2):
        shutil.copy(other, world / "run" / "ledger.sqlite")
        assert "this ledger is not that of this run" in fault(*words) and note.read_bytes() == before
    assert limo("ledger", "merge", other, own, "-o", world / "both.sqlite")[0] == 0
    for good in (own, world / "both.sqlite"):
        shutil.copy(good, world / "run" / "ledger.sqlite")
        code, _, err = limo(*words)
        assert code == 0, err
    assert note.read_bytes() == before
    shutil.copytree(world / "run", world / "copy")
    assert limo(*words[:2], "--run", "copy")[0] == 0


def test_a_run_and_a_ledger_of_before_they_had_names_go_on_and_get_one(limo, fault, world, begin):
    words = begin("rollouts")
    ledger, note = world / "run" / "ledger.sqlite", world / "run" / "ledger.json"
    name = json.loads(note.read_text())["name"]

    def forget(of_ledger):
        with closing(sqlite3.connect(ledger)) as db, db:
            db.execute("DELETE FROM definitions WHERE kind = 'ledger'" if of_ledger else "SELECT 1")

    for of_ledger, of_note in ((False, True), (True, False), (True, True)):  # the first: killed between the two
        forget(of_ledger)
        note.write_text("40" if of_note else note.read_text())
        assert limo(*words)[0] == 0
        with Ledger(ledger, read_only=True) as opened:
            assert opened.names() == [json.loads(note.read_text())["name"]]
            assert (opened.names() == [name]) == (not (of_ledger and of_note))


VERIFIER = """
from limo.core.records import Verdict
class Own:
    identity, system = "own", "Answer."
    def why_not(self, problem):
        return ""
    def verify(self, problem, completion):
        return Verdict("OUTCOME")
"""


def test_a_verifier_whose_code_has_changed_verifies_again(limo, world, begin, monkeypatch):
    monkeypatch.syspath_prepend(world)
    words, verifier = begin("rollouts"), "verifier=python:own_rule_of_test:Own"
    rates = []
    for outcome in ("correct", "wrong"):
        (world / "own_rule_of_test.py").write_text(VERIFIER.replace("OUTCOME", outcome))
        sys.modules.pop("own_rule_of_test", None)
        code, out, err = limo(*words, verifier, "--json")
        assert code == 0, err
        rates.append(json.loads(out.splitlines()[-1]))
    sys.modules.pop("own_rule_of_test", None)
    assert rates[0] != rates[1]


@pytest.mark.parametrize("name", ["stages/grade.kept.parquet", "selected/data-00000-of-00001.arrow"])
def test_a_finished_curation_says_which_file_was_not_as_it_was_and_makes_it_again(limo, world, begin, name):
    words = begin("curate")
    whole = (world / "run" / name).read_bytes()
    (world / "run" / name).write_bytes(whole[:300])
    code, out, err = limo(*words)
    assert code == 0 and f"{name} is not as it was written: made anew from" in out + err
    assert (world / "run" / name).read_bytes() == whole


@pytest.mark.parametrize("command", ["rollouts", "evaluate"])
def test_an_export_of_a_run_that_selects_nothing_says_so(fault, world, begin, command):
    begin(command)
    told = fault("export", "run", "-o", "out.jsonl")
    assert "it is a run of another command: name one of `limo curate`" in told and "start the same" not in told
