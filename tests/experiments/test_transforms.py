"""Controls that change a chain: each takes away what it says and nothing else."""

from __future__ import annotations

import re

import pytest

from limo.experiments.transforms import split_steps, transform_rows

CHAIN = "K: 5 dollars. First L: 7+5=12. Check: 12-5=7, right. Next M: 12*2=24. So the answer is \\boxed{24}."
CHINESE = "K：有5元。首先L：7+5=12。检查：对。所以答案是\\boxed{12}。"


def rows(*chains):
    return [
        {
            "messages": [
                {"role": "system", "content": "Box 1 answer."},
                {"role": "user", "content": "K: 5 dollars. L: 7 more."},
                {"role": "assistant", "content": chain},
            ],
            "problem_id": f"p{number}",
        }
        for number, chain in enumerate(chains)
    ]


def changed(change, *chains, seed=0):
    return [row["messages"][-1]["content"] for row in transform_rows(rows(*chains), change, seed)]


@pytest.mark.parametrize("text", [CHAIN, CHINESE, "x=3.5 and no end", "a\nb\n\nc", "\\boxed{7}", ""])
def test_the_steps_of_a_text_joined_are_the_text(text):
    assert "".join(split_steps(text)) == text


def test_a_point_within_a_number_ends_no_step():
    assert split_steps("It is 3.5 m. So \\boxed{3.5}.") == ["It is 3.5 m. ", "So \\boxed{3.5}."]
    assert len(split_steps(CHINESE)) == 4


def test_shuffled_steps_are_the_same_steps_between_the_first_and_the_last():
    (text,) = changed("shuffled", CHAIN, seed=2)
    assert text != CHAIN and sorted(split_steps(text)) == sorted(split_steps(CHAIN))
    assert split_steps(text)[0] == split_steps(CHAIN)[0] and split_steps(text)[-1] == split_steps(CHAIN)[-1]
    assert changed("shuffled", "\\boxed{7}") == ["\\boxed{7}"]


def test_false_facts_are_one_permutation_of_all_numbers_in_problem_and_chain_alike():
    before, after = rows(CHAIN), transform_rows(rows(CHAIN), "false_facts", seed=3)
    assert after[0]["messages"][0] == before[0]["messages"][0], "the system text is no fact"
    texts = [[" ".join(m["content"] for m in row[0]["messages"][1:]) for row in (before, after)]]
    (old, new) = ([int(n) for n in re.findall(r"\d+", text)] for text in texts[0])
    mapping = dict(zip(old, new, strict=True))
    assert [mapping[n] for n in old] == new and len(set(mapping.values())) == len(mapping)
    assert old != new and set(old) == set(new)


def test_a_frame_is_the_first_and_the_last_step_and_an_answer_is_its_box():
    assert changed("frame", CHAIN) == ["K: 5 dollars. So the answer is \\boxed{24}."]
    assert changed("answer_only", CHAIN, CHINESE) == ["\\boxed{24}", "\\boxed{12}"]
    assert changed("frame", "\\boxed{7}") == ["\\boxed{7}"]


def test_nothing_is_changed_where_nothing_is_asked_and_lineage_stays():
    assert transform_rows(rows(CHAIN), "", 0) == rows(CHAIN)
    assert [row["problem_id"] for row in transform_rows(rows(CHAIN, CHINESE), "shuffled", 0)] == ["p0", "p1"]
