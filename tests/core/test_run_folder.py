import errno
import json
import math
import os
import signal
import subprocess
import sys
import textwrap
from dataclasses import replace

import pytest

from limo.core import files
from limo.core.environment import environment
from limo.core.errors import InputError, MissingFileError, StorageError
from limo.core.recipe import Settings, execution_field
from limo.core.records import Dropped, Problem
from limo.core.run_files import INPUTS, OUTPUTS, check_unchanged
from limo.core.run_folder import RunFolder, RunPool, StageCounts


class Inner(Settings):
    low: int = 1


class Recipe(Settings):
    seed: int = 0
    band: Inner = Inner()
    names: list[str] = []
    n_workers: int = execution_field(1)


class Other(Settings):
    model: str = "a"


DROPPED = [Dropped("p2", "filter", "too easy", {"n_correct": 4}), Dropped("p3", "filter", "too easy")]


@pytest.fixture
def run(tmp_path):
    with RunFolder(tmp_path / "run", Recipe()) as run:
        yield run


def test_a_stage_comes_back_as_it_was_written(run):
    rows = [{"id": "p1", "n": 1, "rate": 0.5, "kept": True}, {"id": "p2", "n": None, "rate": 0.1, "kept": False}]
    run.write_stage("filter", rows, DROPPED)
    assert run.read_stage("filter") == rows
    assert run.read_dropped("filter") == DROPPED


@pytest.mark.parametrize("name", ["run:2", "http:/[::1", "s3:/bucket/run", "file:/x"])
def test_a_folder_with_a_colon_in_its_name_is_no_address(tmp_path, monkeypatch, name):
    monkeypatch.chdir(tmp_path)
    with RunFolder(name, Recipe()) as run:
        run.write_stage("filter", [{"id": "p1"}], DROPPED)
        assert run.read_stage("filter") == [{"id": "p1"}] and run.counts()["filter"].n_kept == 1


HOSTILE = ["\ud800", "\x00", "\u2028\n", "x" * 100_000, "", "🙂", "-inf"]


@pytest.mark.parametrize("text", HOSTILE, ids=repr)
def test_any_text_of_a_model_survives(run, text):
    run.write_stage("chains", [{"text": text}, {"text": "plain"}], [])
    assert [row["text"] for row in run.read_stage("chains")] == [text, "plain"]


VALUES = [{}, {"a": {"b": [1, "x"]}}, [], [{"role": "user"}], 2**80, -1, "1", 1.5, True, None]


@pytest.mark.parametrize("value", VALUES, ids=repr)
@pytest.mark.parametrize("beside", [None, {}, "text", 1])
def test_any_value_survives_beside_any_other(run, value, beside):
    run.write_stage("any", [{"v": value}, {"v": beside}], [])
    assert [row["v"] for row in run.read_stage("any")] == [value, beside]
    assert [type(row["v"]) for row in run.read_stage("any")] == [type(value), type(beside)]


def test_numbers_that_are_none_survive(run):
    run.write_stage("any", [{"v": math.inf}, {"v": math.nan}], [])
    first, second = (row["v"] for row in run.read_stage("any"))
    assert (first, math.isnan(second)) == (math.inf, True)


def test_a_key_that_a_row_lacks_is_none(run):
    run.write_stage("any", [{"a": 1}, {"b": 2}], [])
    assert run.read_stage("any") == [{"a": 1, "b": None}, {"a": None, "b": 2}]


def test_a_stage_that_kept_nothing_is_done_all_the_same(run):
    run.write_stage("filter", [], DROPPED)
    assert run.done("filter")
    assert run.read_stage("filter") == []
    assert run.counts() == {"filter": StageCounts(0, 2, {"too easy": 2})}


def test_counts_stand_in_the_order_of_the_work_and_hold_the_reasons(run):
    run.write_stage("z_first", [{"id": "a"}], [])
    run.write_stage("a_second", [{"id": "a"}], DROPPED)
    run.write_stage("z_first", [{"id": "a"}, {"id": "b"}], [])
    counts = {"z_first": StageCounts(2, 0, {}), "a_second": StageCounts(1, 2, {"too easy": 2})}
    assert list(run.counts().items()) == list(counts.items())


def test_a_stage_that_is_not_done_cannot_be_read(run):
    assert not run.done("filter")
    with pytest.raises(MissingFileError, match="not done"):
        run.read_stage("filter")


def test_a_full_disk_between_the_two_tables_leaves_the_stage_not_done(run, monkeypatch):
    run.write_stage("first", [{"id": "a"}], [])
    replace = os.replace

    def refuse_kept(source, target):
        if "kept" in str(target):
            raise OSError(errno.ENOSPC, "No space left on device")
        replace(source, target)

    monkeypatch.setattr(files.os, "replace", refuse_kept)
    with pytest.raises(StorageError, match="No space left on device"):
        run.write_stage("second", [{"id": "a"}], DROPPED)
    monkeypatch.undo()
    assert (run.done("first"), run.done("second")) == (True, False)
    assert list(run.counts()) == ["first"]
    assert not list(run.path.rglob("*.tmp"))


def test_the_resolved_recipe_and_the_environment_stand_in_the_folder(run):
    assert "low: 1" in (run.path / "recipe.yaml").read_text()
    assert run.read_json("environment.json") == environment()
    assert {"python", "platform", "n_cores", "versions"} <= environment().keys()


def test_another_environment_met_later_is_added_and_not_lost(tmp_path):
    with RunFolder(tmp_path, Recipe()) as run:
        run.write_json("environment.json", {"python": "3.0"})
    for _ in range(2):
        with RunFolder(tmp_path, Recipe()) as run:
            assert run.read_json("environment.json") == {"python": "3.0", "later": [environment()]}


def test_the_same_recipe_opens_the_folder_again(tmp_path):
    for _ in range(2):
        with RunFolder(tmp_path, Recipe(names=["名"])) as run:
            assert run.path == tmp_path
    with RunFolder(tmp_path, Recipe(names=["名"], n_workers=4)):
        pass  # how many work at it is no part of what a run is


@pytest.mark.parametrize(
    ("other", "keys"),
    [
        (Recipe(seed=1), "seed"),
        (Recipe(band=Inner(low=2), names=["x"]), "band.low, names"),
        (Other(), "model, seed, band"),
    ],
)
def test_another_recipe_is_refused_with_the_keys_that_differ(tmp_path, other, keys):
    with RunFolder(tmp_path, Recipe()) as run:
        run.write_stage("filter", [{"id": "a"}], [])
    with pytest.raises(InputError, match=f"differs in {keys}"), RunFolder(tmp_path, other):
        pass
    assert RunFolder(tmp_path).done("filter")


def test_a_key_that_was_unknown_when_the_run_was_begun_has_its_default(tmp_path):
    with RunFolder(tmp_path, Recipe()) as run:
        run.write_stage("filter", [], [])
    (run.path / "recipe.yaml").write_text("seed: 0\n")
    with RunFolder(tmp_path, Recipe()):
        pass
    with pytest.raises(InputError, match=r"differs in band\.low"), RunFolder(tmp_path, Recipe(band=Inner(low=2))):
        pass


def test_what_has_made_nothing_takes_any_recipe(tmp_path):
    with RunFolder(tmp_path, Recipe(seed=1)) as run:
        run.check_inputs({"source": str(tmp_path / "recipe.yaml")})
    with RunFolder(tmp_path, Other()) as run:
        run.check_inputs({"source": str(tmp_path / "environment.json")})
    assert "model" in (tmp_path / "recipe.yaml").read_text()


class Stepped(Recipe):
    """A recipe of three steps: `names` for the first, `band` for the second, `seed` for none of them."""

    def run_steps(self):
        return {"first": ["names"], "second": ["band"], "third": [], "scores.json": []}


def make(folder, recipe):
    """Make what is missing of a run; the steps that were made."""
    made = []
    with RunFolder(folder, recipe) as run:
        for step in ("first", "second", "third"):
            if not run.done(step):
                run.write_stage(step, [{"id": step}], DROPPED)
                made.append(step)
        if not (run.path / "scores.json").exists():
            run.write_json("scores.json", {})
            made.append("scores.json")
    return made


@pytest.mark.parametrize(
    ("changed", "made"),
    [
        ({"names": ["x"]}, ["first", "second", "third", "scores.json"]),
        ({"band": {"low": 2}}, ["second", "third", "scores.json"]),
        ({"n_workers": 9}, []),
    ],
)
def test_a_changed_key_makes_only_what_depends_on_it_anew(tmp_path, changed, made):
    assert make(tmp_path, Stepped()) == ["first", "second", "third", "scores.json"]
    assert make(tmp_path, Stepped.model_validate(changed)) == made
    assert make(tmp_path, Stepped.model_validate(changed)) == []
    with (
        pytest.raises(InputError, match=r"another recipe \(differs in seed"),
        RunFolder(tmp_path, Stepped(seed=5, **changed)),
    ):
        pass
    assert RunFolder(tmp_path).done("third")


CHANGES = {
    "cut": lambda file: file.write_bytes(file.read_bytes()[:-9]),
    "gone": lambda file: file.unlink(),
    "empty": lambda file: file.write_bytes(b""),
    "changed": lambda file: file.write_bytes(file.read_bytes()[:99] + b"?" + file.read_bytes()[100:]),
    "foreign": lambda file: file.write_bytes(file.with_name("first.dropped.parquet").read_bytes()),
}


@pytest.mark.parametrize("change", CHANGES)
@pytest.mark.parametrize(
    ("file", "made"),
    [
        ("first.kept", ["first", "second", "third", "scores.json"]),
        ("second.kept", ["second", "third", "scores.json"]),
        ("second.dropped", ["second", "third", "scores.json"]),
        ("third.kept", ["third", "scores.json"]),
    ],
)
def test_a_step_whose_files_are_not_as_it_wrote_them_is_made_anew_and_all_after_it(tmp_path, file, made, change):
    make(tmp_path, Stepped())
    with RunFolder(tmp_path, Stepped()) as run:
        assert run.redone == ""
        counts = run.counts()
    CHANGES[change](tmp_path / "stages" / f"{file}.parquet")
    with RunFolder(tmp_path, Stepped()) as run:
        assert run.redone.startswith(f"stages/{file}.parquet is not as it was written: made anew from {made[0]} on")
    assert make(tmp_path, Stepped()) == made
    with RunFolder(tmp_path, Stepped()) as run:
        assert (run.redone, run.counts()) == ("", counts)


def test_a_small_file_of_a_step_and_what_a_step_wrote_beside_its_tables_are_looked_at_too(tmp_path):
    make(tmp_path, Stepped())
    (tmp_path / "scores.json").write_text("{")
    assert make(tmp_path, Stepped()) == ["scores.json"]
    with RunFolder(tmp_path, Stepped()) as run:
        (tmp_path / "data").write_text("rows")
        run.write_stage("third", [], [], [tmp_path / "data"])
    (tmp_path / "data").write_text("row")
    assert make(tmp_path, Stepped()) == ["third", "scores.json"]


def test_a_run_of_before_outputs_were_noted_is_taken_as_it_is(tmp_path):
    make(tmp_path, Stepped())
    (tmp_path / "outputs.json").unlink()
    assert make(tmp_path, Stepped()) == []


@pytest.mark.parametrize("is_empty", [False, True])
@pytest.mark.parametrize("recipe", [Stepped(), Stepped(names=["x"])])
def test_a_run_whose_ledger_is_gone_or_empty_says_so_before_anything_is_forgotten(tmp_path, is_empty, recipe):
    make(tmp_path, Stepped())
    with RunFolder(tmp_path, Stepped()) as run:
        run.ledger_path.write_bytes(b"SQLite")
        run.check_ledger(7)
    before = sorted(tmp_path.rglob("*"))
    run.ledger_path.write_bytes(b"") if is_empty else run.ledger_path.unlink()
    with pytest.raises(StorageError, match=r"held 7 rollouts, and is gone.*put it back.*or remove ledger.json"):
        make(tmp_path, recipe)
    assert sorted(tmp_path.rglob("*")) == [path for path in before if is_empty or path != run.ledger_path]
    (tmp_path / "ledger.json").unlink()
    make(tmp_path, recipe)


def test_a_ledger_that_lacks_rollouts_which_it_held_is_told(run):
    run.check_ledger(0)
    run.ledger_path.write_bytes(b"SQLite")
    for n in (5, 5, 9):
        run.check_ledger(n)
    with pytest.raises(StorageError, match="held 9 rollouts, and lacks some"):
        run.check_ledger(8)


def test_another_model_by_the_same_name_is_refused_before_anything_is_forgotten(tmp_path):
    for _ in range(2):
        with RunFolder(tmp_path, Stepped(), models={"model weak": "one"}) as run:
            run.write_stage("first", [], [])
    other = RunFolder(tmp_path, Stepped(names=["x"]), models={"model weak": "another", "model strong": "two"})
    with pytest.raises(InputError, match=r"model weak has changed since this run was begun.*another --run"), other:
        pass
    assert RunFolder(tmp_path).done("first")
    with RunFolder(tmp_path, Stepped(), models={"model weak": "one", "model strong": "three"}):
        pass


def test_another_content_at_the_same_path_is_another_recipe(tmp_path):
    with RunFolder(tmp_path, Stepped(), {"names": "hash"}) as run:
        run.write_stage("first", [], [])
    with RunFolder(tmp_path, Stepped(), {"names": "other"}) as run:
        gone = "replaced, and not kept: first; another --run keeps both"
        assert run.redone == f"the recipe has changed in names: made anew from first on; {gone}"
        assert not run.done("first")


def test_a_changed_item_of_a_list_is_named_by_its_number(tmp_path):
    with RunFolder(tmp_path, Recipe(names=["a", "b"])) as run:
        run.write_stage("filter", [], [])
    with pytest.raises(InputError, match=r"differs in names\.1"), RunFolder(tmp_path, Recipe(names=["a", "c"])):
        pass


def test_a_copy_of_an_input_elsewhere_is_no_other_recipe(tmp_path):
    with RunFolder(tmp_path, Recipe(seed=1), {"seed": "hash"}) as run:
        run.write_stage("filter", [], [])
    with RunFolder(tmp_path, Recipe(seed=2), {"seed": "hash"}):
        assert "seed: 2" in (tmp_path / "recipe.yaml").read_text()
    with pytest.raises(InputError, match="differs in seed"), RunFolder(tmp_path, Recipe(seed=3), {"seed": "other"}):
        pass


def test_a_second_opening_is_refused_while_the_first_works(run):
    with pytest.raises(InputError, match="another process uses this run"), RunFolder(run.path, Recipe()):
        pass


def test_reading_needs_no_lock(run):
    run.write_stage("filter", [{"id": "a"}], [])
    assert RunFolder(run.path).read_stage("filter") == [{"id": "a"}]


def test_writing_without_the_lock_is_a_bug(run):
    with pytest.raises(RuntimeError, match="inside `with"):
        RunFolder(run.path).write_stage("filter", [], [])


def test_a_folder_that_is_no_run_cannot_be_read(tmp_path):
    with pytest.raises(MissingFileError, match="not a run"):
        RunFolder(tmp_path)


@pytest.mark.parametrize("name", ["stages/filter.kept.parquet", "stages/filter.dropped.parquet", "scores.json"])
def test_a_damaged_file_is_named_in_one_line(run, name):
    run.write_stage("filter", [{"id": "a"}], DROPPED)
    run.write_json("scores.json", {})
    (run.path / name).write_bytes(b"PAR1 broken")
    with pytest.raises(StorageError, match="damaged") as caught:
        _ = (run.read_stage("filter"), run.read_dropped("filter"), run.read_json("scores.json"))
    assert name in str(caught.value)


def test_a_folder_that_cannot_be_made_is_told(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(StorageError, match="cannot write"), RunFolder(tmp_path / "file" / "run", Recipe()):
        pass


KILLED = """
    import os, signal, sys, time
    sys.path.insert(0, sys.argv[1])
    import pyarrow.parquet
    from test_run_folder import Recipe, two_stages
    from limo.core import files
    from limo.core.run_folder import RunFolder

    def die_at_write(n_left, folder, leave_a_child):
        replace = os.replace

        def replace_or_die(source, target):
            nonlocal n_left
            n_left -= 1
            if n_left < 0:
                os.kill(os.getpid(), signal.SIGKILL)
            replace(source, target)

        files.os.replace = replace_or_die
        with RunFolder(folder, Recipe()) as run:
            if leave_a_child and not (child := os.fork()):
                time.sleep(60)
                os._exit(0)
            if leave_a_child:
                open(folder + ".child", "w").write(str(child))
            two_stages(run)

    for n_writes, folder in enumerate(sys.argv[2:]):
        if not (pid := os.fork()):
            die_at_write(n_writes, folder, leave_a_child=n_writes == 3)
        assert os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == -signal.SIGKILL
"""


def two_stages(run):
    for stage in ("a", "b"):
        if not run.done(stage):
            run.write_stage(stage, [{"id": stage}], [Dropped("p", stage, "why")])


@pytest.mark.skipif(not hasattr(os, "fork"), reason="no fork here")
def test_killed_between_any_two_writes_it_goes_on_to_the_same_end(tmp_path):
    folders = [tmp_path / str(n_writes) for n_writes in range(8)]  # the eighth write would be the last
    command = [sys.executable, "-c", textwrap.dedent(KILLED), os.path.dirname(__file__), *map(str, folders)]
    subprocess.run(command, check=True, env=os.environ | {"PYTHONPATH": os.pathsep.join(sys.path)}, timeout=120)
    child = int((tmp_path / "3.child").read_text())
    try:
        os.kill(child, 0)  # a worker outlives its killed parent: it must not hold the run
        n_done = [go_on(folder) for folder in folders]
    finally:
        os.kill(child, signal.SIGKILL)
    assert n_done == [0, 0, 0, 0, 0, 1, 1, 1]


def go_on(folder):
    """Neither the lock nor the leftovers of the killed process block; how many stages it had done."""
    with RunFolder(folder, Recipe()) as run:
        assert not list(folder.rglob("*.tmp"))
        n_done = len(run.counts())
        two_stages(run)
        assert run.counts() == {stage: StageCounts(1, 1, {"why": 1}) for stage in ("a", "b")}
        assert json.loads((folder / "environment.json").read_text()) == environment()
    return n_done


def test_a_pool_is_stored_once_and_stages_name_its_rows_and_what_they_added_to_meta(run):
    first = Problem.make("1+1?", "2", source="a", meta={"level": 3}, options=["1", "2"])
    again = Problem.make("1+1?", "2", source="b", options=["1", "2"])
    run.write_problems([first, again])
    assert run.read_problems() == [first, again]
    pool = RunPool(run.read_problems())
    grown = replace(again, meta={"family": "sum", "near": {"x": 1}})
    rows = pool.rows([grown, first])
    assert rows == [
        {"id": first.id, "row": 1, "meta": {"family": "sum", "near": {"x": 1}}},
        {"id": first.id, "row": 0, "meta": {}},
    ]
    assert [pool.problem(row) for row in rows] == [grown, first]


def test_a_run_without_a_pool_says_so(run):
    with pytest.raises(MissingFileError, match="no pool"):
        run.read_problems()


def test_a_changed_input_is_refused_and_an_absent_one_is_not_missed(tmp_path):
    source, folder = tmp_path / "pool.jsonl", tmp_path / "benchmarks"
    folder.mkdir()
    (folder / "aime.jsonl").write_text("1")
    source.write_text("1")
    inputs = {"source pool": str(source), "benchmarks": str(folder), "source hub": "owner/name"}
    for _ in range(2):
        with RunFolder(tmp_path / "run", Recipe()) as run:
            run.check_inputs(inputs)
            run.write_stage("filter", [], [])
    for changed, what in ((folder / "aime.jsonl", "benchmarks"), (source, "source pool")):
        changed.write_text("2")
        with pytest.raises(InputError, match=f"{what} has changed"), RunFolder(tmp_path / "run", Recipe()) as run:
            run.check_inputs(inputs)
        changed.unlink()
    with RunFolder(tmp_path / "run", Recipe()) as run:
        run.check_inputs(inputs)


def test_whatever_a_killed_process_left_is_swept(tmp_path):
    with RunFolder(tmp_path, Recipe()):
        (tmp_path / ".selected.1-2.tmp").mkdir()
        (tmp_path / ".selected.1-2.tmp" / "half").write_text("")
        (tmp_path / "stages" / ".a.tmp").write_text("")
    with RunFolder(tmp_path, Recipe()):
        assert not list(tmp_path.rglob("*.tmp"))


@pytest.mark.parametrize("name", ["inputs.json", "outputs.json", "ledger.json"])
@pytest.mark.parametrize("content", ["[1]", "{", '{"a": {"b": 1}}', "", "null", '"x"', "{" * 9999])
def test_a_damaged_file_of_the_runs_state_is_one_line_without_the_words_of_a_library(tmp_path, name, content):
    make(tmp_path, Stepped())
    (tmp_path / "ledger.sqlite").write_bytes(b"SQLite")
    (tmp_path / name).write_text(content)
    with pytest.raises(StorageError, match=r"this file of the run is damaged.*restore or remove it") as damaged:
        make(tmp_path, Stepped())
    assert "\n" not in str(damaged.value) and "pydantic" not in str(damaged.value) and "http" not in str(damaged.value)
    (tmp_path / name).unlink()
    assert make(tmp_path, Stepped()) == []


def test_a_small_value_holds_any_text_that_a_model_writes(run):
    value = {"text": "名 \ud800 \x00 \\ud800", "n": [1, None]}
    run.write_json("cases.json", value)
    assert run.read_json("cases.json") == value
    (run.path / "cases.json").write_text("[" * 5000 + "]" * 5000)
    with pytest.raises(StorageError, match="damaged"):
        run.read_json("cases.json")


def test_a_step_is_done_only_when_its_files_are_noted(tmp_path, monkeypatch):
    """Killed in between, it was taken as done for ever and its files by no note."""
    from limo.core import run_folder

    def killed(*_):
        raise KeyboardInterrupt

    rows = [{"problem_id": "p", "n": 1}]
    with RunFolder(tmp_path, Recipe()) as run:
        with monkeypatch.context() as patch:
            patch.setattr(run_folder, "write_json", killed)
            with pytest.raises(KeyboardInterrupt):
                run.write_stage("weak", rows, [])
        assert not run.done("weak")
    with RunFolder(tmp_path, Recipe()) as run:
        assert not run.redone
        run.write_stage("weak", rows, [])
        noted = json.loads((tmp_path / "outputs.json").read_text())["weak"]
        assert noted.keys() == {"stages/weak.kept.parquet", "stages/weak.dropped.parquet"}


def test_a_run_whose_recipe_is_gone_answers_for_no_other(tmp_path):
    make(tmp_path, Stepped())
    (tmp_path / "recipe.yaml").unlink()
    before = sorted(tmp_path.rglob("*"))
    with pytest.raises(StorageError, match=r"the recipe of this run is gone.*recipe\.yaml"):
        make(tmp_path, Stepped(names=["x"]))
    assert sorted(tmp_path.rglob("*")) == before


@pytest.mark.parametrize(("name", "value"), [(OUTPUTS, "null"), (INPUTS, "[]")])
def test_a_note_of_another_type_and_a_swapped_table_are_told_to_every_reader(tmp_path, name, value):
    with RunFolder(tmp_path / "run", Recipe()) as run:
        for stage in ("first", "second"):
            run.write_stage(stage, [{"id": stage}], [])
    check_unchanged(run.path)
    first, second = (run.path / f"stages/{stage}.kept.parquet" for stage in ("first", "second"))
    whole = second.read_bytes()
    second.write_bytes(first.read_bytes())
    with pytest.raises(StorageError, match=r"not as it was written.*second\.kept\.parquet"):
        check_unchanged(run.path)
    second.unlink()
    check_unchanged(run.path)  # as a kill between the note and the table leaves it
    second.write_bytes(whole)
    (run.path / name).write_text(value)
    with pytest.raises(StorageError, match="this file of the run is damaged"):
        check_unchanged(run.path)
