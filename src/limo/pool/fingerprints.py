"""What dedup compares, and which of several copies is the better one: a few hundred bytes a problem, as an Arrow table.

| columns | of each row |
|---|---|
| row | the shard's number in the high 32 bits, the position in it in the low |
| rank0 ... rank2 | sorts the better of several copies first; rank1 is the problem's id as a number |
| text0, text1 | 128-bit hash of the canonical text: equal for the same problem in any typography |
| extra | hash of the options as a set and of the figure; 0 without either |
| group | hash of the numbers, symbols and names in order, and of `extra`: equal for possible rewordings |
| words | content words: of two rewordings only one may have some that the other lacks, and none that are critical |
| grams | word n-grams, numbers masked, 32-bit hashes |
| band0 ... band15, sketch | MinHash: similar texts share a band; one byte of each of 80 minima |
| meaning | the answer; for an option's letter, the option's text |
| source, answer | as they are, for the evidence |

Texts whose Jaccard similarity is s agree in one minimum with probability s, so in all 5 of a band with s^5: half of the
pairs at similarity .56 share one of 16 bands, 99% at .76.  The hash functions are fixed constants.
"""

from __future__ import annotations

import re
import zlib
from collections.abc import Sequence
from functools import lru_cache
from typing import Any

import numpy as np

from limo.core.errors import InputError
from limo.core.text import content_hash
from limo.pool.canonical import buffers, kernels
from limo.pool.canonical.statements import AnyProblem, Scanned, answer_keys, scan_problems, scan_texts
from limo.pool.canonical.thesaurus import content_words
from limo.pool.canonical.wrappers import NO_WRAPPER, SharedWrappers, Unwrapped

Array = Any  # of NumPy
N_BANDS, BAND_MINIMA = 16, 5
N_MINIMA = N_BANDS * BAND_MINIMA
RANKS = ("rank0", "rank1", "rank2")
BANDS = tuple(f"band{band}" for band in range(N_BANDS))
_MIX, _HALF = np.uint64(0x9E3779B97F4A7C15), np.uint64(32)
_MASKED_NUMBER = np.uint64(0xD1B54A32D192ED03)
_MASKED_NAME = np.uint64(0xA0761D6478BD642F)
_LONGEST = (1 << 40) - 1
_ID = re.compile("[0-9a-f]{16}")


def fingerprint_table(
    problems: Sequence[AnyProblem],
    solution_lengths: Sequence[int],
    first_row: int,
    ngram_words: int,
    preferred_sources: Sequence[str],
    shared_wrappers: SharedWrappers,
) -> Any:
    """The fingerprints of problems, numbered from `first_row`; of copies the preferred source's ranks first."""
    import pyarrow as pa

    n, none = len(problems), frozenset[str]()
    shared = [shared_wrappers.get(problem.source, none) for problem in problems]
    batches = [
        _fingerprints(problems[rows], parts, scanned, ngram_words)
        for rows, parts, scanned in scan_problems(problems, shared)
    ]
    *columns, answers, wrappers = zip(*batches, strict=True)
    text, extra, group, grams, n_grams, words, n_words, bands, sketches = (
        np.concatenate(arrays, axis=-1) for arrays in columns
    )
    sketch = pa.FixedSizeBinaryArray.from_buffers(pa.binary(N_MINIMA), n, [None, pa.py_buffer(sketches)])
    return pa.table({
        "row": first_row + np.arange(n),
        **dict(zip(RANKS, _ranks(problems, solution_lengths, preferred_sources), strict=True)),
        "text0": text[0], "text1": text[1], "extra": extra, "group": group,
        "meaning": pa.array([answer for batch in answers for answer in batch], pa.string()),
        "grams": _lists(grams, n_grams), "words": _lists(words, n_words),
        "sketch": sketch, **dict(zip(BANDS, bands, strict=True)),
        "wrapper": pa.array([wrapper for batch in wrappers for wrapper in batch], pa.string()),
        "source": pa.array([problem.source for problem in problems], pa.string()),
        "answer": pa.array([problem.answer for problem in problems], pa.string()),
    })  # fmt: skip


def _fingerprints(
    problems: Sequence[AnyProblem], parts: Sequence[Unwrapped], scanned: Scanned, ngram_words: int
) -> tuple[Any, ...]:
    """Of a batch: text [2, n], extra [n], group [n], n-grams and their number [n], content words and theirs [n], bands
    [16, n], sketches [n * 80], what the answers mean, wrappers.
    """
    text = scanned.keys[:, buffers.TEXT : buffers.TEXT_2 + 1].copy()
    for row in np.flatnonzero(text[:, 0] == buffers.SEED).tolist():  # no letters or digits: compared as it is
        text[row] = int(content_hash(problems[row].problem), 16), 0
    extra = _extra_keys(parts)
    group = mix_hashes(scanned.keys[:, buffers.NUMBERS], extra)
    for column in (buffers.SYMBOLS, buffers.NAMES):
        group = mix_hashes(group, scanned.keys[:, column])
    grams, ends = ngrams(scanned.tokens, scanned.token_ends, ngram_words, True)
    words, word_ends = content_words(scanned.tokens, scanned.token_ends, in_order=True)
    minima = kernels.minima(grams, ends, _hash_functions())
    bands, n_grams = _band_keys(minima), np.diff(ends, prepend=0)
    bands[:, n_grams == 0] = text[n_grams == 0, 0]  # no words: similar to itself alone
    answers = [answer_meaning(problem, part.options) for problem, part in zip(problems, parts, strict=True)]
    wrappers = [
        " ... ".join(filter(None, map(str.strip, part.wrapper))) if part.wrapper != NO_WRAPPER else "" for part in parts
    ]
    sketches, n_words = (minima & 255).astype(np.uint8).ravel(), np.diff(word_ends, prepend=0)
    return text.T, extra, group, grams, n_grams, words, n_words, bands, sketches, answers, wrappers


def _extra_keys(parts: Sequence[Unwrapped]) -> Array:
    """One hash of a statement's options as a set and of its figure; 0 where it has neither."""
    extra = np.zeros(len(parts), np.uint64)
    full = [(row, (*part.options, part.figure)) for row, part in enumerate(parts) if part.options or part.figure]
    texts = [(row, text) for row, of_row in full for text in of_row if text]
    if texts:
        keys = mix_hashes(scan_texts([text for _, text in texts]).keys[:, buffers.TEXT], np.uint64(1))
        np.add.at(extra, [row for row, _ in texts], keys)  # in any order
    return extra


def _lists(values: Array, lengths: Array) -> Any:
    import pyarrow as pa

    offsets = np.concatenate([[0], np.cumsum(lengths)]).astype(np.int32)
    return pa.ListArray.from_arrays(pa.array(offsets), pa.array(values))


def ngrams(tokens: Array, token_ends: Array, n: int, whole: bool, mask_names: bool = False) -> tuple[Array, Array]:
    """The n-grams of each text, numbers masked, as 32-bit hashes in the text's order, and where each text's end.

    A text of fewer tokens has none, or with `whole` one: itself.  With `mask_names` names and single letters are one.
    """
    kinds, n_tokens = tokens[:, buffers.KIND], np.diff(token_ends, prepend=0)
    words = np.where(
        (kinds == buffers.NUMBER) | (kinds == buffers.NUMBER_WORD), _MASKED_NUMBER, tokens[:, buffers.HASH]
    )
    if mask_names:
        is_letter = (kinds == buffers.WORD) & (tokens[:, buffers.END] - tokens[:, buffers.START] == 1)
        words = np.where(is_letter | (tokens[:, buffers.NAME] != 0), _MASKED_NAME, words)
    n_grams = np.maximum(n_tokens - n + 1, (n_tokens > 0) if whole else 0)
    ends = np.cumsum(n_grams)
    starts = token_ends - n_tokens
    positions = np.repeat(starts - ends + n_grams, n_grams) + np.arange(n_grams.sum())
    values = _hash_windows(words, n)[positions]
    for length in range(1, n if whole else 1):
        rows = np.flatnonzero(n_tokens == length)
        if len(rows):
            values[ends[rows] - 1] = _hash_windows(words, length)[starts[rows]]
    return (values >> _HALF).astype(np.uint32), ends


def _hash_windows(words: Array, n: int) -> Array:
    """The hash of the `n` words from each position on; of fewer at the end, which is not to be used."""
    padded = np.concatenate([words, np.zeros(n - 1, np.uint64)])
    hashed = np.full(len(words), buffers.SEED)
    for place in range(n):
        hashed = mix_hashes(hashed, padded[place : place + len(words)])
    return hashed


def mix_hashes(hashed: Array, values: Array) -> Array:
    """`buffers.mix` on arrays: one more column of values into a column of hashes."""
    mixed = (hashed ^ values) * _MIX
    return mixed ^ (mixed >> _HALF)


@lru_cache(maxsize=1)
def _hash_functions() -> Array:
    """Odd multipliers and offsets of hash functions on 32 bits, shape [2, 80]."""
    rng = np.random.Generator(np.random.PCG64(20250205))
    functions = rng.integers(1, 2**32, size=(2, N_MINIMA), dtype=np.uint32)
    functions[0] |= np.uint32(1)
    return functions


def _band_keys(minima: Array) -> Array:
    """One key a band of each text, uint64 [16, n texts]: which band, and its minima."""
    by_band = minima.T.reshape(N_BANDS, BAND_MINIMA, len(minima)).astype(np.uint64)
    keys = mix_hashes(np.full((N_BANDS, 1), buffers.SEED), np.arange(N_BANDS, dtype=np.uint64)[:, None])
    for place in range(BAND_MINIMA):
        keys = mix_hashes(keys, by_band[:, place])
    return keys


def sketch_similarity(left: Array, right: Array) -> Array:
    """Estimated Jaccard similarity of pairs of sketches [n, 80]; its standard error is .06."""
    share_equal = (left == right).mean(axis=1)
    return np.maximum(0.0, (share_equal - 1 / 256) / (1 - 1 / 256))


def _ranks(
    problems: Sequence[AnyProblem], solution_lengths: Sequence[int], preferred_sources: Sequence[str]
) -> tuple[Array, Array, Array]:
    """The preferred source, then one with an answer, then the longest solution, then the smaller id, source, text."""
    preference = {source: number for number, source in enumerate(preferred_sources)}
    of_source = {
        source: (preference.get(source, len(preference)) << 48, _checksum(source) << 32)
        for source in {problem.source for problem in problems}
    }
    first = [
        of_source[problem.source][0] | (not problem.answer) << 41 | _LONGEST - min(length, _LONGEST)
        for problem, length in zip(problems, solution_lengths, strict=True)
    ]
    checksums = [of_source[problem.source][1] | _checksum(problem.problem) for problem in problems]
    return np.array(first, np.uint64), _id_numbers([problem.id for problem in problems]), np.array(checksums, np.uint64)


def _checksum(text: str) -> int:
    return zlib.crc32(text.encode("utf-8", "surrogatepass"))


def _id_numbers(ids: Sequence[str]) -> Array:
    """The numbers that ids of 16 hex digits stand for.  Raises InputError for another id."""
    try:
        numbers = np.frombuffer(bytes.fromhex("".join(ids)), ">u8")
    except ValueError:
        numbers = np.empty(0, ">u8")
    if len(numbers) != len(ids) or any(len(name) != 16 for name in ids):
        odd = next((name for name in ids if not _ID.fullmatch(name)), "")
        raise InputError("an id is not one of a pool", odd, "16 hex digits", "make the pool with `limo pool ingest`")
    return numbers.astype(np.uint64)


def answer_meaning(problem: AnyProblem, listed: Sequence[str] = ()) -> str:
    """The answer; an option's letter becomes the option's text where that is known, since copies shuffle options."""
    if len(problem.answer) != 1:
        return problem.answer
    options, number = problem.options or listed, ord(problem.answer) - ord("A")
    return options[number] if 0 <= number < len(options) else problem.answer


def answer_hashes(answers: Sequence[str]) -> Array:
    """The hash of each answer's key, 0 for an empty answer."""
    distinct = list(dict.fromkeys(answers))
    keys = answer_keys(distinct)
    by_answer = {
        answer: int(content_hash(key or answer), 16) if answer else 0
        for answer, key in zip(distinct, keys, strict=True)
    }
    return np.array([by_answer[answer] for answer in answers], np.uint64)
