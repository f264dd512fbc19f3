"""Verifiers are chosen by settings, named by an identity, and one of your own may do no harm."""

import textwrap

import pytest

from limo.core.errors import InputError, PartialError, RecipeError
from limo.core.process.limits import CallLimits
from limo.core.process.worker import NO_WORKER, CallResult
from limo.core.recipe import Settings, load
from limo.core.records import Completion, Problem, Verdict
from limo.verify.checker import Checker
from limo.verify.verifier import Verifier, VerifierSettings, open_verifier, verifier_settings

FOUR, RIGHT, WRONG = Problem("", "", "4"), Completion("4"), Completion("5")
MODULE = """
    import os, time
    from limo.core.records import Verdict

    class Last:
        system = "Answer with a number."

        def __init__(self, number=4):
            self.identity = "last/1"
            self.number = number

        def verify(self, problem, completion):
            if completion.text == "raise":
                raise ZeroDivisionError("no")
            if completion.text == "sleep":
                time.sleep(60)
            while completion.text == "loop":
                pass
            if completion.text == "die":
                os._exit(3)
            if completion.text == "odd":
                return "correct"
            return Verdict("correct" if completion.text == str(self.number) else "wrong", completion.text)

        def why_not(self, problem):
            return "" if problem.answer else "nothing to compare with"

    class NoVerify:
        identity = system = "x"

    class Ends:
        def __init__(self):
            raise SystemExit(0)
        verify = why_not = None

    class Broken:
        def __init__(self):
            raise ValueError("no licence")
        verify = why_not = None
"""


@pytest.fixture
def module(tmp_path, monkeypatch):
    (tmp_path / "own_rules.py").write_text(textwrap.dedent(MODULE))
    (tmp_path / "this_ends.py").write_text("raise SystemExit(0)")
    monkeypatch.syspath_prepend(tmp_path)
    return "python:own_rules:"


class Recipe(Settings):
    verifier: VerifierSettings


@pytest.mark.parametrize(
    ("override", "kind"),
    [("verifier=choice", "choice"), ("verifier={kind: numeric}", "numeric"), ("verifier.digits=8", "maths")],
)
def test_a_recipe_names_a_verifier_by_word_or_by_mapping(override, kind):
    recipe = load(Recipe, None, [override])
    assert recipe.verifier.kind == kind
    assert load(Recipe, None, [f"verifier={recipe.verifier.model_dump_json()}"]) == recipe


@pytest.mark.parametrize(
    "override", ["verifier=math", "verifier={kind: choice, tolerance: 1}", "verifier=python:nothing", "verifier=7"]
)
def test_a_recipe_with_another_verifier_is_refused(override):
    with pytest.raises(RecipeError, match="verifier"):
        load(Recipe, None, [override])


def test_every_kind_has_a_verifier_and_its_identity_changes_with_its_settings(module):
    settings = [
        "maths", {"tolerance": 0.01}, {"digits": 8}, "choice", "numeric", {"kind": "numeric", "unit": "same"},
        {"kind": "numeric", "tolerance": 0.1}, {"kind": "numeric", "missing_unit": False}, "exact",
        {"kind": "exact", "case": True}, f"{module}Last", {"kind": f"{module}Last", "arguments": {"number": 5}},
    ]  # fmt: skip
    verifiers = [open_verifier(chosen) for chosen in settings]
    assert all(isinstance(verifier, Verifier) and verifier.system for verifier in verifiers)
    assert len({verifier.identity for verifier in verifiers}) == len(settings)
    assert [open_verifier(chosen).identity for chosen in settings] == [verifier.identity for verifier in verifiers]


@pytest.mark.parametrize(
    ("chosen", "words"),
    [
        ("chemistry", "no such verifier: 'chemistry'"),
        ({"kind": "math"}, "no such verifier: 'math' .*did you mean 'maths'"),
        (7, "no such verifier: '7'"),
        (
            {"tolerance": float("nan")},
            r"^tolerance of the verifier maths .*'nan' \(allowed: at least 0, below 0.1\); rel",
        ),
        ({"digits": 0}, r"^digits of the verifier maths .*'0' \(allowed: at least 2\); a decimal"),
        ({"time_s": 0}, r"^time_s of .*\(allowed: above 0\)"),
        ({"kind": "numeric", "unit": "metre"}, "^unit of the verifier numeric .*allowed: 'prefix', 'same', "),
        (
            {"kind": "exact", "tolerance": 0.1},
            r"^the verifier exact has no such setting: 'tolerance' \(allowed: case\)",
        ),
        ({"kind": "maths", "tolerence": 0.1}, "did you mean 'tolerance'"),
        ("python:no_class", "^path of the verifier python cannot be this: .*package.module:Class$"),
        ("python:no_such_module:Last", "no_such_module"),
        ("python:own_rules:Nothing", "Nothing"),
        ("python:own_rules:NoVerify", "why_not"),
        ({"kind": "python:subprocess:Popen", "arguments": {"args": ["false"]}}, "why_not"),
        ("python:os:getcwd", "no verifier"),
        ("python:own_rules:Broken", "no licence"),
        ("python:own_rules:Ends", "SystemExit"),
        ("python:this_ends:Last", "SystemExit"),
        ({"kind": "python:own_rules:Last", "arguments": {"letters": 3}}, "letters"),
        ("judge", "in a recipe, with its models"),
    ],
)
def test_a_verifier_that_cannot_be_opened_is_bad_input(module, chosen, words):
    with pytest.raises(InputError, match=words):
        open_verifier(chosen)


@pytest.mark.parametrize(
    ("n_workers", "hang"),
    [(1, "loop"), *(pytest.param(n, "sleep", marks=pytest.mark.slow) for n in (1, 2))],
)
def test_a_class_of_your_own_costs_one_verdict_at_the_most(module, n_workers, hang):
    texts = ["4", "raise", "5", "odd", hang, "4", "die", "5", "4"]
    with Checker(f"{module}Last", n_workers, CallLimits(time_s=0.5)) as checker:
        verdicts = list(checker.verify_many((FOUR, Completion(text)) for text in texts))
        assert [verdict.outcome for verdict in verdicts] == [
            "correct", "undecided", "wrong", "undecided", "undecided", "correct", "undecided", "wrong", "correct"
        ]  # fmt: skip
        assert "ZeroDivisionError in own_rules.py" in verdicts[1].reason and "no verdict" in verdicts[3].reason
        assert checker.verify(FOUR, RIGHT).outcome == "correct" and checker.why_not(Problem("", "", "")) != ""


def test_the_arguments_of_a_class_reach_it_in_every_process(module):
    with Checker({"kind": f"{module}Last", "arguments": {"number": 5}}, n_workers=2) as checker:
        outcomes = [verdict.outcome for verdict in checker.verify_many([(FOUR, RIGHT), (FOUR, WRONG)] * 50)]
    assert outcomes == ["wrong", "correct"] * 50


class SeesEverything:
    """Says what it saw of the problem and the completion."""

    identity, system = "sees/1", "x"

    def verify(self, problem, completion):
        return Verdict("correct", f"{problem.options} {problem.meta} {completion.reasoning} {completion.finish_reason}")

    def why_not(self, problem):
        return ""


@pytest.mark.parametrize("n_workers", [1, 2])
def test_a_verifier_sees_the_whole_problem_and_the_whole_completion(n_workers):
    problem = Problem("", "p", "A", ["x", "y"], meta={"depth": [1, {"a": None}]})
    with Checker(SeesEverything(), n_workers) as checker:
        verdict = checker.verify(problem, Completion("t", "length", reasoning="hm"))
    assert verdict.extracted == "['x', 'y'] {'depth': [1, {'a': None}]} hm length"


def test_a_verifier_that_cannot_travel_to_another_process_is_refused():
    verifier = SeesEverything()
    verifier.open_file = lambda: None
    with Checker(verifier) as checker, pytest.raises(InputError, match="pickle"):
        checker.verify(FOUR, RIGHT)


@pytest.mark.parametrize(
    ("answer", "text", "outcome"),
    [
        ("Paris", "Answer: paris.", "correct"),
        ("Paris", "The capital is Paris.\n**Answer:** Paris", "correct"),
        ("duty of care", "\\boxed{Duty  of care}", "correct"),
        ("Paris", "Answer: Paris, France", "wrong"),
        ("Paris", "Answer: Lyon", "wrong"),
        ("Paris", "$\\boxed{\\text{Paris}}$", "correct"),
        ("\\text{Paris}", "Answer: Lyon", "wrong"),
        ("Paris", "It is Paris.", "no_answer"),
        ("", "Answer: x", "undecided"),
    ],
)
def test_exact_compares_the_stated_text(answer, text, outcome):
    assert open_verifier("exact").verify(Problem("", "", answer), Completion(text)).outcome == outcome


def test_exact_minds_case_only_when_told():
    problem, completion = Problem("", "", "pH"), Completion("Answer: PH")
    assert open_verifier("exact").verify(problem, completion).outcome == "correct"
    assert open_verifier({"kind": "exact", "case": True}).verify(problem, completion).outcome == "wrong"


def test_settings_that_were_checked_are_accepted_as_they_are():
    settings = verifier_settings({"kind": "numeric", "tolerance": 0.2})
    assert verifier_settings(settings) == settings and open_verifier(settings).identity.startswith("numeric/7 ")


@pytest.mark.parametrize("kind", ["python:subprocess:Popen", "python:subprocess:run"])
def test_what_is_no_verifier_is_not_called(tmp_path, kind):
    made = tmp_path / "made"
    with pytest.raises(InputError, match="no verifier"):
        open_verifier({"kind": kind, "arguments": {"args": ["touch", str(made)]}})
    assert not made.exists()


def test_no_verdict_is_given_where_no_process_could_be_started(monkeypatch):
    class NoPool:
        def map(self, payloads, size_of):
            yield from ((payload, CallResult(None, f"{NO_WORKER}its process died (signal 9)")) for payload in payloads)

        def close(self):
            pass

    monkeypatch.setattr(Checker, "_pool", lambda *_: NoPool())
    with Checker("maths", 2) as checker, pytest.raises(PartialError, match=r"could be started: '.*signal 9"):
        list(checker.verify_many([(FOUR, RIGHT)]))
