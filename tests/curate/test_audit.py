import math
import random

import pytest

from limo.curate.audit import auc, audit, correlation, shuffle, stuff
from limo.curate.grade import GradeSettings

TEXTS = [
    "The area of the rectangle is 12. " + "Then the tiles of the rectangle cover rows. " * n + f"The answer is {n}."
    for n in range(1, 9)
]


def test_rank_correlation_is_one_for_any_growing_relation_and_ties_are_shared():
    assert correlation([1, 2, 3, 4], [1, 10, 100, 1000]) == pytest.approx(1)
    assert correlation([1, 2, 3, 4], [9, 7, 5, 1]) == pytest.approx(-1)
    assert correlation([1, 1, 1], [1, 2, 3]) == 0
    assert correlation([1, 2, 2, 3], [1, 2, 3, 4]) == pytest.approx(math.sqrt(0.9))
    assert correlation([], []) == correlation([1], [2]) == 0


def test_rows_without_a_label_are_left_out_of_its_correlation():
    assert correlation([1, 2, 3, 100], [1, 2, 3, math.nan]) == pytest.approx(1)
    assert correlation([1, 2], [math.nan, math.nan]) == 0


def test_the_area_under_the_curve_counts_ties_half():
    assert auc([2, 3], [0, 1]) == 1
    assert auc([0, 1], [2, 3]) == 0
    assert auc([1, 2], [1, 2]) == 0.5
    rng = random.Random(0)
    higher, lower = [rng.randrange(9) for _ in range(30)], [rng.randrange(7) for _ in range(20)]
    wins = sum((a > b) + (a == b) / 2 for a in higher for b in lower)
    assert auc(higher, lower) == pytest.approx(wins / 600, abs=1e-9)


def test_stuffing_adds_as_many_entries_as_it_says_and_removes_nothing():
    text = TEXTS[3]
    stuffed = stuff(text, random.Random(0), 50)
    words = iter(stuffed.split(" "))
    assert all(word in words for word in text.split(" "))  # in their order
    assert len(stuffed.split()) >= len(text.split()) + 50


def test_shuffling_keeps_the_steps_and_changes_their_order():
    text = "one thing\ntwo things\nthree things"
    mixed = shuffle(text, "steps", random.Random(0))
    assert mixed is not None and mixed != text and sorted(mixed.split("\n")) == sorted(text.split("\n"))
    assert shuffle("one\ntwo", "steps", random.Random(0)) is None
    assert shuffle("same\nsame\nsame", "steps", random.Random(0)) is None
    assert shuffle(text, "paragraphs", random.Random(0)) is None


def test_keywords_are_fooled_by_keywords_and_blind_to_order():
    report = audit(TEXTS, GradeSettings())
    assert report.stuffed.climbs > 0.5 and report.stuffed.n_levels > 0
    assert report.shuffled["steps"].falls == 0


def test_an_audit_is_the_same_for_a_seed():
    assert audit(TEXTS, GradeSettings(), seed=3) == audit(TEXTS, GradeSettings(), seed=3)


def test_the_length_trait_goes_with_length_and_labels_are_correlated_by_name():
    labels = {"correct": [float(n % 2) for n in range(8)], "rows": [float(n) for n in range(8)]}
    found = audit(TEXTS, GradeSettings(), labels).correlations
    assert found["elaboration"]["length"] == pytest.approx(1) == found["elaboration"]["rows"]
    assert abs(found["elaboration"]["correct"]) < 0.5
    assert "score" in found and "score" not in found["score"]
