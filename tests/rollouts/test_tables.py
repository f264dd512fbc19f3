"""A ledger handed on as a table, and its verdicts taken anew without requesting."""

from __future__ import annotations

from dataclasses import replace

import pytest

from limo.core.errors import InputError
from limo.core.records import Completion, Problem, Rollout, Verdict
from limo.ledger.export import export, summary_table
from limo.ledger.store import Ledger
from limo.rollouts.judging import ANSWER_REPLIES
from limo.rollouts.reverify import reverify
from limo.verify.checker import Checker


@pytest.fixture
def ledger(tmp_path):
    path = tmp_path / "ledger.sqlite"
    said = ["\\boxed{4}", "\\boxed{5}", ""]
    with Ledger(path) as opened:
        opened.define("prompt", "prompt", "Be brief.")
        opened.add(
            Rollout("p", "m", "prompt", "s", k, Completion(text, reasoning="hm"), Verdict("wrong", answer="4"))
            for k, text in enumerate(said)
        )
        away = Completion("", "error", error="away")
        opened.add([Rollout("p", "m", "prompt", "s", 3, away, Verdict("undecided", answer="4"))])
    return path


def test_every_rollout_is_a_row_failures_too(ledger, tmp_path):
    import pyarrow.parquet as pq

    assert export(ledger, tmp_path / "out.parquet") == 4
    rows = pq.read_table(tmp_path / "out.parquet").to_pylist()
    assert [row["text"] for row in rows] == ["\\boxed{4}", "\\boxed{5}", "", ""]
    assert (rows[3]["finish_reason"], rows[3]["error"], rows[3]["outcome"]) == ("error", "away", "undecided")
    assert {row["system"] for row in rows} == {"Be brief."} and rows[0]["reasoning"] == "hm"


def test_a_folder_is_a_dataset_that_loads(ledger, tmp_path):
    from datasets import load_from_disk

    assert export(ledger, tmp_path / "out") == 4
    assert load_from_disk(str(tmp_path / "out"))["index"][:] == [0, 1, 2, 3]
    assert sorted(path.name for path in tmp_path.iterdir() if "tmp" in path.name) == []
    assert export(ledger, tmp_path / "out") == 4  # the same again, as after a kill at the very end
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "letter.txt").write_text("")
    with pytest.raises(InputError, match="does not exist"):
        export(ledger, tmp_path / "mine")


def test_verdicts_are_taken_anew_on_the_answers_they_name_or_on_given_ones(ledger):
    with Checker() as checker:
        done = reverify(ledger, checker)
        assert done.n_by_outcome == {"correct": 1, "wrong": 1, "no_answer": 1, "undecided": 1}
        assert done.n_changed == {"wrong -> correct": 1, "wrong -> no_answer": 1}
        done = reverify(ledger, checker, [Problem("p", "", "5")])
        assert done.n_changed == {"correct -> wrong": 1, "wrong -> correct": 1}
        listed = [(row["index"], row["before"], row["now"], row["extracted"], row["answer"]) for row in done.changed]
        assert listed == [(0, "correct", "wrong", "4", "5"), (1, "wrong", "correct", "5", "5")]
        assert done.changed_table()[0][3:5] == ["before", "now"] and len(done.changed_table()) == 3
    with Ledger(ledger) as opened:
        found = [(r.completion.text, r.verdict.outcome, r.verdict.answer) for r in opened.rollouts()]
    assert found[:2] == [("\\boxed{4}", "wrong", "5"), ("\\boxed{5}", "correct", "5")]
    assert found[3] == ("", "undecided", "5")  # a failed rollout


def test_problems_of_another_run_are_refused_and_those_that_lack_some_are_counted(ledger):
    with Checker() as checker:
        with pytest.raises(InputError, match="none of the problems given"):
            reverify(ledger, checker, [Problem("other", "", "5")])
        with Ledger(ledger) as opened:
            assert {r.verdict.answer for r in opened.rollouts() if r.verdict} == {"4"}
            opened.add([Rollout("q", "m", "p", "s", 0, Completion("\\boxed{4}"))])
        assert reverify(ledger, checker, [Problem("p", "", "5")]).lacking == {"q"}
        assert reverify(ledger, checker).lacking == set()


def test_verdicts_then_name_the_new_verifier_and_replies_of_judges_are_left_as_they_are(ledger):
    verdict = Verdict("undecided", "correct", "verdict read", "judge", verifier=ANSWER_REPLIES.identity)
    reply = Rollout("q", "judge", "p", "s", 0, Completion("CORRECT"), verdict)
    with Ledger(ledger) as opened:
        opened.add([reply, replace(reply, problem_id="unknown", verdict=None)])
    with Checker() as checker:
        summary = reverify(ledger, checker)
        identity = checker.identity
    assert summary.n_left == {"the reply of a judge": 1, "no answer known": 1}
    with Ledger(ledger) as opened:
        verdicts = {(r.model, r.index): r.verdict for r in opened.rollouts() if r.problem_id != "unknown"}
    assert verdicts.pop(("judge", 0)) == reply.verdict
    assert {verdict.verifier for verdict in verdicts.values()} == {identity}


def test_the_counts_of_a_ledger_are_by_model(ledger):
    head, row = summary_table(ledger)
    counts = dict(zip(head, row, strict=True))
    assert (counts["model"], counts["rollouts"], counts["failed"], counts["wrong"]) == ("m", 4, 1, 3)
