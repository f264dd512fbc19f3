"""A curation whose models are behind HTTP, in its smallest real form: own recordings, own server, own command."""

from __future__ import annotations

import json

import pyarrow.parquet as pq
import pytest
import yaml

from limo.models.replay_server import ReplayServer, ReplayServerSettings


@pytest.fixture
def served(world):
    """The recipe of `world` with its models at a server's address; the server counts what it is asked."""
    server = ReplayServer([world / "said.jsonl"], ReplayServerSettings())
    recipe = yaml.safe_load((world / "recipe.yaml").read_text())
    with server.running() as url:
        for one in recipe["filters"]:
            one["models"] = [{"kind": "http", "name": model["name"], "base_urls": [url]} for model in one["models"]]
        (world / "served.yaml").write_text(yaml.safe_dump(recipe))
        yield world / "served.yaml", server


def tables(run, stage):
    return [pq.read_table(run / "stages" / f"{stage}.{kind}.parquet").to_pylist() for kind in ("kept", "dropped")]


def test_served_models_give_the_dataset_of_their_recordings_and_a_second_start_asks_nothing(limo, world, served):
    recipe, server = served
    run = world / "run"
    code, out, _ = limo("curate", recipe, "--run", run)
    assert code == 0 and "nothing was left to do" not in out
    n_asked = server.n_requested.total()
    before = {path.name: path.read_bytes() for path in (run / "selected").iterdir()}
    for _ in range(2):  # said each time, not only the first
        code, out, _ = limo("curate", recipe, "--run", run)
        assert code == 0
        assert out.splitlines()[-1].endswith("selected; nothing was left to do, no request was sent")
    assert json.loads(limo("curate", recipe, "--run", run, "--json")[1].splitlines()[-1])["did_nothing"]
    assert server.n_requested.total() == n_asked > 0
    assert {path.name: path.read_bytes() for path in (run / "selected").iterdir()} == before
    straight = world / "straight"
    assert limo("curate", world / "recipe.yaml", "--run", straight)[0] == 0
    for stage in ("weak_filter", "strong_filter", "chains", "select"):
        served_rows, recorded = (tables(one, stage)[0] for one in (run, straight))
        for row in served_rows + recorded:  # verdicts know how long they took, and only the server counts tokens
            row.pop("verdict", ""), row.pop("n_tokens", "")
        assert served_rows == recorded != [], stage


def test_every_count_adds_up_in_the_files_and_every_dropped_row_has_its_reason(limo, world, served):
    recipe, _ = served
    run = world / "run"
    code, out, _ = limo("curate", recipe, "--run", run, "--json")
    funnel = json.loads(out.splitlines()[-1])["funnel"]
    assert code == 0 and [one["stage"] for one in funnel][-4:] == ["chains", "grade", "select", "export"]
    card = (run / "selected" / "README.md").read_text()
    kept_before = None
    for one in funnel:
        kept, dropped = tables(run, one["stage"])
        assert (len(kept), len(kept) + len(dropped)) == (one["n_kept"], one["n_in"])
        assert all(row["reason"] and row["problem_id"] for row in dropped)
        if one["unit"] != "rollouts":
            assert kept_before in (None, one["n_in"])
        kept_before = len(kept)
        row = f"| {one['stage']} | {one['unit']} | {one['n_in']} | {one['n_kept']} |"
        assert row in card or one["stage"] == "export"
    chains, _ = tables(run, "chains")
    assert all(json.loads(chain["verdict"])["outcome"] == "correct" for chain in chains)
