"""Recorded completions instead of a model: for trying recipes without one, for tests, and for data that others made.

A recording is JSON Lines (gzipped if it ends in .gz), one completion a line, in any order:

    {"problem": "What is 1+1?", "model": "some-7b", "index": 0, "text": "... \\\\boxed{2}", "finish_reason": "stop"}

- `problem`: the statement, by which the completion is found again (up to white space and Unicode form);
- `model`: who wrote it; `index`: which attempt, counted from 0 (`sample` is read too; without either: in file order);
- `text`: the completion (`completion` and `response` are read too);
- `finish_reason`: `stop` or `length`; a line that does not say counts as `stop`, since nothing shows that it was cut;
- `reasoning`: the thought, where it stood apart from the text;
- `n_prompt_tokens`, `n_completion_tokens`: counts, 0 where not known.  Other fields are left alone.

    completer = ReplayCompleter(["math.jsonl.gz"], "some-7b")

What was not recorded comes back as a completion with finish_reason `error`, which counts as undecided, never as wrong.

What it does not do: choose among completions, or verify them.
"""

from __future__ import annotations

import gzip
import json
import zlib
from collections import Counter
from collections.abc import Iterable, Iterator
from itertools import islice
from pathlib import Path
from typing import Any

from limo.core.errors import InputError, MissingFileError
from limo.core.records import Completion, problem_id
from limo.core.text import shorten
from limo.models.completer import Capabilities, Completer, CompletionGroup, Request

GROUP = 256  # completions handed back, and so committed, together
FINISH_REASONS = ("stop", "length")


class ReplayCompleter(Completer):
    """The completions of one model in recordings.  `model` is its name there, `name` what the ledger calls it.

    Sampling settings are not looked at: a recording is one draw.  Raises MissingFileError, or InputError when a line
    cannot be read, an attempt is recorded twice with different text, or nothing is recorded of the model.
    """

    capabilities = Capabilities(stop_texts=True)  # a recording has ended where it did

    def __init__(self, files: Iterable[str | Path], model: str, name: str | None = None) -> None:
        self.name = name or model
        paths = [Path(file) for file in files]
        by_model, seen = read_recordings(paths, model)
        if model not in by_model:
            where = ", ".join(str(path) for path in paths) or "no file"
            known = shorten(", ".join(sorted(seen)), 300) or "recordings of it"
            raise InputError(
                f"nothing is recorded of the model in {where}", model, known, "check the name and the files"
            )
        self.recording = by_model[model]

    def complete(self, requests: Iterator[Request]) -> Iterator[CompletionGroup]:
        """Look each request up; groups of up to 256."""
        while batch := list(islice(requests, GROUP)):
            yield [(request, self._find(request)) for request in batch]

    def _find(self, request: Request) -> Completion:
        found = self.recording.find(request.problem.id, request.index)
        return found if isinstance(found, Completion) else Completion("", "error", error=found)


class Recording:
    """The completions of one model, by problem id and index."""

    def __init__(self) -> None:
        self.completions: dict[tuple[str, int], Completion] = {}
        self._n: Counter[str] = Counter()

    def find(self, problem: str, index: int) -> Completion | str:
        """The completion, or what to say where there is none."""
        found = self.completions.get((problem, index))
        if found is not None:
            return found
        n = self._n[problem]
        return f"attempt {index} was not recorded ({n} were)" if n else "the problem was not recorded"

    def n_of(self, problem: str) -> int:
        """How many attempts at a problem are recorded."""
        return self._n[problem]

    def keep(self, row: dict[str, Any], where: str) -> None:
        statement, text = (
            row.get("problem"),
            next((row[k] for k in ("text", "completion", "response") if k in row), None),
        )
        if not isinstance(statement, str) or not isinstance(text, str):
            raise InputError(
                "a recorded line lacks its problem or text", where, "problem, model, index, text", "mend it"
            )
        reason = row.get("finish_reason") or "stop"
        if reason not in FINISH_REASONS:
            raise InputError(f"{where} has an unknown finish_reason", reason, "stop or length", "mend or leave it out")
        name = problem_id(statement)
        index = row.get("index", row.get("sample", self._n[name]))
        counts = [row.get(key) or 0 for key in ("n_prompt_tokens", "n_completion_tokens")]
        if not all(isinstance(number, int) and number >= 0 for number in (index, *counts)):
            raise InputError(
                f"{where} has a bad index or token count", [index, *counts], "whole numbers from 0", "mend it"
            )
        thought = row.get("reasoning") or ""
        if not isinstance(thought, str):
            raise InputError(f"{where} has a thought that is no text", thought, "text", "mend or leave it out")
        completion = Completion(text, reason, counts[0], counts[1], reasoning=thought)
        before = self.completions.setdefault((name, index), completion)
        if before != completion:
            raise InputError("an attempt is recorded twice with different text", where, "one line an attempt",
                             f"number the attempts of one model apart (this is index {index})")  # fmt: skip
        self._n[name] += before is completion


def read_recordings(files: Iterable[Path], model: str | None = None) -> tuple[dict[str, Recording], set[str]]:
    """The recordings of every model, or of one, and the names of all models in the files.  Raises as its users do."""
    by_model: dict[str, Recording] = {}
    seen: set[str] = set()
    for path in files:
        for line, row in _rows(path):
            name = str(row.get("model", ""))
            seen.add(name)
            if model is None or row.get("model") == model:
                by_model.setdefault(name, Recording()).keep(row, f"{path}:{line}")
    return by_model, seen


def _rows(path: Path) -> Iterator[tuple[int, dict[str, Any]]]:
    """Line number (from 1) and object of each line; only "\\n" ends a line."""
    if not path.is_file():
        raise MissingFileError("there is no such recording", path, "a .jsonl or .jsonl.gz file", "check the path")
    opener: Any = gzip.open if path.suffix == ".gz" else open
    line = 0
    try:
        with opener(path, "rt", encoding="utf-8", newline="\n") as file:
            for line, text in enumerate(file, 1):
                if text.strip():
                    row = json.loads(text)
                    if not isinstance(row, dict):
                        raise ValueError("not an object")
                    yield line, row
    except (ValueError, EOFError, OSError, zlib.error) as error:
        if isinstance(error, InputError | MissingFileError):
            raise
        where = f"{path}:{line}"
        raise InputError(
            f"the recording cannot be read ({shorten(str(error), 100)})", where, "JSON Lines", "mend it"
        ) from error
