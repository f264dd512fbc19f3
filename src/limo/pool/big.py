"""Dedup and decontamination of pools larger than the memory: the same rules, one part of the keys at a time.

Rows of equal keys must meet, and they meet in files: first every part of the pool becomes a file of prints (a few
hundred bytes a row), then each pass reads from all prints the rows whose key falls to it (`key % n_passes`) and writes
what it found, and last every part is written anew without what the passes dropped.  Every file is written whole, so a
run that was killed goes on with the files that are missing, and any engine gives the same rows.

    dedup_parts("pool/", "clean/", DedupSettings(), Engine())
    decontaminate_parts("clean/", "safe/", {"MATH500": problems}, DecontaminateSettings(), Engine())

What it does not do: keep a pool's order of files; parts keep their names and rows their order.
"""

from __future__ import annotations

import json
import shutil
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from functools import lru_cache, partial
from pathlib import Path
from typing import Any

import numpy as np

from limo.core.files import atomic
from limo.core.progress import Progress
from limo.core.records import Dropped, Problem
from limo.pool.contamination import Index
from limo.pool.decontaminate import BATCH as SEARCHED
from limo.pool.decontaminate import REPORTED, DecontaminateSettings, Finding, findings
from limo.pool.dedup import REASONS, REWORDED, STAYS, DedupSettings, reworded, same_text
from limo.pool.engine import Engine, run_each
from limo.pool.evidence import evidence_table, write_evidence
from limo.pool.likeness import N_BANDS, stars
from limo.pool.parts import parts_of, read_table, with_meta, write_table
from limo.pool.prints import BATCH, Array, Columns, Prints, meant, prints

ROWS_A_PASS = 4_000_000  # rows that one pass holds: about 1 GB at its widest
EVIDENCE = "evidence"
_ROW_BITS = 32  # a row is named by its part's number and, in the low 32 bits, its place there


def dedup_parts(
    pool: str | Path,
    out: str | Path,
    settings: DedupSettings,
    engine: Engine,
    progress: Progress | None = None,
    n_passes: int = 0,
) -> Counter[str]:
    """Write the pool's parts without repeated problems into `out`, and why the others went into `out/dropped`.

    `n_passes` 0 takes as many as the memory of one pass asks for; the rows are the same for any number.  Returns how
    many rows were kept and dropped by reason.
    """
    parts, out = parts_of(pool), Path(out)
    work = out / "work"
    at = _Places(work, [str(part) for part in parts])
    names = [part.name for part in parts]
    if not all((out / name).exists() for name in names):
        each = partial(run_each, engine=engine, progress=progress)
        each(partial(_print, at, settings), _missing(work / "prints", [str(number) for number in range(len(parts))]))
        passes = [str(one) for one in range(n_passes or _n_passes(at))]
        n = len(passes)
        each(partial(_texts, at, settings, n), _missing(work / "texts", passes))
        each(partial(_wordings, at, settings, n), _missing(work / "wordings", passes))
        bands = [f"{band}-{one}" for band in range(N_BANDS) for one in passes]
        each(partial(_bands, at, settings, n), _missing(work / "bands", bands))
        left = [str(number) for number, name in enumerate(names) if not (out / name).exists()]
        each(partial(_without, at, out), left)
    shutil.rmtree(work, ignore_errors=True)
    return _counts(out, names)


def decontaminate_parts(
    pool: str | Path,
    out: str | Path,
    benchmarks: Mapping[str, Sequence[Problem]],
    settings: DecontaminateSettings,
    engine: Engine,
    progress: Progress | None = None,
) -> Counter[str]:
    """Write the pool's parts without benchmark problems into `out`, `out/dropped` and `out/evidence` beside them."""
    parts, out = parts_of(pool), Path(out)
    known = out / "work" / "benchmarks.json"
    left = [str(part) for part in parts if not (out / part.name).exists()]
    if left:
        with atomic(known) as aside:  # tasks may run where the benchmarks' files are not
            rows = {name: [asdict(one) for one in problems] for name, problems in benchmarks.items()}
            aside.write_text(json.dumps(rows), encoding="ascii")
        run_each(partial(_clean, known, out, settings), left, engine, progress)
    shutil.rmtree(out / "work", ignore_errors=True)
    return _counts(out, [part.name for part in parts])


def evidence_of(pool: str | Path) -> list[dict[str, Any]]:
    """The evidence of all parts of a decontaminated pool, as `evidence.evidence_table` gives it."""
    import pyarrow.parquet as pq

    return [
        row for part in sorted((Path(pool) / EVIDENCE).glob("*.parquet")) for row in pq.read_table(part).to_pylist()
    ]


class _Places:
    """Where the pool's parts and the files of the steps are; plain, so that it travels to a cluster's workers."""

    def __init__(self, work: Path, parts: list[str]) -> None:
        self.work, self.parts = work, parts

    def file(self, step: str, task: str) -> Path:
        """The one file that a task of a step writes."""
        return self.work / step / f"{task}.parquet"

    def prints(self, columns: Sequence[str]) -> Any:
        """Tables of the given columns of all prints, one a part."""
        import pyarrow.parquet as pq

        for number in range(len(self.parts)):
            yield pq.read_table(self.file("prints", str(number)), columns=list(columns))

    def rows(self, step: str) -> Array:
        """The rows that a step dropped, sorted."""
        import pyarrow.parquet as pq

        files = sorted((self.work / step).glob("*.parquet"))
        return np.sort(np.concatenate([_numbers(pq.read_table(file, columns=["row"]), "row") for file in files]))


def _missing(folder: Path, tasks: Sequence[str]) -> list[str]:
    return [task for task in tasks if not (folder / f"{task}.parquet").exists()]


def _n_passes(at: _Places) -> int:
    """A power of two, so that a key falls to a pass by its low bits."""
    import pyarrow.parquet as pq

    n_rows = sum(pq.read_metadata(at.file("prints", str(number))).num_rows for number in range(len(at.parts)))
    return 1 << max(0, -(-n_rows // ROWS_A_PASS) - 1).bit_length()


def _write(file: Path, columns: Mapping[str, Any]) -> None:
    import pyarrow as pa
    import pyarrow.parquet as pq

    with atomic(file) as aside:  # hashes do not compress, and hardly one comes twice
        pq.write_table(pa.table(dict(columns)), aside, compression="none", use_dictionary=False, row_group_size=65_536)


def _numbers(table: Any, name: str) -> Array:
    return table.column(name).to_numpy()


# The steps of dedup.  Each is a function of the places and a task's name, and writes that task's file.


def _print(at: _Places, settings: DedupSettings, task: str) -> None:
    """The prints of one part."""
    import pyarrow as pa
    import pyarrow.compute as pc

    table = read_table(Path(at.parts[int(task)]), ("id", "problem", "answer", "options", "solution", "source"))
    lengths = pc.utf8_length(table.column("solution")).to_pylist()
    columns = table.drop_columns(["solution"]).to_pydict()
    n = table.num_rows
    batches = [slice(start, start + BATCH) for start in range(0, n, BATCH)] or [slice(0, 0)]
    taken = Prints.joined([
        prints(
            Columns(
                columns["id"][b], columns["problem"][b], columns["answer"][b], lengths[b], columns["source"][b]
            ),
            settings.n,
            settings.prefer,
        )
        for b in batches
    ])  # fmt: skip
    offsets = np.concatenate([[0], taken.gram_ends]).astype(np.int32)
    _write(at.file("prints", task), {
        "row": (int(task) << _ROW_BITS) + np.arange(n),
        **{f"rank{place}": taken.rank[:, place] for place in range(3)},
        **{f"text{place}": taken.text[:, place] for place in range(2)},
        "group": taken.group, "meant": meant(columns["answer"], columns["options"]),
        "grams": pa.ListArray.from_arrays(pa.array(offsets), pa.array(taken.grams)),
        "sketch": pa.FixedSizeBinaryArray.from_buffers(
            pa.binary(taken.sketches.shape[1]), n, [None, pa.py_buffer(np.ascontiguousarray(taken.sketches))]
        ),
        **{f"band{band}": taken.bands[:, band] for band in range(N_BANDS)},
        "source": columns["source"], "given": columns["answer"],
    })  # fmt: skip


def _falling(at: _Places, key: str, task: int, n_passes: int, columns: Sequence[str], without: Array) -> Any:
    """The rows of all prints whose key falls to a pass and that no earlier step dropped, the best first."""
    import pyarrow as pa

    found = []
    for table in at.prints(["row", "rank0", "rank1", "rank2", key, *columns]):
        falls = _numbers(table, key) & np.uint64(n_passes - 1) == np.uint64(task)
        if len(without):
            rows = _numbers(table, "row")
            place = np.minimum(np.searchsorted(without, rows), len(without) - 1)
            falls &= without[place] != rows
        found.append(table.filter(pa.array(falls)))
    table = pa.concat_tables(found).combine_chunks()
    ranks = [_numbers(table, name) for name in ("row", "rank2", "rank1", "rank0")]
    return table.take(pa.array(np.lexsort(ranks)))


def _texts(at: _Places, settings: DedupSettings, n_passes: int, task: str) -> None:
    """Rule A on the texts that fall to this pass."""
    columns = ("text1", "meant", "source", "given")
    table = _falling(at, "text0", int(task), n_passes, columns, np.empty(0, np.int64))
    text = np.stack([_numbers(table, "text0"), _numbers(table, "text1")], axis=1)
    drop_all = settings.conflicts == "drop_all"
    leader, gone = same_text(text, table.column("meant").to_pylist(), np.arange(len(text)), drop_all)
    places = np.flatnonzero(gone != STAYS)
    reasons = [REASONS[code] for code in gone[places].tolist()]
    _verdicts(at.file("texts", task), table, places, leader[places], reasons, None)


def _wordings(at: _Places, settings: DedupSettings, n_passes: int, task: str) -> None:
    """Rule B on the groups that fall to this pass."""
    table = _falling(at, "group", int(task), n_passes, ("grams", "meant", "source", "given"), at.rows("texts"))
    grams = table.column("grams").combine_chunks()
    ends = grams.offsets.to_numpy()[1:].astype(np.int64)
    values = grams.values.to_numpy().copy()  # sorted in place where it matters
    answers, order = table.column("meant").to_pylist(), np.arange(table.num_rows)
    twin, similarity = reworded(_numbers(table, "group"), answers, values, ends, order, settings.reworded)
    places = np.flatnonzero(twin >= 0)
    reasons = [REWORDED] * len(places)
    _verdicts(at.file("wordings", task), table, places, twin[places], reasons, similarity[places])


def _verdicts(file: Path, table: Any, places: Array, twins: Array, reasons: list[str], similarity: Any) -> None:
    """Which rows go, and everything that is to be said about it."""
    import pyarrow as pa

    gone, kept = table.take(pa.array(places)), table.take(pa.array(twins))
    found = pa.table({
        "row": gone.column("row"), "reason": pa.array(reasons, pa.string()), "twin": kept.column("rank1"),
        "similarity": np.ones(len(places)) if similarity is None else similarity,
        "kept_source": kept.column("source"), "kept_answer": kept.column("given"),
    })  # fmt: skip
    found = found.sort_by("row")  # so that a part reads its own rows and no others
    _write(file, {name: found.column(name) for name in found.column_names})


def _bands(at: _Places, settings: DedupSettings, n_passes: int, task: str) -> None:
    """Rule C on one band's keys that fall to this pass: for each row the band's best, where they are alike."""
    band, _, one = task.partition("-")
    gone = np.sort(np.concatenate([at.rows("texts"), at.rows("wordings")]))
    table = _falling(at, f"band{band}", int(one), n_passes, ("sketch",), gone)
    key, n = _numbers(table, f"band{band}"), table.num_rows
    raw = table.column("sketch").combine_chunks().buffers()[1]
    sketches = np.frombuffer(raw, np.uint8).reshape(-1, 80)[:n] if n else np.empty((0, 80), np.uint8)
    best, rows = np.arange(n), np.arange(n)
    stars(np.argsort(key), key, sketches, rows, settings.family, best)
    alike = np.flatnonzero(best != rows)
    # The best one of a family names it, for itself too.
    member, leader = np.r_[alike, np.unique(best[alike])], np.r_[best[alike], np.unique(best[alike])]
    row = _numbers(table, "row")[member]
    by_row = np.argsort(row, kind="stable")
    columns = {name: _numbers(table, name)[leader][by_row] for name in ("rank0", "rank1", "rank2")}
    _write(at.file("bands", task), {"row": row[by_row], **columns})


def _without(at: _Places, out: Path, task: str) -> None:
    """One part of the pool without what was dropped, the others with the name of their family."""
    import pyarrow as pa

    number = int(task)
    part = Path(at.parts[number])
    table = read_table(part)
    why: dict[int, dict[str, Any]] = {}
    for step in ("texts", "wordings"):
        for found in _mine(at, step, number):
            why |= {row["row"] - (number << _ROW_BITS): row for row in found.to_pylist()}
    rows = np.array(sorted(why), np.int64)
    told = table.select(["id", "source", "answer"]).take(pa.array(rows)).to_pylist()
    gone = [_gone(one, why[row]) for row, one in zip(rows.tolist(), told, strict=True)]
    stays = np.ones(table.num_rows, bool)
    stays[rows] = False
    named = {row: ("family", f"{leader:016x}") for row, leader in _families(at, number, table.num_rows)}
    kept = with_meta(table, named, part).filter(pa.array(stays))
    write_table(out / part.name, kept, gone)


def _mine(at: _Places, step: str, part: int) -> Any:
    """What the tasks of a step found about the rows of one part, a table a task."""
    import pyarrow.parquet as pq

    inside = [("row", ">=", part << _ROW_BITS), ("row", "<", (part + 1) << _ROW_BITS)]
    for file in sorted((at.work / step).glob("*.parquet")):
        yield pq.read_table(file, filters=inside)


def _families(at: _Places, part: int, n_rows: int) -> list[tuple[int, int]]:
    """The rows of a part that have a family, and its name: the id of the best row that any band found it alike to."""
    found = list(_mine(at, "bands", part))
    row, *rank = (np.concatenate([_numbers(one, name) for one in found]) for name in ("row", "rank0", "rank1", "rank2"))
    order = np.lexsort((rank[2], rank[1], rank[0], row))
    row, leader = row[order] - (part << _ROW_BITS), rank[1][order]
    first = np.flatnonzero(np.r_[True, row[1:] != row[:-1]]) if len(row) else np.empty(0, np.int64)
    return list(zip(row[first].tolist(), leader[first].tolist(), strict=True))


def _gone(problem: Mapping[str, str], row: Mapping[str, Any]) -> Dropped:
    detail: dict[str, object] = {
        "duplicate_of": f"{row['twin']:016x}",
        "similarity": round(row["similarity"], 3),
        "source": problem["source"],
        "kept_source": row["kept_source"],
        "answer": problem["answer"],
        "kept_answer": row["kept_answer"],
    }
    return Dropped(problem["id"], "dedup", row["reason"], detail)


# The step of decontamination.


def _clean(known: Path, out: Path, settings: DecontaminateSettings, task: str) -> None:
    """One part without benchmark problems, and the evidence, which is written first."""
    import pyarrow as pa

    part, index = Path(task), _index(known.read_text(encoding="ascii"), settings.model_dump_json())
    table = read_table(part)
    ids, texts, sources = (table.column(name).to_pylist() for name in ("id", "problem", "source"))
    found: dict[int, Finding] = {}
    for start in range(0, len(ids), SEARCHED):
        batch = slice(start, start + SEARCHED)
        found |= {start + row: one for row, one in findings(ids[batch], texts[batch], index, settings).items()}
    gone = [(row, one.as_dropped(sources[row])) for row, one in found.items() if one.dropped]
    near = {row: (REPORTED, one.hits) for row, one in found.items() if not one.dropped}
    reported = [Problem(ids[row], texts[row], "", source=sources[row], meta=dict([key])) for row, key in near.items()]
    write_evidence(evidence_table(reported, [one for _, one in gone]), out / EVIDENCE / part.name)
    stays = np.ones(len(ids), bool)
    stays[[row for row, _ in gone]] = False
    write_table(out / part.name, with_meta(table, near, part).filter(pa.array(stays)), [one for _, one in gone])


@lru_cache(maxsize=1)
def _index(known: str, settings: str) -> Index:
    """The benchmarks' index, made once a process and not once a part."""
    benchmarks = {name: [Problem(**one) for one in problems] for name, problems in json.loads(known).items()}
    return DecontaminateSettings.model_validate_json(settings).index(benchmarks)


def _counts(out: Path, names: Sequence[str]) -> Counter[str]:
    """Rows kept and dropped by reason."""
    import pyarrow.parquet as pq

    counts: Counter[str] = Counter()
    for name in names:
        counts["kept"] += pq.read_metadata(out / name).num_rows
        counts.update(pq.read_table(out / "dropped" / name, columns=["reason"]).column("reason").to_pylist())
    return counts
