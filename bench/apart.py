"""Reasoning chains told from plain ones on the same problems, by either scorer and by length alone.

    python bench/apart.py ../shared/data

The chains are recorded completions: of models trained to think at length, those that hold a boxed answer (others were
cut), and of plain models, all, or with `--finished` likewise.
No weight was chosen on them (they set the cuts of fixed levels only).  Length tells such models apart very well, so
the second column looks only at pairs whose lengths differ by a tenth at most.  Printed is the chance that the chain of
the reasoning model has the higher score (the area under the ROC curve), ties counting half.
"""

from __future__ import annotations

import argparse
import gzip
import json
from pathlib import Path

import numpy as np

from limo.curate.audit import area_under_roc
from limo.curate.chains import without_thought_markers
from limo.curate.grade import Grader, GradeSettings, measure_texts

LONG = ("chains/sky_long_amc23", "chains/sky_long_math500")
SHORT = ("samples/sky_short_amc23", "samples/sky_short_math500")
PLAIN = ("Qwen/Qwen2.5-14B-Instruct", "Qwen/Qwen2.5-Math-7B", "google/gemma-2-27b-it", "meta-llama/Llama-3.1-8B")
NEAR = 0.1


def completions(folder: Path, names: tuple[str, ...], finished: bool) -> list[tuple[str, str]]:
    """Model and text of every recorded completion, or of those that hold a boxed answer."""
    found = []
    for name in names:
        with gzip.open(folder / f"{name}.jsonl.gz", "rt", encoding="utf-8", newline="\n") as lines:
            found += [(row["model"], without_thought_markers(row["response"])) for row in map(json.loads, lines)]
    return [(model, text) for model, text in found if not finished or "\\boxed" in text]


def among_alike(higher: np.ndarray, lower: np.ndarray, long: np.ndarray, short: np.ndarray) -> tuple[int, float]:
    """How many pairs are of like length, and the share of them in which the first has the higher score."""
    n, wins = 0, 0.0
    for score, length in zip(higher, long, strict=True):
        others = lower[np.abs(short - length) <= NEAR * length]
        n += len(others)
        wins += (others < score).sum() + 0.5 * (others == score).sum()
    return n, wins / max(1, n)


def main() -> None:
    """Print the areas."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("data", type=Path, nargs="?", default=Path("../shared/data"))
    parser.add_argument("--finished", action="store_true", help="leave plain chains without a boxed answer out too")
    asked = parser.parse_args()
    reasoned = [text for _, text in completions(asked.data, LONG, True)]
    plain = [text for model, text in completions(asked.data, SHORT, asked.finished) if model in PLAIN]
    texts, n = [*reasoned, *plain], len(reasoned)
    print(f"{n:,} chains of reasoning models, {len(plain):,} of plain ones")
    lengths = np.array([len(text) for text in texts], dtype=float)
    scores = {"length alone": lengths}
    for name in ("limo-v2", "structure"):
        settings = GradeSettings(scorer=name)
        columns = measure_texts(texts, settings)
        scores[name] = np.array([one.score for one in Grader(columns, settings).grades(columns)])
    for name, of in scores.items():
        n_pairs, share = among_alike(of[:n], of[n:], lengths[:n], lengths[n:])
        whole = area_under_roc(of[:n].tolist(), of[n:].tolist())
        print(f"{name:14} {whole:.3f}   of like length ({n_pairs:,} pairs) {share:.3f}")


if __name__ == "__main__":
    main()
