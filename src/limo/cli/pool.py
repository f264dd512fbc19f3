"""The commands of the pool: ingest, dedup, decontaminate, strata; and the benchmarks that are kept out of it.

limo pool ingest math.jsonl folder/ -o pool/              # a folder: any size, in shards, resumable
limo pool dedup pool/ -o clean/
limo pool decontaminate clean/ --benchmarks eval/data -o safe/
limo pool decontaminate train.jsonl --check               # is somebody else's training set clean?
limo pool strata clean/ by=stated 'cuts=[3, 5]' -o strata/
limo benchmarks list
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING

import click

from limo.cli.command import OVERRIDES, Call, aligned_table, command, output
from limo.cli.evidence import ContaminationReport
from limo.core.errors import InputError, LimoError

if TYPE_CHECKING:
    from limo.core.records import Dropped, PassRate, Problem

DROPPED = click.option("--dropped", metavar="FILE", help="Write what was dropped, and why, as JSON lines.")
POOL = "The pool: a folder (shards, for any size), .parquet, .jsonl or .jsonl.gz."
EXECUTOR = click.option(
    "--executor", type=click.Choice(["local", "ray"]), default="local", help="With a folder: where its shards are read."
)
PATH = click.option("--benchmarks", metavar="PATH", help="Folder or file where they are.  [default: the hub's cache]")


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
    click.option("--keep-unverifiable", is_flag=True, help="Keep problems whose answer no rule can check."),
    group=pool,
)
def pool_ingest(
    call: Call, sources: tuple[str, ...], output: str, dropped: str | None, keep_unverifiable: bool
) -> None:
    """Read files, folders, saved datasets or hub ids into one pool."""
    from limo.pool.ingest import IngestSettings, ingest
    from limo.verify.checker import Checker

    settings = IngestSettings(keep_unverifiable=keep_unverifiable)
    if _is_folder(output):
        from limo.pool.shards import ingest_shards

        counts = ingest_shards(sources, output, Checker().why_not, settings, call.progress)
        _report_shards(call, counts, output, dropped)
        return
    ingested = ingest(sources, Checker().why_not, settings)
    _write_pool(call, ingested.problems, ingested.dropped, output, dropped)


@command("dedup", click.argument("file"), OVERRIDES, output(POOL), DROPPED, EXECUTOR, group=pool)
def pool_dedup(
    call: Call, file: str, overrides: tuple[str, ...], output: str, dropped: str | None, executor: str
) -> None:
    """Drop repeated problems, telling rewordings from problems with other numbers."""
    from limo.core.recipe import load
    from limo.pool.dedup import DedupSettings, dedup, dedup_shards
    from limo.pool.ingest import read_pool
    from limo.pool.tasks import ExecutorSettings

    settings = load(DedupSettings, None, overrides)
    if _is_folder(output):
        where = ExecutorSettings.model_validate({"kind": executor})
        _report_shards(call, dedup_shards(file, output, settings, where, call.progress), output, dropped)
        return
    _write_pool(call, *dedup(read_pool(file), settings), output, dropped)


@command(
    "decontaminate",
    click.argument("file"),
    OVERRIDES,
    click.option("--benchmark", multiple=True, metavar="NAME", help="A benchmark; may be repeated.  [default: all]"),
    PATH,
    output(POOL, required=False),
    DROPPED,
    click.option("--evidence", metavar="FILE", help="Write every hit, with both texts, as Parquet."),
    click.option("--report", metavar="FILE", help="Write the evidence as one page to read (.html)."),
    click.option("--check", is_flag=True, help="Only look: any training set, answered or not; no pool is written."),
    EXECUTOR,
    group=pool,
)
def pool_decontaminate(
    call: Call,
    file: str,
    overrides: tuple[str, ...],
    benchmark: tuple[str, ...],
    benchmarks: str | None,
    output: str | None,
    dropped: str | None,
    evidence: str | None,
    report: str | None,
    check: bool,
    executor: str,
) -> None:
    """Drop problems that stand in a benchmark, each with its evidence."""
    from limo.core.recipe import load
    from limo.pool.decontaminate import DecontaminateSettings, decontaminate, decontaminate_shards
    from limo.pool.evidence import evidence_table, read_evidence
    from limo.pool.ingest import read_pool, statements
    from limo.pool.tasks import ExecutorSettings

    if check == bool(output):
        raise InputError("either a pool is written, or only checked", file, "-o POOL, or --check", "give one of them")
    settings = load(DecontaminateSettings, None, overrides)
    known, missing = _load_benchmarks(benchmark or settings.benchmarks, benchmarks or settings.path)
    call.progress.log(f"against {', '.join(known)}" + (f"; not in the folder: {', '.join(missing)}" if missing else ""))
    if output and _is_folder(output):
        where = ExecutorSettings.model_validate({"kind": executor})
        counts = decontaminate_shards(file, output, known, settings, where, call.progress)
        contamination = ContaminationReport(read_evidence(output), list(known), missing)
        contamination.write(evidence, report)
        _report_shards(call, counts, output, dropped, contamination)
        return
    problems, without_statement = statements(file) if check else (read_pool(file), [])
    kept, removed = decontaminate(problems, known, settings)
    contamination = ContaminationReport(evidence_table(kept, removed), list(known), missing)
    contamination.write(evidence, report)
    if check:
        call.result(*contamination.of_check(len(problems), len(without_statement)))
    else:
        _write_pool(call, kept, removed, str(output), dropped, contamination)


def _load_benchmarks(names: Sequence[str], path: str) -> tuple[Mapping[str, Sequence[Problem]], list[str]]:
    """The benchmarks to compare with; of a folder, where none is named, those that it holds, and what it lacks."""
    from limo.pool.sources.benchmarks import load_benchmarks, load_present

    if path and not names and Path(path).is_dir():
        return load_present(path)
    return load_benchmarks(names, path or None), []


def _is_folder(output: str) -> bool:
    """Whether the output is a folder of shards: a name without a file's ending."""
    return not output.lower().endswith((".parquet", ".jsonl", ".jsonl.gz", ".json", ".csv", ".gz"))


def _report_shards(
    call: Call,
    counts: Counter[str],
    output: str,
    dropped: str | None,
    contamination: ContaminationReport | None = None,
) -> None:
    """The result of a command that wrote shards."""
    if dropped:
        from limo.pool.shards import dropped_of
        from limo.stages.rows import write_rows

        write_rows([asdict(row) for row in dropped_of(output)], dropped)
    by_reason = Counter({reason: n for reason, n in counts.items() if reason != "kept"})
    _report(call, counts["kept"], by_reason, output, contamination)


def _write_pool(
    call: Call,
    kept: list[Problem],
    removed: Sequence[Dropped],
    output: str,
    dropped: str | None,
    contamination: ContaminationReport | None = None,
) -> None:
    from limo.pool.ingest import write_pool
    from limo.stages.rows import write_rows

    by_reason = Counter(row.reason for row in removed)
    if not kept:
        reasons = ", ".join(f"{reason} {n:,}" for reason, n in by_reason.most_common())
        raise InputError("no problem is left", reasons or "none came in", "one or more", "see --dropped FILE")
    if dropped:
        write_rows([asdict(row) for row in removed], dropped)
    _report(call, write_pool(kept, output), by_reason, output, contamination)


def _report(
    call: Call, n_kept: int, by_reason: Counter[str], output: str, contamination: ContaminationReport | None
) -> None:
    rows = [["kept", n_kept], *([reason, n] for reason, n in by_reason.most_common())]
    value = {"n_kept": n_kept, "n_dropped": sum(by_reason.values()), "n_by_reason": dict(by_reason), "output": output}
    text = aligned_table([["what", "problems"], *rows])
    if contamination:
        value |= contamination.benchmark_names()
        text += f"\n\n{contamination.totals()}" if contamination.hits else ""
    call.result(value, text)


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
    drawn = {name: members[: settings.n] for name, members in strata.items()}
    rows: list[list[object]] = [["stratum", "in the pool", "drawn", "file"]]
    for name, members in drawn.items():
        path = Path(output) / f"{name.lower()}.parquet"
        path.unlink(missing_ok=True)  # an earlier draw
        if members:
            write_pool(members, str(path))
        rows.append([name, len(strata[name]), len(members), str(path) if members else "none"])
    n_left = len(problems) - sum(map(len, strata.values()))
    value = {
        "n_by_stratum": {name: len(members) for name, members in drawn.items()},
        "n_unknown": n_left,
        "output": output,
    }
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
    from limo.pool.sources.benchmarks import benchmarks as known
    from limo.stages.evaluate import paper_decoding

    rows: list[list[object]] = [["benchmark", "group", "rows", "decoding", "judge", "here" if path else "home"]]
    value = {}
    for name, entry in known().items():
        decoding = paper_decoding(name)
        how = f"{decoding.n} at {decoding.temperature}" if decoding.n > 1 else "greedy"
        where = _availability(name, path) if path else entry.home
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
    from limo.pool.sources.benchmarks import benchmark

    entry = benchmark(name).model_dump(mode="json")
    rows: list[list[object]] = [["what", "value"], *([key, value] for key, value in entry.items() if value)]
    if path:
        loaded = _summary(name, path)
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
    n, repeats = write_pool(problems, output), duplicates(problems)
    call.result(
        {"name": name, "n": n, "n_repeats": len(repeats), "output": output},
        f"{n:,} rows of {name} in {output}; {len(repeats)} repeat an earlier row",
    )


def _summary(name: str, path: str) -> dict[str, object]:
    from limo.pool.sources.benchmarks import duplicates, load_benchmark

    problems = load_benchmark(name, path)
    repeats = [(row.detail["row"], row.detail["first_row"]) for row in duplicates(problems)]
    return {"rows here": len(problems), "rows that repeat another": ", ".join(f"{a}={b}" for a, b in repeats) or "none"}


def _availability(name: str, path: str) -> str:
    from limo.pool.sources.benchmarks import load_benchmark

    try:
        return f"{len(load_benchmark(name, path))} rows"
    except LimoError as error:
        return str(error).split(" (allowed")[0]


COMMANDS = (pool, benchmarks)
