import json

from limo.core import prompts
from limo.core.progress import NoProgress
from limo.core.records import Chain, Completion, Problem, Verdict
from limo.curate.scorers.judge import TRAITS
from limo.ledger.store import Ledger
from limo.models.settings import open_model
from limo.rollouts.judging import MARKS_READ, ChainJudgeSettings, RubricReplyVerifier, judge_chains
from limo.rollouts.runner import RolloutRunner

GOOD = "\n".join(f"{name}: 4" for name in TRAITS)
BAD = "\n".join(f"{name}: 2" for name in TRAITS)


def chain(text: str) -> Chain:
    return Chain("p", text, "t", "ph", "sh", 0, 3, Verdict("correct"))


def test_a_reply_is_read_or_not_and_is_never_called_correct():
    replies = [(GOOD, "stop"), ("structure: 5", "stop"), ("structure: 5", "length"), (GOOD, "length")]
    found = list(RubricReplyVerifier().verify_many((Problem.make("", ""), Completion(*reply)) for reply in replies))
    assert [one.outcome for one in found] == ["undecided", "no_answer", "truncated", "undecided"]
    assert found[0].reason == MARKS_READ and found[0].extracted.startswith("structure 4")


def test_replies_are_averaged_over_models_and_attempts_and_what_has_none_is_named(tmp_path):
    chains, statements = [chain("a"), chain("b"), chain("a")], ["P?", "P?", "P?"]
    said = [
        {"problem": prompts.rubric("P?", "a"), "model": model, "index": index, "text": text}
        for model, index, text in (("one", 0, GOOD), ("one", 1, BAD), ("two", 0, GOOD), ("two", 1, "no marks"))
    ]
    (tmp_path / "said.jsonl").write_text("".join(json.dumps(row) + "\n" for row in said))
    models = [{"kind": "replay", "name": name, "files": ["said.jsonl"]} for name in ("one", "two")]
    settings = ChainJudgeSettings.model_validate({"models": models, "n": 2})
    with Ledger(tmp_path / "ledger.sqlite") as ledger:
        runner = RolloutRunner(open_model, str(tmp_path), NoProgress())
        columns, missing = judge_chains(chains, statements, settings, runner, ledger)
        n = len(ledger)
        assert judge_chains(chains, statements, settings, runner, ledger) == (columns, missing)
        assert len(ledger) == n == 8
    assert columns["score"] == [(0.75 + 0.25 + 0.75) / 3] * 2  # the same chain twice shares a judgement
    assert list(missing) == [1] and "not recorded" in missing[1]
