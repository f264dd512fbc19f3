"""The program of one cell of the paper lab: an arm with a training seed is trained, served and scored, each once.

    python -m limo.experiments.paper.cell runs/paper limo 0

A launcher can run it anywhere: what it needs stands in the lab's folder, the resolved recipe and the training sets.
Started again it goes on, a training from its last checkpoint, rollouts from the ledger.
"""

from __future__ import annotations

import sys
from pathlib import Path

from limo.core.errors import LimoError
from limo.core.interrupts import handle_signals
from limo.core.progress import choose_display
from limo.core.recipe import load
from limo.experiments.paper.lab import PaperLab
from limo.experiments.paper.recipe import PaperRecipe


def main(folder: str, arm: str, seed: str) -> int:
    """Measure a cell of the lab in a folder; the exit code.  An error is the last line on stderr."""
    handle_signals()
    try:
        lab = PaperLab(load(PaperRecipe, Path(folder) / "recipe.yaml"), Path(folder))
        with choose_display(as_json=False) as progress:
            lab.measure(lab.recipe.questions.arms[arm], int(seed), progress)
    except LimoError as error:
        print(error, file=sys.stderr)
        return error.exit_code
    except KeyboardInterrupt:
        print("interrupted; the same command goes on", file=sys.stderr)
        return 3
    return 0


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
