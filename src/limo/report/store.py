"""A report as JSON: checked, saved, and loaded again; it can be drawn from its JSON alone."""

from __future__ import annotations

import json
import math
import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any

from limo.core.errors import InputError, MissingFileError, foreign_data
from limo.core.files import write_text
from limo.core.records import LEVELS
from limo.core.text import parse_json
from limo.report.content import FORMAT, AverageRow, LevelRow, Report, ScoreRow


def check(report: Report) -> None:
    """Raise InputError, listing the errors, for impossible numbers and undefined or repeated names."""
    faults = "; ".join([*_name_faults(report), *_number_faults(report)][:8])
    if faults:
        allowed = "shares in 0..1 with low <= value <= high, names that are defined"
        what = "the report's content does not hold together"
        raise InputError(what, faults, allowed, "measure again or mend the JSON")


def _name_faults(report: Report) -> Iterator[str]:
    arms, benchmarks = [arm.name for arm in report.arms], [row.name for row in report.benchmarks]
    for names, what in ((arms, "arm"), (benchmarks, "benchmark")):
        yield from (f"{what} {name!r} is defined twice" for name in sorted({n for n in names if names.count(n) > 1}))
    used = {row.arm for row in report.scores} | {row.arm for row in report.averages}
    used |= {name for pair in report.comparisons for name in (pair.a, pair.b)}
    yield from (f"no arm {name!r}" for name in sorted(used - set(arms)))
    yield from (f"no benchmark {name!r}" for name in sorted({row.benchmark for row in report.scores} - set(benchmarks)))
    yield from (f"no level {row.level!r}" for row in report.levels if row.level not in LEVELS)
    sections = [section.name for section in report.sections]
    yield from (f"section {name!r} is there twice" for name in sorted({n for n in sections if sections.count(n) > 1}))
    yield from (f"section {name!r} has no plain name" for name in sections if not re.fullmatch(r"[a-z0-9_-]+", name))


def _number_faults(report: Report) -> Iterator[str]:
    shares: Iterable[ScoreRow | AverageRow | LevelRow] = (*report.scores, *report.averages, *report.levels)
    for row in shares:
        if not 0 <= row.low <= row.value <= row.high <= 1:
            yield f"{row.value} [{row.low}, {row.high}] of {getattr(row, 'arm', '') or getattr(row, 'level', '')!r}"
    for pair in report.comparisons:
        if not -1 <= pair.low <= pair.difference <= pair.high <= 1:
            yield f"{pair.difference} [{pair.low}, {pair.high}] of {pair.a!r} - {pair.b!r}"
    counts = [n for s in report.funnel for n in (s.n_in, s.n_kept, *s.dropped.values())]
    counts += [row.n_problems for row in report.overlaps]
    counts += [n for arm in report.arms for n in (arm.n_examples, arm.n_tokens, arm.n_updates)]
    if any(n < 0 for n in counts):
        yield f"a count below 0 ({min(counts)})"
    if any(not math.isfinite(arm.seconds) for arm in report.arms):
        yield "seconds that are no number"
    for chart in (chart for section in report.sections for chart in section.charts):
        for series in chart.series:
            columns = [column for column in (series.y, series.low, series.high) if column]
            if any(len(column) != len(series.x) for column in columns) or bool(series.low) != bool(series.high):
                yield f"columns of different lengths in {chart.title.en!r}"
            if not all(map(math.isfinite, (number for column in (series.x, *columns) for number in column))):
                yield f"a value that is no number in {chart.title.en!r}"


def save(report: Report, path: str | Path) -> None:
    """Write the report as JSON, atomically.  Raises InputError (content) or StorageError (disk)."""
    check(report)
    # ASCII escapes carry even a lone surrogate, which a model's broken bytes can leave in a completion.
    write_text(path, json.dumps(asdict(report), indent=1, allow_nan=False) + "\n")


def _of_results(values: dict[str, Any], name: str) -> dict[str, Any]:
    """The report in a stored result of a lab (`results/`): its rows, and its questions with what came of each."""
    sections = [question | {"kind": "question"} for question in values["questions"]]
    rows = {key: value for key, value in values.items() if key not in ("questions", "problems", "outcomes")}
    return {**rows, "title": {"en": f"Stored results: {name}", "zh": f"存档结果：{name}"}, "sections": sections}


def outcome_now(prediction: Mapping[str, Any]) -> str:
    """How a stored prediction came out: reports of before let one hold whose size was outside the range."""
    is_old = prediction["outcome"] == "held" and prediction["text"]["en"].endswith("outside that range")
    return "partly" if is_old else prediction["outcome"]


def load(path: str | Path) -> Report:
    """Read what `save` wrote, or a stored result of a lab.

    Raises MissingFileError, or InputError that lists the errors.
    """
    path = Path(path)
    if not path.is_file():
        raise MissingFileError("there is no such report", path, "a report.json", "run the experiment first")
    with foreign_data("the report cannot be read", path, "what save() writes", "write it anew"):
        values: Any = parse_json(path.read_bytes())
        if isinstance(values, dict) and "outcomes" in values and "title" not in values:
            values = _of_results(values, path.stem)
        if isinstance(values, dict) and isinstance(values.get("format"), int) and values["format"] > FORMAT:
            raise InputError("the report is of a later format", values["format"], f"up to {FORMAT}", "use a newer limo")
        for section in (values.get("sections") or ()) if isinstance(values, dict) else ():
            for prediction in section.get("predictions", ()):
                prediction["outcome"] = outcome_now(prediction)
        if isinstance(values, dict) and values.get("format") == 1:  # there `rollouts` had another name
            for case in values.get("cases") or ():
                case["rollouts"] = case.pop("attempts", [])
        if isinstance(values, dict) and values.get("format") in (1, 2):  # 3 added parts
            values["format"] = FORMAT
    from pydantic import TypeAdapter, ValidationError

    try:
        report = TypeAdapter(Report).validate_python(values)
    except ValidationError as error:
        faults = [f"{'.'.join(map(str, item['loc']))}: {item['msg']}" for item in error.errors()[:6]]
        allowed = "a report.json, or a stored result of a lab"
        raise InputError("the report does not fit", path, allowed, "; ".join(faults)) from None
    check(report)
    return report
