"""Copies go, siblings stay, wrong keys are named, and nothing depends on the order."""

from __future__ import annotations

import random

import numpy as np
import pytest

from limo.core.records import Problem
from limo.pool.canonical.statements import scan_statements
from limo.pool.decontaminate import DecontaminateSettings, decontaminate
from limo.pool.dedup import ANOTHER_ANSWER, REWORDED, SAME_TEXT, DedupSettings, dedup
from limo.pool.fingerprints import BANDS, fingerprint_table, ngrams, sketch_similarity

LAMP = "Tom bought {n} red lamps for {p} dollars each at the market and sold all of them. How much did he pay in all?"
LAMP_REWORDED = "Tom bought {n} red lamps for {p} dollars each at the market and sold them all. How much did he pay?"


def _make(text: str, answer: str, **rest: object) -> Problem:
    return Problem.make(text, answer, **rest)


def test_the_same_text_in_other_typography_is_one_problem() -> None:
    kept, dropped = dedup([_make(r"Find $\dfrac12+x$.", "1"), _make(r"find \(\frac{1}{2} + x\)", "1")])
    assert len(kept) == 1 and [d.reason for d in dropped] == [SAME_TEXT]


def test_a_lost_sign_makes_another_problem() -> None:
    kept, _ = dedup([_make("Roots of $z^4 - z^2 + 1 = 0$", "12"), _make("Roots of $z^4 + z^2 + 1 = 0$", "6")])
    assert len(kept) == 2


def test_a_changed_number_makes_a_sibling_of_the_same_family() -> None:
    pool = [_make(LAMP.format(n=n, p=7), str(7 * n)) for n in (3, 4, 5)] + [_make("What is the sine of x?", "y")]
    kept, dropped = dedup(pool)
    assert not dropped and len({p.meta["family"] for p in kept[:3]}) == 1
    assert "family" not in kept[3].meta


def test_a_changed_number_word_with_the_same_answer_is_kept_too() -> None:
    kept, dropped = dedup([_make(LAMP.format(n="three", p=8), "24"), _make(LAMP.format(n="four", p=8), "24")])
    assert len(kept) == 2 and not dropped


def test_a_rewording_with_the_same_numbers_and_answer_goes() -> None:
    kept, dropped = dedup([_make(LAMP.format(n=3, p=7), "21"), _make(LAMP_REWORDED.format(n=3, p=7), "21")])
    assert len(kept) == 1 and dropped[0].reason == REWORDED and float(str(dropped[0].detail["similarity"])) >= 0.5


@pytest.mark.parametrize(
    ("text", "answer"),
    [
        (LAMP_REWORDED.format(n=3, p=7), "22"),
        (LAMP_REWORDED.format(n=3, p=7), ""),
        (LAMP_REWORDED.format(n=7, p=3), "21"),
        (LAMP_REWORDED.format(n=3, p=7).replace("Tom", "Ann"), "21"),
        ("Tom has 3 bags with 7 balls. How many balls?", "21"),
    ],
    ids=["other answer", "no answer", "other order of numbers", "other name", "other words"],
)
def test_what_only_resembles_a_rewording_is_kept(text: str, answer: str) -> None:
    kept, _ = dedup([_make(LAMP.format(n=3, p=7), "21"), _make(text, answer)])
    assert len(kept) == 2


def test_a_swapped_operator_is_kept_even_with_the_same_answer() -> None:
    kept, _ = dedup(
        [
            _make("Compute the value of $2 + 2$ for the pupils", "4"),
            _make("Compute the value of $2 * 2$ for the pupils", "4"),
        ]
    )
    assert len(kept) == 2


def test_equal_texts_with_other_answers_are_suspected_wrong_keys() -> None:
    pool = [_make("What is 2+2?", "4", solution="long"), _make("What is  2+2?", "5")]
    kept, dropped = dedup(pool)
    assert [p.answer for p in kept] == ["4"] and dropped[0].reason == ANOTHER_ANSWER
    assert (dropped[0].detail["answer"], dropped[0].detail["kept_answer"]) == ("5", "4")
    kept, dropped = dedup(pool, DedupSettings(conflicts="drop_all"))
    assert not kept and len(dropped) == 2


def test_one_answer_written_in_two_ways_is_no_conflict() -> None:
    _, dropped = dedup([_make("What is 2+2?", "4"), _make("What is 2+2?", "$4.0$")])
    assert dropped[0].reason == SAME_TEXT


def test_options_letters_stand_for_their_text() -> None:
    text = "Which of the numbers is prime, if only a single one of them is?"
    one = _make(text, "A", options=["7", "8"])
    other = _make(text, "B", options=["8", "7"])
    assert dedup([one, other])[1][0].reason == SAME_TEXT


HALL = (
    "A round hall has 8 doors. The walks from 3 of them lead to the {} of the hall, where they {} under a {} lamp, and "
    "the other walks lead outside into the park. {} how many walks lead outside."
)
ROW = "Ann stands in a row of 16 pupils at her school. There are 9 pupils {} her. How many pupils are {} her?"


@pytest.mark.parametrize(
    ("one", "other", "n_kept"),
    [
        (HALL.format("centre", "end", "grey", "Find"), HALL.format("center", "end", "gray", "State"), 1),
        (HALL.format("end", "cross", "grey", "Find"), HALL.format("end", "meet", "grey", "Report"), 1),
        (ROW.format("before", "after"), ROW.format("after", "before"), 2),
        ("16人排成一行，小丽左面有9人，右面有几人？", "16人排成一行，小丽右面有9人，左面有几人？", 2),
        ("Find the trace of the matrix of rank $2$ below.", "Find the determinant of the matrix of rank $2$ below.", 2),
    ],
)  # fmt: skip
def test_spelling_is_no_difference_and_the_order_of_directions_is_one(one: str, other: str, n_kept: int) -> None:
    assert len(dedup([Problem.make(one, "6"), Problem.make(other, "6")])[0]) == n_kept


@pytest.mark.parametrize(("answer", "n_kept"), [(r"\text{(C)}", 2), ("C", 2), ("c = 4", 1)])
def test_a_bare_letter_of_unknown_options_is_no_evidence_that_a_text_is_a_rewording(answer: str, n_kept: int) -> None:
    text = (
        "For a constant c, in {} coordinates, find the shape described by the equation below, among line, cone, plane"
    )
    pool = [
        _make(text.format("cylindrical"), answer),
        _make(text.format("cylindrical").replace("find", "determine"), answer),
    ]
    assert len(dedup(pool)[0]) == n_kept


def test_the_preferred_copy_stays() -> None:
    plain, worked = _make("What is 2+2?", "4", source="a"), _make("What is 2+2?", "4", solution="...", source="b")
    without = _make("What is 2+2?", "", solution="a very long solution", source="c")
    assert dedup([plain, without, worked])[0] == [worked]
    assert dedup([plain, without, worked], DedupSettings(prefer=["c", "a"]))[0] == [without]


def test_the_order_given_changes_nothing_but_the_order() -> None:
    pool = [_make(LAMP.format(n=n % 9, p=p), str(n % 9 * p), solution="s" * (n % 4)) for n in range(18) for p in (3, 5)]
    pool += [_make(LAMP_REWORDED.format(n=n, p=3), str(3 * n)) for n in range(9)]
    kept, dropped = dedup(pool)
    shuffled = random.Random(1).sample(pool, len(pool))
    kept_again, dropped_again = dedup(shuffled)
    assert len(kept) + len(dropped) == len(pool)
    families = {p.id: p.meta.get("family") for p in kept}
    assert families == {p.id: p.meta.get("family") for p in kept_again}
    assert sorted(d.problem_id for d in dropped) == sorted(d.problem_id for d in dropped_again)
    place = {(problem.id, problem.solution): number for number, problem in reversed(list(enumerate(pool)))}
    assert (places := [place[p.id, p.solution] for p in kept]) == sorted(places)


def test_chinese_copies_and_siblings_are_told_apart() -> None:
    text = "小明有{}个苹果，他把其中的{}个送给了小红，请问小明现在还剩下多少个苹果？"
    pool = [
        _make(text.format(9, 4), "5"),
        _make(text.format(9, 4).replace("请问", ""), "5"),
        _make(text.format(8, 3), "5"),
    ]
    kept, dropped = dedup(pool)
    assert len(kept) == 2 and [d.reason for d in dropped] == [SAME_TEXT]


def test_texts_without_words_or_digits_are_not_all_one() -> None:
    assert len(dedup([_make("?", "1"), _make("...", "2"), _make("", "3")])[0]) == 3


def test_bands_hold_similar_texts_together_and_others_apart_and_sketches_estimate_how_similar_they_are() -> None:
    words = ["ab" + "xyz"[n % 3] * (n // 3) for n in range(60)]
    near = [*words[:50], *("b" * n for n in range(1, 11))]  # Jaccard of 3-grams 48 / 68
    far = ["c" * n for n in range(1, 61)]
    table = fingerprint_table([_make(" ".join(text), "1") for text in (words, near, far)], [0] * 3, 0, 3, [], {})
    bands = [table.column(name).to_pylist() for name in BANDS]
    assert any(band[0] == band[1] for band in bands) and not any(band[0] == band[2] for band in bands)
    sketches = np.array([list(sketch) for sketch in table.column("sketch").to_pylist()])
    similarity = sketch_similarity(sketches[[0, 0, 0]], sketches)
    assert similarity[0] == 1 and abs(similarity[1] - 48 / 68) < 0.2 and similarity[2] < 0.1


def test_an_ngram_of_a_short_text_is_the_text_itself_and_numbers_are_all_one() -> None:
    scanned = scan_statements(["a b", "", "x 12 y z", "x 7 y z"])
    values, ends = ngrams(scanned.tokens, scanned.token_ends, 3, True)
    assert ends.tolist() == [1, 1, 3, 5] and values[1:3].tolist() == values[3:].tolist()
    assert ngrams(scanned.tokens, scanned.token_ends, 3, False)[1].tolist() == [0, 0, 2, 4]
    assert [len(part) for part in ngrams(scanned.tokens[:0], scanned.token_ends[:0], 3, True)] == [0, 0]


def test_an_empty_pool_has_no_problems_and_drops_none() -> None:
    assert dedup([]) == ([], [])


@pytest.mark.slow
@pytest.mark.parametrize("n_chars", [2**20, 2**21, 2**22, 2**23, 2**24, 2**25, 50_000_000])
def test_no_batch_is_too_large(n_chars: int) -> None:
    """Eight problems that fill a batch, and a copy of one: the copy goes, and the benchmark's problem is found."""
    unit = r"If $x_{3} = 12{,}345$ and 求 two values, find \frac12 of $f'(x)$, 20! and 3½ & so on. "
    texts = [unit * (n_chars // 8 // len(unit)) + f"Add {number} to it." for number in range(8)]
    pool = [Problem.make(text, str(number)) for number, text in enumerate(texts)]
    kept, dropped = dedup([*pool, Problem.make("Question: " + texts[0].replace("12{,}345", "12,345"), "0")])
    assert len(kept) == 8 and [row.reason for row in dropped] == [SAME_TEXT]
    clean, _ = decontaminate(pool, {"own": [Problem.make(texts[3], "3")]}, DecontaminateSettings(renumbered="report"))
    assert [problem.answer for problem in clean] == [problem.answer for problem in pool if problem.answer != "3"]
