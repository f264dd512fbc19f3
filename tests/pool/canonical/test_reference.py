"""The compiled scanner and loops give what their plain specification gives, to the bit."""

from __future__ import annotations

import random
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import reference
from hypothesis import given, settings
from hypothesis import strategies as st

from limo.pool.canonical import buffers, compiled, kernels, scanner, thesaurus
from limo.pool.canonical.characters import code_points
from limo.pool.canonical.lexicon import COMMAND_FLAGS, WORD_FLAGS, hash_token, lexicon_table

PIECES = [
    *"ab1209.,;'{}[]()^_$ /\\+-=<|%求AB!?:\"é²\n", r"\frac", r"\bar", r"\hat", r"\text", r"\le", r"\left", r"\degree",
    r"\sqrt", r"\lbrace", r"\vert", r"\circ", r"\ ", r"\\", r"\%", "1/2", ",000", "{,}123", "例", "题", "分", "两",
    "(5 points)", "(5 分)", "Problem 5. ", "12. ", "two", "If", "Tom", "ABCD", "...", "{a}_", "9-kilometer", "x-1",
    "f'", "5.00", "0.5/2", "1/2.", "\ud800",
]  # fmt: skip
TEXTS = st.lists(st.lists(st.sampled_from(PIECES), max_size=30).map("".join) | st.text(max_size=30), max_size=6)


def _equal(left: object, right: object) -> bool:
    return all(np.array_equal(a, b) for a, b in zip(left, right, strict=True))  # type: ignore[call-overload]


@settings(max_examples=80, deadline=None)
@given(TEXTS, st.booleans())
def test_the_compiled_scanner_is_its_reference(texts: list[str], keep: bool) -> None:
    chars, ends = code_points(texts)
    assert _equal(scanner.scan_batch(chars, ends, keep), reference.scan_batch(chars, ends, keep))


@settings(max_examples=50, deadline=None)
@given(TEXTS, st.sampled_from([1, 3, 13]))
def test_compiled_word_runs_are_their_reference(texts: list[str], n: int) -> None:
    assert _equal(kernels.word_runs(*code_points(texts), n), reference.word_runs(*code_points(texts), n))


SAID = st.lists(
    st.sampled_from(["area", "sum", "product", "the", "before", "after", "boat", "boats", "x", "求", "最", "大", "3"]),
    max_size=150,
).map(" ".join)


@settings(max_examples=60, deadline=None)
@given(st.lists(SAID, max_size=4) | TEXTS, st.booleans())
def test_compiled_content_words_are_their_reference(texts: list[str], in_order: bool) -> None:
    tokens, _, ends, _ = scanner.scan_batch(*code_points(texts), False)
    expected = reference.content_words(tokens, ends, thesaurus._word_table(in_order))
    assert _equal(thesaurus.content_words(tokens, ends, in_order), expected)


GRAMS = st.lists(st.lists(st.integers(0, 12) | st.integers(0, 2**32 - 1), max_size=12), min_size=1, max_size=12)


@settings(max_examples=60, deadline=None)
@given(GRAMS, st.lists(st.integers(0, 2), min_size=12, max_size=12), st.sampled_from([0.0, 0.3, 0.5, 1.0]))
def test_compiled_minima_and_rewordings_are_their_reference(
    rows: list[list[int]], groups: list[int], least: float
) -> None:
    values = np.array([value for row in rows for value in row], np.uint32)
    ends = np.cumsum([len(row) for row in rows])
    functions = np.array([[3, 0x9E3779B1], [7, 1]], np.uint32)
    assert _equal([kernels.minima(values, ends, functions)], [reference.minima(values, ends, functions)])
    group = np.array(groups[: len(rows)], np.uint64)
    order = np.argsort(group, kind="stable")
    words = np.array([value for row in rows for value in sorted(value % 7 for value in row[:4])], np.uint32)
    word_ends = np.cumsum([len(row[:4]) for row in rows])
    expected = reference.rewordings(order, group, values.copy(), ends, words, word_ends, least)
    assert _equal(kernels.rewordings(order, group, values.copy(), ends, words, word_ends, least), expected)


@pytest.mark.parametrize("n_chars", [1, 600, 70_000, 1_114_111 - buffers.OUT, 1_114_112, 1_300_000])
def test_batches_of_every_size_are_spelled_as_the_reference_spells_them(n_chars: int) -> None:
    """From 0x110000 characters on a counter of the buffer is no code point, which was once decoded as one."""
    rng = random.Random(n_chars)
    unit = "".join(rng.choice(PIECES) for _ in range(500)).replace("\ud800", "")
    texts, n_left = [], n_chars
    while n_left > 0:
        texts.append("y" * min(n_left, 5000) if len(texts) % 40 else unit[: min(n_left, 500)])
        n_left -= len(texts[-1])
    chars, ends = code_points(texts)
    *_, forms = scanner.scan_batch(chars, ends, True)
    assert len(forms) == len(texts)
    spot = [0, 1, len(texts) // 2, len(texts) - 1] if len(texts) > 1 else [0]
    assert [forms[row] for row in spot] == reference.scan_batch(*code_points([texts[row] for row in spot]), True)[3]


def test_the_lexicon_holds_each_word_with_its_flags_and_no_other() -> None:
    table = lexicon_table()
    for flags_by_word, kind in ((COMMAND_FLAGS, buffers.COMMAND), (WORD_FLAGS, buffers.WORD)):
        for word, flags in flags_by_word.items():
            chars = code_points([word])[0]
            hashed = buffers.hash_of(chars, 0, len(word), kind, False)
            assert int(hashed) == hash_token(word, kind)
            assert buffers.flags_of(table, buffers.find_entry(table, np.uint64(hashed))) == flags
    assert buffers.find_entry(table, np.uint64(hash_token("nobody", buffers.WORD))) == 0


def test_braces_deeper_than_the_stack_are_read_alike() -> None:
    texts = [r"\text{" * depth + "a" + "}" * (depth + 3) for depth in (1, 247, 248, 249, 400)]
    assert _equal(scanner.scan_batch(*code_points(texts), True), reference.scan_batch(*code_points(texts), True))


def test_without_numba_settings_are_read_and_a_pool_is_refused_with_the_package_that_it_needs() -> None:
    code = (
        "import sys; sys.modules['numba'] = None\n"
        "from limo.pool.dedup import DedupSettings, dedup\nfrom limo.core.records import Problem\nDedupSettings()\n"
        "try: dedup([Problem.make('Add 2 and 3.', '5')])\nexcept ImportError as error: print(error.name)"
    )
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout == "numba\n"


def test_every_compiled_source_is_in_the_folder_whose_change_compiles_anew() -> None:
    root = Path(compiled.__file__).parents[2]
    users = {path for path in root.rglob("*.py") if "canonical.compiled import" in path.read_text(encoding="utf-8")}
    assert {path.parent for path in users if path.name not in ("fingerprints.py", "dedup.py")} == {
        root / "pool/canonical"
    }


def test_a_change_of_any_source_of_the_folder_changes_where_machine_code_is_kept(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "one.py").write_text("a = 1\n")
    (tmp_path / "other.py").write_text("b = 1\n")
    monkeypatch.setattr(compiled, "__file__", str(tmp_path / "compiled.py"))
    compiled.cache_folder.cache_clear()
    before = compiled.cache_folder(str(tmp_path / "one.py"))
    compiled.cache_folder.cache_clear()
    assert compiled.cache_folder(str(tmp_path / "one.py")) == before
    (tmp_path / "other.py").write_text("b = 2\n")
    compiled.cache_folder.cache_clear()
    assert compiled.cache_folder(str(tmp_path / "one.py")) != before
    compiled.cache_folder.cache_clear()


def test_numba_s_own_cache_setting_is_left_as_it_was() -> None:
    from numba import config

    before = config.CACHE_DIR
    compiled.compiled(lambda value: value)
    assert before == config.CACHE_DIR


@pytest.mark.slow
def test_batches_of_doubling_size_up_to_fifty_million_characters_are_scanned_as_small_ones() -> None:
    rng = random.Random(50)
    texts = ["".join(rng.choice(PIECES) for _ in range(900)).replace("\ud800", "") for _ in range(64)]
    expected = scanner.scan_batch(*code_points(texts), False)[1]
    n_chars, block = 0, sum(map(len, texts))
    while n_chars < 50_000_000:
        n_blocks = max(1, min(2 * n_chars, 50_000_000) // block + 1)
        chars, ends = code_points(texts * n_blocks)
        _, keys, token_ends, _ = scanner.scan_batch(chars, ends, False)
        assert (keys.reshape(n_blocks, *expected.shape) == expected).all() and len(token_ends) == len(ends)
        n_chars = len(chars)
