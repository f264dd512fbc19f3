"""The commands of the pool: ingest, dedup, decontaminate, strata; and the benchmarks that are kept out of it.

limo pool ingest math.jsonl folder/ -o pool/              # a folder: any size, in shards, resumable
limo pool dedup pool/ -o clean/
limo pool decontaminate clean/ --benchmarks eval/data -o safe/
limo pool decontaminate train.jsonl --check               # is somebody else's training set clean?
limo pool strata clean/ by=stated 'cuts=[3, 5]' -o strata/
limo benchmarks list
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from limo.cli.arguments import refuse_ignored
from limo.cli.command import OVERRIDES, Call, aligned_table, command, named_columns, output
from limo.core.errors import InputError, LimoError

if TYPE_CHECKING:
    from limo.core.records import Dropped, PassRate, Problem
    from limo.pool.shards import Written
    from limo.pool.tasks import ExecutorSettings

DROPPED = click.option("--dropped", metavar="FILE", help="Write what was dropped, and why, as JSON lines.")
POOL = "The pool: a folder (shards, for any size), .parquet, .jsonl or .jsonl.gz."
EXECUTOR = click.option(
    "--executor", type=click.Choice(["local", "ray"]), default="local", help="With a folder: where its shards are read."
)
MAX_ON_PAGE = 200  # hits that a page spells out; the evidence holds all


@click.group("pool")
def pool() -> None:
    """Sets of problems.

    Read any shape, drop duplicates, keep benchmarks out.
    """


@command(
    "ingest",
    click.argument("sources", nargs=-1, required=True, metavar="SOURCE..."),
    output(POOL),
    DROPPED,
    click.option(
        "--field", "fields", multiple=True, metavar="NAME=COLUMN", help="Which column holds what, as `problem=stem`."
    ),
    click.option("--keep-unverifiable", is_flag=True, help="Keep problems whose answer no rule can check."),
    group=pool,
)
def pool_ingest(
    call: Call,
    sources: tuple[str, ...],
    output: str,
    dropped: str | None,
    fields: tuple[str, ...],
    keep_unverifiable: bool,
) -> None:
    """Read files, folders, saved datasets or hub ids into one pool."""
    from limo.core.recipe import load
    from limo.pool.ingest import IngestSettings, Source, ingest, with_fields
    from limo.pool.shards import ingest_shards, write_output
    from limo.pool.sources.fields import FieldMap
    from limo.pool.sources.guess import named
    from limo.verify.checker import Checker

    named_columns(fields)
    mapping = load(FieldMap, None, fields)
    mapped = [with_fields(Source(path=path, fields=mapping)) for path in sources]
    for source in mapped:
        if columns := ", ".join(f"{name}={column}" for name, column in named(source.fields).items()):
            call.progress.log(f"{source.path}: {columns}")
    given = (
        mapped,
        Checker().why_not,
        IngestSettings(keep_unverifiable=keep_unverifiable),
    )
    written = write_output(
        output, lambda: ingest(*given), lambda: ingest_shards(output, *given, call.progress), dropped
    )
    _print_written(call, written)


@command(
    "dedup",
    click.argument("file"),
    OVERRIDES,
    output(POOL),
    DROPPED,
    click.option(
        "--conflicts",
        metavar="FILE",
        help="Write equal problems whose answers differ, as JSON lines.  [default: conflicts.jsonl in a folder]",
    ),
    EXECUTOR,
    group=pool,
)
def pool_dedup(
    call: Call,
    file: str,
    overrides: tuple[str, ...],
    output: str,
    dropped: str | None,
    conflicts: str | None,
    executor: str,
) -> None:
    """Drop repeated problems, telling rewordings from problems with other numbers."""
    from limo.core.recipe import load
    from limo.core.rows import write_rows
    from limo.pool.dedup import ANOTHER_ANSWER, DedupSettings, dedup, dedup_shards
    from limo.pool.ingest import read_pool
    from limo.pool.shards import write_output

    settings = load(DedupSettings, None, overrides)
    in_shards = lambda: dedup_shards(file, output, settings, _executor(executor), call.progress)  # noqa: E731
    written = write_output(output, lambda: dedup(read_pool(file), settings), in_shards, dropped)
    rows = [{"problem_id": row.problem_id, **row.detail} for row in written.read_dropped(ANOTHER_ANSWER)]
    table = conflicts or (None if written.rows else str(Path(output) / "conflicts.jsonl"))
    if table:
        write_rows(rows, table)
    text = f"\n{len(rows):,} equal problems with other answers in {table}" if table and rows else ""
    _print_written(call, written, {"conflicts": table, "n_conflicts": len(rows)}, text)


@command(
    "decontaminate",
    click.argument("file"),
    OVERRIDES,
    click.option(
        "--benchmark",
        multiple=True,
        metavar="NAME[=FILE]",
        help="A benchmark, or a file or pool of yours; may be repeated.  [default: all]",
    ),
    click.option("--benchmarks", metavar="PATH", help="Folder or file where they are.  [default: the hub's cache]"),
    output(POOL, required=False),
    DROPPED,
    click.option("--evidence", metavar="FILE", help="Write every hit, with both texts, as Parquet."),
    click.option("--report", metavar="FILE", help="Write the evidence as one page to read (.html)."),
    click.option("--check", is_flag=True, help="Only look: any training set, answered or not; no pool is written."),
    EXECUTOR,
    group=pool,
)
def pool_decontaminate(
    call: Call, file: str, overrides: tuple[str, ...], benchmark: tuple[str, ...], benchmarks: str | None,
    output: str | None, dropped: str | None, evidence: str | None, report: str | None, check: bool, executor: str,
) -> None:  # fmt: skip
    """Drop problems that stand in a benchmark, each with its evidence."""
    from limo.core.recipe import load
    from limo.pool import evidence as found
    from limo.pool.decontaminate import DecontaminateSettings, decontaminate, decontaminate_shards
    from limo.pool.ingest import read_pool, read_statements
    from limo.pool.shards import write_output
    from limo.pool.sources.benchmarks import find_benchmarks

    if check == bool(output):
        raise InputError("either a pool is written, or only checked", file, "-o POOL, or --check", "give one of them")
    settings = load(DecontaminateSettings, None, overrides)
    names, folder = benchmark or settings.benchmarks, benchmarks or settings.path
    if not folder and not (names and all("=" in name for name in names)):
        call.progress.log("reading benchmarks from the hub, or its cache where there is no network")
    if names and all("=" in name for name in names):
        refuse_ignored(["benchmarks"], "where every benchmark is a file of yours")
    known, missing = find_benchmarks(names, folder)
    call.progress.log(f"against {', '.join(known)}" + (f"; not in the folder: {', '.join(missing)}" if missing else ""))
    problems, without_statement = ([], []) if output else read_statements(file)
    written: Written | None = None
    hits: list[dict[str, Any]] = []

    def split() -> tuple[list[Problem], list[Dropped]]:
        parts = decontaminate(read_pool(file) if output else problems, known, settings)
        hits.extend(found.evidence_table(*parts))
        _write_hits(hits, list(known), missing, evidence, report)  # where nothing is left, an error of the pool, too
        return parts

    if output:
        where = known, settings, _executor(executor), call.progress
        in_shards = lambda: decontaminate_shards(file, output, *where)  # noqa: E731
        written = write_output(output, split, in_shards, dropped)
    if not written:
        split()
    elif not written.rows:
        hits.extend(found.read_evidence(str(output)))
        _write_hits(hits, list(known), missing, evidence, report)
    compared = {"benchmarks": list(known), "missing_benchmarks": missing}
    rows: list[list[object]] = [["benchmark", "source", "method", "decision", "problems"]]
    totals = aligned_table(rows + [list(row.values()) for row in found.totals(hits)]) if hits else ""
    if any(row["decision"] == "report" for row in hits):
        totals += "\nreport: alike, but by the recipe not the same problem, so they stay in the pool"
    if written:
        _print_written(call, written, compared, totals and f"\n\n{totals}")
        return
    n_hit, n_blank = len({row["problem_id"] for row in hits if row["decision"] == "drop"}), len(without_statement)
    value = {"n_problems": len(problems), "n_without_statement": n_blank, "n_contaminated": n_hit, **compared}
    text = f"{n_hit:,} of {len(problems):,} problems stand in a benchmark"
    text += f"; {n_blank:,} rows have no statement" if n_blank else ""
    n_pairs = f"\npairs of a problem and a benchmark problem: {len(hits):,}"
    text += f"{n_pairs}\n\n{totals}\n\n{found.render(hits)}" if hits else ""
    call.result({**value, "totals": found.totals(hits), "hits": hits}, text)


def _executor(kind: str) -> ExecutorSettings:
    from limo.pool.tasks import ExecutorSettings

    return ExecutorSettings.model_validate({"kind": kind})


def _print_written(call: Call, written: Written, more: Mapping[str, object] | None = None, text: str = "") -> None:
    """The counts of a command that wrote a pool."""
    n, reasons = written.n_kept, written.n_by_reason
    value = {"n_kept": n, "n_dropped": reasons.total(), "n_by_reason": dict(reasons), "output": written.output}
    rows: list[list[object]] = [["what", "problems"], ["kept", n], *map(list, reasons.most_common())]
    call.result({**value, **(more or {})}, aligned_table(rows) + text)


def _write_hits(
    hits: list[dict[str, Any]], benchmarks: list[str], missing: Sequence[str], table: str | None, path: str | None
) -> None:
    """All hits as a table, and the surest as a page, where these are named."""
    from limo.pool.evidence import write_evidence

    if table:
        write_evidence(hits, table)
    if not path:
        return
    from limo.report import page
    from limo.report.content import LocalizedText, Report
    from limo.stages.reports.curation import contamination_parts

    notes = [LocalizedText(f"Compared with {', '.join(benchmarks)}.", f"对照的基准：{', '.join(benchmarks)}。")]
    if missing:
        absent = ", ".join(missing)
        notes.append(LocalizedText(f"Not compared with, since not there: {absent}.", f"缺失而未对照：{absent}。"))
    parts: dict[str, Any] = contamination_parts(hits, MAX_ON_PAGE)
    content = Report(title=LocalizedText("Contamination", "污染"), notes=notes, paper=False, **parts)
    page.write(content, path)


@command(
    "strata",
    click.argument("file"),
    OVERRIDES,
    click.option("--run", metavar="DIR", help="With by=pass_rate: the run whose ledger has the rollouts."),
    click.option("--model", metavar="NAME", help="With by=pass_rate: whose rollouts count."),
    click.option("-o", "--output", required=True, metavar="DIR", help="Gets a pool of each: simple.parquet, ..."),
    group=pool,
)
def pool_strata(
    call: Call, file: str, overrides: tuple[str, ...], run: str | None, model: str | None, output: str
) -> None:
    """Draw Simple, Complex and Advanced problems from a pool.

    By source as the paper does, by the difficulty that sources state, or by a model's pass rates.
    """
    from limo.core.recipe import load
    from limo.curate.strata import StrataSettings, stratify
    from limo.pool.ingest import read_pool, write_pool

    settings = load(StrataSettings, None, overrides)
    if (settings.by == "pass_rate") != bool(run and model):
        allowed = "by=pass_rate with --run and --model, or neither"
        raise InputError("pass rates come from a run and are one model's", f"by={settings.by}", allowed, "give both")
    problems = read_pool(file)
    rates = _rates(run, model) if run and model else {}
    strata = stratify(problems, settings.model_copy(update={"n": None}), rates)
    rows: list[list[object]] = [["stratum", "in the pool", "drawn", "file"]]
    for name, members in strata.items():
        path, drawn = Path(output) / f"{name.lower()}.parquet", members[: settings.n]
        path.unlink(missing_ok=True)  # an earlier draw
        rows.append([name, len(members), write_pool(drawn, path) if drawn else 0, str(path) if drawn else "none"])
    n_left = len(problems) - sum(map(len, strata.values()))
    value = {"n_by_stratum": {row[0]: row[2] for row in rows[1:]}, "n_unknown": n_left, "output": output}
    text = f"{n_left:,} of {len(problems):,} problems are in no stratum: their rows do not state what `by` needs"
    call.result(value, aligned_table(rows) + (f"\n{text}" if n_left else ""))


def _rates(run: str, model: str) -> dict[str, PassRate]:
    """A model's pass rate on each problem over all its rollouts in the run.  Raises InputError for no rollouts."""
    from limo.core.records import PassRate
    from limo.core.run_folder import RunFolder
    from limo.ledger.store import Ledger

    outcomes: dict[str, list[str]] = {}
    with Ledger(RunFolder(run).ledger_path, read_only=True) as ledger:
        names = sorted(ledger.usage_by_model())
        for rollout in ledger.rollouts(model) if model in names else ():
            if rollout.verdict is not None:
                outcomes.setdefault(rollout.problem_id, []).append(rollout.verdict.outcome)
    if not outcomes:
        raise InputError("the run has no rollouts of this model", model, ", ".join(names) or "none", "name another")
    return {
        problem_id: PassRate(model, len(of), len(of) - of.count("undecided"), of.count("correct"))
        for problem_id, of in outcomes.items()
    }


@click.group("benchmarks")
def benchmarks() -> None:
    """Pools that are never trained on.

    Those of the paper, what is known of each, and their rows from the hub or from a file.
    """


@command(
    "list",
    click.option("--path", metavar="PATH", help="Say which of them are in this folder, whole or not."),
    group=benchmarks,
)
def benchmarks_list(call: Call, path: str | None) -> None:
    """All that are known.

    The paper's group, rows, decoding, and where they are published or whether they are here.
    """
    from limo.pool.sources import benchmarks as sources
    from limo.stages.evaluate import paper_decoding

    rows: list[list[object]] = [["benchmark", "group", "rows", "decoding", "judge", "here" if path else "home"]]
    value = {}
    for name, entry in sources.benchmarks().items():
        decoding = paper_decoding(name)
        how = f"{decoding.n} at {decoding.temperature}" if decoding.n > 1 else "greedy"
        where = entry.home
        if path:
            try:
                where = f"{len(sources.load_benchmark(name, path))} rows"
            except LimoError as error:
                where = error.what
        rows.append([name, entry.group, entry.n, how, "model" if entry.judge else "rules", where])
        value[name] = entry.model_dump(mode="json") | ({"here": where} if path else {})
    call.result({"benchmarks": value}, aligned_table(rows))


@command(
    "show",
    click.argument("name"),
    click.option(
        "--path", metavar="PATH", help="Its file or folder: count its rows and name those that repeat another."
    ),
    group=benchmarks,
)
def benchmarks_show(call: Call, name: str, path: str | None) -> None:
    """What is known of one: hub id, revision, licence, fields, decoding."""
    from limo.pool.sources.benchmarks import benchmark, duplicates, load_benchmark

    entry = benchmark(name).model_dump(mode="json")
    rows: list[list[object]] = [["what", "value"], *([key, value] for key, value in entry.items() if value)]
    if path:
        problems = load_benchmark(name, path)
        repeats = ", ".join(f"{row.detail['row']}={row.detail['first_row']}" for row in duplicates(problems))
        loaded = {"rows here": len(problems), "rows that repeat another": repeats or "none"}
        entry |= loaded
        rows += [[key, value] for key, value in loaded.items()]
    call.result({"name": name, **entry}, aligned_table(rows))


@command(
    "fetch",
    click.argument("name"),
    click.option("--path", metavar="PATH", help="A file or folder of yours.  [default: the hub and its cache]"),
    click.option("--seed", type=int, default=0, help="Orders the options of a benchmark without a fixed order (GPQA)."),
    output("The benchmark as a pool: .parquet, .jsonl or .jsonl.gz."),
    group=benchmarks,
)
def benchmarks_fetch(call: Call, name: str, path: str | None, seed: int, output: str) -> None:
    """Write a benchmark's rows as a pool, all of them, with the number that repeat an earlier one."""
    from limo.pool.ingest import write_pool
    from limo.pool.sources.benchmarks import duplicates, load_benchmark

    problems = load_benchmark(name, path, seed)
    n, n_repeats = write_pool(problems, output), len(duplicates(problems))
    text = f"{n:,} rows of {name} in {output}; {n_repeats} repeat an earlier row"
    call.result({"name": name, "n": n, "n_repeats": n_repeats, "output": output}, text)


COMMANDS = (pool, benchmarks)
