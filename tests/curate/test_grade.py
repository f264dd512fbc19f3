import random
from collections import defaultdict
from statistics import mean

import pytest
from hypothesis import given
from hypothesis import strategies as st

from limo.core.errors import InputError
from limo.core.records import LEVELS, Chain, Verdict
from limo.curate.grade import GradeSettings, grade
from limo.curate.scorers.keywords import TRAITS
from limo.curate.scorers.registry import SCORERS, Scorer

CAREFUL = (
    "Perhaps we can add. 3+4=7. Let me check: 7-4=3, so it holds. Since 7 is odd, maybe double it. "
    "Let me verify: 14/2=7. Therefore the answer is \\boxed{14}."
)
BARE = "3+4=7, 7*2=14, \\boxed{14}"


def chain(text: str, name: str = "p") -> Chain:
    return Chain(name, text, "teacher", "prompt", "sampling", 0, 10, Verdict("correct"))


def test_careful_reasoning_scores_above_bare_steps_in_every_trait():
    careful, bare = grade([chain(CAREFUL), chain(BARE)])
    assert careful.score > bare.score
    assert all(careful.traits[name] > bare.traits[name] for name in TRAITS)
    assert (careful.level, bare.level) == ("L3", "L1")


def test_the_score_is_the_weighted_sum_of_the_paper():
    for one in grade([chain(CAREFUL), chain(BARE), chain("check check")]):
        t = one.traits
        expected = (
            0.30 * t["elaboration"] + 0.20 * t["verification"] + 0.25 * t["exploration"] + 0.25 * t["granularity"]
        )
        assert one.score == pytest.approx(expected)


def test_weights_are_settings_and_need_not_sum_to_one():
    only_length = GradeSettings(elaboration=1, verification=0, exploration=0, granularity=0)
    short, long = grade([chain("check check"), chain("no words of note here at all")], only_length)
    assert (short.score, long.score) == (0, 1)


def test_no_chain_and_one_chain_are_graded_without_fault():
    assert grade([]) == []
    assert grade([chain(CAREFUL)])[0].level == "L1"
    assert grade([chain(""), chain("")])[0].score == 0


def test_scale_max_divides_by_the_largest_value():
    grades = grade([chain("check " * 2), chain("word " * 4)], GradeSettings(scale="max"))
    assert [one.traits["elaboration"] for one in grades] == [0.5, 1.0]


def levels_of(scores: list[float]) -> list[int]:
    """The number of the level of each score, as a judge's mean marks."""
    columns = dict.fromkeys(SCORERS["judge"].traits, scores) | {"score": scores, "length": scores}
    grades = grade([chain(BARE)] * len(scores), JUDGED, columns)
    return [LEVELS.index(one.level) for one in grades]


def test_levels_are_fifths_of_the_ranking():
    assert levels_of([n / 10 for n in range(10)]) == [0, 0, 1, 1, 2, 2, 3, 3, 4, 4]


def test_equal_scores_share_the_lower_level():
    assert levels_of([1.0] * 7) == [0] * 7
    assert levels_of([0, 0, 0, 0, 0, 0, 0, 0, 0.5, 1]) == [0] * 8 + [4, 4]


@given(
    st.lists(st.text(alphabet="check perhaps so 验证因此 \n", max_size=60), max_size=12),
    st.randoms(use_true_random=False),
)
def test_grades_do_not_depend_on_the_order_of_the_chains(texts, rng: random.Random):
    chains = [chain(text, str(i)) for i, text in enumerate(texts)]
    shuffled = rng.sample(chains, len(chains))
    before = dict(zip([c.problem_id for c in chains], grade(chains), strict=True))
    after = dict(zip([c.problem_id for c in shuffled], grade(shuffled), strict=True))
    assert before == after
    assert all(0 <= one.score <= 1 and one.level in LEVELS for one in before.values())


STRUCTURED, JUDGED = GradeSettings(scorer="structure"), GradeSettings(scorer="judge")


def test_the_structural_scorer_gives_the_same_score_whatever_stands_beside_it():
    texts = [CAREFUL, BARE, CAREFUL * 3]
    together = grade([chain(text) for text in texts], STRUCTURED)
    assert [one.score for one in together] == [grade([chain(text)], STRUCTURED)[0].score for text in texts]
    assert set(together[0].traits) == set(SCORERS["structure"].traits)


def test_fixed_levels_do_not_depend_on_the_other_chains():
    fixed = GradeSettings(scorer="structure", levels="fixed", cuts=[0.1, 0.2, 0.3, 0.9])
    alone = grade([chain(CAREFUL)], fixed)[0]
    assert alone.level == LEVELS[sum(cut <= alone.score for cut in fixed.cuts)]
    assert grade([chain(CAREFUL), *[chain(BARE)] * 9], fixed)[0] == alone
    half = GradeSettings(scale="half", levels="fixed")
    assert grade([chain(CAREFUL)], half)[0] == grade([chain(CAREFUL), chain(BARE)], half)[0]


@pytest.mark.parametrize(
    ("settings", "said"),
    [
        ({"levels": "fixed"}, "scale: half"),
        ({"levels": "fixed", "scorer": "structure", "cuts": [0.1, 0.2]}, "four scores"),
        ({"scorer": "oracle"}, "limo-v2, structure, judge"),
        ({"cuts": [0.4, 0.3, 0.5, 0.6]}, "larger than the one before"),
        ({"levels": "fixed", "scorer": "structure", "length_bins": 4}, "exclude"),
    ],
)
def test_settings_that_contradict_each_other_are_refused(settings, said):
    with pytest.raises(ValueError, match=said):
        GradeSettings(**settings)


def test_within_bins_of_length_no_level_is_merely_longer():
    rng = random.Random(0)
    chains = [
        chain(" ".join(rng.choices(["sum", "area", "check", "perhaps", "since"], weights=[9, 9, 1, 1, 1], k=n)))
        for n in range(20, 420, 2)
    ]

    def longer(settings: GradeSettings) -> float:
        of = defaultdict(list)
        for one, g in zip(chains, grade(chains, settings), strict=True):
            of[g.level].append(len(one.text))
        return mean(of["L5"]) / mean(of["L1"])

    assert longer(GradeSettings()) > 1.5
    assert 0.85 < longer(GradeSettings(length_bins=20)) < 1.15


def test_a_judge_that_was_not_asked_is_a_clear_error():
    with pytest.raises(InputError, match="nobody has judged"):
        grade([chain(CAREFUL)], GradeSettings(scorer="judge"))
    judged = {name: [0.25, 1.0] for name in SCORERS["judge"].traits} | {
        "score": [0.25, 1],
        "length": [1, 1],
    }
    grades = grade([chain(BARE), chain(CAREFUL)], GradeSettings(scorer="judge", levels="fixed"), judged)
    assert [one.level for one in grades] == ["L2", "L5"]


def test_a_scorer_is_added_by_one_entry_of_the_registry(monkeypatch):
    def measure(text: str) -> dict[str, float]:
        return {"short": 1 / len(text), "score": 1 / len(text), "length": float(len(text))}

    with pytest.raises(ValueError, match="no such scorer"):
        GradeSettings(scorer="brevity")
    monkeypatch.setitem(SCORERS, "brevity", Scorer("brevity", ("short",), measure, (0.2, 0.4, 0.6, 0.8)))
    grades = grade([chain("a"), chain("abcd")], GradeSettings(scorer="brevity", levels="fixed"))
    assert [(one.score, one.level, one.traits) for one in grades] == [
        (1, "L5", {"short": 1}),
        (0.25, "L2", {"short": 0.25}),
    ]
