"""Scores from rollouts: every outcome counted, nothing asked twice."""

import json

import pytest
from pydantic import ValidationError

from limo.core.errors import InputError, ModelError, PartialError
from limo.core.progress import NoProgress
from limo.core.records import Completion, Problem, Verdict
from limo.core.stats import wilson
from limo.ledger.store import Ledger
from limo.models.completer import Capabilities, Completer
from limo.pool.sources.benchmarks import benchmark_notes, benchmarks, load_benchmark
from limo.stages.evaluate import Decoding, Recipe, averages, evaluate, paper_decoding
from limo.stages.evaluate import run as run_stage
from limo.stages.fingerprint import differences

PROBLEMS = [Problem.make(f"{i} plus {i}", str(2 * i)) for i in range(4)]


class Scripted(Completer):
    """A model that answers by problem and index from a script, counting what it was asked."""

    name = "scripted"

    def __init__(self, script):
        self.script, self.asked = script, []

    def complete(self, requests):
        for request in requests:
            self.asked.append((request.problem.answer, request.index))
            text, reason, n_tokens = self.script(request)
            yield [(request, Completion(text, reason, 5, n_tokens, error="broke" if reason == "error" else ""))]


class Exact:
    """Right when the text is the answer; `?` cannot be decided."""

    identity = "exact"

    def verify_many(self, pairs):
        for problem, completion in pairs:
            answer, text, reason = problem.answer, completion.text, completion.finish_reason
            if reason == "length":
                outcome = "truncated"
            elif text == "?":
                outcome = "undecided"
            else:
                outcome = "correct" if text == answer else "wrong" if text else "no_answer"
            yield Verdict(outcome)


def right(request):
    return request.problem.answer, "stop", 10


def by_answer(table):
    return lambda request: table.get(request.problem.answer, right(request))


@pytest.fixture
def ledger(tmp_path):
    with Ledger(tmp_path / "ledger.sqlite") as opened:
        yield opened


def run(ledger, script, n=1, problems=PROBLEMS, name="sums", seed=0):
    model = Scripted(script)
    decoding = Decoding(n=n, temperature=0.0 if n == 1 else 0.6, max_tokens=64, seed=seed)
    return evaluate(ledger, model, name, problems, decoding, Exact()), model


def test_each_outcome_is_counted_under_its_name(ledger):
    table = {"0": ("", "stop", 1), "2": ("7", "stop", 3), "4": ("lo", "length", 64)}
    found, _ = run(ledger, by_answer(table))
    assert found.n_by_outcome == {"correct": 1, "wrong": 1, "no_answer": 1, "truncated": 1, "undecided": 0}
    assert found.score.value == 0.25
    assert (found.score.n_problems, found.score.n_rollouts) == (4, 4)
    assert found.n_tokens_mean == (1 + 3 + 64 + 10) / 4
    assert found.score.low <= 0.25 <= found.score.high


def test_a_truncated_completion_is_not_right(ledger):
    found, _ = run(ledger, lambda r: (r.problem.answer, "length", 64))
    assert found.score.value == 0 and found.n_by_outcome["truncated"] == 4
    assert wilson(0, 4)[1] < found.score.high < 1
    assert (found.details.least, found.details.most) == (0, 1)  # had they all been right


def test_the_undecided_count_neither_way_and_are_named(ledger):
    table = {"0": ("?", "stop", 2), "2": ("", "error", 0)}
    found, _ = run(ledger, by_answer(table))
    assert found.score.value == 1.0
    assert found.score.n_problems == 2 and found.score.n_rollouts == 4
    assert found.unscored == [PROBLEMS[0].id, PROBLEMS[1].id]
    assert found.n_by_outcome["undecided"] == 2
    assert found.n_tokens_mean == 22 / 3  # a failed rollout has no length


def test_pass_at_1_is_the_share_of_right_samples_and_never_any_of_n(ledger):
    found, _ = run(ledger, lambda r: (r.problem.answer if r.index == 0 else "no", "stop", 10), n=4)
    assert found.score.value == 0.25
    assert set(found.rate_by_problem.values()) == {0.25}
    assert found.score.n_rollouts == 16


def test_a_second_evaluation_asks_nothing_and_another_seed_asks_all(ledger):
    first, _ = run(ledger, right, n=2)
    second, model = run(ledger, right, n=2)
    assert model.asked == [] and second == first
    assert len(run(ledger, right, n=2, seed=1)[1].asked) == 8


def test_more_rollouts_in_the_ledger_than_asked_for_do_not_change_a_score(ledger):
    run(ledger, lambda r: (r.problem.answer if r.index >= 2 else "no", "stop", 10), n=4)
    decoding = Decoding(n=2, temperature=0.6, max_tokens=64)
    assert evaluate(ledger, Scripted(right), "sums", PROBLEMS, decoding, Exact()).score.value == 0


def test_a_benchmark_that_says_nothing_is_an_error(ledger):
    with pytest.raises(InputError, match="empty"):
        run(ledger, right, problems=[])
    with pytest.raises(PartialError, match="none of 4 rollouts could be decided"):
        run(ledger, lambda r: ("?", "stop", 1))


def test_an_average_counts_each_benchmark_once(ledger):
    many = [Problem.make(f"{i} times 1", str(i)) for i in range(20)]
    good, _ = run(ledger, right, problems=many, name="large")
    bad, _ = run(ledger, lambda r: ("no", "stop", 1), name="small")
    found = averages([good, bad], {"large": "in-domain", "small": "out-of-domain"})
    assert [(a.group, a.value, a.n_benchmarks) for a in found] == [
        ("in-domain", 1.0, 1), ("out-of-domain", 0.0, 1), ("all", 0.5, 2),
    ]  # fmt: skip
    assert all(a.low <= a.value <= a.high and a.low < a.high for a in found)
    assert [a.group for a in averages([good], {})] == ["all"]
    with pytest.raises(InputError, match="nothing to average"):
        averages([], {})


def test_the_protocol_is_the_papers():
    problems = [Problem.make(f"number {i}", "1") for i in range(50)]
    greedy, few = paper_decoding("my own", problems), paper_decoding("my own", problems[1:])
    first = paper_decoding("my own", problems[20:], "v1")
    assert (greedy.n, greedy.temperature, greedy.max_tokens) == (1, 0.0, 32768)
    assert (few.n, few.temperature) == (4, 0.6)
    assert (first.n, first.temperature) == (16, 0.7)


def test_small_benchmarks_are_sampled_and_large_ones_greedy():
    few, many = paper_decoding("AIME24"), paper_decoding("MATH500")
    assert (few.n, few.temperature, few.max_tokens) == (4, 0.6, 32768)
    assert paper_decoding("AIME24", protocol="v1").n == 16
    assert (many.n, many.temperature) == (1, 0.0)
    assert all((entry.decoding == "sampled") == (entry.n < 50) for entry in benchmarks().values())


def test_a_benchmark_that_repeats_its_problems_is_decoded_by_the_number_of_different_ones():
    assert paper_decoding("my own", [Problem.make("one", "1")] * 60).n == 4


def test_several_greedy_samples_are_refused():
    with pytest.raises(ValidationError, match="all the same"):
        Decoding(n=4, temperature=0)


def recipe_of(tmp_path, rows, **settings):
    (tmp_path / "set.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    model = {"kind": "replay", "name": "scripted", "files": ["unused"]}
    values = {"model": model, "benchmarks": {"mine": str(tmp_path / "set.jsonl")}, "decoding": {}} | settings
    return Recipe.model_validate(values)


def test_a_key_that_is_none_of_the_options_is_reported(tmp_path):
    rows = [{"problem": "Which?", "choices": ["3 m", "5 m"], "answer": key} for key in ("B", "E")]
    rows[1]["problem"] = "And which?"
    progress = NoProgress()
    recipe = recipe_of(tmp_path, rows, verifier="choice")
    model = Scripted(lambda request: ("Answer: B", "stop", 3))
    result = run_stage(recipe, tmp_path / "run", progress, opener=lambda settings, data: model)
    (errors,) = result.key_errors.values()
    assert list(errors) == [Problem.make(load_benchmark("mine", tmp_path / "set.jsonl")[1].problem, "").id]
    assert any("1 of 2 keys cannot be verified" in line for line in progress.logged)
    stored = json.loads((tmp_path / "run" / "evaluations.json").read_text())
    assert stored["key_errors"] == result.key_errors


def test_a_benchmark_of_repeated_rows_is_announced_and_decoded_by_its_different_problems(tmp_path):
    rows = [{"problem": f"{i % 3} plus 1?", "answer": str(i % 3 + 1 + (i == 59))} for i in range(60)]
    progress, model = NoProgress(), Scripted(right)
    recipe = recipe_of(tmp_path, rows, decoding=None)
    result = run_stage(recipe, tmp_path / "run", progress, opener=lambda settings, data: model)
    assert len(model.asked) == 12 and result.evaluations[0].score.n_problems == 3
    assert result.notes == [
        "mine: 60 rows are 3 problems; 57 repeat an earlier row, 1 with another key, of which the first counts; "
        "each problem is scored once"
    ]
    assert result.notes[0] in progress.logged


def test_aime24_is_marked_as_suspected_of_contamination():
    assert "AIME24: suspected of contamination" in benchmark_notes("AIME24", PROBLEMS)[0]
    assert benchmark_notes("AIME25", PROBLEMS) == []


@pytest.mark.parametrize("n_failed", [10, 11])
def test_a_run_stops_when_more_than_half_of_the_first_twenty_requests_fail(tmp_path, n_failed):
    rows = [{"problem": f"{i} plus 0?", "answer": str(i)} for i in range(60)]
    model = Scripted(lambda r: ("", "error", 0) if len(model.asked) <= n_failed else right(r))
    recipe, opener = recipe_of(tmp_path, rows), lambda settings, data: model
    if n_failed == 10:
        assert run_stage(recipe, tmp_path / "run", opener=opener).evaluations[0].score.n_problems == 50
        return
    with pytest.raises(ModelError, match="11 of the first 20 requests to scripted failed: 'broke'"):
        run_stage(recipe, tmp_path / "run", opener=opener)
    assert len(model.asked) <= 21, "the others are not sent"
    with Ledger(tmp_path / "run" / "ledger.sqlite") as ledger:
        assert len(ledger) == 20, "what came is kept"


def test_a_run_whose_every_request_failed_is_no_score(ledger):
    with pytest.raises(PartialError, match=r"each of .* requests failed \(broke\): 'sums'"):
        run(ledger, lambda r: ("", "error", 0))


def test_each_score_carries_a_fingerprint_that_changes_with_what_it_depends_on(tmp_path):
    opener = lambda settings, data: Scripted(right)  # noqa: E731
    rows = [{"problem": f"{i} plus 0?", "answer": str(i)} for i in range(3)]
    prints = []
    for number, decoding in enumerate(({}, {"max_tokens": 9})):
        run_stage(recipe_of(tmp_path, rows, decoding=decoding), tmp_path / f"run{number}", opener=opener)
        stored = json.loads((tmp_path / f"run{number}" / "scores.json").read_text())
        prints.append(stored["scripted"][0]["fingerprint"])
    of_sampling = {"sampling", "temperature", "top_p", "max_tokens", "seed"}
    assert prints[0]["mine"].keys() == {"engine", "benchmark", "prompt", "verifier"} | of_sampling
    assert [line.split(":")[0] for line in differences(*prints)] == ["max_tokens"]


def test_a_judge_as_verifier_decides_what_the_rules_leave_and_every_score_names_where_it_comes_from(tmp_path):
    rows = [
        {"problem": f"What is moved, {i}?", "answer": "a proof by induction over the number of red balls"}
        for i in range(2)
    ]
    judge = {"kind": "judge", "rules": "maths", "models": [{"kind": "replay", "name": "judge", "files": ["unused"]}]}
    recipe = recipe_of(tmp_path, rows, verifier=judge)

    def open_scripted(settings, data):
        model = Scripted(lambda request: ("CORRECT", "stop", 1))
        if settings.name == "scripted":
            model = Scripted(lambda request: ("It is \\boxed{induction}.", "stop", 3))
        model.name = settings.name
        return model

    result = run_stage(recipe, tmp_path / "run", opener=open_scripted)
    (evaluation,) = result.evaluations
    assert evaluation.n_by_outcome["correct"] + evaluation.n_by_outcome["wrong"] == 2
    source = evaluation.score.provenance
    assert source.model == "scripted" and source.verifier.startswith("judge/1 judge n=1")
    assert source.ledger == str(tmp_path / "run" / "ledger.sqlite")
    assert result.averages[-1].provenance == [source]


MINE = {"kind": "replay", "name": "scripted", "files": ["m.jsonl"]}


def scripted_run(tmp_path, script, name="scripted", **values):
    lines = "".join(json.dumps({"problem": p.problem, "answer": p.answer}) + "\n" for p in SUMS)
    (tmp_path / "sums.jsonl").write_text(lines)
    recipe = {"data": str(tmp_path), "model": MINE | {"name": name}, "benchmarks": {"sums": "sums.jsonl"}, **values}
    model = Scripted(script)
    model.name = name
    recipe = Recipe.model_validate({"decoding": {"max_tokens": 64}, **recipe})
    return run_stage(recipe, tmp_path / "run", opener=lambda *_: RetriesErrors(model))


class RetriesErrors(Completer):
    """A model whose failed requests are sent again."""

    capabilities = Capabilities(retries_errors=True)

    def __init__(self, model):
        self.name, self.complete = model.name, model.complete


SUMS = [Problem.make(f"What is {i} plus {i}?", str(2 * i)) for i in range(60)]


def boxed(request):
    return f"It is \\boxed{{{request.problem.answer}}}.", "stop", 10


def failing(from_answer):
    return lambda request: ("", "error", 0) if int(request.problem.answer) >= from_answer else boxed(request)


def test_replies_that_go_on_failing_leave_a_score_with_its_bounds(tmp_path):
    with pytest.raises(ModelError, match="of the first 20 requests"):
        scripted_run(tmp_path, failing(0))
    found = scripted_run(tmp_path, failing(60)).evaluations[0]  # half of them, the failed ones last
    for _ in range(2):  # every request of these starts fails
        found = scripted_run(tmp_path, failing(0)).evaluations[0]
    assert found.score.value == 1 and found.score.n_problems == 30
    assert (found.missing.n, found.missing.n_wanted, found.missing.why) == (30, 60, "broke")
    assert (found.missing.least, found.missing.most) == (0.5, 1.0)
    result = scripted_run(tmp_path, failing(0))
    assert "sums: 30 of 60 replies are missing; 50.0% to 100.0% if they were wrong or right" in result.notes
    assert scripted_run(tmp_path, boxed).evaluations[0].missing.n == 0, "the server was mended"


def test_another_model_or_seed_in_a_run_is_refused_with_the_run_to_name(tmp_path):
    scripted_run(tmp_path, boxed)
    before = (tmp_path / "run" / "scores.json").read_bytes()
    for values, option in (({"name": "a/b"}, f"--run {tmp_path}/run-a-b"), ({"seed": 1}, "run-scripted-seed-1")):
        with pytest.raises(InputError, match=r"this run holds the scores of another model.*scripted, seed 0") as raised:
            scripted_run(tmp_path, boxed, **values)
        assert option in str(raised.value)
    assert (tmp_path / "run" / "scores.json").read_bytes() == before
    assert scripted_run(tmp_path, boxed, decoding={"max_tokens": 32}).evaluations[0].score.value == 1, "made anew"


def test_scores_that_another_decoding_replaces_are_named(tmp_path, caplog):
    scripted_run(tmp_path, boxed)
    assert not caplog.messages
    scripted_run(tmp_path, boxed, decoding={"max_tokens": 32})
    gone = "replaced, and not kept: verdicts, scores.json, evaluations.json; another --run keeps both"
    (line,) = caplog.messages
    assert line.startswith("the recipe has changed in decoding") and line.endswith(gone)
