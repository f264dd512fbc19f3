"""A report for drawing.  Every number in it is made up: no experiment stands behind it."""

import math

import pytest

from limo.core.records import Provenance
from limo.report.content import (
    ArmRow,
    AverageRow,
    BenchmarkRow,
    Case,
    CaseRollout,
    ComparisonRow,
    LevelRow,
    LocalizedText,
    Report,
    ScoreRow,
    StageRow,
)

_BENCHMARKS = [
    ("ledger", "Ledger sums", "账目求和", 0),
    ("steps", "Step chains", "逐步运算", 0),
    ("baskets", "Baskets", "果篮", 0),
    ("clock", "Clock times", "钟点", 1),
    ("coins", "Coins", "硬币", 1),
    ("ages", "Ages", "年龄", 1),
    ("choices", "Multiple choice", "选择题", 1),
    ("units", "Units", "单位换算", 1),
    ("long", "Long roads", "长路程", 1),
    ("zh", "In Chinese", "中文题", 1),
]
_LEVEL = {"base": (0.31, 0.27), "bulk": (0.36, 0.29), "limo": (0.74, 0.55)}

_ORIGIN = Provenance("runs/lab", "runs/lab/arms/limo/seed-0/ledger.sqlite", "limo-0", "p1", "s1", "maths/1")


def _spread(value: float, n: int) -> tuple[float, float, float]:
    half = 1.96 * math.sqrt(max(value * (1 - value), 0.01) / n)
    return value, max(0.0, value - half), min(1.0, value + half)


def _scores() -> list[ScoreRow]:
    rows = []
    for place, (name, _, _, out) in enumerate(_BENCHMARKS):
        for arm, levels in _LEVEL.items():
            value = min(0.97, max(0.03, levels[out] + 0.16 * math.sin(place * 2.1 + len(arm))))
            rows.append(ScoreRow(arm, name, *_spread(value, 60), 60, 180, 3, [_ORIGIN]))
    return rows


def _averages() -> list[AverageRow]:
    rows = []
    for arm, (inside, outside) in _LEVEL.items():
        rows.append(AverageRow(arm, "in-domain", *_spread(inside, 180)))
        rows.append(AverageRow(arm, "out-of-domain", *_spread(outside, 420)))
        rows.append(AverageRow(arm, "all", *_spread(0.3 * inside + 0.7 * outside, 600)))
    return rows


def _comparisons() -> list[ComparisonRow]:
    return [
        ComparisonRow("limo", "base", "all", 0.325, 0.271, 0.378, True),
        ComparisonRow("limo", "bulk", "all", 0.296, 0.244, 0.349, True),
        ComparisonRow("bulk", "base", "all", 0.026, -0.014, 0.067, False),
        ComparisonRow("L5", "L1", "all", 0.335, 0.281, 0.39, True),
        ComparisonRow("limo", "bulk", "in-domain", 0.38, 0.297, 0.462, True),
        ComparisonRow("limo", "bulk", "out-of-domain", 0.26, 0.195, 0.325, True),
    ]


LONG = "\n".join(f"Step {n}: 17 + {n} = {17 + n}. Let me check: {17 + n} - {n} = 17, it holds." for n in range(60))
HOSTILE = (
    "<script>alert('pwned')</script><img src=x onerror=alert(1)>\x00 \u202egnp.exe\u200b\ud800 {{ 7*7 }} "
    "</pre></details>"
)


def _cases() -> list[Case]:
    statement = "Mia has 7 baskets with 6 apples each. She gives away 15 apples. How many are left?"
    good = (
        "7 baskets with 6 apples: 7 * 6 = 42.\nCheck: 42 / 7 = 6, right.\nShe gives away 15: 42 - 15 = 27.\n"
        "Check: 27 + 15 = 42, right.\nThe answer is \\boxed{27}."
    )
    return [
        Case(
            statement,
            "27",
            [
                CaseRollout("bulk", "7 * 6 - 15\n\\boxed{33}", "wrong", "33", "33 is not 27", 9),
                CaseRollout("limo", good, "correct", "27", "equal as numbers", 61, _ORIGIN),
            ],
            "baskets",
            remark_en="The same sum: one blurts, one works it out and checks.",
            remark_zh="同一道题：一个脱口而出，一个逐步推算并检查。",
        ),
        Case(
            "小明早上 7 点 40 分出门, 走了 35 分钟, 几点到?",
            "8:15",
            [
                CaseRollout("L1", "\\boxed{7:75}", "wrong", "7:75", "not a time", 5),
                CaseRollout(
                    "L5",
                    "7 点 40 分再过 20 分钟是 8 点。\n还剩 35 - 20 = 15 分钟。\n检查：20 + 15 = 35，对。\n"
                    "所以 \\boxed{8:15}。",
                    "correct",
                    "8:15",
                    "equal",
                    48,
                ),
            ],
            "clock",
            "L5",
        ),
        Case(
            "What is 17 + 59?",
            "76",
            [
                CaseRollout("base", HOSTILE, "no_answer", "", "nothing in a box", 30),
                CaseRollout("limo", LONG + "\n\\boxed{76}", "truncated", "", "cut", 4096),
            ],
        ),
    ]


def _funnel() -> list[StageRow]:
    return [
        StageRow("pool", "Read", "读入", 24000, 23640, {"malformed row": 12, "answer cannot be checked": 348}),
        StageRow("dedup", "Distinct", "去重", 23640, 22105, {"duplicate": 1211, "duplicate with another answer": 324}),
        StageRow("decontaminate", "Clean of benchmarks", "去污染", 22105, 21874, {"in a benchmark": 231}),
        StageRow("weak", "Unsolved by the weak model", "弱模型未解出", 21874, 5321, {"too easy": 16553}),
        StageRow(
            "strong",
            "1–3 of 32 by the strong model",
            "强模型 32 次中对 1–3 次",
            5321,
            640,
            {"too easy": 4102, "too hard": 579},
        ),
        StageRow("select", "Selected", "选出", 640, 128, {"below the top k": 512}),
    ]


@pytest.fixture(scope="session")
def full() -> Report:
    """Every section filled."""
    levels = [
        LevelRow(f"L{n}", *_spread(v, 300), t, 128)
        for n, v, t in ((1, 0.24, 6), (2, 0.29, 14), (3, 0.37, 31), (4, 0.48, 52), (5, 0.6, 88))
    ]
    return Report(
        title=LocalizedText("An example of a report", "报告示例"),
        subtitle=LocalizedText("Every number on this page is made up", "本页所有数字均为虚构"),
        arms=[
            ArmRow("base", "Base", "基座", "pocket-rich", color="base"),
            ArmRow("bulk", "Bulk", "海量", "pocket-rich", 6400, 410_000, 1600, 310.0, "bulk"),
            ArmRow("limo", "LIMO", "LIMO", "pocket-rich", 128, 402_000, 1580, 304.0, "limo"),
            ArmRow("L1", "L1 only", "仅 L1", "pocket-rich", 128, 30_000, 1580, 52.0, "L1", headline=False),
            ArmRow("L5", "L5 only", "仅 L5", "pocket-rich", 128, 398_000, 1580, 301.0, "L5", headline=False),
        ],
        benchmarks=[
            BenchmarkRow(name, en, zh, "out-of-domain" if out else "in-domain") for name, en, zh, out in _BENCHMARKS
        ],
        scores=_scores(),
        averages=_averages(),
        comparisons=_comparisons(),
        levels=levels,
        funnel=_funnel(),
        cases=_cases(),
        check_words=["check", "检查"],
        notes=[
            LocalizedText("Three training seeds an arm; L2 to L4 with one.", "每组三个训练种子；L2 至 L4 各一个。"),
            LocalizedText("No arm was stopped early.", "没有任何一组提前停止。"),
        ],
        environment={"processor": "2 cores", "python": "3.11.9", "torch": "2.13.0", "commit": "0123abc"},
        recipe="seed: 0\nselect:\n  n: 128\n",
        rebuild="limo report runs/lab",
    )


@pytest.fixture
def bare() -> Report:
    """Nothing but a title: every section is missing."""
    return Report(LocalizedText("Bare", "空"))
