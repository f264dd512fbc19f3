import gzip
import json
import random
from collections import Counter
from itertools import chain
from pathlib import Path

import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st

import limo.curate.scorers.steps as steps_module
from limo.curate.audit import insert_keywords, shuffle
from limo.curate.scorers.keywords import COUNTED
from limo.curate.scorers.keywords import measure as keywords
from limo.curate.scorers.steps import cue_words, cut_steps, ignored_words
from limo.curate.scorers.structure import ORDER_WEIGHTS, TRAITS, WEIGHTS, measure, order_parts

DATA = Path(__file__).parents[4] / "shared" / "data"
REASONED = """Okay, so I need to find the number of tiles in a rectangle of 12 by 17. Let me think about what is asked.

The area of the rectangle is 12 * 17 = 204 square units. Each tile covers 4 units, so the count is 204 / 4 = 51.

But the tiles cover squares of side 2, and 17 is odd, so a row of the rectangle is not covered by whole tiles. How many
tiles fit in a row? Along the side of 17 there fit 8 tiles, and along the side of 12 there fit 6 tiles.

Counting tiles by rows gives 6 * 8 = 48. Checking by columns, the tiles are 8 * 6 = 48 again, which leaves a strip.

The strip of the rectangle has 12 * 1 = 12 square units, and 204 - 12 = 192 square units hold 192 / 4 = 48 tiles.

The final answer is \\boxed{48} tiles."""
PLAIN = """## Solution

1. **Area**: 12 * 17 = 204
2. **Tile**: 4
3. **Count**: 204 / 4 = 51

The answer is \\boxed{51}"""
CHINESE = """题目要求出长方形中瓷砖的个数，我们需要分析长方形的面积。长方形的面积是12乘17等于204。

每块瓷砖的面积是4，所以瓷砖的个数是204除以4等于51。但是17是奇数，长方形的一行不能被整块瓷砖铺满。

一行能放几块瓷砖？长边放8块瓷砖，短边放6块瓷砖，所以瓷砖有48块。

验证一下：剩下的一条面积是12，长方形的面积减去12等于192，192除以4等于48。

最终答案是48块瓷砖。"""


def rows(name: str) -> list[str]:
    with gzip.open(DATA / "chains" / name, "rt", encoding="utf-8", newline="\n") as file:
        return [json.loads(line)["response"] for line in file]


def lines(text: str) -> list[str]:
    return cut_steps(text).lines


def n_terms(text: str) -> list[int]:
    return [len(terms) for terms in cut_steps(text).terms]


def test_a_step_is_a_sentence_or_a_line_that_carries_matter():
    text = "First, the area is 204. Hmm, wait. Let me check this.\nIs the rectangle odd? It has 17 rows."
    assert lines(text) == ["First, the area is 204", "Is the rectangle odd?", "It has 17 rows"]
    assert n_terms(text) == [2, 2, 2]  # area 204, rectangle odd, 17 rows


def test_the_number_of_a_list_item_stays_with_its_item():
    assert lines("1. Multiply the sides.\n2. Divide the area.") == ["1. Multiply the sides", "2. Divide the area"]


def test_decimals_are_one_term_and_thousands_have_no_comma():
    assert n_terms("1,317,888 against 1317888 or 3.25 and 3.25") == [3]


def test_thought_markers_are_no_matter():
    bare = cut_steps("The area is 204.\nThe count is 51.")
    for marker in ("think", "Thinking", "THINK"):
        assert cut_steps(f"<{marker}>The area is 204.</{marker}>\nThe count is 51.") == bare


def test_every_entry_of_the_word_file_is_text_and_chinese_cues_are_pairs():
    path = Path(steps_module.__file__).parent / "words" / "structure.yaml"
    lists = yaml.safe_load(path.read_text(encoding="utf-8"))
    entries = [entry for language in lists.values() for some in language.values() for entry in some]
    assert all(isinstance(entry, str) for entry in entries)  # YAML takes a bare `no` for false
    assert all(len(entry) == 2 for some in lists["zh"].values() for entry in some)
    assert not cue_words("task") & cue_words("answer")


def test_what_the_keyword_scorer_counts_is_no_term():
    assert n_terms("check perhaps therefore wait hand double rectangle") == [1]
    assert {b"check", b"perhaps", b"therefore", b"wait", b"hand", b"double"} <= ignored_words()


def test_traits_and_weights_are_whole_and_lie_between_nought_and_one():
    assert set(WEIGHTS) == set(TRAITS)
    assert sum(WEIGHTS.values()) == pytest.approx(1) == sum(ORDER_WEIGHTS.values())
    for text in (REASONED, PLAIN, CHINESE):
        found = measure(text)
        assert all(0 <= found[name] <= 1 for name in (*TRAITS, "score"))


def test_a_chain_that_reasons_is_above_one_that_lists():
    reasoned, plain = measure(REASONED), measure(PLAIN)
    assert reasoned["score"] > plain["score"] + 0.1
    for trait in ("steps", "restated", "questions", "checks", "detours"):
        assert reasoned[trait] > plain[trait], trait


def test_chinese_is_read_by_the_same_rules():
    found = measure(CHINESE)
    assert found["questions"] > 0 and found["detours"] > 0
    assert found["answer"] == 1
    backwards = "\n\n".join(reversed(CHINESE.split("\n\n")))
    assert measure(backwards)["score"] < found["score"]


def test_a_result_counts_as_checked_only_when_another_way_leads_to_it():
    said = "The count is 6 * 8 = 48. Let me check this. It is verified. Checking confirms the claim indeed."
    again = "The count is 6 * 8 = 48. The strip leaves 192 / 4 = 48."
    same = "The count is 6 * 8 = 48. The count is 6 * 8 = 48."
    assert measure(again)["checks"] > 0 == measure(said)["checks"] == measure(same)["checks"]


def test_empty_talk_of_checking_counts_against_the_checks():
    again = "The count is 6 * 8 = 48.\nThe strip leaves 192 / 4 = 48.\nThe argument holds for tiles"
    talk = again + "\nI verify the argument carefully.\nI verify the tiles carefully."
    assert measure(talk)["checks"] < measure(again)["checks"]


def test_a_turn_without_a_reason_is_no_detour():
    start = "The area of the rectangle covers whole tiles in every row.\n"
    assert measure(start + "But the tiles in a row leave a strip uncovered.")["detours"] > 0
    assert measure(start + "But the rectangle covers tiles.")["detours"] == 0  # nothing new
    assert measure(start + "But bananas grow yellow in summer.")["detours"] == 0  # nothing taken up


def test_the_answer_is_to_stand_at_the_end_and_once():
    before, answer = "The area is large.\nThe tiles are small.\nThe rows are even.\n", "The answer is \\boxed{48}.\n"
    end, front = before + answer, answer + before
    twice = end + "\nThe answer is \\boxed{51}."
    assert measure(end)["answer"] == 1
    assert measure(front)["answer"] == 0
    assert measure(twice)["answer"] == 0.5


def test_a_text_that_loops_is_marked_down():
    looped = REASONED + "\n\n" + "\n".join(["The strip of tiles covers the rectangle in rows."] * 60)
    assert measure(looped)["novelty"] < 0.5
    assert measure(looped)["score"] < measure(REASONED)["score"]


def test_numbered_steps_are_to_count_up():
    def numbered(text: str) -> float:
        steps = cut_steps(text)
        return order_parts(steps, Counter(chain.from_iterable(steps.terms)))["numbered"]

    assert numbered("Step 1: the area\nStep 2: the tiles\nStep 3: the rows") == 1
    assert numbered("Step 3: the area\nStep 1: the tiles\nStep 2: the rows") < 1
    assert numbered("5 apples and rows of 3 pears") == 1  # no numbered steps at all


@pytest.mark.parametrize("text", [REASONED, PLAIN])
def test_words_strewn_over_a_chain_change_next_to_nothing_and_shuffling_its_steps_lowers_it(text):
    rng, score = random.Random(1), measure(text)["score"]
    for _ in range(20):
        assert (
            measure(insert_keywords(text, rng))["score"] < score + 0.03
        )  # a bullet may be hidden from a text of five lines
    fallen = [measure(shuffle(text, unit, rng))["score"] < score for unit in ("steps", "paragraphs") for _ in range(20)]
    assert sum(fallen) >= 36


def test_hollow_sentences_of_checking_raise_nothing():
    rng, score = random.Random(2), measure(REASONED)["score"]
    lines = REASONED.split("\n")
    for _ in range(20):
        stuffed = lines[:]
        for _ in range(25):
            stuffed.insert(rng.randrange(len(stuffed)), rng.choice(["Let me verify this.", "Wait, maybe.", "Hmm."]))
        assert measure("\n".join(stuffed))["score"] <= score + 1e-9


@pytest.mark.parametrize("text", ["", "   \n\n", "ok", "\ud800 \x00 lone", "=" * 500, "?" * 500, "1. " * 300])
def test_odd_texts_are_measured_too(text):
    assert 0 <= measure(text)["score"] <= 1


PIECES = [
    ". ", "? ", "! ", "\n", "\n\n", " ", " ", " ", ": ", ":**", ":*\n", "3. ", "12) ", "1,3", ",", "- ", "•", "* ",
    "# ", "$$", "\\[", "\\boxed{48}", "= 48", " = -3.25", "=12 * 4 = 48", "=(", "Step 3: ", "case", "wait", "But ",
    "Let me check", "verify it", "answer", "final", "find", "problem", "make sure", "as a result", "what-if",
    "re-examine", "don't", "don\u2019t", "tiles", "area", "rectangle", "rows", "odd", "even", "x", "2x", "É", "é",
    "\u212a", "İ", "１２", "²", "\u3000", "\xa0", "\u2009", "\x1c", "\t", "\r\n", "<think>", "</think>",
    "<|end_of_thought|>", "\ud800", "\x00", "因此", "长方形", "验证", "。", "？", "：",
    "但是", "答案", "题目", "步骤", "，", "的",
]  # fmt: skip


@pytest.mark.parametrize(
    ("text", "score", "n_steps", "n_words", "frequencies"),
    [
        (REASONED, 0.44392729360791394, 11, 148.0, [6.756756756756757, 0.0, 20.27027027027027]),
        (PLAIN, 0.24300534341211905, 5, 19.0, [0.0, 0.0, 0.0]),
        (CHINESE, 0.39866204735703054, 8, 86.0, [11.627906976744185, 0.0, 23.25581395348837]),
    ],
)
def test_scores_are_those_that_were_recorded(text, score, n_steps, n_words, frequencies):
    found, counts = measure(text), keywords(text)
    assert (found["score"], len(lines(text)), counts["length"]) == (pytest.approx(score, abs=1e-12), n_steps, n_words)
    assert [counts[name] for name in COUNTED] == pytest.approx(frequencies, abs=1e-9)


@settings(max_examples=120, deadline=None)
@given(st.one_of(st.lists(st.sampled_from(PIECES), max_size=60).map("".join), st.text(max_size=400)))
def test_any_text_is_measured_and_a_line_without_content_changes_nothing(text):
    found = measure(text)
    assert all(0 <= found[name] <= 1 for name in (*TRAITS, "score"))
    assert measure(text + "\nwait, perhaps") == found | {"length": len(text) + 14}
    assert keywords(text + "\nperhaps")["length"] == keywords(text)["length"] + 1


@pytest.mark.skipif(not DATA.is_dir(), reason="the recorded chains are not here (../shared/data)")
def test_on_real_chains_the_promises_hold():
    """Every fifth of the annotated chains: told apart, not fooled by words, hurt by shuffling."""
    from limo.curate.audit import audit
    from limo.curate.grade import GradeSettings

    reasoned = rows("r1distill_annotated_500.jsonl.gz")[::5]
    plain = rows("instruct_annotated_500.jsonl.gz")[::5]
    report = audit(reasoned, GradeSettings(scorer="structure"), against=plain)
    assert report.separation["score"] >= 0.95
    assert report.keywords_inserted.level_rises <= 0.02
    assert min(one.score_falls for one in report.shuffled.values()) >= 0.9
    keywords = audit(reasoned, GradeSettings(), against=plain)
    assert keywords.keywords_inserted.level_rises > 0.5  # the same test shows that it can fail
    assert max(one.score_falls for one in keywords.shuffled.values()) < 0.1
