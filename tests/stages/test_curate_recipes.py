import json
import re
from pathlib import Path

import pytest

from limo.core.progress import NoProgress
from limo.core.recipe import load
from limo.core.run_folder import RunFolder
from limo.stages.curate import Recipe as CurateRecipe
from limo.stages.curate import run as curate

ROOT = Path(__file__).parents[2] / "src" / "limo"
DATA = ROOT.parent / "shared" / "data"


@pytest.mark.parametrize("name", ["limo-v1", "limo-v2", "replay", "replay-served"])
def test_each_recipe_is_whole_and_survives_being_written_out(name, tmp_path):
    recipe = load(CurateRecipe, ROOT / "recipes" / f"{name}.yaml", ["data=elsewhere"])
    (tmp_path / "again.yaml").write_text(recipe.to_yaml())
    assert load(CurateRecipe, tmp_path / "again.yaml") == recipe
    assert recipe.data == "elsewhere"


def test_the_recipe_of_v2_has_the_papers_numbers():
    recipe = load(CurateRecipe, ROOT / "recipes" / "limo-v2.yaml")
    weak, strong = recipe.filters
    assert (weak.band.low, weak.band.high, weak.band.n) == (0, 0, 4)
    assert (strong.band.low, strong.band.high, strong.band.n) == (1, 3, 32)
    grade = recipe.grade
    assert (grade.elaboration, grade.verification, grade.exploration, grade.granularity) == (0.30, 0.20, 0.25, 0.25)
    assert recipe.select.k == 800
    assert load(CurateRecipe, ROOT / "recipes" / "limo-v1.yaml").select.k == 817


@pytest.fixture
def tiny(tmp_path):
    """A folder with what limo-v1 and limo-v2 read, in their smallest real form, and a server for all their models."""
    from limo.models.replay_server import ReplayServer, ReplayServerSettings

    def lines(name, rows):
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text("".join(json.dumps(row) + "\n" for row in rows))
        return path

    things = ["apples", "boats", "cats", "doors", "eggs", "forks", "gates", "hats", "inks", "jars", "kites", "lamps"]
    pool = [
        {
            "problem": f"In town {i} there are {i + 3} {thing} and {i * i + 5} more come: how many {thing} is that?",
            "answer": str(i * i + i + 8),
            "solution": f"Count the {thing}. So it is \\boxed{{{i * i + i + 8}}}.",
        }
        for i, thing in enumerate(things)
    ]
    lines("pool.jsonl", pool)
    held = [{"problem": pool[11]["problem"], "answer": pool[11]["answer"]}]
    held += [{"problem": f"Find the prime that stands at place {i} in its row.", "answer": str(i)} for i in range(29)]
    lines("LIMO/eval/data/aime/test.jsonl", [row | {"id": i} for i, row in enumerate(held)])
    n_right = {
        "Qwen/Qwen2.5-Math-7B-Instruct": lambda i: i == 0,
        "deepseek-ai/DeepSeek-R1-Distill-Qwen-32B": lambda i: i % 5,
    }
    n_right |= {"Qwen/QwQ-32B": lambda i: 2, "deepseek-ai/DeepSeek-R1": lambda i: 3}
    said = []
    for model, right in n_right.items():
        for i, row in enumerate(pool):
            for index in range(4 if "Distill" not in model else 32):
                answer = int(row["answer"]) + (0 if index < right(i) else 1 + index)
                text = (
                    f"<think>Perhaps add {i + 3} and {i * i + 5}. Let me check: "
                    + f"attempt {index} by {model[-4:]}. " * i
                )
                said.append(
                    {"problem": row["problem"], "model": model, "index": index}
                    | {"text": f"{text}Therefore it is so.</think> The answer is \\boxed{{{answer}}}."}
                )
    server = ReplayServer([lines("said.jsonl", said)], ReplayServerSettings())
    with server.running() as url:
        yield tmp_path, url, server


@pytest.mark.parametrize(("name", "n_kept"), [("limo-v2", 6), ("limo-v1", 8)])
def test_the_papers_recipes_reach_served_models_and_run_from_pool_to_dataset(name, n_kept, tiny, monkeypatch):
    from datasets import load_from_disk

    folder, url, server = tiny
    text = re.sub(r"http://127\.0\.0\.1:\d+/v1", url, (ROOT / "recipes" / f"{name}.yaml").read_text())
    (folder / "recipe.yaml").write_text(text)
    changed = ["pool.sources=[pool.jsonl]", "decontaminate.benchmarks=[AIME24]", "dedup.reworded_similarity=1"]
    changed += [
        "decontaminate.same_numbers='off'",
        "decontaminate.renumbered=report",
    ]  # the pool is made of one template
    recipe = load(CurateRecipe, folder / "recipe.yaml", [f"data={folder}", *changed])
    done = curate(recipe, folder / "run", NoProgress())
    rows = {one.stage: one for one in done.funnel}
    assert rows["decontaminate"].n_by_reason == {"in a benchmark": 1}
    assert rows["weak_filter"].n_by_reason == {"too easy": 1}
    assert rows["strong_filter"].n_kept == done.n_selected == n_kept, done.funnel
    data = load_from_disk(done.folder)
    assert all("<think>" not in row["messages"][-1]["content"] for row in data)
    assert all(row["messages"][0]["content"] == recipe.system for row in data)
    teachers = {row["teacher"] for row in RunFolder(folder / "run").read_stage("chains")}
    assert {"DeepSeek-R1", "DeepSeek-R1-Distill-Qwen-32B"} <= teachers
    assert ("official solution" in teachers) == (name == "limo-v1")
    n_asked = server.n_requested.total()
    assert curate(recipe, folder / "run", NoProgress()).did_nothing and server.n_requested.total() == n_asked


@pytest.mark.slow
@pytest.mark.skipif(not DATA.is_dir(), reason="the recorded completions are not here (../shared/data)")
def test_real_recordings_give_a_dataset_and_the_second_run_does_nothing(tmp_path):
    from datasets import load_from_disk

    recipe = load(CurateRecipe, ROOT / "recipes" / "replay.yaml", [f"data={DATA}"])
    done = curate(recipe, tmp_path / "run", NoProgress())
    rows = {one.stage: one for one in done.funnel}
    assert rows["ingest"].n_kept == 540
    assert 240 <= rows["weak_filter"].n_kept <= 280, done.funnel
    assert 80 <= rows["strong_filter"].n_kept <= 120, done.funnel
    data = load_from_disk(done.folder)
    assert len(data) == len(set(data["problem_id"])) == recipe.select.k
    assert {outcome["outcome"] for outcome in data["verdict"]} == {"correct"}
    assert all("\\boxed" in row["messages"][-1]["content"] for row in data)
    assert not any("<|end_of" in row["messages"][-1]["content"] for row in data)
    before = (done.folder / "README.md").read_bytes()
    again = curate(recipe, tmp_path / "run", NoProgress())
    assert again.did_nothing and (done.folder / "README.md").read_bytes() == before


@pytest.mark.slow
@pytest.mark.skipif(not DATA.is_dir(), reason="the recorded completions are not here (../shared/data)")
def test_through_a_server_the_same_chains_are_selected_and_a_second_run_asks_nothing(tmp_path):
    from limo.models.replay_server import ReplayServer, ReplayServerSettings

    files = sorted([*DATA.glob("samples/sky_short_*.jsonl.gz"), *DATA.glob("chains/sky_long_*.jsonl.gz")])
    text = (ROOT / "recipes" / "replay-served.yaml").read_text()
    server = ReplayServer(files, ReplayServerSettings())
    with server.running() as url:
        (tmp_path / "recipe.yaml").write_text(text.replace("http://127.0.0.1:8900/v1", url))
        recipe = load(CurateRecipe, tmp_path / "recipe.yaml", [f"data={DATA}"])
        done = curate(recipe, tmp_path / "run", NoProgress())
        n_asked = server.n_requested.total()
        before = {path.name: path.read_bytes() for path in done.folder.iterdir()}
        again = curate(recipe, tmp_path / "run", NoProgress())
        assert again.did_nothing and server.n_requested.total() == n_asked > 0
    assert {path.name: path.read_bytes() for path in done.folder.iterdir()} == before
    recorded = load(CurateRecipe, ROOT / "recipes" / "replay.yaml", [f"data={DATA}"])
    straight = curate(recorded, tmp_path / "straight", NoProgress())
    assert [one.n_kept for one in done.funnel] == [one.n_kept for one in straight.funnel]
