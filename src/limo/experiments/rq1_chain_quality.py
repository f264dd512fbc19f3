"""RQ1: the same problems, as many chains, taught at level L1 to L5 of the grade."""

from __future__ import annotations

from limo.experiments.protocol import Arm, Experiment
from limo.records import LEVELS

RQ1 = Experiment(
    name="rq1_chain_quality",
    question_en="Does the quality of the reasoning matter when problems and count are the same?",
    question_zh="题目与数量都相同时，推理链的质量有多重要？",
    arms=tuple(Arm(level, f"Level {level}", f"{level} 级", examples=level, headline=False) for level in LEVELS),
    pairs=(("L5", "L1"),),
)
