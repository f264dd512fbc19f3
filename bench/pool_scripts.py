"""The decontamination scripts of s1 and open-r1, run as they are from paths that are given.

    flags, seconds = s1("s1/data/decontaminate_util.py", texts, items, 8)
    flags, seconds = open_r1("open-r1/scripts/decontaminate.py", texts, {"MATH500": [...]}, 8)

Neither project is shipped or fetched here.  s1's functions are called as its `collect_data.py` calls them.  open-r1's
script runs whole in a process of its own; only where it asks the hub for data sets it gets these texts, the benchmarks
dealt to the five sets that it names, and its last step, the upload, keeps the rows instead.  Seconds are CPU seconds
between its start and that step, of all its processes, imports not counted.
"""

from __future__ import annotations

import contextlib
import importlib.util
import io
import json
import os
import runpy
import subprocess
import sys
import tempfile
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

_SETS = ("HuggingFaceH4/aime_2024", "yentinglin/aime_2025", "HuggingFaceH4/MATH-500", "Idavidrein/gpqa",
         "livecodebench/code_generation_lite")  # fmt: skip
_COLUMNS = ("problem", "Question", "question_content")


def s1(script: Path, texts: Sequence[str], items: Sequence[str], n: int) -> tuple[list[bool], float]:
    """Whether s1 flags each text, and the CPU seconds."""
    spec = importlib.util.spec_from_file_location("s1_decontaminate", script)
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    with contextlib.redirect_stdout(io.StringIO()), contextlib.redirect_stderr(io.StringIO()):
        start = time.process_time()
        rows, known = module.build_ngram_lookup(texts, n), module.build_ngram_lookup(items, n)
        found = module.find_contaminated_questions(rows, known)
        seconds = time.process_time() - start
    return [row in found for row in range(len(texts))], seconds


def open_r1(
    script: Path, texts: Sequence[str], benchmarks: Mapping[str, Sequence[str]], n: int
) -> tuple[list[bool], float]:
    """Whether open-r1 flags each text, and the CPU seconds."""
    sets: list[list[str]] = [[] for _ in _SETS]
    for place, items in enumerate(benchmarks.values()):
        sets[place % len(sets)] += items
    with tempfile.TemporaryDirectory() as folder:
        given, told = Path(folder) / "given.json", Path(folder) / "told.json"
        given.write_text(json.dumps({"script": str(script), "texts": list(texts), "sets": sets, "n": n}))
        command = [sys.executable, __file__, str(given), str(told)]
        environment = {**os.environ, "HF_HOME": folder, "HF_HUB_OFFLINE": "1"}
        subprocess.run(command, check=True, capture_output=True, env=environment)
        answer = json.loads(told.read_text())
    return answer["flags"], answer["seconds"]


def _cpu() -> float:
    return sum(os.times()[:4])


def _child(given: Path, told: Path) -> None:
    """Run open-r1's script on the texts of a file, and write what it found."""
    import datasets

    asked = json.loads(given.read_text())
    tables: dict[str, Any] = {
        name: datasets.Dataset.from_dict({column: rows for column in _COLUMNS})
        for name, rows in zip(_SETS, asked["sets"], strict=True)
    }
    # From a file, as `load_dataset` gives it: a data set in memory would be pickled to each of the eight processes.
    tables["pool"] = _on_disk({"problem": asked["texts"]}, given.parent / "pool")

    def load(name: str, /, *_: object, **__: object) -> Any:
        return tables[name]

    def keep(self: Any, *_: object, **__: object) -> str:
        seconds = _cpu() - start
        names = [name for name in self.column_names if name.startswith("contaminated_")]
        flags = [any(row) for row in zip(*(self[name] for name in names), strict=True)]
        told.write_text(json.dumps({"flags": flags, "seconds": seconds}))
        return "kept"

    datasets.load_dataset, datasets.Dataset.push_to_hub = load, keep
    sys.argv = [asked["script"], "--dataset", "pool", "--ngram_size", str(asked["n"])]
    start = _cpu()
    runpy.run_path(asked["script"], run_name="__main__")


def _on_disk(columns: dict[str, list[str]], folder: Path) -> Any:
    import datasets

    datasets.Dataset.from_dict(columns).save_to_disk(str(folder))
    return datasets.load_from_disk(str(folder))


if __name__ == "__main__":
    _child(Path(sys.argv[1]), Path(sys.argv[2]))
