from limo.core.prompts import SYSTEM, messages, prompt_hash


def test_the_system_text_is_the_one_of_the_official_repository():
    assert SYSTEM == "Please reason step by step, and put your final answer within \\boxed{}."


def test_the_problem_stands_bare_in_the_user_turn():
    assert messages("1+1?") == [{"role": "system", "content": SYSTEM}, {"role": "user", "content": "1+1?"}]


def test_an_empty_system_text_leaves_its_turn_out():
    assert messages("1+1?", "") == [{"role": "user", "content": "1+1?"}]


def test_another_system_text_is_another_prompt():
    assert len({prompt_hash(), prompt_hash(""), prompt_hash("Be brief.")}) == 3
    assert prompt_hash() == prompt_hash(SYSTEM)
