import pytest
from hypothesis import given
from hypothesis import strategies as st

from limo.curate.select import Candidate, SelectSettings, levels, select
from limo.errors import InputError
from limo.records import LEVELS, Chain, Grade, PassRate, Problem, Verdict


def candidate(
    name: str, score: float, text: str = "", topic: str = "", n_correct: int = 1, level: str = "L3"
) -> Candidate:
    problem = Problem(name, f"statement {name}", "7", topic=topic, source=topic)
    chain = Chain(name, text or f"{name} {score}", "t", "p", "s", 0, 5, Verdict("correct"))
    return Candidate(problem, chain, Grade({}, score, level), (PassRate("m", 8, 8, n_correct),))


def test_the_best_chain_of_each_problem_is_kept_and_ranked_by_score():
    pool = [candidate("a", 0.2), candidate("a", 0.9), candidate("b", 0.5), candidate("c", 0.7)]
    kept, dropped = select(pool, SelectSettings(k=2))
    assert [(c.problem.id, c.grade.score) for c in kept] == [("a", 0.9), ("c", 0.7)]
    assert {(d.problem_id, d.reason) for d in dropped} == {
        ("a", "another chain of its problem is better"),
        ("b", "below the top k"),
    }
    assert next(d for d in dropped if d.problem_id == "b").detail["rank"] == 3


def test_quotas_hold_and_say_so():
    pool = [
        candidate("a", 0.9, topic="algebra"),
        candidate("b", 0.8, topic="algebra"),
        candidate("c", 0.1, topic="geometry"),
    ]
    kept, dropped = select(pool, SelectSettings(k=2, per_topic=1))
    assert [c.problem.id for c in kept] == ["a", "c"]
    assert [d.reason for d in dropped] == ["topic is full"]
    assert [d.reason for d in select(pool, SelectSettings(k=2, per_source=1))[1]] == ["source is full"]


def test_controls_take_the_longest_the_hardest_and_any():
    pool = [
        candidate("a", 0.9, "x", n_correct=3),
        candidate("b", 0.5, "x" * 9, n_correct=1),
        candidate("c", 0.1, "xx", n_correct=2),
    ]
    assert [c.problem.id for c in select(pool, SelectSettings(k=3, by="longest"))[0]] == ["b", "c", "a"]
    assert [c.problem.id for c in select(pool, SelectSettings(k=3, by="hardest"))[0]] == ["b", "c", "a"]
    many = [candidate(f"p{i}", i / 50) for i in range(50)]
    picks = {tuple(c.problem.id for c in select(many, SelectSettings(k=5, by="random", seed=s))[0]) for s in range(5)}
    assert len(picks) == 5


def test_hardest_without_pass_rates_is_an_error_that_says_what_to_do():
    bare = candidate("a", 0.9)
    with pytest.raises(InputError, match="add a filter"):
        select([Candidate(bare.problem, bare.chain, bare.grade)], SelectSettings(by="hardest"))


made = st.lists(st.builds(candidate, st.sampled_from("abcdefgh"), st.integers(0, 9).map(lambda n: n / 10)), max_size=25)


@given(
    made,
    st.integers(1, 9),
    st.sampled_from(["score", "random", "longest", "hardest"]),
    st.randoms(use_true_random=False),
)
def test_no_problem_twice_nothing_lost_and_order_of_input_does_not_matter(pool, k, by, rng):
    settings = SelectSettings(k=k, by=by)
    kept, dropped = select(pool, settings)
    names = [c.problem.id for c in kept]
    assert len(names) == len(set(names)) == min(k, len({c.problem.id for c in pool}))
    assert len(kept) + len(dropped) == len(pool)
    again = [c.problem.id for c in select(rng.sample(pool, len(pool)), settings)[0]]
    assert again == names


def test_levels_use_the_same_problems_where_they_can():
    both = [candidate(n, s, level=level) for n in "abc" for s, level in ((0.1, "L1"), (0.9, "L5"))]
    only = [candidate("x", 0.9, level="L5"), candidate("y", 0.1, level="L1"), candidate("z", 0.4, level="L3")]
    pool = only + both
    arms = levels([c.chain for c in pool], [c.grade for c in pool], 3)
    assert {c.problem_id for c, _ in arms["L1"]} == {c.problem_id for c, _ in arms["L5"]} == set("abc")
    assert all(g.level == name for name, arm in arms.items() for _, g in arm)
    wider = levels([c.chain for c in pool], [c.grade for c in pool], 10)
    assert sorted(c.problem_id for c, _ in wider["L1"]) == list("abcy")
    assert sorted(c.problem_id for c, _ in wider["L5"]) == list("abcx")


def test_a_level_that_does_not_exist_is_an_error():
    with pytest.raises(InputError, match="L6"):
        levels([], [], 3, ("L6",))
    assert levels([], [], 3, LEVELS) == {level: [] for level in LEVELS}
