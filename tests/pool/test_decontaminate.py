"""Each way a benchmark problem gets into a pool is found, with evidence; what is merely similar is not dropped."""

from __future__ import annotations

import pytest

from limo.core.errors import RecipeError
from limo.core.recipe import load
from limo.core.records import Problem
from limo.pool.decontaminate import CONTAMINATED, SIBLING, DecontaminateSettings, decontaminate
from limo.pool.evidence import evidence_table, render, totals, write_evidence

TRAIN = (
    "A train leaves the northern station at {a} kilometers per hour while a slower train leaves the southern station "
    "{b} minutes later. After how many minutes will the two trains meet if the stations are {c} kilometers apart?"
)
ITEM = TRAIN.format(a=90, b=15, c=240)
FILLER = [
    "Compute the area of a triangle with base $4$ and height $9$.",
    "How many primes are smaller than $50$?",
    "Let $f(x)=x^2-3x$. Find the sum of all roots of $f(f(x))=0$.",
    "求方程 $x^2-5x+6=0$ 的所有实数解之和。",
]
BENCHMARK = {"bench": [Problem.make(text, "1") for text in [*FILLER, ITEM]]}


def _method(text: str, settings: DecontaminateSettings | None = None) -> str:
    kept, dropped = decontaminate([Problem.make(text, "1")], BENCHMARK, settings)
    assert len(kept) + len(dropped) == 1
    return str(dropped[0].detail["method"]) if dropped else ""


@pytest.mark.parametrize(
    ("text", "method"),
    [
        (ITEM, "same text"),
        (ITEM.replace(" ", "\n  "), "same text"),
        ("求方程 $x^2 - 5x + 6 = 0$ 的所有实数解之和", "same text"),
        ("Ｌｅｔ $f(x)=x^2-3x$. Find the sum of all roots of $f(f(x))=0$.", "same text"),
        (f"Read carefully and think first. {ITEM} Write the number only, please.", "contained"),
        (ITEM.replace("Given", "").replace("the two trains meet", "both of the trains meet"), "same numbers"),
        (TRAIN.format(a=80, b=20, c=310), "renumbered"),
    ],
    ids=["exact", "re-wrapped", "chinese", "full width", "embedded", "reworded", "renumbered"],
)
def test_planted_contamination_is_found(text: str, method: str) -> None:
    assert _method(text) == method


@pytest.mark.parametrize(
    "text",
    [
        "Compute the area of a triangle with base $6$ and height $5$.",
        "How many primes are smaller than $80$?",
        "A train of 90 cars is pulled by 15 engines for 240 kilometers. How many cars does an engine pull?",
        "求方程 $x^2-7x+12=0$ 的实数解之积。",
        "",
        "?",
    ],
    ids=["short sibling", "other short sibling", "same numbers, other words", "chinese", "empty", "no words"],
)
def test_what_is_no_copy_stays(text: str) -> None:
    assert _method(text) == ""


ASKED = "How many two-digit numbers have digits whose sum is 9?"
VAGUE = "Which name has the most letters?"


def _is_found(of_benchmark: Problem, of_row: Problem) -> bool:
    dropped = decontaminate([of_row], {"bench": [of_benchmark]})[1]
    return bool(dropped) and dropped[0].detail["method"] == "same text"


@pytest.mark.parametrize("in_field", [False, True])
def test_a_short_problem_is_found_with_its_options_or_without(in_field: bool) -> None:
    listed = "" if in_field else "\n(A) 8 (B) 9 (C) 10 (D) 11"
    full = Problem.make(ASKED + listed, "B", options=["8", "9", "10", "11"] if in_field else None)
    bare = Problem.make(ASKED, "9")
    assert _is_found(full, bare) and _is_found(bare, full)
    assert not _is_found(full, Problem.make(ASKED.replace("9", "8"), "9"))


def test_a_short_text_without_a_number_is_found_without_its_options_only_where_the_answers_agree() -> None:
    full = Problem.make(f"{VAGUE}\n(A) Eva (B) Noah (C) Bo", "B")
    assert _is_found(full, Problem.make(VAGUE, "Noah")) and not _is_found(full, Problem.make(VAGUE, "Marlene"))
    other = Problem.make(f"{VAGUE}\n(A) Ida (B) Tim (C) Marlene", "C")
    assert not _is_found(full, other) and not _is_found(full, Problem.make(VAGUE, ""))


def test_a_hit_carries_its_evidence() -> None:
    problem = Problem.make(ITEM, "1", source="web")
    _, dropped = decontaminate([problem], BENCHMARK)
    hit = dropped[0].detail["hits"][0]  # type: ignore[index]
    assert hit["benchmark"] == "bench" and hit["benchmark_row"] == len(FILLER) and hit["score"] == 1.0
    assert hit["benchmark_id"] == problem.id == hit["problem_id"] and hit["decision"] == "drop"
    assert "leaves the northern station" in hit["words"]


def test_renumbered_copies_can_be_reported_instead_and_stay_with_their_evidence() -> None:
    sibling = Problem.make(TRAIN.format(a=80, b=20, c=310), "1", source="web")
    kept, dropped = decontaminate([sibling], BENCHMARK, DecontaminateSettings(renumbered="report"))
    assert not dropped and kept[0].meta["near_benchmark"][0]["method"] == "renumbered"  # type: ignore[index]
    kept, dropped = decontaminate([sibling], BENCHMARK, DecontaminateSettings(renumbered="off", ngram="off"))
    assert kept == [sibling]


def test_a_sibling_has_a_reason_of_its_own_and_another_question_is_reported_only() -> None:
    other = ITEM.replace("After how many minutes", "Before how many hours")
    sibling = TRAIN.format(a=80, b=20, c=310)
    kept, dropped = decontaminate([Problem.make(text, "1") for text in (ITEM, sibling, other)], BENCHMARK)
    assert [row.reason for row in dropped] == [CONTAMINATED, SIBLING]
    assert "other question" in {hit["method"] for hit in kept[0].meta["near_benchmark"]}  # type: ignore[attr-defined]


def test_reporting_renumbered_copies_still_drops_the_same_problem() -> None:
    assert _method(ITEM, DecontaminateSettings(renumbered="report")) == "same text"


def test_the_paper_s_rule_drops_any_shared_run_of_n_words() -> None:
    run = " ".join(ITEM.split()[:13])
    text = f"{run} and nothing else of that problem is asked; name the colour of the engine you saw in 1999"
    assert _method(text) == ""
    assert _method(text, DecontaminateSettings(ngram="drop")) == "n-gram"
    assert _method(text, DecontaminateSettings(ngram="drop", ngram_words="light-r1")) == ""  # type: ignore[arg-type]


def test_a_surer_method_that_is_off_or_only_reports_hides_no_weaker_one() -> None:
    sibling = TRAIN.format(a=80, b=15, c=240)  # renumbered, and shares a run of 13 words
    assert _method(sibling, DecontaminateSettings(renumbered="report", ngram="drop")) == "n-gram"
    off = DecontaminateSettings(same_text="off", contained="off", same_numbers="off", renumbered="off", ngram="drop")
    assert _method(ITEM, off) == "n-gram"


def test_presets_and_thresholds_are_settings(tmp_path: object) -> None:
    assert load(DecontaminateSettings, None, ["ngram_words=open-r1"]).ngram_words == 8
    with pytest.raises(RecipeError, match="ngram_words"):
        load(DecontaminateSettings, None, ["ngram_words=s2"])
    assert _method(TRAIN.format(a=80, b=20, c=310), DecontaminateSettings(min_tokens=90, ngram="off")) == ""


def test_renamed_persons_and_letters_html_and_traditional_characters_hide_no_benchmark_problem() -> None:
    text = (
        "Maria and Otto fill a pool in $k$ hours by two pipes; Maria alone needs $9$ hours. "
        "How long does Otto need if $k = 4$?"
    )
    known = {"b": [Problem.make(text, "1"), Problem.make("求不等式 $x<5$ 的所有正整數解的個數與總和", "1")]}
    for hidden in (
        text.replace("Maria", "Berta").replace("Otto", "Emil").replace("$k", "$h"),
        "求不等式 $x&lt;5$ 的所有正整数解的个数与总和",
    ):
        assert decontaminate([Problem.make(hidden, "1")], known)[1], hidden


def test_a_text_that_repeats_few_words_is_too_short_to_be_a_renumbered_copy() -> None:
    text = "Add {0} and {0} and {0} and {0} and {0} and {0} and {0} and {0} and {0} and {0} and {0} and {0}."
    known = {"b": [Problem.make(text.format(5), "1")]}
    assert len(text.split()) > 20 and not decontaminate([Problem.make(text.format(6), "1")], known)[1]


def test_a_template_world_is_not_boilerplate() -> None:
    benchmark = {"pocket": [Problem.make(TRAIN.format(a=n, b=n + 1, c=n + 2), "1") for n in range(20, 60)]}
    pool = [Problem.make(TRAIN.format(a=n, b=n + 1, c=n + 2), "1") for n in (20, 100)]
    kept, dropped = decontaminate(pool, benchmark)
    assert not kept and [d.detail["method"] for d in dropped] == ["same text", "renumbered"]


def test_phrases_that_many_benchmark_problems_share_are_no_evidence() -> None:
    tail = "can be written as m over n where m and n are relatively prime positive integers. Find the sum of m and n."
    subjects = ["area of the lake", "chance of rain", "slope of a roof", "speed of an ant", "cost of a pen",
                "age of Ann", "mass of a star", "height of a tree"]  # fmt: skip
    benchmark = {"b": [Problem.make(f"The {subject} {tail}", "1") for subject in subjects]}
    kept, dropped = decontaminate([Problem.make(f"The volume of our cellar {tail}", "1")], benchmark)
    assert len(kept) == 1 and not dropped


def test_totals_count_pool_rows_by_benchmark_source_method_and_decision() -> None:
    pool = [Problem.make(ITEM, "1", source="a"), Problem.make(TRAIN.format(a=1, b=2, c=3), "1", source="b")]
    table = evidence_table(*decontaminate(pool, BENCHMARK, DecontaminateSettings(renumbered="report")))
    assert totals(table) == [
        {"benchmark": "bench", "source": "a", "method": "same text", "decision": "drop", "n_problems": 1},
        {"benchmark": "bench", "source": "b", "method": "renumbered", "decision": "report", "n_problems": 1},
    ]


def test_the_evidence_is_readable_and_survives_as_parquet(tmp_path) -> None:
    import pyarrow.parquet as pq

    table = evidence_table(*decontaminate([Problem.make(ITEM, "1", source="web")], BENCHMARK))
    text = render(table)
    assert (
        "drop: same text 1.0 with bench row 4 (web)" in text and text.lower().count("a train leaves the northern") == 3
    )
    write_evidence(table, tmp_path / "evidence.parquet")
    assert pq.read_table(tmp_path / "evidence.parquet").to_pylist()[0]["benchmark_problem"].startswith("A train")
    write_evidence([], tmp_path / "none.parquet")
    assert pq.read_table(tmp_path / "none.parquet").num_rows == 0


def test_a_bare_off_of_yaml_is_the_word_and_a_bare_on_is_refused(tmp_path):
    recipe = tmp_path / "recipe.yaml"
    recipe.write_text("renumbered: off\n", encoding="utf-8")
    loaded = load(DecontaminateSettings, recipe, ["ngram=off"])
    assert (loaded.renumbered, loaded.ngram) == ("off", "off")
    with pytest.raises(RecipeError, match=r"'drop', 'report' or 'off'"):
        load(DecontaminateSettings, recipe, ["ngram=on"])


ORCHESTRA = "The school band has 24 violins, 10 cellos and 6 basses. It practises 3 times a week for 2 hours. "
CHOICE = "Which of the following names of a child in this class has the most letters of all?"
FIGURE = "Find the area of the polygon with {n} corners. [asy] draw((0,0)--({x},0)--({x},2)--(0,2)--cycle); [/asy]"


@pytest.mark.parametrize(
    ("item", "row", "method"),
    [
        (("How many of them are there?", "40"), ("For how many hours does it practise in 5 weeks?", "30"), ""),
        (("How many of them are there?", "40"), ("How many are there, if 5 weeks go by?", "40"), "same numbers"),
        (
            ("How many play, if all 3 kinds play together at each weekly concert of the band?", "40"),
            (
                "How many play, if all 3 kinds and 4 guests play together at each weekly concert of the band?",
                "44",
            ),
            "",
        ),
        (("How many of them are there?", "1/2"), ("How many are there, if 5 weeks go by?", "0.5"), "same numbers"),
        (("How many of them are there?", "40"), ("How many are there, please?", "41"), "same numbers"),
        ((FIGURE.format(n=4, x=4), "8"), (FIGURE.format(n=4, x=5), "10"), ""),
        ((FIGURE.format(n=4, x=4), "8"), (FIGURE.format(n=4, x=5), "8"), "same text"),
        ((FIGURE.format(n=4, x=4), "8"), (FIGURE.format(n=4, x=4), "10"), "same text"),
        ((f"{CHOICE} (A) Eva (B) Noah", "B"), (f"{CHOICE} (A) Eva (B) Marlene", "B"), ""),
        ((f"{CHOICE} (A) Eva (B) Noah", "B"), (f"{CHOICE} (A) Noah (B) Ida", "A"), "same numbers"),
    ],
)
def test_another_answer_to_another_figure_or_to_more_numbers_is_another_question(item, row, method):
    (of_item, answer), (of_row, found) = item, row
    lead = ORCHESTRA if of_item.startswith("How") else ""
    benchmark = {"bench": [Problem.make(lead + of_item, answer)]}
    kept, dropped = decontaminate([Problem.make(lead + of_row, found)], benchmark)
    assert [row.detail["method"] for row in dropped] == [method] * bool(method)
    assert all(problem.meta["near_benchmark"][0]["method"] == "other question" for problem in kept)


@pytest.mark.parametrize(
    ("item", "row", "method"),
    [
        ("小红和小刚一共做了48道题，小红做的是小刚的3倍，小红做了多少道？",
         "小丽和小军一共做了48道题，小丽做的是小军的3倍，小丽做了多少道？", "same numbers"),
        ("Let $h(x)=x^3-7x$. Find the value of $h(3)$ for this function.",
         "Let $h(x)=x^3-7x$. Find the value of $h'(3)$ for this function.", ""),
        ("Two pumps fill a pool of 90 litres in 6 hours. How many hours does it take 5 such pumps for 30 litres?",
         "Two hoses fill a tank of 90 litres in 6 hours. How many hours does it take 5 such hoses for 30 litres?",
         "same numbers"),
    ],
)  # fmt: skip
def test_names_and_nouns_may_be_replaced_but_no_prime(item: str, row: str, method: str) -> None:
    _, dropped = decontaminate([Problem.make(row, "1")], {"bench": [Problem.make(item, "1")]})
    assert [found.detail["method"] for found in dropped] == [method] * bool(method)


def test_a_problem_that_was_held_out_of_the_pool_says_so_and_one_of_both_is_contaminated():
    problems = [Problem.make(f"Ship number {k} carries {k + 40} crates and loads {k * 3} more. How many?", "1")
                for k in range(3)]  # fmt: skip
    _, dropped = decontaminate(problems, {"held-out": problems[:2], "exam": problems[1:2]})
    assert [row.reason for row in dropped] == ["held out", CONTAMINATED]
