"""Experiments as data: the paper's questions, the arms that each compares, and what every arm is trained on.

A lab trains and scores the arms.
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Arm:
    """One variant of an experiment.

    `selection`: its training set, `selected` (by the curate stage), `L1`..`L5` (chains of one level) or `bulk`
    (ordinary correct chains); '' = untrained.  `training`: the recipe's section of training settings.  `student`: the
    model that is trained, '' = the recipe's.  `headline`: whether the headline chart shows it.
    """

    name: str
    label_en: str
    label_zh: str
    selection: str = ""
    training: str = "sft"
    student: str = ""
    headline: bool = True


@dataclass(frozen=True, slots=True)
class Experiment:
    """A question of the paper: what varies (`arms`) and what is compared (`pairs` of arm names, first minus second)."""

    name: str
    question_en: str
    question_zh: str
    arms: tuple[Arm, ...]
    pairs: tuple[tuple[str, str], ...]


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
RQ1 = Experiment(
    name="rq1_chain_quality",
    question_en="Does the quality of the reasoning matter when problems and count are the same?",
    question_zh="题目与数量都相同时，推理链的质量有多重要？",
    arms=tuple(Arm(level, f"Level {level}", f"{level} 级", selection=level, headline=False) for level in ("L1", "L5")),
    pairs=(("L5", "L1"),),
)
EXPERIMENTS = (HEADLINE, RQ1)
