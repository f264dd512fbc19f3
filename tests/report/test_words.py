"""Words and figures: both languages whole, numbers that cannot be misread, claims no bolder than their interval."""

import re
from dataclasses import replace
from pathlib import Path

import pytest

from limo.report import words
from limo.report.content import ComparisonRow
from limo.report.words import budget_claims, budgets_match, comparison_claim, headline_claims

ROOM = Path(words.__file__).parent


def test_every_word_stands_in_both_languages_with_the_same_blanks():
    for key, texts in words.read_data("words.yaml").items():
        assert set(texts) == {"en", "zh"} and texts["en"] and texts["zh"], key
        assert set(re.findall(r"{\w+}", texts["en"])) == set(re.findall(r"{\w+}", texts["zh"])), key


def test_every_word_is_used_and_every_used_word_is_there():
    """Keys are looked for in quotes; those made of a prefix and a name are known by their prefix."""
    source = "".join(path.read_text() for path in [*ROOM.rglob("*.py"), *(ROOM / "templates").iterdir()])
    prefixes = (
        "chapter_",
        "lead_",
        "missing_",
        "where_",
        "unit_",
        "ratio_",
        "share_",
        "budget_same_",
        "alt_",
        "decision_",
        "reason_",
    )
    known = words.read_data("words.yaml")
    unused = [key for key in known if not key.startswith(prefixes) and not re.search(f"[\"']{key}[\"']", source)]
    assert set(unused) <= {"correct", "wrong", "no_answer", "truncated", "undecided", "partly"}
    called = re.findall(r"\b(?:word|localized)\([\"']([a-z_-]+)[\"'][,)]", source)
    assert len(called) > 40 and not [key for key in called if key not in known]


@pytest.mark.parametrize(
    "share, signed, text",
    [
        (0.6137, False, "61.4"),
        (1, False, "100.0"),
        (0, True, "0.0"),
        (-0.0001, True, "0.0"),
        (-0.02, True, "−2.0"),
        (0.3, True, "+30.0"),
    ],
)
def test_points_have_one_decimal_a_true_minus_and_no_negative_zero(share, signed, text):
    assert words.points(share, signed) == text


@pytest.mark.parametrize(
    "n, text",
    [(0, "0"), (950, "950"), (1200, "1.2k"), (10_000, "10k"), (123_456, "123k"), (999_999, "1M"), (31_000_000, "31M"),
     (2.4e11, "240B"), (5e13, "50T"), (2.1e18, "2e+18")],
)  # fmt: skip
def test_short_counts_fit_five_characters(n, text):
    assert words.short_count(n) == text and len(text) <= 5


@pytest.mark.parametrize("text", ["a\u202eb", "\0", "\U000e0001x", "no mark", "⟨U+00", "⟨U+0041⟩"])
def test_marks_of_hidden_characters_are_read_back(text):
    assert words.unmarked(words.marked(text)) == text.replace("⟨U+0041⟩", "A")
    assert words.unmarked("⟨U+D800⟩⟨U+110000⟩") == "⟨U+D800⟩⟨U+110000⟩"


def test_drop_reasons_are_translated_and_unknown_ones_shown_as_they_are():
    assert words.drop_reason("too easy").zh == "太易"
    assert words.drop_reason("made_up reason").zh == "made up reason"


def test_a_claim_carries_its_interval_in_both_languages(full):
    said = comparison_claim(full, full.comparisons[1])
    for text in (said.en, said.zh):
        assert all(figure in text for figure in ("29.6", "24.4", "34.9", "LIMO"))


def test_what_is_not_separable_is_said_to_be_so_however_large(full):
    said = comparison_claim(full, ComparisonRow("limo", "base", "all", 0.4, -0.1, 0.9, False))
    assert "not separable" in said.en and "无法区分" in said.zh and "above" not in said.en
    assert "not separable" not in comparison_claim(full, full.comparisons[0]).en


def test_a_loss_is_told_as_a_loss_with_its_interval_turned(full):
    said = comparison_claim(full, ComparisonRow("limo", "base", "in-domain", -0.2, -0.3, -0.1, True))
    assert said.en == "LIMO scores 20.0 points below Base in-domain (95% interval 10.0 to 30.0)."


def test_chinese_claims_have_no_space_between_chinese_words(full):
    assert not re.search(r"[\u4e00-\u9fff] [\u4e00-\u9fff]", comparison_claim(full, full.comparisons[2]).zh)


def test_claims_given_win_over_claims_computed(full, bare):
    assert len(headline_claims(full)) == 4 and headline_claims(bare) == []
    assert headline_claims(replace(full, headline=[full.title])) == [full.title]


def test_budgets_within_five_percent_are_matched_and_others_told_as_ratios(full):
    assert budgets_match(1600, 1580) and not budgets_match(1600, 1500) and not budgets_match(0, 0)
    said = budget_claims(full)
    assert "1/50 of the examples, same number of updates, same training tokens" in said[0].en
    assert "13× the training tokens" in said[1].en
    assert len(said) == 2, "an arm that was not trained has no budget to compare"


def test_the_paper_s_averages_are_the_means_of_its_columns():
    book = words.read_data("paper.yaml")
    for column, average in enumerate(book["average"]):
        mean = sum(row["values"][column] for row in book["benchmarks"]) / len(book["benchmarks"])
        assert mean == pytest.approx(average, abs=0.051)
    assert all(len(row["values"]) == len(book["arms"]) for row in book["benchmarks"])


def test_an_average_over_fewer_benchmarks_than_the_page_shows_says_over_how_many(full):
    names = [row.name for row in full.benchmarks]
    part = replace(full, scores=[row for row in full.scores if row.arm != "bulk" or row.benchmark in names[:2]])
    assert "over the benchmarks that both have (2)" in comparison_claim(part, part.comparisons[1]).en
    assert "双方共有的 2 个基准平均" in comparison_claim(part, part.comparisons[1]).zh
    assert "over all benchmarks" in comparison_claim(part, part.comparisons[0]).en
