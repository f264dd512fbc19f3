"""Normalising character by character gives what the rule for whole texts gives, whatever stands together."""

from __future__ import annotations

import threading

from hypothesis import given, settings
from hypothesis import strategies as st

from limo.core.text import normalise_statement
from limo.pool.canonical.characters import code_points
from limo.pool.canonical.unicode_forms import UnicodeNormaliser, normalise_unicode

# Raised and lowered runs, symbols, full width, invisible, letters with accents apart and at once, Hangul letters,
# characters that become several, white space of all kinds, one beyond the basic plane, a broken one, and what
# stands between texts that are replaced together.
ODD = "ab1 \0\n\t²³⁺₁₂−×≤π１＋（\u200b\u00a0\u2028e\u0301é각ᄀ\u1161ﬁ½´Ως\u03a3𝑥\ud800—°\u0338≠=，。"


def _normaliser() -> UnicodeNormaliser:
    return UnicodeNormaliser(normalise_unicode, map(ord, "⁰¹²³⁴⁵⁶⁷⁸⁹⁺⁻₀₁₂₃₄₅₆₇₈₉"))


NORMALISER, LOWER = _normaliser(), UnicodeNormaliser(lambda text: normalise_statement(text).lower())


@settings(max_examples=80, deadline=None)
@given(st.lists(st.text(ODD, max_size=12) | st.text(max_size=12), max_size=6))
def test_a_batch_is_normalised_as_each_text_alone_up_to_white_space(texts: list[str]) -> None:
    normalised = [" ".join(text.split()) for text in NORMALISER.normalise(texts)]
    assert normalised == [" ".join(normalise_unicode(text).split()) for text in texts]
    lowered = [" ".join(text.lower().split()) for text in LOWER.normalise(texts)]
    assert lowered == [normalise_statement(text).lower() for text in texts]


def test_texts_of_plain_ascii_stay_as_they_are() -> None:
    assert NORMALISER.normalise(["a  b\n", "", "x^2 ~"]) == ["a  b\n", "", "x^2 ~"]
    assert NORMALISER.normalise([]) == []


def test_threads_that_meet_new_characters_at_once_normalise_alike() -> None:
    normaliser, texts = _normaliser(), [chr(0x391 + n) * 3 + "－" for n in range(400)]
    results: list[list[str]] = []
    threads = [threading.Thread(target=lambda: results.append(normaliser.normalise(texts))) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert results == [[normalise_unicode(text) for text in texts]] * 4


def test_code_points_keep_even_a_broken_half() -> None:
    chars, ends = code_points(["a\ud800", "", "𝑥"])
    assert chars.tolist() == [97, 0xD800, 0x1D465] and ends.tolist() == [2, 2, 3]
