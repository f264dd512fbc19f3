import json
import pickle
from dataclasses import FrozenInstanceError, asdict

import pytest

from limo.core.records import Completion, PassRate, Problem, Rollout, Sampling, Verdict, problem_id


def rollout(**changes):
    values = {"problem_id": "p", "model": "m", "prompt_hash": "a", "sampling_hash": "b", "index": 0}
    return Rollout(**(values | changes), completion=Completion("text"), verdict=Verdict("correct"))


def test_a_problem_is_named_by_its_statement_up_to_white_space():
    assert Problem.make("What is 1+1?", "2").id == Problem.make("What is  1+1?\n", "3").id


def test_a_lost_minus_makes_another_problem():
    assert problem_id("Find $-x$") != problem_id("Find $x$")


def test_a_record_cannot_be_changed():
    with pytest.raises(FrozenInstanceError):
        Problem.make("What is 1+1?", "2").answer = "3"  # type: ignore[misc]


def test_every_record_becomes_plain_json_and_crosses_processes():
    one = rollout()
    assert json.loads(json.dumps(asdict(one)))["verdict"]["outcome"] == "correct"
    assert pickle.loads(pickle.dumps(one)) == one


@pytest.mark.parametrize("change", [{"temperature": 0.5}, {"top_p": 0.9}, {"max_tokens": 9}, {"seed": 1}])
def test_every_way_of_sampling_has_its_own_hash(change):
    assert Sampling(**change).hash != Sampling().hash
    assert Sampling(**change).hash == Sampling(**change).hash


def test_a_rollout_is_known_by_what_was_asked_and_not_by_what_came():
    again = Rollout(**{k: getattr(rollout(), k) for k in Rollout.__slots__} | {"completion": Completion("other")})
    assert again.key == rollout().key
    for change in ({"problem_id": "q"}, {"model": "n"}, {"prompt_hash": "c"}, {"sampling_hash": "c"}, {"index": 1}):
        assert rollout(**change).key != rollout().key


def test_a_pass_rate_counts_decided_rollouts_only():
    assert PassRate("m", n=8, n_decided=4, n_correct=1).rate == 0.25
    assert PassRate("m", n=8, n_decided=4, n_correct=1).n_wrong == 3
    assert PassRate("m", n=8, n_decided=0, n_correct=0).rate == 0
