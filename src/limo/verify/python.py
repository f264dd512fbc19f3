"""A user's class behind the protocol of `limo.verify.verifier.Verifier`, named `python:package.module:Class`.

What cannot be opened is bad input; what goes wrong on one completion leaves that completion undecided.
"""

from __future__ import annotations

import importlib
import json
import os
import sys
import time
from collections.abc import Mapping
from typing import Any, get_args

from limo.core.errors import InputError
from limo.core.records import Completion, Outcome, Problem, Verdict
from limo.core.text import shorten
from limo.verify.decision import FAILED, failed, verdict_of
from limo.verify.maths.equal import Comparison

PYTHON = "python:"
MEMBERS = ("identity", "system", "verify", "why_not")


class PythonVerifier:
    """A user's class behind the protocol; what it raises for one completion leaves that completion undecided."""

    def __init__(self, path: str, arguments: Mapping[str, Any]) -> None:
        module_name, _, class_name = path.partition(":")
        try:
            found: Any = _imported(module_name)
            for name in class_name.split("."):
                found = getattr(found, name)
            self.inner = found(**arguments)
        except Exception as error:
            why = shorten(f"{type(error).__name__}: {error}", 200)
            raise InputError("the verifier cannot be opened", PYTHON + path, "package.module:Class", why) from error
        missing = [name for name in MEMBERS if not hasattr(self.inner, name)]
        if missing:
            do = f"add {', '.join(missing)} to the class"
            raise InputError("the class is no verifier", PYTHON + path, ", ".join(MEMBERS), do)
        self.system = str(self.inner.system)
        given = f" {json.dumps(dict(arguments), sort_keys=True, default=str)}" if arguments else ""
        self.identity = f"{PYTHON}{path} {self.inner.identity}{given}"

    def verify(self, problem: Problem, completion: Completion) -> Verdict:
        """The class's verdict, or `undecided` with what went wrong."""
        start = time.perf_counter()
        try:
            verdict = self.inner.verify(problem, completion)
        except Exception as error:
            return verdict_of(failed(error), "", start)
        if not isinstance(verdict, Verdict) or verdict.outcome not in get_args(Outcome):
            why = f"the verifier gave {shorten(repr(verdict), 80)}, which is no verdict"
            return verdict_of(Comparison(None, FAILED, why), "", start)
        return verdict

    def why_not(self, problem: Problem) -> str:
        """The class's reason; a class that fails on a problem cannot check it."""
        try:
            return str(self.inner.why_not(problem))
        except Exception as error:
            return failed(error).reason


def _imported(name: str) -> Any:
    """The module; one in the current folder is found too, as `python -m` finds it."""
    try:
        return importlib.import_module(name)
    except ModuleNotFoundError as error:
        if error.name != name.partition(".")[0] or os.getcwd() in sys.path:
            raise
        sys.path.append(os.getcwd())
        return importlib.import_module(name)
