"""Folding character by character gives what folding whole texts gives, whatever stands together."""

from __future__ import annotations

import threading
from itertools import pairwise

from hypothesis import given, settings
from hypothesis import strategies as st

from limo.core.text import normalise_statement
from limo.pool.canonical.folding import Folding, code_points
from limo.pool.canonical.normal import _LOWERED, _RAISED, plain

# Raised and lowered runs, symbols, full width, invisible, letters with accents apart and at once, Hangul letters,
# characters that become several, white space of all kinds, one beyond the basic plane, a broken one.
ODD = "ab1 \n\t²³⁺₁₂−×≤π１＋（\u200b\u00a0\u2028e\u0301é각ᄀ\u1161ﬁ½´Ως\u03a3𝑥\ud800—°\u0338≠=，。"


def _folding() -> Folding:
    raised, lowered = ({chr(one): chr(other) for one, other in each.items()} for each in (_RAISED, _LOWERED))
    return Folding(plain, raised, lowered)


def _folded(folding: Folding, texts: list[str]) -> list[str]:
    chars, ends = folding.batch(texts)
    stops = [0, *ends.tolist()]
    return [str(chars[start:end].tobytes(), "utf-32-le", "surrogatepass") for start, end in pairwise(stops)]


FOLDING, LOWER = _folding(), Folding(lambda text: normalise_statement(text).lower())


@settings(max_examples=300, deadline=None)
@given(st.lists(st.text(ODD, max_size=12) | st.text(max_size=12), max_size=6))
def test_a_batch_is_folded_as_each_text_alone_up_to_white_space(texts: list[str]) -> None:
    found = [" ".join(one.split()) for one in _folded(FOLDING, texts)]
    assert found == [" ".join(plain(text).split()) for text in texts]
    lowered = [" ".join(one.lower().split()) for one in _folded(LOWER, texts)]
    assert lowered == [normalise_statement(text).lower() for text in texts]


def test_texts_of_plain_ascii_stay_as_they_are() -> None:
    assert _folded(FOLDING, ["a  b\n", "", "x^2 ~"]) == ["a  b\n", "", "x^2 ~"]
    assert _folded(FOLDING, []) == []


def test_threads_that_meet_new_characters_at_once_fold_alike() -> None:
    folding, texts = _folding(), [chr(0x391 + n) * 3 + "²" for n in range(400)]
    found: list[list[str]] = []
    threads = [threading.Thread(target=lambda: found.append(_folded(folding, texts))) for _ in range(4)]
    for one in threads:
        one.start()
    for one in threads:
        one.join()
    assert found == [[plain(text) for text in texts]] * 4


def test_code_points_keep_even_a_broken_half() -> None:
    chars, ends = code_points(["a\ud800", "", "𝑥"])
    assert chars.tolist() == [97, 0xD800, 0x1D465] and ends.tolist() == [2, 2, 3]
