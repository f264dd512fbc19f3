"""Keeps each problem once; problems that are merely similar stay, with the name of their family.

On mathematics, plain near-duplicate removal throws away distinct problems: two texts of one template differ in a
number, and that number is the problem.  So three rules, of which only the first two drop:

A. equal canonical text (signs and digits kept): a duplicate; where the answers differ, a suspected wrong key.
B. same numbers, operators and names in the same order, same non-empty answer, and similar word 3-grams: a rewording.
C. similar word 3-grams otherwise: a sibling, kept; `meta["family"]` is the id of the best problem that it resembles.

Each problem is compared with problems that stay, never with one that was dropped, so similarity cannot chain.

A pool in memory is one shard.  Rows of equal keys must meet: the fingerprints of all shards are read for each share of
the keys (`key % n_shares`), and every step writes what it found, for the next ones to read.
"""

from __future__ import annotations

import re
import shutil
import zlib
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from pydantic import Field

from limo.core.files import output_folder
from limo.core.progress import Progress
from limo.core.recipe import Settings
from limo.core.records import Dropped, Problem
from limo.pool.canonical import kernels
from limo.pool.canonical.statements import Stated
from limo.pool.canonical.unicode_forms import normalise_all
from limo.pool.canonical.wrappers import SharedWrappers, find_shared_wrappers
from limo.pool.dedup_decisions import (
    ANOTHER_ANSWER,
    DESCRIBED,
    FAMILIES,
    LEADER,
    REWORDINGS,
    TEXTS,
    best_leaders,
    column_of,
    shard_decisions,
    write_distinct,
    write_dropped,
)
from limo.pool.fingerprints import (
    BANDS,
    N_MINIMA,
    RANKS,
    Array,
    answer_hashes,
    fingerprint_table,
    mix_hashes,
    sketch_similarity,
)
from limo.pool.shards import (
    count_table_rows,
    hash_shards,
    note_rows,
    read_table,
    shards_of,
    split_problems,
)
from limo.pool.step_tables import ROW_BITS, StepTables
from limo.pool.summary import read_summary
from limo.pool.tasks import ExecutorSettings, run_tasks

SAME_TEXT = "duplicate"
REWORDED = "reworded duplicate"
SAMPLE_ROWS = 20_000  # about so many rows are searched for the wrappers that a source's rows share
SHARE_ROWS = 4_000_000  # rows that one share of the keys may hold: about 1 GB at its widest
FINGERPRINTS, BAND_LEADERS = "fingerprints", "bands"
_OPTION_LETTER = re.compile(r"\s*(?:\\(?:text|textbf|mathrm)\s*\{)?\s*\(?([A-J])\)?\s*\}?\s*")


class DedupSettings(Settings):
    """When two problems are one."""

    ngram_words: int = Field(default=3, ge=1, le=13, description="words in an n-gram; own choice, measured")
    reworded_similarity: float = Field(
        default=0.3, ge=0, le=1, description="least Jaccard similarity for rule B; 1 = off"
    )
    family_similarity: float = Field(
        default=0.6, ge=0, le=1, description="least (estimated) similarity of siblings (rule C)"
    )
    prefer: list[str] = Field(default_factory=list, description="sources whose copy is kept, best first")
    conflicts: str = Field(
        default="keep_one",
        pattern="^(keep_one|drop_all)$",
        description="equal text with other answers: keep_one (the preferred copy) or drop_all (none is trusted)",
    )


def dedup(problems: Iterable[Problem], settings: DedupSettings | None = None) -> tuple[list[Problem], list[Dropped]]:
    """The distinct problems in the order given, and the others with what they duplicate.

    Which copy stays does not depend on the order given: the preferred source, then one with an answer, then the
    longest solution, then the smaller id.
    """
    pool = list(problems)
    tables = find_duplicates(pool, settings or DedupSettings())
    return split_problems(
        pool,
        *shard_decisions(
            tables, 0, lambda rows: [{name: getattr(pool[row], name) for name in DESCRIBED} for row in rows]
        ),
    )


def find_duplicates(pool: Sequence[Problem], settings: DedupSettings) -> StepTables:
    """All steps on a pool in memory: `read(TEXTS, ["row"])` and `read(REWORDINGS, ["row"])` are the rows that go."""
    tables = StepTables()
    chosen = _sample([problem.id for problem in pool], len(pool))
    shared = find_shared_wrappers(
        normalise_all(pool[row].problem for row in chosen), [pool[row].source for row in chosen]
    )
    lengths = [len(problem.solution) for problem in pool]
    tables.write(FINGERPRINTS, "0", fingerprint_table(pool, lengths, 0, settings.ngram_words, settings.prefer, shared))
    for step in (_drop_same_text, _drop_rewordings, _find_families):
        step(tables, settings, 1, "0")
    return tables


def _sample(ids: Sequence[str], n_rows: int) -> list[int]:
    """Of rows with these ids those that are searched for shared wrappers: all, or of a larger pool every k-th id."""
    stride = -(-n_rows // SAMPLE_ROWS)
    return [row for row, name in enumerate(ids) if stride < 2 or zlib.crc32(name.encode()) % stride == 0]


def _find_shared_wrappers(shards: Sequence[Path]) -> SharedWrappers:
    import pyarrow as pa

    n_rows, columns = sum(map(count_table_rows, shards)), ("id", "problem", "source")
    tables = (read_table(shard, columns) for shard in shards)
    samples = ((table, _sample(table.column("id").to_pylist(), n_rows)) for table in tables)
    rows = pa.concat_tables(table.take(pa.array(sample, pa.int64())) for table, sample in samples)
    return find_shared_wrappers(normalise_all(rows.column("problem").to_pylist()), rows.column("source").to_pylist())


def dedup_shards(
    pool: str | Path,
    out: str | Path,
    settings: DedupSettings,
    executor: ExecutorSettings,
    progress: Progress | None = None,
    n_shares: int = 0,
) -> Counter[str]:
    """Write the pool's shards without repeated problems into `out`, and why the others went into `out/dropped`.

    `n_shares` 0 takes as many as the memory of one share asks for; the rows are the same for any power of two.  Returns
    the number of rows kept and dropped by reason.
    """
    shards, out = shards_of(pool), Path(out)
    with output_folder(out, {"pool": hash_shards(shards), "settings": settings.hash, "n_shares": str(n_shares)}):
        if finished := read_summary(out):
            return finished[0]
        return _write_distinct_shards(shards, out, settings, executor, progress, n_shares)


def _write_distinct_shards(
    shards: list[Path], out: Path, settings: DedupSettings, executor: ExecutorSettings, progress: Progress | None,
    n_shares: int,
) -> Counter[str]:  # fmt: skip
    names, files = [shard.name for shard in shards], StepTables(out / "work")
    if not all((out / name).exists() for name in names):

        def run(step: str, task: Any, tasks: Sequence[str]) -> None:
            run_tasks(task, [name for name in tasks if not files.path(step, name).exists()], executor, progress)

        numbers = [str(number) for number in range(len(shards))]
        is_missing = not all(files.path(FINGERPRINTS, number).exists() for number in numbers)
        shared = _find_shared_wrappers(shards) if is_missing else {}
        run(FINGERPRINTS, partial(_fingerprint, files, shards, settings, shared), numbers)
        n = n_shares or _n_shares(files)
        shares = [str(share) for share in range(n)]
        run(TEXTS, partial(_drop_same_text, files, settings, n), shares)
        run(REWORDINGS, partial(_drop_rewordings, files, settings, n), shares)
        if n > 1:
            band_shares = [f"{band}-{share}" for band in range(len(BANDS)) for share in shares]
            run(BAND_LEADERS, partial(_find_band_leaders, files, settings, n), band_shares)
        run(FAMILIES, partial(_find_families, files, settings, n), shares)
        missing = [str(number) for number, name in enumerate(names) if not (out / name).exists()]
        run_tasks(partial(write_distinct, files, shards, out), missing, executor, progress)
    shutil.rmtree(out / "work", ignore_errors=True)
    return note_rows(out, names)


def _n_shares(files: StepTables) -> int:
    """A power of two, so that a key falls to a share by its low bits."""
    n_rows = sum(map(count_table_rows, files.paths(FINGERPRINTS)))
    return 1 << max(0, -(-n_rows // SHARE_ROWS) - 1).bit_length()


# The steps: functions of a store, the settings, the number of shares, and the name of a task, which is its share.


def _fingerprint(
    files: StepTables, shards: Sequence[Path], settings: DedupSettings, shared: SharedWrappers, task: str
) -> None:
    """The fingerprints of one shard."""
    import pyarrow.compute as pc

    table = read_table(shards[int(task)], (*Stated._fields, "solution"))
    lengths = pc.utf8_length(table.column("solution")).to_pylist()
    numbers = int(task) << ROW_BITS, settings.ngram_words
    files.write(
        FINGERPRINTS, task, fingerprint_table(Stated.of_table(table), lengths, *numbers, settings.prefer, shared)
    )


def _select(
    store: StepTables, keys: Sequence[str], share: int, n_shares: int, columns: Sequence[str], dropped: Array
) -> Any:
    """The fingerprints that no earlier step dropped, of a share of the keys, the best first.

    With one key: only rows that share it with another one.  With several there must be one share.
    """
    import pyarrow as pa

    selected = []
    for table in store.read(FINGERPRINTS, ["row", *RANKS, *keys, *columns]):
        mask = np.ones(table.num_rows, bool)
        if n_shares > 1:
            mask = column_of(table, keys[0]) & np.uint64(n_shares - 1) == np.uint64(share)
        if len(dropped):
            rows = column_of(table, "row")
            mask &= dropped[np.minimum(np.searchsorted(dropped, rows), len(dropped) - 1)] != rows
        selected.append(table if mask.all() else table.filter(pa.array(mask)))
    table = pa.concat_tables(selected).combine_chunks()
    chosen = np.flatnonzero(_occurs_again(column_of(table, keys[0]))) if len(keys) == 1 else np.arange(table.num_rows)
    ranks = [column_of(table, name)[chosen] for name in ("row", *reversed(RANKS))]
    return table.take(pa.array(chosen[np.lexsort(ranks)]))


def _occurs_again(keys: Array) -> Array:
    """Which keys occur more than once."""
    order = np.argsort(keys, kind="stable")
    same = keys[order[1:]] == keys[order[:-1]]
    again = np.zeros(len(keys), bool)
    again[order[1:][same]] = again[order[:-1][same]] = True
    return again


def _dropped_rows(store: StepTables, *steps: str) -> Array:
    """The rows that the steps dropped, sorted."""
    rows = [column_of(table, "row") for step in steps for table in store.read(step, ["row"])]
    return np.sort(np.concatenate(rows))


def _drop_same_text(store: StepTables, settings: DedupSettings, n_shares: int, task: str) -> None:
    """Rule A on the texts of a share: all but the best of each, and why they go."""
    columns = ("text1", "extra", "meaning", "wrapper", "source", "answer")
    table = _select(store, ["text0"], int(task), n_shares, columns, np.empty(0, np.int64))
    keys = [column_of(table, name) for name in ("extra", "text1", "text0")]
    leader = _first_of_equals(keys)
    answer = answer_hashes(table.column("meaning").to_pylist())
    conflict = (answer != 0) & (answer[leader] != 0) & (answer != answer[leader])
    leader = _join_bare(leader, keys, answer)[leader]
    goes = leader != np.arange(len(leader))
    if settings.conflicts == "drop_all":
        goes[leader[conflict]] = True
        conflict[leader[conflict]] = True
    rows = np.flatnonzero(goes)
    reasons = np.where(conflict[rows], ANOTHER_ANSWER, SAME_TEXT).tolist()
    write_dropped(store, TEXTS, task, table, rows, leader[rows], reasons, np.ones(len(rows)))


def _first_of_equals(keys: Sequence[Array]) -> Array:
    """For each row the first with the same keys."""
    order = np.lexsort(keys)  # stable: the best stays first among equals
    new = np.zeros(max(len(order) - 1, 0), bool)
    for key in keys:
        new |= key[order][1:] != key[order][:-1]
    starts = np.flatnonzero(np.r_[True, new][: len(order)])
    leader = np.empty(len(order), np.int64)
    leader[order] = np.repeat(order[starts], np.diff(np.r_[starts, len(order)]))
    return leader


def _join_bare(leader: Array, keys: Sequence[Array], answer: Array) -> Array:
    """Leaders without options and figure as those of the same text and answer with them; the others as they are."""
    joined = np.arange(len(leader))
    leaders = np.flatnonzero((leader == joined) & (answer != 0))
    extra, *text = keys
    by_question = [answer[leaders], *(key[leaders] for key in text)]
    full = extra[leaders] != 0
    first_full = _first_of_equals([*by_question, ~full])
    same = _first_of_equals(by_question)
    fullest = np.full(len(leaders), -1)
    fullest[same[full]] = first_full[full]
    bare = np.flatnonzero(~full & (fullest[same] >= 0))
    joined[leaders[bare]] = leaders[fullest[same[bare]]]
    return joined


def _drop_rewordings(store: StepTables, settings: DedupSettings, n_shares: int, task: str) -> None:
    """Rule B on the groups of a share: which better problem each one rewords, and how similar they are."""
    columns = ("grams", "words", "meaning", "wrapper", "source", "answer")
    table = _select(store, ["group"], int(task), n_shares, columns, _dropped_rows(store, TEXTS))
    answers = table.column("meaning").to_pylist()
    (values, ends), words = _lists(table, "grams"), _lists(table, "words")
    group = mix_hashes(column_of(table, "group"), answer_hashes(answers))
    is_evidence = [bool(answer) and not _OPTION_LETTER.fullmatch(answer) for answer in answers]  # a bare letter is not
    candidates = np.flatnonzero(is_evidence) if settings.reworded_similarity < 1 else np.empty(0, np.int64)
    order = candidates[np.argsort(group[candidates], kind="stable")]
    twin, similarity = kernels.rewordings(order, group, values, ends, *words, settings.reworded_similarity)
    rows = np.flatnonzero(twin >= 0)
    write_dropped(store, REWORDINGS, task, table, rows, twin[rows], [REWORDED] * len(rows), similarity[rows])


def _lists(table: Any, name: str) -> tuple[Array, Array]:
    """A column of lists as all their values, which may be sorted in place, and where each list ends."""
    lists = table.column(name).combine_chunks()
    return lists.values.to_numpy().copy(), lists.offsets.to_numpy()[1:].astype(np.int64)


def _find_band_leaders(store: StepTables, settings: DedupSettings, n_shares: int, task: str) -> None:
    """Rule C on a share of one band's keys: for each row the band's best, where they are similar."""
    band, share = map(int, task.split("-"))
    dropped = _dropped_rows(store, TEXTS, REWORDINGS)
    table = _select(store, [BANDS[band]], share, n_shares, ("sketch",), dropped)
    _write_leaders(store, BAND_LEADERS, task, *_leaders_of(table, [BANDS[band]], settings.family_similarity))


def _find_families(store: StepTables, settings: DedupSettings, n_shares: int, task: str) -> None:
    """Rule C for a share of the rows: the best problem that each is similar to, which names itself too."""
    if n_shares == 1:
        dropped = _dropped_rows(store, TEXTS, REWORDINGS)
        row, leader = _leaders_of(_select(store, BANDS, 0, 1, ("sketch",), dropped), BANDS, settings.family_similarity)
    else:
        tables = store.read(BAND_LEADERS, ["row", *LEADER])
        row, leader = best_leaders(_share_of_rows(table, int(task), n_shares) for table in tables)
    own = np.unique(leader["leader_row"], return_index=True)[1]
    row = np.concatenate([row, leader["leader_row"][own]])
    _write_leaders(store, FAMILIES, task, row, {name: np.concatenate([x, x[own]]) for name, x in leader.items()})


def _share_of_rows(table: Any, share: int, n_shares: int) -> Any:
    import pyarrow as pa

    return table.filter(pa.array(column_of(table, "row") & (n_shares - 1) == share))


def _leaders_of(table: Any, bands: Sequence[str], least: float) -> tuple[Array, dict[str, Array]]:
    """The rows that are similar to a better one of the same band, and the best of these, by row and ranks."""
    n = table.num_rows
    raw = table.column("sketch").combine_chunks().buffers()[1] if n else b""
    sketches = np.frombuffer(raw, np.uint8)[: n * N_MINIMA].reshape(n, N_MINIMA)
    best = np.arange(n)  # rows are sorted by rank: a smaller number is a better problem
    for band in bands:
        key = column_of(table, band)
        order = np.argsort(key, kind="stable")
        starts = np.flatnonzero(np.r_[True, key[order][1:] != key[order][:-1]][:n])
        leaders = np.repeat(order[starts], np.diff(np.r_[starts, n]))
        better = np.flatnonzero(leaders < best[order])
        rows, leaders = order[better], leaders[better]
        similar = sketch_similarity(sketches[rows], sketches[leaders]) >= least
        best[rows[similar]] = leaders[similar]
    members = np.flatnonzero(best != np.arange(n))
    row, leaders = column_of(table, "row"), best[members]
    return row[members], {"leader_row": row[leaders], **{name: column_of(table, name)[leaders] for name in RANKS}}


def _write_leaders(store: StepTables, step: str, task: str, row: Array, leader: Mapping[str, Array]) -> None:
    import pyarrow as pa

    order = np.argsort(row, kind="stable")
    store.write(step, task, pa.table({"row": row[order], **{name: column[order] for name, column in leader.items()}}))
