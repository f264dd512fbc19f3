"""Writes the tables of results in the READMEs and docs/lab.md from data, `results/pocket*.json`.

    python docs/results.py runs/lab                # store what `make lab` measured, then write the tables
    python docs/results.py runs/all pocket-all     # of `limo lab --all`; pocket-world2: of the lab in another world
    python docs/results.py                         # write the tables from what is stored
    python docs/results.py --check                 # exit 1 where a page says something else

Stored are the report's rows without `provenance` (which names the ledgers of the run), the predictions with what came,
the recipe, and each problem's outcome: `outcomes` has for each arm, seed and benchmark a text with a digit for each
problem of `problems`, 1 for right; of an arm that was sampled the rates themselves.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

from limo.report.store import outcome_now

ROOT = Path(__file__).resolve().parents[1]
RESULTS, SHORT = ROOT / "results", "pocket"
READMES = {"README.md": "en", "README.zh-CN.md": "zh"}
BEGIN, END = "<!-- results: written by `make docs` -->", "<!-- end of results -->"
LAB = "docs/lab.md"  # the predictions of each of these runs, between these marks
LAB_TABLES = {
    "pocket-all": ("<!-- predictions: written by `make docs` -->", "<!-- end of predictions -->"),
    "pocket-world2": ("<!-- another world: written by `make docs` -->", "<!-- end of another world -->"),
}
KEPT = ("arms", "benchmarks", "scores", "averages", "comparisons", "levels", "funnel", "environment", "recipe")
GROUPS = ("in-domain", "out-of-domain", "all")
OUTCOMES = {"partly": "in part"}  # as words, where they are others
LABELS = {
    "en": {
        "arm": "arm", "examples": "examples", "updates": "updates", "tokens": "tokens trained on",
        "in-domain": "in-domain (3)", "out-of-domain": "out-of-domain (7)", "all": "all ten",
        "difference": "difference, paired", "yes": "separable", "no": "not separable",
    },
    "zh": {
        "arm": "组", "examples": "样例", "updates": "更新次数", "tokens": "训练词元",
        "in-domain": "域内（3）", "out-of-domain": "域外（7）", "all": "全部十个",
        "difference": "配对差值", "yes": "可区分", "no": "无法区分",
    },
}  # fmt: skip


def store(run: Path, name: str) -> None:
    """Store what a finished lab run measured, under that name."""
    report = json.loads((run / "report.json").read_text(encoding="utf-8"))
    scores = json.loads((run / "scores.json").read_text(encoding="utf-8"))
    RESULTS.mkdir(exist_ok=True)
    value = {name: _without_provenance(report[name]) for name in KEPT}
    value["questions"] = [
        {"name": section["name"], "title": section["title"], "predictions": section["predictions"]}
        for section in report["sections"]
        if section["kind"] == "question"
    ]
    value["problems"] = {name: sorted(of) for name, of in next(iter(scores.values()))[0]["outcomes"].items()}
    value["outcomes"] = {
        arm: {str(row["seed"]): compact(row["outcomes"], value["problems"]) for row in rows}
        for arm, rows in scores.items()
    }
    (RESULTS / f"{name}.json").write_text(json.dumps(value, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")


def load(name: str) -> dict[str, Any]:
    """A stored run."""
    stored: dict[str, Any] = json.loads((RESULTS / f"{name}.json").read_text(encoding="utf-8"))
    return stored


def compact(outcomes: dict[str, dict[str, float]], problems: dict[str, list[str]]) -> dict[str, Any]:
    """Benchmark -> a digit for each of its problems, `-` where it was not decided; rates where they are no 0 and 1."""
    rows = {}
    for benchmark, names in problems.items():
        rates = [outcomes[benchmark].get(name) for name in names]
        is_single = set(rates) <= {0, 1, None}
        rows[benchmark] = "".join("-" if r is None else str(int(r)) for r in rates) if is_single else rates
    return rows


def _without_provenance(part: Any) -> Any:
    if not isinstance(part, list):
        return part
    return [{key: value for key, value in row.items() if key != "provenance"} for row in part]


def tables(stored: dict[str, Any], language: str) -> str:
    """Averages of every arm and the paired comparisons, in points of pass@1 with 95% intervals."""
    words = LABELS[language]
    averages = {(row["arm"], row["group"]): row for row in stored["averages"]}
    heads = [words["arm"], words["examples"], words["updates"], words["tokens"], *(words[group] for group in GROUPS)]
    lines = [_line(heads), _line(["---", *["--:"] * (len(heads) - 1)])]
    labels = {}
    for arm in stored["arms"]:
        labels[arm["name"]] = arm["label_zh"] if language == "zh" else arm["label_en"]
        if (arm["name"], "all") not in averages:
            continue
        budget = [f"{arm[name]:,}" for name in ("n_examples", "n_updates", "n_tokens")]
        lines.append(
            _line([labels[arm["name"]], *budget, *(_points(averages[arm["name"], group]) for group in GROUPS)])
        )
    lines += ["", _line([words["difference"], *(words[group] for group in GROUPS)]), _line(["---", *["--:"] * 3])]
    comparisons = {(row["a"], row["b"], row["group"]): row for row in stored["comparisons"]}
    for a, b in dict.fromkeys((row["a"], row["b"]) for row in stored["comparisons"]):
        if not {(a, "all"), (b, "all")} <= averages.keys():
            continue
        cells = []
        for group in GROUPS:
            row = comparisons[a, b, group]
            cells.append(f"{_points(row, '+', 'difference')} {words['yes' if row['separable'] else 'no']}")
        lines.append(_line([f"{labels[a]} − {labels[b]}", *cells]))
    return "\n".join(lines)


def _points(row: dict[str, Any], sign: str = "", name: str = "value") -> str:
    text = f"{100 * row[name]:{sign}.1f} [{100 * row['low']:{sign}.1f}, {100 * row['high']:{sign}.1f}]"
    return text.replace("-", "−")


def _line(cells: list[str]) -> str:
    return "| " + " | ".join(cells) + " |"


def predictions(stored: dict[str, Any]) -> str:
    """Every prediction of the stored questions with what came."""
    lines = [_line(["question", "predicted, and what came", ""]), _line(["---"] * 3)]
    for question in stored.get("questions", ()):
        for number, row in enumerate(question["predictions"]):
            outcome = outcome_now(row)
            cells = [question["name"] if number == 0 else "", row["text"]["en"], OUTCOMES.get(outcome, outcome)]
            lines.append(_line([*cells[:2], f"**{cells[2]}**"]))
    return "\n".join(lines)


def expected_pages() -> dict[Path, str]:
    """Page -> its text with the tables of what is stored."""
    short, pages = load(SHORT), {}
    for name, language in READMES.items():
        pages[ROOT / name] = _between((ROOT / name).read_text(encoding="utf-8"), BEGIN, END, tables(short, language))
    text = (ROOT / LAB).read_text(encoding="utf-8")
    for name, marks in LAB_TABLES.items():
        text = _between(text, *marks, predictions(load(name)))
    pages[ROOT / LAB] = text
    return pages


def _between(text: str, begin: str, end: str, table: str) -> str:
    before, after = text.split(begin)[0], text.split(end)[1]
    return f"{before}{begin}\n{table}\n{end}{after}"


def stale() -> list[str]:
    """Pages whose tables differ from what is stored."""
    return [path.name for path, text in expected_pages().items() if path.read_text(encoding="utf-8") != text]


if __name__ == "__main__":
    if sys.argv[1:] and sys.argv[1] != "--check":
        store(Path(sys.argv[1]), sys.argv[2] if len(sys.argv) > 2 else SHORT)
    if sys.argv[1:] == ["--check"]:
        sys.exit(f"stale, run `make docs`: {', '.join(stale())}" if stale() else 0)
    for page, table in expected_pages().items():
        page.write_text(table, encoding="utf-8")
