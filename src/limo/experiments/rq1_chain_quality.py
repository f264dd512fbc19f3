"""RQ1: the same problems, as many chains, of the lowest and of the highest level of the grade."""

from __future__ import annotations

from limo.experiments.arms import Arm, Experiment

RQ1 = Experiment(
    name="rq1_chain_quality",
    question_en="Does the quality of the reasoning matter when problems and count are the same?",
    question_zh="题目与数量都相同时，推理链的质量有多重要？",
    arms=tuple(Arm(level, f"Level {level}", f"{level} 级", selection=level, headline=False) for level in ("L1", "L5")),
    pairs=(("L5", "L1"),),
)
