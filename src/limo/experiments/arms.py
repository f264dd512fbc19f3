"""What an experiment is: arms that differ in one thing, and the pairs of arms to compare.

Arms are data: what is selected and how it is trained.  A lab (`limo.experiments.lab`) trains and scores them.
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Arm:
    """One variant of an experiment.

    `selection`: the chains it is trained on, `selected` (by the curate stage), `L1`..`L5` (chains of one level) or
    `bulk` (ordinary correct chains); '' leaves the model untrained.  `training`: the recipe's section of training
    settings.  `student`: the model that is trained, '' for the recipe's.  `headline`: whether the headline chart
    shows it.
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
