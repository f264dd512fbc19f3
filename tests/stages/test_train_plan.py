"""The plan of a training: at the data's own lengths, from the model's configuration alone."""

import json

import pytest
from click.testing import CliRunner
from transformers import AutoConfig

from limo.cli import root
from limo.core.errors import InputError, ModelError
from limo.core.recipe import load
from limo.stages import train_plan
from limo.stages.recipe_kinds import kind_of_recipe
from limo.stages.train import Recipe
from limo.stages.train_plan import TrainingPlan, TrainingSetup, _cpu_speed, run
from limo.train.memory import GB, MemoryPlan
from limo.train.methods.sft import SftSettings


def set_up(n, hours, fits, recomputed="every layer"):
    return TrainingSetup(n, "fsdp2" if n > 1 else "one", recomputed, MemoryPlan(GB, GB, GB, GB), fits, hours)


def test_the_smallest_set_up_has_the_fewest_devices_then_the_fewest_hours():
    ups = [set_up(1, 9.0, False), set_up(8, 1.0, True), set_up(2, 5.0, True), set_up(2, 4.0, True, "none")]
    plan = TrainingPlan("H100", 1, 0, 10, 10, "attention by sdpa", ups)
    assert plan.smallest == ups[3]
    assert ups[3].words == "method.gradient_checkpointing=false --nproc 2 --launch fsdp2"
    assert set_up(1, 1.0, True, "every second layer").words.endswith("=true method.checkpoint_every=2")
    assert "2 x H100 (fsdp2)" in plan.sentence and ups[3].words in plan.sentence


@pytest.mark.parametrize(
    ("recipe", "kind"),
    [
        ("train-v2", "training"),
        ("limo-v2", "curation"),
        ("rollouts", "rollouts"),
        ("paper-32b", "paper lab"),
        ("pocket", "pocket lab"),
        ("evaluate", "evaluation"),
    ],
)
def test_what_a_recipe_is_of_is_told_by_its_keys(recipe, kind):
    assert kind_of_recipe(recipe) == kind


def test_where_nothing_fits_it_is_said():
    plan = TrainingPlan("H100", 1, 0, 10, 10, "attention by sdpa", [set_up(64, 1.0, False)])
    assert plan.smallest is None and "lora" in plan.sentence


def test_a_training_by_reward_and_an_unknown_gpu_are_refused():
    with pytest.raises(InputError, match="memory is planned for training on chains"):
        run(load(Recipe, None, ["model=m", "dataset=d", "method.kind=grpo"]))
    with pytest.raises(InputError, match="this GPU is not known"):
        run(load(Recipe, None, ["model=m", "dataset=d"]), "GT200")


@pytest.fixture
def no_hub(monkeypatch):
    """Any request to the hub fails the test."""

    def refused(*args, **kwargs):
        raise AssertionError("the hub was requested")

    monkeypatch.setattr("limo.stages.train_plan.read_config", refused)
    monkeypatch.setattr("limo.stages.train_plan.load_tokenizer", refused)
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")


def test_the_paper_s_model_is_planned_without_the_hub_with_rows_and_before_they_are_there(
    tmp_path, no_hub, monkeypatch
):
    monkeypatch.setattr(
        "limo.stages.train_plan._set_ups", lambda config, method, lengths, gpu: iter([set_up(8, 3.0, True)])
    )
    plan = run(load(Recipe, "train-v2", [f"dataset={tmp_path}/selected"]))
    assert plan.n_examples == 0 and plan.longest == 16384 and plan.table()[1][-2] == "?"
    assert "is not there yet: planned for rows of 16,384 tokens, hours unknown" in plan.notes[0]
    chat = [{"role": "user", "content": "abcd" * 10}, {"role": "assistant", "content": "一二三四"}]
    (tmp_path / "rows.jsonl").write_text(json.dumps({"messages": [{"role": "system", "content": ""}, *chat]}) + "\n")
    plan = run(load(Recipe, "train-v2", [f"dataset={tmp_path}/rows.jsonl"]))
    assert plan.n_tokens == 10 + 4 and "estimated at 4 characters a token" in plan.notes[0]
    assert plan.table()[1][-2] == "3 h 00 min"


def test_a_base_of_unknown_shape_ends_in_a_line_that_names_one_of_like_size(tmp_path, monkeypatch):
    def unreachable(model):
        raise ModelError("the model cannot be loaded (We couldn't connect)", model)

    monkeypatch.setattr("limo.stages.train_plan.read_config", unreachable)
    with pytest.raises(InputError, match=r"shape of a model is not known: 'owner/x'.*model=Qwen/Qwen2.5-7B-Instruct"):
        run(load(Recipe, "train-v2", ["model=owner/x", f"dataset={tmp_path}"]))


@pytest.mark.parametrize(("free", "fits"), [(64 * GB, True), (1000.0, False)])
def test_with_use_cpu_the_plan_is_one_row_of_this_machine_s_memory_and_measured_speed(
    tmp_path, monkeypatch, free, fits
):
    from limo.experiments.pocket.models import model_path

    monkeypatch.setattr("limo.stages.train_plan.available_bytes", lambda use_cpu: free)
    monkeypatch.setattr("limo.stages.train_plan._cpu_speed", lambda config, method, n_tokens: (1e9, 0.5))
    chat = [{"role": r, "content": "one two three"} for r in ("system", "user", "assistant")]
    (tmp_path / "rows.jsonl").write_text(json.dumps({"messages": chat}) + "\n")
    words = [f"model={model_path('pocket-rich')}", f"dataset={tmp_path}/rows.jsonl", "method.kind=sft"]
    words += ["method.bf16=false", "method.use_cpu=true", "method.gradient_checkpointing=false"]
    plan = run(load(Recipe, None, [*words, "method.max_steps=4", "method.examples_per_update=64"]), "A100")
    (one,) = plan.set_ups
    assert (one.n_devices, one.sharding, one.recomputed, one.fits) == (1, "one", "none", fits)
    few = 6 * 177_000 * plan.n_tokens * 4 * 64 / 1e9 / 3600  # without attention; one example, shown 256 times
    steps = 4 * 0.5 / 3600
    assert one.hours is None if not fits else few * 0.9 + steps < one.hours < few * 1.5 + steps
    assert any("an update takes about" in note for note in plan.notes) == fits and "A100" not in plan.sentence
    assert fits or plan.table()[1][-2] == "?", "what does not fit is not timed"
    assert ("does not fit" in plan.sentence) == ("kind: lora" in "".join(plan.notes)) == (not fits)
    done = CliRunner().invoke(root, ["plan", "train-v2", *words, "--json"])
    assert done.exit_code == 0 and len(json.loads(done.output.splitlines()[-1])["set_ups"]) == 1


def test_the_speed_of_a_cpu_is_that_of_passes_of_a_part_of_the_model(monkeypatch):
    config = AutoConfig.for_model(
        "qwen2", hidden_size=32, num_hidden_layers=6, num_attention_heads=2, num_key_value_heads=2,
        intermediate_size=64, vocab_size=1000, tie_word_embeddings=True,
    )  # fmt: skip
    depths, sized = [], train_plan.sized_model
    monkeypatch.setattr(train_plan, "MEASURED_S", 0.02)
    monkeypatch.setattr(train_plan, "sized_model", lambda *of, **how: depths.append(of[2]) or sized(*of, **how))
    speed, step_s = _cpu_speed(config, SftSettings(use_cpu=True, bf16=False, max_steps=7), 16)
    assert 1e4 < speed < 1e12 and 0 < step_s < 10
    assert depths == [4], "32,000 weights outside the layers and 10,000 in each"
    assert config.num_hidden_layers == 6


@pytest.mark.slow
def test_limo_plan_reads_lengths_and_configuration_and_no_weights(tmp_path):
    from limo.experiments.pocket.models import model_path

    model = tmp_path / "model"
    model.mkdir()
    for file in model_path("pocket-rich").iterdir():
        if file.suffix != ".safetensors":
            (model / file.name).write_bytes(file.read_bytes())
    chat = [{"role": r, "content": "one two three"} for r in ("system", "user", "assistant")]
    (tmp_path / "rows.jsonl").write_text(json.dumps({"messages": chat}) + "\n")
    (tmp_path / "recipe.yaml").write_text(f"model: {model}\ndataset: {tmp_path}/rows.jsonl\nmethod: {{kind: sft}}\n")
    done = CliRunner().invoke(root, ["plan", str(tmp_path / "recipe.yaml"), "--json"])
    assert done.exit_code == 0, done.output
    plan = json.loads(done.output.splitlines()[-1])
    assert plan["n_examples"] == 1 and plan["longest"] == plan["n_tokens"] > 3
    assert "1 x H100 (one)" in plan["sentence"] and "computed twice: none" in plan["sentence"]


@pytest.mark.parametrize("model", ["./nowhere", "/nowhere/model", "nowhere"])
def test_the_path_of_a_model_that_is_not_there_is_told_as_a_training_tells_it(model):
    with pytest.raises(ModelError, match="there is no such model"):
        run(load(Recipe, "train-v2", [f"model={model}"]))


def test_a_plan_without_rows_says_so_first_and_a_small_model_takes_some_memory(tmp_path):
    from limo.experiments.pocket.models import model_path

    words = ["plan", "train-v2", f"model={model_path('pocket-rich')}", "method.max_length=64"]
    text = CliRunner().invoke(root, [*words, f"dataset={tmp_path}/none.jsonl"]).stdout
    assert "none.jsonl is not there yet" in text.splitlines()[0] and text.count("is not there yet") == 1
    assert "0 examples" not in text and "; add method.gradient_checkpointing=" in text
    assert " 0.0 " not in text.splitlines()[3][:80]
