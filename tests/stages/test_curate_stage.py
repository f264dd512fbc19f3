import hashlib
import json
import random
import shutil
from collections.abc import Iterator
from itertools import islice
from pathlib import Path

import pytest

from limo.core.errors import InputError, LimoError, RecipeError
from limo.core.progress import NoProgress
from limo.core.recipe import load
from limo.core.records import Completion
from limo.core.run_folder import RunFolder
from limo.curate.funnel import graded_chains, problems_after
from limo.curate.scorers import judge
from limo.curate.select import sample_levels
from limo.ledger.store import Ledger
from limo.models.completer import Completer, CompletionGroup, Request
from limo.stages.curate import CurateResult
from limo.stages.curate import Recipe as CurateRecipe
from limo.stages.curate import run as curate

N = 24
SYSTEMS = ("Answer.", "Check every step.")


def statement(i: int) -> str:
    names = ("apples", "boats", "cats", "doors", "eggs", "forks", "gates", "hats", "inks", "jars", "kites", "lamps")
    first, second = f"{i + 3} {names[i % 12]}", f"{i * i + 5} more {names[(i + 5) % 12]}"
    return f"In town {'xyz'[i % 3]}{i} there were {first} and then {second}: how many in all?"


def answer(i: int) -> int:
    return i + 3 + i * i + 5


class Fake(Completer):
    """Right or wrong by rule: `weak` solves every third problem, `strong` some attempts; all agree on problem 5."""

    asked: list[tuple[str, str, int]]

    def __init__(self, name: str, log: list[tuple[str, str, int]], die_after: int | None = None) -> None:
        self.name, self.asked, self.die_after = name, log, die_after

    def complete(self, requests: Iterator[Request]) -> Iterator[CompletionGroup]:
        while batch := list(islice(requests, 8)):
            if self.die_after is not None and len(self.asked) >= self.die_after:
                raise KeyboardInterrupt
            self.asked += [(self.name, request.problem.id, request.index) for request in batch]
            yield [(request, Completion(self.reply(request), "stop", 9, 30)) for request in batch]

    def reply(self, request: Request) -> str:
        if self.name == "judge":
            marks = "\n".join(f"{name}: {1 + len(request.problem.problem) % 5}" for name in judge.TRAITS)
            return "I cannot say." if "on try 3" in request.problem.problem else f"Step by step.\n{marks}"
        i = next(i for i in range(N) if " ".join(request.problem.problem.split()) == statement(i))
        right = i % 3 == 0 if self.name == "weak" else (request.index + i) % 4 == 0
        if i == 5:
            return "It is \\boxed{1}."
        if not right:
            return f"It must be \\boxed{{{answer(i) + 1 + request.index}}}."
        careful = SYSTEMS[1] in request.messages[0]["content"]
        check = (
            " Perhaps that is wrong, so let me check: yes, therefore it holds." + " Add." * (i % 5) if careful else ""
        )
        return f"Adding gives {answer(i)} on try {request.index}.{check} \\boxed{{{answer(i)}}}"


@pytest.fixture
def pool(tmp_path: Path) -> Path:
    rows = [{"problem": statement(i), "answer": str(answer(i)), "topic": "xyz"[i % 3]} for i in range(N)]
    rows += [rows[1], {"problem": "No answer to this one?", "answer": ""}]
    path = tmp_path / "pool.jsonl"
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    (tmp_path / "held_out.jsonl").write_text(json.dumps({"problem": statement(7), "answer": str(answer(7))}) + "\n")
    return path


def model(name: str) -> dict[str, object]:
    return {"kind": "local", "name": name, "path": "unused"}


def recipe(folder: Path, **changes: object) -> CurateRecipe:
    values: dict[str, object] = {
        "data": str(folder.parent),
        "pool": {"sources": [folder.name]},
        "benchmarks": {"held-out": "held_out.jsonl"},
        "decontaminate": {"same_numbers": "off", "renumbered": "report"},
        "dedup": {"reworded_similarity": 1},
        "filters": [
            {"name": "weak_filter", "models": [model("weak")], "n": 2, "low": 0, "high": 0},
            {"name": "strong_filter", "models": [model("strong")], "n": 8, "low": 1, "high": 7, "teacher": True},
        ],
        "teachers": [{"models": [model("strong")], "n": 4, "system": system} for system in SYSTEMS],
        "select": {"k": 6},
    }
    return CurateRecipe.model_validate(values | changes)


class Bench:
    """Runs `curate` with fakes, and remembers what was asked."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.asked: list[tuple[str, str, int]] = []
        self.opened: list[str] = []
        self.progress = NoProgress()

    def __call__(self, settings: CurateRecipe, die_after: int | None = None) -> CurateResult:
        def opener(model: object, data: str) -> Fake:
            self.opened.append(model.name)  # type: ignore[attr-defined]
            return Fake(model.name, self.asked, die_after)  # type: ignore[attr-defined]

        return curate(settings, self.folder, self.progress, opener=opener)


@pytest.fixture
def bench(tmp_path: Path) -> Bench:
    return Bench(tmp_path / "run")


def hashes(folder: Path) -> dict[str, str]:
    return {p.name: hashlib.sha256(p.read_bytes()).hexdigest() for p in folder.iterdir()}


def test_from_pool_to_dataset_every_count_adds_up_and_every_drop_has_its_reason(pool, bench):
    done = bench(recipe(pool))
    rows = {one.stage: one for one in done.funnel}
    assert list(rows) == [
        "ingest", "dedup", "decontaminate", "weak_filter", "strong_filter", "chains", "grade", "select", "export",
    ]  # fmt: skip
    assert rows["ingest"].n_in == N + 2 and sum(rows["ingest"].n_by_reason.values()) == 1
    assert rows["dedup"].n_by_reason == {"duplicate": 1}
    assert rows["decontaminate"].n_by_reason == {"held out": 1}
    assert rows["weak_filter"].n_by_reason == {"too easy": 8}
    assert rows["strong_filter"].n_by_reason == {"suspect": 1}
    assert rows["select"].n_kept == rows["export"].n_kept == done.n_selected == 6
    assert json.loads((bench.folder / "funnel.json").read_text())[3]["n_in"] == rows["decontaminate"].n_kept
    card = (done.folder / "README.md").read_text()
    assert "| weak_filter | weak | 2 | temperature 1" in card and card.count("| teacher | strong | 4 |") == 2
    assert str(pool) not in card and "/tmp" not in card, "a card that is published holds no path of this machine"
    for name, value in RunFolder(bench.folder).input_hashes().items():
        assert f"{name.rpartition('/')[2]} | `{value}` |" in card


def test_agreement_on_another_answer_is_kept_as_evidence(pool, bench):
    bench(recipe(pool))
    run = RunFolder(bench.folder)
    (one,) = run.read_dropped("strong_filter")
    assert one.reason == "suspect"
    assert one.detail["key"] == str(answer(5)) and one.detail["agreed"] == "1"
    assert one.detail["models"] == ["strong", "weak"]
    assert len(problems_after(run, "strong_filter")) == 14


def test_selected_rows_are_correct_differ_in_problem_and_carry_the_recipes_system_text(pool, bench):
    from datasets import load_from_disk

    done = bench(recipe(pool, system="Box it."))
    rows = load_from_disk(done.folder)
    truth = {statement(i): str(answer(i)) for i in range(N)}
    assert len({row["problem_id"] for row in rows}) == 6
    for row in rows:
        system, user, assistant = row["messages"]
        assert system == {"role": "system", "content": "Box it."}
        assert f"\\boxed{{{truth[user['content']]}}}" in assistant["content"]
        assert [rate["model"] for rate in row["pass_rates"]] == ["weak", "strong"]
        assert "let me check" in assistant["content"], "a checked chain outscores a bare one of the same problem"


def test_all_graded_chains_stay_readable_so_that_level_arms_can_be_drawn(pool, bench):
    bench(recipe(pool))
    chains, grades = graded_chains(RunFolder(bench.folder))
    assert len(chains) == len(grades) > 20
    arms = sample_levels(chains, grades, 5)
    assert len(arms["L1"]) == len(arms["L5"]) == 5
    assert {c.problem_id for c, _ in arms["L1"]} == {c.problem_id for c, _ in arms["L5"]}


def test_a_filter_that_is_no_teacher_gives_no_chains(pool, bench):
    filters = [{"name": "weak_filter", "models": [model("weak")], "n": 2, "low": 0, "high": 0}]
    bench(recipe(pool, filters=filters))
    chains, _ = graded_chains(RunFolder(bench.folder))
    assert {chain.teacher for chain in chains} == {"strong"}


def test_a_second_run_asks_nothing_changes_nothing_and_says_so(pool, bench):
    first = bench(recipe(pool))
    n_asked, n_opened, before = len(bench.asked), len(bench.opened), hashes(first.folder)
    again = bench(recipe(pool))
    assert (len(bench.asked), len(bench.opened)) == (n_asked, n_opened)
    assert again.did_nothing and not first.did_nothing
    assert again.funnel == first.funnel
    assert hashes(first.folder) == before
    assert "nothing to do" in bench.progress.logged[-1]


def test_the_files_of_a_stage_from_another_state_of_the_run_are_one_line(pool, bench):
    bench(recipe(pool))
    stages = bench.folder / "stages"
    shutil.copy(stages / "chains.dropped.parquet", stages / "grade.dropped.parquet")
    (bench.folder / "outputs.json").unlink()  # of a run of before they were noted
    with pytest.raises(InputError, match=r"the files of this run cannot be read together.*restore the files"):
        bench(recipe(pool))


DAMAGED = ["problems.parquet", "selected/data-00000-of-00001.arrow", "selected/state.json", "funnel.json"]
DAMAGED += [
    f"stages/{step}.{kind}.parquet" for step in ("weak_filter", "grade", "export") for kind in ("kept", "dropped")
]
FAST = {("problems.parquet", False), ("selected/state.json", True), ("stages/grade.kept.parquet", True)}


@pytest.mark.parametrize(
    ("name", "is_cut"),
    [
        pytest.param(name, is_cut, marks=[] if (name, is_cut) in FAST else pytest.mark.slow)
        for name in DAMAGED
        for is_cut in (True, False)
    ],
)
def test_a_file_of_a_finished_run_that_is_cut_or_gone_is_made_anew_and_nothing_is_asked(
    pool, bench, name, is_cut, caplog
):
    first = bench(recipe(pool))
    asked, before, file = list(bench.asked), hashes(first.folder), bench.folder / name
    whole = file.read_bytes()
    file.write_bytes(whole[: len(whole) // 2]) if is_cut else file.unlink()
    again = bench(recipe(pool))
    assert f"{name} is not as it was written" in caplog.text
    assert (bench.asked, hashes(again.folder), again.funnel) == (asked, before, first.funnel)
    assert (bench.folder / "funnel.json").is_file()
    if file.suffix != ".parquet":
        assert file.read_bytes() == whole
    assert bench(recipe(pool)).did_nothing


def test_a_table_that_is_gone_of_a_run_of_before_outputs_were_noted_is_made_anew(pool, bench):
    first = bench(recipe(pool))
    (bench.folder / "outputs.json").unlink()
    (bench.folder / "stages" / "grade.kept.parquet").unlink()
    again = bench(recipe(pool))
    assert again.funnel == first.funnel and not again.did_nothing


def test_a_card_may_be_edited(pool, bench):
    card = bench(recipe(pool)).folder / "README.md"
    card.write_text("mine")
    assert bench(recipe(pool)).did_nothing and card.read_text() == "mine"


@pytest.mark.parametrize("die_after", [20, 170, *(pytest.param(n, marks=pytest.mark.slow) for n in (1, 90))])
def test_an_interrupted_run_goes_on_and_ends_the_same_with_nothing_asked_twice(pool, bench, tmp_path, die_after):
    whole = Bench(tmp_path / "whole")
    expected = whole(recipe(pool))
    with pytest.raises(KeyboardInterrupt):
        bench(recipe(pool), die_after=die_after)
    done = bench(recipe(pool))
    assert hashes(done.folder) == hashes(expected.folder)
    assert done.funnel == expected.funnel
    assert len(bench.asked) == len(whole.asked)


def test_a_band_over_several_models_counts_their_rollouts_together(pool, bench):
    filters = [{"name": "committee", "models": [model("weak"), model("strong")], "n": 2, "low": 1, "high": 3}]
    bench(recipe(pool, filters=filters))
    run = RunFolder(bench.folder)
    kept = run.read_stage("committee")
    assert {line["model"] for line in kept} == {"weak + strong"}
    assert all(line["n"] == 4 and 1 <= line["n_correct"] <= 3 for line in kept)
    assert {d.reason for d in run.read_dropped("committee")} == {"too hard", "suspect"}


def test_a_model_after_the_first_is_not_asked_what_is_decided(pool, bench):
    filters = [{"name": "committee", "models": [model("weak"), model("strong")], "n": 2, "low": 0, "high": 0}]
    bench(recipe(pool, filters=filters))
    solved = {p for m, p, _ in bench.asked if m == "weak"} - {p for m, p, _ in bench.asked if m == "strong"}
    assert len(solved) == 8


def test_fewer_than_k_is_said(pool, bench):
    done = bench(recipe(pool, select={"k": 500}))
    assert done.n_selected == 14
    assert any("selected 14 of the 500 wanted" in line for line in bench.progress.logged)


def test_a_stage_that_keeps_nothing_stops_with_its_reasons_and_leaves_its_table(pool, bench):
    filters = [{"name": "impossible", "models": [model("strong")], "n": 8, "low": 8, "high": 8}]
    for _ in range(2):
        with pytest.raises(InputError, match=r"nothing is left after impossible.*too hard") as caught:
            bench(recipe(pool, filters=filters))
        assert "loosen filters.0.low " in str(caught.value)
    assert RunFolder(bench.folder).counts()["impossible"].n_kept == 0


def test_where_no_chain_is_left_the_setting_that_most_were_dropped_by_is_named(pool, bench):
    with pytest.raises(InputError, match=r"nothing is left after chains.*loosen chains\.max_tokens "):
        bench(recipe(pool, chains={"max_tokens": 5}))


@pytest.mark.parametrize(
    ("verifier", "given", "boxed"),
    [
        ("maths", None, True),
        ("numeric", None, False),
        ("exact", None, False),
        ("choice", None, False),
        ("numeric", True, True),
        ("maths", False, False),
    ],
)
def test_a_chain_must_be_boxed_where_the_verifiers_prompt_asks_for_it_unless_the_recipe_says(
    pool, verifier, given, boxed
):
    settings = recipe(pool, verifier=verifier, chains={} if given is None else {"boxed": given}).with_prompts()
    assert settings.chains.boxed is boxed


def test_official_solutions_compete_once_they_are_checked_like_any_chain(pool, bench):
    rows = [json.loads(line) for line in pool.read_text().splitlines()]
    endings = {1: "So it is \\boxed{%d}.", 2: "So it is %d.", 4: "So it is \\boxed{1}."}
    for i, ending in endings.items():
        rows[i]["solution"] = "Add them. " + (ending % answer(i) if "%" in ending else ending)
    pool.write_text("".join(json.dumps(row) + "\n" for row in rows))
    bench(recipe(pool, chains={"official": True}))
    run = RunFolder(bench.folder)
    own = [row for row in run.read_stage("chains") if row["teacher"] == "official solution"]
    assert [row["text"] for row in own] == [rows[1]["solution"]]
    gone = [one for one in run.read_dropped("chains") if one.detail["teacher"] == "official solution"]
    assert sorted(one.reason for one in gone) == ["no boxed answer", "wrong answer"]


def test_a_judge_grades_within_a_curation_and_a_chain_without_marks_is_dropped_with_that_reason(pool, bench):
    judged = {"grade": {"scorer": "judge"}, "judge": {"models": [model("judge")]}}
    done = bench(recipe(pool, **judged))
    row = next(one for one in done.funnel if one.stage == "grade")
    assert 0 < row.n_by_reason["no marks"] < row.n_in
    chains, grades = graded_chains(RunFolder(bench.folder))
    assert len(chains) == len(grades) == row.n_kept and not any("on try 3" in one.text for one in chains)
    assert all(set(one.traits) == set(judge.TRAITS) for one in grades)
    asked = [name for name, *_ in bench.asked if name == "judge"]
    assert len(asked) == row.n_in and "judge" in bench.opened
    assert bench(recipe(pool, **judged)).did_nothing and bench.opened.count("judge") == 1


@pytest.mark.parametrize("seed", range(4))
def test_whatever_the_pool_no_problem_is_twice_selected_or_contaminated_or_wrongly_answered(pool, bench, seed):
    rng = random.Random(seed)
    rows = [json.loads(line) for line in pool.read_text().splitlines()]
    rows += [
        row | {"problem": row["problem"].replace(" ", "  ") + "\n"} for row in rng.sample(rows[:N], 4)
    ] + rng.choices(rows, k=6)
    rng.shuffle(rows)
    pool.write_text("".join(json.dumps(row) + "\n" for row in rows))
    held = {statement(i): answer(i) for i in rng.sample(range(N), 6)}
    lines = [json.dumps({"problem": f"  {text} ", "answer": str(key)}) for text, key in held.items()]
    (pool.parent / "held_out.jsonl").write_text("\n".join(lines) + "\n")
    orders = ["score", "random", "longest", "balanced"]
    settings = recipe(pool, select={"k": rng.randint(1, 40), "by": rng.choice(orders)})
    said: list[str] = []
    bench.progress.log = said.append  # type: ignore[method-assign]
    done = bench(settings)
    taken = RunFolder(bench.folder).read_stage("select")
    problems = {one.id: one for one in problems_after(RunFolder(bench.folder), "strong_filter")}
    texts = [" ".join(problems[row["problem_id"]].problem.split()) for row in taken]
    assert len(set(texts)) == len(texts) == done.n_selected and not set(texts) & held.keys()
    chains = {(one.problem_id, one.text): one for one in graded_chains(RunFolder(bench.folder))[0]}
    assert all(one.verdict.outcome == "correct" and one.verdict.answer for one in chains.values())
    assert done.n_selected == settings.select.k or any("of the" in line and "wanted" in line for line in said)


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"grade": {"scorer": "judge"}}, "needs `judge`"),
        ({"teachers": []}, "no model writes chains"),
        ({"filters": [{"name": "chains", "models": [model("weak")], "n": 1, "low": 0, "high": 0}]}, "must differ"),
        ({"filters": [{"name": "a", "models": [model("weak")], "n": 1, "low": 0, "high": 2}]}, "empty band"),
        ({"filters": [{"name": "a", "models": [], "n": 1}]}, "models"),
        ({"slect": {"k": 3}}, "slect"),
    ],
)
def test_a_recipe_that_cannot_work_is_refused_at_once(pool, tmp_path, changes, words):
    import yaml

    values = recipe(pool).model_dump(mode="json")
    if changes.get("teachers") == []:
        values["filters"] = []
    (tmp_path / "recipe.yaml").write_text(yaml.safe_dump(values | changes))
    with pytest.raises(RecipeError, match=words):
        load(CurateRecipe, tmp_path / "recipe.yaml")


def test_a_missing_pool_and_a_missing_benchmark_are_said_plainly(pool, bench, tmp_path):
    with pytest.raises(LimoError, match=rf"{tmp_path}/nowhere\.jsonl\.gz"):
        bench(recipe(pool, pool={"sources": ["nowhere.jsonl.gz"]}))
    with pytest.raises(LimoError, match=r"gone\.jsonl"):
        Bench(tmp_path / "other")(recipe(pool, benchmarks={"held-out": "gone.jsonl"}))


def test_a_half_export_that_a_killed_process_left_is_replaced(pool, bench, tmp_path):
    expected = hashes(Bench(tmp_path / "whole")(recipe(pool)).folder)
    done = bench(recipe(pool))
    (bench.folder / "stages" / "export.kept.parquet").unlink()
    done.folder.rename(bench.folder / ".selected.abcdef-4194305.tmp")
    done.folder.mkdir()
    (done.folder / "half").write_text("")
    assert hashes(bench(recipe(pool)).folder) == expected
    assert not list(bench.folder.rglob("*.tmp"))


@pytest.mark.parametrize("name", ["pool.jsonl", "held_out.jsonl"])
def test_a_run_does_not_answer_for_a_source_that_has_changed(pool, bench, name):
    bench(recipe(pool))
    with (pool.parent / name).open("a") as file:
        file.write(json.dumps({"problem": "What is 2 + 2 in the ring of numbers modulo three?", "answer": "1"}) + "\n")
    with pytest.raises(InputError, match=r"(source pool\.jsonl|benchmark held-out) has changed since"):
        bench(recipe(pool))
    (pool.parent / name).unlink()
    assert bench(recipe(pool)).did_nothing


def steps_made(bench: Bench, settings: CurateRecipe) -> list[str]:
    """The steps that a run makes anew."""
    n_logged = len(bench.progress.logged)
    bench(settings)
    lines = [line.partition(": kept ")[0] for line in bench.progress.logged[n_logged:] if ": kept " in line]
    return (
        [*lines, "export"] if any(line.startswith("export: ") for line in bench.progress.logged[n_logged:]) else lines
    )


STRICTER = [
    {"name": "weak_filter", "models": [model("weak")], "n": 2, "low": 0, "high": 0},
    {"name": "strong_filter", "models": [model("strong")], "n": 8, "low": 2, "high": 7, "teacher": True},
]


@pytest.mark.parametrize(
    ("changes", "made"),
    [
        ({"select": {"k": 4}}, ["select", "export"]),
        pytest.param({"system": "Be brief."}, ["export"], marks=pytest.mark.slow),
        pytest.param({"chains": {"max_tokens": 40}}, ["chains", "grade", "select", "export"], marks=pytest.mark.slow),
        ({"filters": STRICTER}, ["strong_filter", "chains", "grade", "select", "export"]),
    ],
)
def test_a_changed_setting_makes_anew_what_depends_on_it_pays_nothing_twice_and_ends_as_a_new_run(
    pool, bench, tmp_path, changes, made
):
    bench(recipe(pool))
    assert steps_made(bench, recipe(pool, **changes)) == made
    with Ledger(bench.folder / "ledger.sqlite", read_only=True) as ledger:
        assert len(list(ledger.rollouts())) == len(bench.asked)  # no request was for what the ledger held
    expected = Bench(tmp_path / "whole")(recipe(pool, **changes))
    done = bench(recipe(pool, **changes))
    assert done.did_nothing  # the card counts the rollouts of the former band too
    assert hashes(done.folder).items() - hashes(expected.folder).items() <= {
        ("README.md", hashes(done.folder)["README.md"])
    }


def test_a_setting_without_a_way_to_its_data_destroys_nothing(pool, bench):
    bench(recipe(pool))
    with pytest.raises(LimoError, match="nowhere"):
        bench(recipe(pool, pool={"sources": ["nowhere.jsonl"]}))
    assert bench(recipe(pool)).did_nothing


def test_a_run_that_has_made_nothing_takes_another_recipe(pool, bench, tmp_path):
    with RunFolder(bench.folder, recipe(pool, select={"k": 1})):
        pass
    assert bench(recipe(pool)).n_selected == 6


def test_a_moved_run_and_moved_data_go_on(pool, bench, tmp_path):
    bench(recipe(pool))
    moved = tmp_path / "elsewhere"
    moved.mkdir()
    for name in ("pool.jsonl", "held_out.jsonl", "run"):
        (tmp_path / name).rename(moved / name)
    again = Bench(moved / "run")
    assert again(recipe(moved / "pool.jsonl")).did_nothing and again.asked == []


def test_that_benchmarks_are_read_from_the_hub_is_said_before_they_are(pool, monkeypatch):
    progress, read = NoProgress(), []
    monkeypatch.setattr("limo.stages.curate.load_benchmarks", lambda names, path: read.append(progress.logged) or {})
    recipe(pool).load_benchmarks(progress=progress)
    assert not progress.logged
    recipe(pool, benchmarks={}).load_benchmarks(progress=progress)
    assert read == [["reading benchmarks from the hub, or its cache where there is no network"]]
    recipe(pool, benchmarks={}, decontaminate={"path": "held_out.jsonl"}).load_benchmarks(progress=progress)
    assert len(progress.logged) == 1
