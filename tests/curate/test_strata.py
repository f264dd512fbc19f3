import pytest

from limo.core.records import PassRate, Problem
from limo.curate.strata import STRATA, StrataSettings, stated_difficulty, stratify, stratum_of


def problem(name: str, source: str = "", **meta: object) -> Problem:
    return Problem(name, name, "7", source=source, meta=meta)


def test_by_source_each_named_source_has_its_stratum_and_others_none():
    settings = StrataSettings(simple=["MATH"], complex=["Olympiad"], advanced=["AIME"])
    pool = [problem("a", "MATH"), problem("b", "AIME"), problem("c", "Olympiad"), problem("d", "GSM8K")]
    found = stratify(pool, settings)
    assert {name: [one.id for one in some] for name, some in found.items()} == {
        "Simple": ["a"], "Complex": ["c"], "Advanced": ["b"],
    }  # fmt: skip


@pytest.mark.parametrize(("level", "name"), [(1, "Simple"), ("Level 3", "Simple"), (4, "Complex"), ("5", "Advanced")])
def test_by_stated_difficulty_in_any_common_form(level, name):
    settings = StrataSettings(by="stated")
    assert stratum_of(problem("a", level=level), settings) == name
    assert stratum_of(problem("a", difficulty=level), settings) == name


def test_what_states_nothing_is_left_out():
    assert stated_difficulty(problem("a", level="unknown")) is None
    assert stratify([problem("a")], StrataSettings(by="stated")) == {name: [] for name in STRATA}


@pytest.mark.parametrize(("n_correct", "name"), [(8, "Simple"), (4, "Complex"), (1, "Advanced"), (0, "Advanced")])
def test_by_pass_rate_what_is_solved_seldom_is_advanced(n_correct, name):
    settings = StrataSettings(by="pass_rate", cuts=(0.7, 0.3))
    assert StrataSettings(by="pass_rate").bounds == settings.bounds
    assert stratum_of(problem("a"), settings, PassRate("m", 8, 8, n_correct)) == name
    assert stratum_of(problem("a"), settings, PassRate("m", 8, 0, 0)) is None


def test_a_draw_is_the_same_for_a_seed_and_does_not_depend_on_the_order():
    pool = [problem(f"p{n}", "MATH") for n in range(50)]
    one = stratify(pool, StrataSettings(simple=["MATH"], n=10))["Simple"]
    assert stratify(pool[::-1], StrataSettings(simple=["MATH"], n=10))["Simple"] == one
    assert stratify(pool, StrataSettings(simple=["MATH"], n=10, seed=1))["Simple"] != one


@pytest.mark.parametrize(
    "settings",
    [
        {},
        {"simple": ["MATH"], "advanced": ["MATH"]},
        {"by": "pass_rate", "cuts": (3, 5)},
        {"by": "pass_rate", "cuts": (0.3, 0.7)},
        {"by": "stated", "cuts": (5, 3)},
    ],
)
def test_strata_that_cannot_be_are_refused(settings):
    with pytest.raises(ValueError):
        StrataSettings(**settings)
