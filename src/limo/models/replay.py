"""Recorded completions instead of a model: for trying recipes without one, for tests, and for data that others made.

A recording is JSON Lines (gzipped if it ends in .gz), one completion a line, in any order:

    {"problem": "What is 1+1?", "model": "some-7b", "index": 0, "text": "... \\\\boxed{2}", "finish_reason": "stop"}

- `problem`: the statement, by which the completion is found again (up to white space and Unicode form);
- `model`: who wrote it; `index`: which rollout, counted from 0 (`sample` is read too; without either: in file order);
- `text`: the completion (`completion` and `response` are read too);
- `finish_reason`: `stop` or `length`; `stop` where it is missing, since nothing shows that the text was cut;
- `reasoning`: the reasoning, where it stood apart from the text;
- `n_prompt_tokens`, `n_completion_tokens`: counts, 0 where not known.  Other fields are ignored.

    completer = ReplayCompleter(["math.jsonl.gz"], "some-7b")

What was not recorded comes back as a completion with finish_reason `error`, which counts as undecided, never as wrong.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator
from itertools import islice
from pathlib import Path
from typing import Any

from limo.core.errors import InputError, MissingFileError
from limo.core.files import hash_path
from limo.core.records import Completion, problem_id
from limo.core.rows import read_file
from limo.core.text import content_hash, shorten
from limo.models.completer import Capabilities, Completer, CompletionGroup, Request

MAX_GROUP = 256  # completions yielded, and so committed, together
MAX_NUMBER = 1 << 31  # of indexes and token counts
FINISH_REASONS = ("stop", "length")


class ReplayCompleter(Completer):
    """The completions of one model in recordings.  `model` is its name there, `name` what the ledger calls it.

    Sampling settings are ignored: a recording is one draw.  Raises MissingFileError, or InputError when a line cannot
    be read, a rollout is recorded twice with different text, or nothing is recorded of the model.
    """

    def __init__(self, files: Iterable[str | Path], model: str, name: str | None = None) -> None:
        self.name = name or model
        paths = [Path(file) for file in files]
        recordings, models = read_recordings(paths, model)
        if model not in recordings:
            where = ", ".join(str(path) for path in paths) or "no file"
            known = shorten(", ".join(sorted(models)), 300) or "recordings of it"
            raise InputError(
                f"nothing is recorded of the model in {where}", model, known, "check the name and the files"
            )
        self.recording = recordings[model]
        self.capabilities = Capabilities(stop_texts=True, identity=recordings_hash(paths))  # it has ended where it did

    def complete(self, requests: Iterator[Request]) -> Iterator[CompletionGroup]:
        """Look each request up; groups of up to 256."""
        while batch := list(islice(requests, MAX_GROUP)):
            yield [(request, self.recording.find(request.problem.id, request.index)) for request in batch]


def recordings_hash(files: Iterable[str | Path]) -> str:
    """Names recordings by their contents, wherever they are; '' where one is missing."""
    hashes = sorted(hash_path(file) for file in files)
    return content_hash(*hashes) if all(hashes) else ""


class Recording:
    """The completions of one model, by problem id and index."""

    def __init__(self) -> None:
        self._completions: dict[tuple[str, int], Completion] = {}
        self._n: Counter[str] = Counter()

    def find(self, problem: str, index: int) -> Completion:
        """The completion, or a failed one that says what is not recorded."""
        completion = self._completions.get((problem, index))
        if completion is not None:
            return completion
        n = self._n[problem]
        error = f"rollout {index} was not recorded ({n} were)" if n else "the problem was not recorded"
        return Completion("", "error", error=error)

    def n_of(self, problem: str) -> int:
        """How many rollouts of a problem are recorded."""
        return self._n[problem]

    def add(self, row: dict[str, Any], where: str) -> None:
        """Take one line's completion.  Raises InputError, naming `where`."""
        statement = row.get("problem")
        text = next((row[key] for key in ("text", "completion", "response") if key in row), None)
        if not isinstance(statement, str) or not isinstance(text, str):
            raise InputError(
                "a recorded line lacks its problem or text", where, "problem, model, index, text", "correct it"
            )
        reason, reasoning = row.get("finish_reason") or "stop", row.get("reasoning") or ""
        if not isinstance(reason, str) or reason not in FINISH_REASONS:
            raise InputError(f"{where} has an unknown finish_reason", reason, "stop or length", "correct or remove it")
        if not isinstance(reasoning, str):
            raise InputError(f"{where} has a reasoning that is no text", reasoning, "text", "correct or remove it")
        problem = problem_id(statement)
        index = row.get("index", row.get("sample", self._n[problem]))
        counts = [row.get(key) or 0 for key in ("n_prompt_tokens", "n_completion_tokens")]
        if not all(isinstance(number, int) and 0 <= number < MAX_NUMBER for number in (index, *counts)):
            raise InputError(
                f"{where} has a bad index or token count", [index, *counts], "whole numbers from 0", "correct it"
            )
        completion = Completion(text, reason, counts[0], counts[1], reasoning=reasoning)
        known = self._completions.setdefault((problem, index), completion)
        if known != completion:
            do = f"give the rollouts of one problem different indexes (this is index {index})"
            raise InputError("a rollout is recorded twice with different text", where, "one line a rollout", do)
        self._n[problem] += known is completion


def read_recordings(files: Iterable[Path], model: str | None = None) -> tuple[dict[str, Recording], set[str]]:
    """The recordings of every model, or of one, and the names of all models in the files.  Raises as its users do."""
    recordings: dict[str, Recording] = {}
    models: set[str] = set()
    for path in files:
        if not path.is_file():
            raise MissingFileError("there is no such recording", path, "a .jsonl or .jsonl.gz file", "check the path")
        for row in read_file(path):
            if row.error:
                what = f"the recording cannot be read ({shorten(row.error, 100)})"
                raise InputError(what, f"{path}:{row.line}", "JSON Lines", "correct it")
            name = str(row.value.get("model", ""))
            models.add(name)
            if model is None or row.value.get("model") == model:
                recordings.setdefault(name, Recording()).add(row.value, f"{path}:{row.line}")
    return recordings, models
