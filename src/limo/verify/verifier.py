"""Verifiers: a problem and a completion in, a verdict out; which one is named by `verifier:` in a recipe.

    verifier: choice
    verifier: {kind: numeric, tolerance: 0.01, unit: same}
    verifier: {kind: "python:my_package.physics:Units", arguments: {strict: true}}

    settings = verifier_settings("python:my_package.physics:Units")
    open_verifier(settings).verify(problem, completion).outcome

A verifier of your own is a class with the members of `Verifier`; nothing is inherited.  `judge` needs a model and is
opened by `limo.rollouts.judge_verifier`.
"""

from __future__ import annotations

import json
import os
import sys
import time
from collections.abc import Callable, Mapping
from functools import partial
from importlib import import_module
from typing import Annotated, Any, Literal, Protocol, get_args, runtime_checkable

from pydantic import BeforeValidator, Discriminator, Field, TypeAdapter, ValidationError

from limo.core.errors import InputError
from limo.core.files import hash_path
from limo.core.process.limits import CallLimits
from limo.core.recipe import Settings
from limo.core.records import Completion, Outcome, Problem, Verdict
from limo.core.text import shorten
from limo.verify.decision import FAILED, failed, verdict_of
from limo.verify.maths.equal import Comparison
from limo.verify.maths.scalars import DOUBLE_DIGITS
from limo.verify.maths.units import UnitPolicy

KINDS = "maths, choice, numeric, exact, judge or python:package.module:Class"
PYTHON = "python:"
MEMBERS = ("identity", "system", "verify", "why_not")


@runtime_checkable
class Verifier(Protocol):
    """Decides whether a completion answers its problem."""

    @property
    def identity(self) -> str:
        """Names the rules and their settings; kept with each verdict, and a new identity makes old verdicts stale."""
        ...

    @property
    def system(self) -> str:
        """The system text of the prompt: it says in which form the answer is to be given."""
        ...

    def verify(self, problem: Problem, completion: Completion) -> Verdict:
        """The verdict on one completion."""
        ...

    def why_not(self, problem: Problem) -> str:
        """Why this problem's answer cannot be checked; "" where it can."""
        ...


_UNIT = (
    "same: the answer's unit; prefix: or one that differs by a power of ten, unless the problem asks for the answer's; "
    "convertible: any of the same quantity; ignore: units are not compared"
)


class MathsSettings(Settings):
    """Mathematical answers in any form, in \\boxed{} or announced."""

    kind: Literal["maths"] = "maths"
    tolerance: float = Field(0.0, ge=0, lt=0.1, description="relative, for rounded decimal answers only")
    digits: int = Field(DOUBLE_DIGITS, ge=2, description="a decimal of so many digits may round an exact answer")
    unit: UnitPolicy = Field("prefix", description=_UNIT)
    missing_unit: bool = Field(True, description="accept a number without a unit")
    time_s: float = Field(2.0, gt=0, description="processor time of a row for the rules, and again for Math-Verify")


class ChoiceSettings(Settings):
    """The letter of an option, or the option's text."""

    kind: Literal["choice"] = "choice"


class NumericSettings(Settings):
    """A number with a unit."""

    kind: Literal["numeric"] = "numeric"
    tolerance: float = Field(0.01, ge=0, lt=1, description="largest relative difference")
    unit: UnitPolicy = Field("prefix", description=_UNIT)
    missing_unit: bool = Field(True, description="accept a number without a unit")


class ExactSettings(Settings):
    """The same text, case, white space and punctuation at the ends aside."""

    kind: Literal["exact"] = "exact"
    case: bool = Field(False, description="upper and lower case differ")


class JudgeSettings(Settings):
    """A model decides what the rules of another kind leave undecided."""

    kind: Literal["judge"] = "judge"
    rules: Literal["maths", "choice", "numeric", "exact"] = Field("maths", description="the kind that decides first")


class PythonSettings(Settings):
    """A class of your own, called with `arguments`."""

    kind: Literal["python"] = "python"
    path: str = Field(pattern=r"^[\w.]+:[\w.]+$", description="package.module:Class")
    arguments: dict[str, Any] = Field(default_factory=dict, description="keyword arguments of the class")


def as_mapping(value: object) -> object:
    """`choice` -> {kind: choice}; `python:a.b:C` -> {kind: python, path: a.b:C}; no kind is maths."""
    if isinstance(value, str):
        value = {"kind": value}
    if isinstance(value, Mapping):
        kind = value.get("kind", "maths")
        if isinstance(kind, str) and kind.startswith(PYTHON):
            return {"path": kind.removeprefix(PYTHON), **value, "kind": "python"}
        return {**value, "kind": kind}
    return value


VerifierSettings = Annotated[
    Annotated[
        MathsSettings | ChoiceSettings | NumericSettings | ExactSettings | JudgeSettings | PythonSettings,
        Discriminator("kind"),
    ],
    BeforeValidator(as_mapping),
]
"""The type of a recipe's field `verifier`; `verifier_settings` makes one from a string or a mapping."""

_CLASSES = {  # by kind, imported when they are opened; their arguments are the fields of the settings
    "maths": ("limo.verify.maths_verifier", "MathsVerifier"),
    "choice": ("limo.verify.choice", "ChoiceVerifier"),
    "numeric": ("limo.verify.numeric", "NumericVerifier"),
    "exact": ("limo.verify.exact", "ExactVerifier"),
    "python": (__name__, "PythonVerifier"),
}
_SETTINGS = {one.model_fields["kind"].default: one for one in get_args(get_args(VerifierSettings)[0])}
_LIMITS = (("ge", "at least"), ("gt", "above"), ("lt", "below"))
_ADAPTER: TypeAdapter[Any] = TypeAdapter(VerifierSettings)


def verifier_settings(value: str | Mapping[str, Any] | Settings) -> Any:
    """The settings that `value` names.  Raises InputError for what is none."""
    try:
        return _ADAPTER.validate_python(value)
    except ValidationError as error:
        raise _refusal(value, error.errors()[0]) from None


def _refusal(value: object, fault: Any) -> InputError:
    """The error for settings that are none: which kind, which of its settings, and what that may be."""
    kind, *names = fault["loc"] or ("",)
    if not names:
        given = as_mapping(value)
        shown = given["kind"] if isinstance(given, Mapping) else given
        return InputError("there is no such verifier", shown, KINDS, "", list(_CLASSES))
    name, of = str(names[0]), _SETTINGS[kind].model_fields
    if name not in of:
        return InputError(f"the verifier {kind} has no such setting", name, "", "leave it out", of.keys() - {"kind"})
    limits = [(word, getattr(limit, at, None)) for limit in of[name].metadata for at, word in _LIMITS]
    allowed = ", ".join(f"{word} {number:g}" for word, number in limits if number is not None)
    allowed = allowed or fault["msg"].removeprefix("Input should be ")
    what, given = f"{name} of the verifier {kind} cannot be this", shorten(repr(fault["input"]), 60)
    return InputError(what, given, allowed, str(of[name].description))


def open_verifier(settings: str | Mapping[str, Any] | Settings) -> Verifier:
    """The verifier of the settings.  Raises InputError: no such verifier, or a class that cannot be used as one."""
    return opener(settings)()


def opener(settings: str | Mapping[str, Any] | Settings, limits: CallLimits | None = None) -> Callable[[], Verifier]:
    """What opens the verifier, picklable, for another process.  `limits` are those of one symbolic question."""
    chosen: Any = verifier_settings(settings)
    if isinstance(chosen, JudgeSettings):
        do = "name it in a recipe, with its models"
        raise InputError("this verifier cannot be opened here", chosen.kind, KINDS, do)
    module, name = _CLASSES[chosen.kind]
    own = {"limits": limits} if isinstance(chosen, MathsSettings) else {}
    return partial(getattr(import_module(module), name), **chosen.model_dump(exclude={"kind"}), **own)


class PythonVerifier:
    """A user's class behind the protocol; what it raises for one completion leaves that completion undecided."""

    def __init__(self, path: str, arguments: Mapping[str, Any]) -> None:
        module_name, _, class_name = path.partition(":")
        try:
            member: Any = _imported(module_name)
            for name in class_name.split("."):
                member = getattr(member, name)
            if not isinstance(member, type) or not {"verify", "why_not"} <= set(dir(member)):  # not called, then
                do = "name a class with the methods verify and why_not"
                raise InputError("the class is no verifier", PYTHON + path, ", ".join(MEMBERS), do)
            self.inner = member(**arguments)
        except InputError:
            raise
        except (Exception, SystemExit) as error:  # a script ends at its import, or a class where it is made
            why = shorten(f"{type(error).__name__}: {error}", 200)
            raise InputError("the verifier cannot be opened", PYTHON + path, "package.module:Class", why) from error
        missing = [name for name in MEMBERS if not hasattr(self.inner, name)]
        if missing:
            do = f"add {', '.join(missing)} to the class"
            raise InputError("the class is no verifier", PYTHON + path, ", ".join(MEMBERS), do)
        self.system = str(self.inner.system)
        given = f" {json.dumps(dict(arguments), sort_keys=True, default=str)}" if arguments else ""
        source = getattr(sys.modules[module_name], "__file__", None)
        code = f" code={hash_path(source)}" if source else ""  # changed code may judge otherwise under the same name
        self.identity = f"{PYTHON}{path} {self.inner.identity}{given}{code}"

    def verify(self, problem: Problem, completion: Completion) -> Verdict:
        """The class's verdict, or `undecided` with what went wrong."""
        start = time.perf_counter()
        try:
            verdict = self.inner.verify(problem, completion)
        except (Exception, SystemExit) as error:
            return verdict_of(failed(error), "", start)
        if not isinstance(verdict, Verdict) or verdict.outcome not in get_args(Outcome):
            why = f"the verifier gave {shorten(repr(verdict), 80)}, which is no verdict"
            return verdict_of(Comparison(None, FAILED, why), "", start)
        return verdict

    def why_not(self, problem: Problem) -> str:
        """The class's reason; a class that fails on a problem cannot check it."""
        try:
            why = self.inner.why_not(problem)
        except (Exception, SystemExit) as error:
            return failed(error).reason
        return why if isinstance(why, str) else f"why_not gave {shorten(repr(why), 80)}, which is no text"


def _imported(name: str) -> Any:
    """The module; one in the current folder is found too, as `python -m` finds it."""
    try:
        return import_module(name)
    except ModuleNotFoundError as error:
        if error.name != name.partition(".")[0] or os.getcwd() in sys.path:
            raise
        sys.path.append(os.getcwd())
        return import_module(name)
