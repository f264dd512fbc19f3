import math
import random

import pytest

from limo.core.records import LEVELS, Grade
from limo.curate.audit import agreement, area_under_roc, audit, insert_keywords, rank_correlation, shuffle
from limo.curate.grade import GradeSettings

TEXTS = [
    "The area of the rectangle is 12. " + "Then the tiles of the rectangle cover rows. " * n + f"The answer is {n}."
    for n in range(1, 9)
]


def test_rank_correlation_is_one_for_any_growing_relation_and_ties_are_shared():
    assert rank_correlation([1, 2, 3, 4], [1, 10, 100, 1000]) == pytest.approx(1)
    assert rank_correlation([1, 2, 3, 4], [9, 7, 5, 1]) == pytest.approx(-1)
    assert rank_correlation([1, 1, 1], [1, 2, 3]) == 0
    assert rank_correlation([1, 2, 2, 3], [1, 2, 3, 4]) == pytest.approx(math.sqrt(0.9))
    assert rank_correlation([], []) == rank_correlation([1], [2]) == 0


def test_rows_without_a_label_are_left_out_of_its_rank_correlation():
    assert rank_correlation([1, 2, 3, 100], [1, 2, 3, math.nan]) == pytest.approx(1)
    assert rank_correlation([1, 2], [math.nan, math.nan]) == 0


def test_the_area_under_the_curve_counts_ties_half():
    assert area_under_roc([2, 3], [0, 1]) == 1
    assert area_under_roc([0, 1], [2, 3]) == 0
    assert area_under_roc([1, 2], [1, 2]) == 0.5
    rng = random.Random(0)
    higher, lower = [rng.randrange(9) for _ in range(30)], [rng.randrange(7) for _ in range(20)]
    wins = sum((a > b) + (a == b) / 2 for a in higher for b in lower)
    assert area_under_roc(higher, lower) == pytest.approx(wins / 600, abs=1e-9)


def test_stuffing_adds_as_many_entries_as_it_says_and_removes_nothing():
    text = TEXTS[3]
    edited = insert_keywords(text, random.Random(0), 50)
    words = iter(edited.split(" "))
    assert all(word in words for word in text.split(" "))  # in their order
    assert len(edited.split()) >= len(text.split()) + 50


def test_shuffling_keeps_the_steps_and_changes_their_order():
    text = "one thing\ntwo things\nthree things"
    mixed = shuffle(text, "steps", random.Random(0))
    assert mixed is not None and mixed != text and sorted(mixed.split("\n")) == sorted(text.split("\n"))
    assert shuffle("one\ntwo", "steps", random.Random(0)) is None
    assert shuffle("same\nsame\nsame", "steps", random.Random(0)) is None
    assert shuffle(text, "paragraphs", random.Random(0)) is None


def test_keywords_are_fooled_by_keywords_and_blind_to_order():
    report = audit(TEXTS, GradeSettings())
    assert report.keywords_inserted.level_rises > 0.5 and report.keywords_inserted.mean_levels > 0
    assert report.shuffled["steps"].score_falls == 0


def test_an_audit_is_the_same_for_a_seed():
    assert audit(TEXTS, GradeSettings(), seed=3) == audit(TEXTS, GradeSettings(), seed=3)


def test_the_length_trait_goes_with_length_and_labels_are_correlated_by_name():
    labels = {"correct": [float(n % 2) for n in range(8)], "rows": [float(n) for n in range(8)]}
    found = audit(TEXTS, GradeSettings(), labels).correlations
    assert found["elaboration"]["length"] == pytest.approx(1) == found["elaboration"]["rows"]
    assert abs(found["elaboration"]["correct"]) < 0.5
    assert "score" in found and "score" not in found["score"]


def grades(levels: list[int]) -> list[Grade]:
    return [Grade({}, level / 4, LEVELS[level]) for level in levels]


def test_kappa_is_that_of_scikit_learn_and_the_share_counts_equal_levels():
    from sklearn.metrics import cohen_kappa_score

    rng = random.Random(0)
    for _ in range(20):
        one = [rng.randrange(5) for _ in range(40)]
        other = [min(4, max(0, level + rng.choice([-1, 0, 0, 1]))) for level in one]
        found = agreement(grades(one), grades(other))
        assert found.kappa == pytest.approx(cohen_kappa_score(one, other, weights="quadratic"))
        assert found.same_level == sum(a == b for a, b in zip(one, other, strict=True)) / 40


def test_full_agreement_is_one_reversal_is_minus_one_and_blindness_is_nought():
    assert agreement(grades([0, 1, 2, 3, 4]), grades([0, 1, 2, 3, 4])).kappa == 1
    found = agreement(grades([0, 1, 2, 3, 4]), grades([4, 3, 2, 1, 0]))
    assert (found.correlation, found.kappa, found.same_level) == (pytest.approx(-1), pytest.approx(-1), 0.2)
    assert agreement(grades([0, 0, 4, 4]), grades([0, 4, 0, 4])).kappa == 0


def test_no_chains_and_one_level_for_all_are_no_fault():
    assert agreement([], []).n == 0
    assert agreement(grades([2, 2]), grades([2, 2])).kappa == 1
