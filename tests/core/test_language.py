"""Packs of translations: whole texts, blanks, lists, and what has no entry."""

from __future__ import annotations

import re

import pytest

from limo.core import language
from limo.core.errors import InputError
from limo.core.language import _pack, set_language, translated, translated_together, width


@pytest.fixture(autouse=True)
def english():
    yield
    set_language("en")


@pytest.mark.parametrize("name", language.LANGUAGES[1:])
def test_every_entry_has_the_same_blanks_on_both_sides(name):
    import yaml

    text = (language._FOLDER / f"language.{name}.yaml").read_text(encoding="utf-8")
    entries, keys = yaml.safe_load(text), [key.value for key, _ in yaml.compose(text).value]
    assert len(entries) > 150 and sorted(entries) == sorted(keys), "an entry stands twice"
    for text, other in entries.items():
        assert isinstance(text, str) and isinstance(other, str) and other, text
        blanks = {match for match in re.findall(r"\{(\w+)\}", text)}
        assert set(re.findall(r"\{(\w+)\}", other)) == blanks, text


def test_english_is_as_the_code_writes_it_and_an_unknown_language_is_english():
    set_language("xx")
    assert language.current_language() == "en" and translated("the file is empty") == "the file is empty"


def test_blanks_keep_what_varies_and_translate_what_has_an_entry():
    set_language("zh")
    assert translated("weak_filter: kept 40, dropped 29: too easy 28, no completion 1") == (
        "弱模型筛选：保留 40，剔除 29：太易 28，没有回答 1"
    )
    assert translated("mine: kept 2, dropped 3: no completion 3") == "mine：保留 2，剔除 3：没有回答 3"
    assert translated("mine: kept 2, dropped 3: an own reason 3") == "mine: kept 2, dropped 3: an own reason 3"
    assert translated("the file is empty\nnothing of this kind") == "文件为空\nnothing of this kind"


def test_a_list_is_translated_whole_or_not_at_all_and_names_stay():
    set_language("zh")
    assert translated(" (allowed: train, verify)") == "（应为：训练，验证）"
    assert translated(" (allowed: train, verify-judge)") == "（应为：train, verify-judge）"
    assert translated("report: runs/train/report.html") == "报告：runs/train/report.html"


def test_an_error_is_translated_whole_or_not_at_all_and_stays_english_as_data():
    set_language("zh")
    foreign = InputError("there is no such file", "a.jsonl", "words without an entry", "check the path")
    assert foreign.text(translated_together) == str(foreign)
    error = InputError("there is no such file", "a.jsonl", "existing files", "check the path")
    assert error.text(translated_together) == "没有这个文件：'a.jsonl'（应为：存在的文件）；请检查路径"
    assert str(error) == "there is no such file: 'a.jsonl' (allowed: existing files); check the path"


def test_wide_characters_take_two_columns():
    assert (width("ab"), width("题目"), width("a题")) == (2, 4, 3)


def test_patterns_with_more_words_come_first():
    lengths = [len(re.sub(r"\(\?P<\w+>\.\+\?\)", "", pattern.pattern)) for pattern, _ in _pack("zh").patterns]
    assert lengths[0] > lengths[-1]


def test_the_sentence_of_a_comparison_is_whole_in_both_languages():
    told = "a is 87.5 points above b (95% interval +29.0 to +100.0, p < 0.001)"
    told += "; 8 problems of 2 benchmarks, one training seed each"
    assert translated(f"forgetting check: {told}", "zh") == (
        "遗忘检查：a 比 b 高 87.5 个百分点（95% 区间 +29.0 至 +100.0，p < 0.001）；8 题，2 个基准，各一个训练种子"
    )
    assert translated(told) == told
