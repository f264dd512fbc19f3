from dataclasses import replace

import pytest

from limo.core.records import Completion, Problem, Rollout, Verdict
from limo.core.text import THOUGHT_MARKER
from limo.curate.chains import ChainSettings, accept, repeated_share, without_thought_markers

PROBLEM = Problem.make("What is 3 plus 4?", "7")
GOOD = "Three and four make seven, so the answer is \\boxed{7}."


def rollout(text: str = GOOD, outcome: str = "correct", index: int = 0, finish: str = "stop") -> Rollout:
    verdict = Verdict(outcome, "7") if outcome else None
    return Rollout(PROBLEM.id, "teacher", "ph", "sh", index, Completion(text, finish, 5, 12), verdict)


def refusal(one: Rollout, problem: Problem = PROBLEM, **settings: object) -> str:
    chains, dropped = accept(problem, [one], ChainSettings(**settings))
    assert len(chains) + len(dropped) == 1
    return dropped[0].reason if dropped else ""


def test_a_correct_whole_rollout_becomes_a_chain_with_its_lineage():
    chains, dropped = accept(PROBLEM, [rollout(index=3)])
    assert dropped == []
    assert (chains[0].text, chains[0].teacher, chains[0].index, chains[0].n_tokens) == (GOOD, "teacher", 3, 12)
    assert (chains[0].prompt_hash, chains[0].sampling_hash) == ("ph", "sh")


@pytest.mark.parametrize(
    ("one", "reason"),
    [
        (rollout(outcome="wrong"), "wrong answer"),
        (rollout(outcome="no_answer"), "no answer"),
        (rollout(outcome="undecided"), "undecided"),
        (rollout("", outcome="undecided", finish="error"), "no completion"),
        (rollout(outcome=""), "undecided"),
        (rollout(outcome="truncated", finish="length"), "truncated"),
        (rollout(finish="length"), "truncated"),
        (rollout("The answer is 7."), "no boxed answer"),
        (rollout(GOOD + "<|im_start|>user"), "template or tool token inside"),
        (rollout(GOOD + "</tool_call>"), "template or tool token inside"),
        (rollout("三加四等于七，所以答案是 \\boxed{7}。"), "other language than the problem"),
        (rollout("I add three and four and think again about the sum of them now. " * 30 + GOOD), "loops"),
    ],
)
def test_a_rollout_that_is_no_chain_is_dropped_with_its_reason(one, reason):
    assert refusal(one) == reason


def test_each_rule_can_be_set_otherwise():
    assert refusal(rollout("The answer is 7."), boxed=False) == ""
    assert refusal(rollout("三加四等于七，所以答案是 \\boxed{7}。"), language="any") == ""
    assert (
        refusal(rollout("I add three and four and think again about the sum now. " * 30 + GOOD), max_repetition=1) == ""
    )


def test_a_chain_longer_than_training_takes_is_dropped_not_cut():
    assert refusal(rollout(), max_tokens=11) == "too long"
    assert refusal(rollout(), max_tokens=12) == ""


def test_formulas_are_of_no_language():
    latex = r"\begin{aligned} 3+4 &= 7 \\ \therefore \text{} \end{aligned} \frac{7}{1} \boxed{7}"
    chinese = Problem.make("求 $3+4$ 的值。", "7")
    assert refusal(rollout(latex), chinese) == ""
    assert refusal(rollout(f"所以 {latex}"), chinese) == ""


def test_the_same_text_twice_is_one_chain():
    chains, dropped = accept(PROBLEM, [rollout(index=0), rollout("<think>" + GOOD + "</think>", index=1)])
    assert [c.index for c in chains] == [0]
    assert [d.reason for d in dropped] == ["same text as another"]
    assert dropped[0].detail["index"] == 1


@pytest.mark.parametrize(
    ("text", "plain"),
    [
        ("<think>\nhm\n</think>\n\nso 7", "hm\n\nso 7"),
        ("<|begin_of_thought|>\n\nhm<|end_of_thought|>\n\n<|begin_of_solution|>so 7<|end_of_solution|>", "hm\n\nso 7"),
        ("hm</think>so 7", "hm\n\nso 7"),
        ("so 7", "so 7"),
        ("so 7<|end_of_", "so 7"),
        ("so |a|<|b", "so |a|<|b"),
        ("a < b and think > c", "a < b and think > c"),
    ],
)
def test_thought_markers_go_and_the_thought_stays(text, plain):
    assert without_thought_markers(text) == plain


def test_markers_stay_where_the_recipe_keeps_them():
    chains, _ = accept(PROBLEM, [rollout("<think>hm</think>" + GOOD)], ChainSettings(form="keep"))
    assert chains[0].text == "<think>hm</think>" + GOOD


@pytest.mark.parametrize(
    ("reasoning", "text", "kept"),
    [
        ("", "hm</think>" + GOOD, "<think>\nhm</think>" + GOOD),  # the template opened it in the prompt
        ("", "\nhm<|end_of_thought|>" + GOOD, "<|begin_of_thought|>\nhm<|end_of_thought|>" + GOOD),
        ("", "<think>hm</think></think>" + GOOD, "<think>hm</think>" + GOOD),
        ("", "<think><think>hm</think>" + GOOD, "<think>hm</think>" + GOOD),
        ("", f"<think>a</think>b<think>c</think>{GOOD}</think>", f"<think>a</think>b<think>c</think>{GOOD}"),
        ("", GOOD + "</THINKING>", "<THINKING>\n" + GOOD + "</THINKING>"),
        ("hm", GOOD, "<think>\nhm\n</think>\n\n" + GOOD),
        ("hm", "\n</think>\n\n" + GOOD, "<think>\nhm\n</think>\n\n\n\n" + GOOD),
        ("<think>hm", GOOD, "<think>\nhm\n</think>\n\n" + GOOD),
        ("<think>\nhm\n</think>", "</think>" + GOOD, "<think>\n\nhm\n</think>\n\n\n" + GOOD),
    ],
)
def test_kept_markers_open_and_close_every_thought_once(reasoning, text, kept):
    one = rollout(text)
    one = replace(one, completion=replace(one.completion, reasoning=reasoning))
    chains, dropped = accept(PROBLEM, [one], ChainSettings(form="keep"))
    assert not dropped
    for start, end in (("<think>", "</think>"), ("<THINKING>", "</THINKING>"), ("<|begin_o", "<|end_o")):
        assert chains[0].text.count(start) == chains[0].text.count(end)
    assert chains[0].text == kept
    assert not THOUGHT_MARKER.search(accept(PROBLEM, [one])[0][0].text)


def test_a_thought_without_an_end_is_kept_only_as_plain_text():
    assert refusal(rollout("<think>" + GOOD), form="keep") == "thought without an end"
    assert refusal(rollout("<think>" + GOOD)) == ""


def test_repetition_is_zero_for_new_text_and_near_one_for_a_loop():
    assert repeated_share("") == repeated_share("a b c") == 0
    assert repeated_share(" ".join(str(n) for n in range(500))) == 0
    assert repeated_share("wait let me think about this again and again " * 100) > 0.95


def test_where_no_verifier_has_said_the_papers_prompt_holds_and_a_box_is_wanted():
    assert refusal(rollout("The answer is 7."), boxed=None) == "no boxed answer"
