import sys
from collections import Counter
from dataclasses import replace
from itertools import combinations

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from limo.core.errors import InputError
from limo.core.records import LEVELS, Chain, Grade, PassRate, Problem, Verdict
from limo.curate.diversity import DiversePicker, statement_terms
from limo.curate.select import Candidate, SelectSettings, sample_levels, select, why_fewer


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
    samples = sample_levels([c.chain for c in pool], [c.grade for c in pool], 3)
    assert {c.problem_id for c, _ in samples["L1"]} == {c.problem_id for c, _ in samples["L5"]} == set("abc")
    assert all(g.level == name for name, pairs in samples.items() for _, g in pairs)
    wider = sample_levels([c.chain for c in pool], [c.grade for c in pool], 10)
    assert sorted(c.problem_id for c, _ in wider["L1"]) == list("abcy")
    assert sorted(c.problem_id for c, _ in wider["L5"]) == list("abcx")


def test_a_level_that_does_not_exist_is_an_error():
    with pytest.raises(InputError, match="L6"):
        sample_levels([], [], 3, ("L6",))
    assert sample_levels([], [], 3, LEVELS) == {level: [] for level in LEVELS}


def stated(name: str, score: float, statement: str, **rest) -> Candidate:
    one = candidate(name, score, **rest)
    return replace(one, problem=replace(one.problem, problem=statement))


ALIKE = [
    stated("a", 0.9, "How many tiles cover the rectangle of side 12?"),
    stated("b", 0.8, "How many tiles cover the rectangle of side 15?"),
    stated("c", 0.7, "Find the probability that two dice show a prime sum"),
    stated("d", 0.6, "Evaluate the integral of the cosine"),
]


def test_diversity_passes_over_what_is_like_a_pick_and_none_is_pure_rank():
    assert [c.problem.id for c in select(ALIKE, SelectSettings(k=3))[0]] == ["a", "b", "c"]
    kept, dropped = select(ALIKE, SelectSettings(k=3, diversity=0.7))
    assert [c.problem.id for c in kept] == ["a", "c", "d"]
    assert [(d.problem_id, d.reason, d.detail["rank"]) for d in dropped] == [("b", "below the top k", 2)]


def test_near_repetitions_stay_out_and_say_so():
    kept, dropped = select(ALIKE, SelectSettings(k=4, max_likeness=0.8))
    assert [c.problem.id for c in kept] == ["a", "c", "d"]
    assert [d.reason for d in dropped] == ["too like one that was taken"]
    assert "too like one that was taken 1" in why_fewer(kept, dropped, SelectSettings(k=4))


def test_balanced_lets_the_topics_take_turns():
    pool = [candidate(f"a{i}", 0.9 - i / 100, topic="algebra") for i in range(4)]
    pool += [candidate("g", 0.3, topic="geometry"), candidate("n", 0.1, topic="number")]
    assert [c.problem.id for c in select(pool, SelectSettings(k=4, by="balanced"))[0]] == ["a0", "g", "n", "a1"]
    assert [c.problem.id for c in select(pool, SelectSettings(k=4))[0]] == ["a0", "a1", "a2", "a3"]


def test_easiest_is_the_other_end_and_full_takes_every_problem():
    pool = [candidate("a", 0.9, n_correct=3), candidate("b", 0.5, n_correct=8), candidate("b", 0.1, n_correct=8)]
    assert [c.problem.id for c in select(pool, SelectSettings(k=1, by="easiest"))[0]] == ["b"]
    kept, dropped = select(pool, SelectSettings(k=1, tokens=1, by="full"))
    assert len(kept) == 2 and [d.reason for d in dropped] == ["another chain of its problem is better"]
    assert why_fewer(kept, dropped, SelectSettings(k=9, by="full")) == ""


def test_a_budget_of_tokens_is_kept_and_what_is_too_long_makes_room_for_shorter_ones():
    sizes = {"a": 60, "b": 60, "c": 30, "d": 20}
    pool = [candidate(name, 1 - i / 10) for i, name in enumerate(sizes)]
    pool = [replace(c, chain=replace(c.chain, n_tokens=sizes[c.problem.id])) for c in pool]
    kept, dropped = select(pool, SelectSettings(tokens=100))
    assert [c.problem.id for c in kept] == ["a", "c"]
    assert {d.reason for d in dropped} == {"over the budget of tokens"}
    bare = [replace(c, chain=replace(c.chain, n_tokens=0)) for c in pool]
    with pytest.raises(InputError, match="n_tokens"):
        select(bare, SelectSettings(tokens=100))


def test_languages_have_a_quota_too():
    pool = [candidate("a", 0.9), candidate("b", 0.8)]
    pool = [replace(c, problem=replace(c.problem, language="zh")) for c in pool]
    kept, dropped = select(pool, SelectSettings(k=2, per_language=1))
    assert [c.problem.id for c in kept] == ["a"] and dropped[0].reason == "language is full"


@pytest.mark.parametrize("outcome", ["wrong", "no_answer", "truncated", "undecided"])
def test_a_chain_known_not_to_be_correct_is_never_selected(outcome):
    one = candidate("a", 0.9)
    bad = replace(one, chain=replace(one.chain, verdict=Verdict(outcome)))
    kept, dropped = select([bad, candidate("b", 0.1)], SelectSettings(by="full"))
    assert [c.problem.id for c in kept] == ["b"]
    assert [(d.problem_id, d.reason) for d in dropped] == [("a", "not correct")]


def test_without_scikit_learn_diversity_says_what_to_install(monkeypatch):
    monkeypatch.setitem(sys.modules, "sklearn.feature_extraction.text", None)
    with pytest.raises(InputError, match=r"limo\[diverse\]"):
        select(ALIKE, SelectSettings(diversity=0.5))
    assert len(select(ALIKE, SelectSettings())[0]) == 4


def test_terms_are_words_commands_and_pairs_of_han_and_no_numbers():
    assert statement_terms("Find $\\frac{12}{x}$ 求长方形") == ["find", "\\frac", "求长", "长方", "方形"]


def test_statements_without_a_term_are_all_equally_unlike():
    picker = DiversePicker(["1+1", "2+2"], 1.0)
    picker.take(0)
    assert picker.best(np.array([False, True])) == 1 and picker.nearest.tolist() == [0, 0]


def test_full_diversity_is_the_greedy_k_centre_within_twice_the_best_radius():
    rng = np.random.default_rng(0)
    words = ["tiles", "dice", "integral", "prime", "circle", "vector", "matrix", "train", "coin", "angle"]
    statements = [" ".join(rng.choice(words, 3)) for _ in range(12)]
    picker = DiversePicker(statements, 1.0)
    is_open, picks = np.ones(12, dtype=bool), []
    for _ in range(3):
        picks.append(picker.best(is_open))
        is_open[picks[-1]] = False
        picker.take(picks[-1])
    vectors = picker._vectors.toarray()
    distance = np.sqrt(np.maximum(0, 2 - 2 * vectors @ vectors.T))
    radius = min(distance[:, list(some)].min(1).max() for some in combinations(range(12), 3))
    assert distance[:, picks].min(1).max() <= 2 * radius + 1e-6


kinds = st.fixed_dictionaries(
    {
        "k": st.integers(1, 12),
        "by": st.sampled_from(["score", "balanced", "random", "longest", "hardest", "easiest"]),
        "diversity": st.sampled_from([0.0, 0.3, 1.0]),
        "max_likeness": st.sampled_from([0.5, 1.0]),
        "per_topic": st.none() | st.integers(1, 4),
        "tokens": st.none() | st.integers(1, 60),
        "seed": st.integers(0, 3),
    }
)


def drawn(name: str, score: int, size: int, outcome: str) -> Candidate:
    """One problem has one topic, and one text one length, as in life."""
    topic = "algebra" if name < "e" else "dice"
    one = stated(name, score / 9, f"about {topic} and {name}", topic=topic, text=f"{name} {score} {size}")
    return replace(one, chain=replace(one.chain, n_tokens=size, verdict=Verdict(outcome)))


outcomes = st.sampled_from(["correct", "correct", "wrong", "truncated"])
pools = st.lists(
    st.builds(drawn, st.sampled_from("abcdefgh"), st.integers(0, 9), st.integers(1, 20), outcomes), max_size=20
)


@settings(deadline=None, max_examples=50, suppress_health_check=[HealthCheck.too_slow])
@given(pools, kinds)
def test_whatever_is_asked_the_invariants_of_a_selection_hold(pool, wanted):
    asked = SelectSettings(**wanted)
    kept, dropped = select(pool, asked)
    assert len(kept) + len(dropped) == len(pool)  # nothing lost, nothing invented
    assert all(d.reason and d.stage == "select" for d in dropped)
    ids = [c.problem.id for c in kept]
    assert len(ids) == len(set(ids)) <= asked.k
    assert all(c.chain.verdict.outcome == "correct" for c in kept)
    assert max(Counter(c.problem.topic for c in kept).values(), default=0) <= (asked.per_topic or len(pool))
    assert asked.tokens is None or sum(c.chain.n_tokens for c in kept) <= asked.tokens
    assert bool(why_fewer(kept, dropped, asked)) == (len(kept) < asked.k)
    assert select(pool, asked) == (kept, dropped)
    if asked.by != "random":
        again = select(list(reversed(pool)), asked)[0]
        assert [(c.problem.id, c.grade.score) for c in again] == [(c.problem.id, c.grade.score) for c in kept]
