from pathlib import Path

import pytest

from limo.pipeline import CurateRecipe, curate, render
from limo.progress import Silent
from limo.recipe import load

ROOT = Path(__file__).parents[1]
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


@pytest.mark.slow
@pytest.mark.skipif(not DATA.is_dir(), reason="the recorded completions are not here (../shared/data)")
def test_real_recordings_give_a_dataset_and_the_second_run_does_nothing(tmp_path):
    from datasets import load_from_disk

    recipe = load(CurateRecipe, ROOT / "recipes" / "replay.yaml", [f"data={DATA}"])
    done = curate(recipe, tmp_path / "run", Silent())
    rows = {one.stage: one for one in done.funnel}
    assert rows["ingest"].n_kept == 540
    assert 240 <= rows["weak_filter"].n_kept <= 280, render(done.funnel)
    assert 80 <= rows["strong_filter"].n_kept <= 120, render(done.funnel)
    data = load_from_disk(done.folder)
    assert len(data) == len(set(data["problem_id"])) == recipe.select.k
    assert {outcome["outcome"] for outcome in data["verdict"]} == {"correct"}
    assert all("\\boxed" in row["messages"][-1]["content"] for row in data)
    assert not any("<|end_of" in row["messages"][-1]["content"] for row in data)
    before = (done.folder / "README.md").read_bytes()
    again = curate(recipe, tmp_path / "run", Silent())
    assert again.did_nothing and (done.folder / "README.md").read_bytes() == before


@pytest.mark.slow
@pytest.mark.skipif(not DATA.is_dir(), reason="the recorded completions are not here (../shared/data)")
def test_through_a_server_the_same_chains_are_selected_and_a_second_run_asks_nothing(tmp_path):
    from limo.rollouts.serve import ReplayServer, ServeSettings

    files = sorted([*DATA.glob("samples/sky_short_*.jsonl.gz"), *DATA.glob("chains/sky_long_*.jsonl.gz")])
    text = (ROOT / "recipes" / "replay-served.yaml").read_text()
    server = ReplayServer(files, ServeSettings())
    with server.running() as url:
        (tmp_path / "recipe.yaml").write_text(text.replace("http://127.0.0.1:8900/v1", url))
        recipe = load(CurateRecipe, tmp_path / "recipe.yaml", [f"data={DATA}"])
        done = curate(recipe, tmp_path / "run", Silent())
        n_asked = server.n_asked.total()
        before = {path.name: path.read_bytes() for path in done.folder.iterdir()}
        again = curate(recipe, tmp_path / "run", Silent())
        assert again.did_nothing and server.n_asked.total() == n_asked > 0
    assert {path.name: path.read_bytes() for path in done.folder.iterdir()} == before
    recorded = load(CurateRecipe, ROOT / "recipes" / "replay.yaml", [f"data={DATA}"])
    straight = curate(recorded, tmp_path / "straight", Silent())
    assert [one.n_kept for one in done.funnel] == [one.n_kept for one in straight.funnel]
