"""The paper's headline: a few hundred chosen chains against fifty times as many ordinary ones, and against none."""

from __future__ import annotations

from limo.experiments.arms import Arm, Experiment

BASE = Arm("base", "Base model", "基础模型")
BULK = Arm("bulk", "Bulk data", "大量普通数据", selection="bulk", training="sft_bulk")
LIMO = Arm("limo", "LIMO", "LIMO", selection="selected")

HEADLINE = Experiment(
    name="headline",
    question_en="Do a few excellent chains elicit more than fifty times as many ordinary ones?",
    question_zh="少量优质推理链，能否胜过五十倍的普通数据？",
    arms=(BASE, BULK, LIMO),
    pairs=(("limo", "base"), ("limo", "bulk"), ("bulk", "base")),
)
