"""The command that grades chains: by their words, by their structure, or by a model that judges them.

    limo grade chains.jsonl -o graded.jsonl
    limo grade chains.jsonl scorer=structure --audit --against plain.jsonl
    limo grade chains.jsonl --recipe judge -o judged.jsonl

A judge's replies are kept in a ledger beside the file, so that the same command again asks nothing.

What it does not do: select (`loose`), or grade within a curation (`road`).
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

import click

from limo.cli.shape import OVERRIDES, Call, command, output, table
from limo.core.errors import InputError, PartialError

if TYPE_CHECKING:
    from limo.cli.recipes import GradeRecipe
    from limo.core.records import Chain, Grade
    from limo.curate.grade import GradeSettings

Row = dict[str, Any]
SHOWN = 8


@command(
    "grade",
    click.argument("file"),
    OVERRIDES,
    output("The rows with traits, score and level.", required=False),
    click.option("--recipe", metavar="RECIPE", help="Settings from a file, a judge's among them."),
    click.option("--ledger", metavar="FILE", help="Where a judge's replies are kept.  [default: beside the rows]"),
    click.option(
        "--audit", is_flag=True, help="What scores go with and what fools them; each scorer beside the other."
    ),
    click.option("--against", metavar="FILE", help="With --audit: chains that should score lower."),
)
def grade(
    call: Call, file: str, overrides: tuple[str, ...], output: str | None, recipe: str | None, ledger: str | None,
    audit: bool, against: str | None,
) -> None:  # fmt: skip
    """Grade the reasoning of chains.

    Traits, score and level (L1 to L5), relative to the chains of the file; scorer=structure looks at what a chain
    does instead of its words, scorer=judge asks a model (recipes/judge.yaml), each chain once, ever.
    """
    from limo.cli import audits
    from limo.cli.recipes import GradeRecipe
    from limo.cli.rows import chains_of, read_rows
    from limo.core.recipe import load
    from limo.curate import grade as room

    settings = load(GradeRecipe, recipe, overrides)
    rows = read_rows(file)
    chains = chains_of(rows)
    is_judged = settings.scorer == "judge"
    if not audit and not output and not is_judged:
        raise InputError("there is nothing to do", file, "-o FILE, --audit or both", "say where the grades should go")
    if audit:
        lower = chains_of(read_rows(against)) if against else []
        value, text = audits.audited(chains, rows, lower, settings.model_copy(update={"scorer": "limo-v2"}))
        call.result(value, text)
    if is_judged:
        _judge(call, rows, chains, settings, ledger or f"{file.rstrip('/')}.judged.sqlite", output)
    elif output:
        _write(call, rows, room.grade(chains, settings), settings, output)


def _judge(
    call: Call, rows: Sequence[Row], chains: Sequence[Chain], settings: GradeRecipe, ledger: str, output: str | None
) -> None:
    """Ask the judge about what it has not judged yet, say how far it agrees with the others, and write the grades."""
    from limo.cli.rows import statement_of
    from limo.curate import grade as room
    from limo.ledger.store import Ledger
    from limo.models.settings import open_model
    from limo.rollouts import judging
    from limo.rollouts.runner import RolloutRunner

    if settings.judge is None:
        do = "give one: --recipe judge"
        raise InputError("nobody is there to judge", "scorer: judge", "`judge` with one model or more", do)
    statements = [statement_of(row, number) for number, row in enumerate(rows, 1)]
    prices = {model.name: model.price for model in settings.judge.models}
    runner = RolloutRunner(open_model, settings.data, call.progress, settings.budget, prices)
    with Ledger(ledger) as book:
        n_before = len(book)
        columns, missing = judging.judge_chains(chains, statements, settings.judge, runner, book)
        n_asked = len(book) - n_before
    places = [place for place in range(len(chains)) if place not in missing]
    marked = [chains[place] for place in places]
    grades = room.grade(marked, settings, columns)
    if output and marked:
        _write(call, [rows[place] for place in places], grades, settings, output)
    told = f"{n_asked:,} judgements were asked for; all are in {ledger}"
    value, text = _agreement(marked, columns, settings)
    call.result({**value, "n_asked": n_asked, "missing": missing}, f"{text}\n\n{told}")
    if missing:
        why = ", ".join(f"row {place + 1} ({reason})" for place, reason in list(missing.items())[:SHOWN])
        do = "ask more replies of each (judge.n), with more room (judge.sampling.max_tokens), or another judge"
        raise PartialError(f"{len(missing):,} of {len(rows):,} chains have no marks and were not graded", why, "", do)


def _agreement(
    chains: Sequence[Chain], columns: dict[str, list[float]], settings: GradeSettings
) -> tuple[dict[str, Any], str]:
    """How far each two of the three scorers agree, levels being fifths of these chains."""
    from limo.curate.agreement import agreement
    from limo.curate.grade import GradeSettings, grade

    plain = GradeSettings(length_bins=settings.length_bins)
    by = {
        name: grade(chains, plain.model_copy(update={"scorer": name}), columns)
        for name in ("judge", "limo-v2", "structure")
    }
    pairs = [("judge", "limo-v2"), ("judge", "structure"), ("limo-v2", "structure")]
    found = {f"{one} and {other}": agreement(by[one], by[other]) for one, other in pairs}
    lines: list[list[object]] = [["scorers", "chains", "rank correlation", "same level", "weighted kappa"]]
    lines += [
        [name, one.n, f"{one.correlation:+.2f}", f"{one.same:.0%}", f"{one.kappa:+.2f}"] for name, one in found.items()
    ]
    return {"agreement": {name: asdict(one) for name, one in found.items()}}, table(lines)


def _write(call: Call, rows: Sequence[Row], grades: Sequence[Grade], settings: GradeSettings, output: str) -> None:
    from limo.cli.rows import write_rows
    from limo.curate.grade import traits_of

    write_rows([row | asdict(grade) for row, grade in zip(rows, grades, strict=True)], output)
    traits = traits_of(settings)
    heads = ["level", "chains", "score", *traits]
    n_by_level = Counter(one.level for one in grades)
    call.result({"n_by_level": n_by_level, "output": output}, table([heads, *_by_level(grades, traits)]) + "\n")


def _by_level(grades: Sequence[Grade], traits: Sequence[str]) -> list[list[object]]:
    from limo.core.records import LEVELS

    rows: list[list[object]] = []
    for level in LEVELS:
        of = [one for one in grades if one.level == level]
        if of:
            means = [sum(one.traits[name] for one in of) / len(of) for name in traits]
            score = sum(one.score for one in of) / len(of)
            rows.append([level, len(of), f"{score:.2f}", *(f"{mean:.2f}" for mean in means)])
    return rows


COMMANDS = (grade,)
