import pytest

from limo.curate.scorers.keywords import COUNTED, measure, word_lists


def test_the_words_that_the_paper_names_are_counted_for_their_trait():
    by_word = {
        "verification": ("check", "verify"),
        "exploration": ("perhaps", "might"),
        "granularity": ("therefore", "since"),
    }
    for trait, words in by_word.items():
        for word in words:
            assert measure(f"x {word} y")[trait] == pytest.approx(1000 / 3)
            others = [other for other in COUNTED if other != trait]
            assert all(measure(f"x {word} y")[other] == 0 for other in others)


def test_a_word_inside_another_word_is_not_counted():
    assert measure("the checkerboard sincerely mighty")["verification"] == 0
    assert measure("the checkerboard sincerely mighty")["granularity"] == 0
    assert measure("the checkerboard sincerely mighty")["exploration"] == 0


def test_entries_of_several_words_match_across_line_ends_and_only_in_sequence():
    assert measure("make\nsure make sure")["verification"] == pytest.approx(500)
    assert measure("sure make")["verification"] == 0


def test_frequency_is_divided_by_length():
    once, diluted = measure("check this"), measure("check this " + "and that " * 50)
    assert once["verification"] > 10 * diluted["verification"] > 0


def test_chinese_words_are_counted_and_two_han_characters_make_a_word():
    raw = measure("因此答案也许是五，验证一下。")
    assert raw["length"] == raw["elaboration"] == 6
    assert raw["granularity"] == raw["exploration"] == raw["verification"] == pytest.approx(1000 / 6)
    assert measure("答案是五")["verification"] == 0


@pytest.mark.parametrize("language", ["en", "zh"])
def test_word_lists_hold_the_three_traits_and_count_nothing_twice(language):
    lists = word_lists(language)
    assert set(lists) == set(COUNTED)
    every = [entry for entries in lists.values() for entry in entries]
    assert len(set(every)) == len(every)
    for entry in every:
        assert entry == entry.strip().lower()
        parts = entry.split() if language == "en" else ()
        assert not (len(parts) > 1 and set(parts) & set(every)), "a phrase holds a listed word"
        if language == "zh":
            assert not [other for other in every if other != entry and other in entry]
