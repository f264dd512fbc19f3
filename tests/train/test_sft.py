"""Training: same seed same weights, resumable, whole or not at all, quiet towards the outside."""

import json
import os
import pickle
import shutil
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace

import pytest
from train_rows import chat

import limo.core.errors
from limo.core import files
from limo.core.errors import InputError, ModelError, StorageError
from limo.core.progress import NoProgress
from limo.train.methods import sft
from limo.train.methods.lora import LoraSettings
from limo.train.methods.sft import SftSettings, train
from limo.train.model import load_model
from limo.train.model_folder import RECORD, read_result
from limo.train.trainer import bytes_on_disk

SMALL = {
    "bf16": False, "use_cpu": True, "gradient_checkpointing": False, "save_strategy": "no", "max_length": 256,
    "learning_rate": 1e-2, "num_train_epochs": 2, "per_device_train_batch_size": 8, "examples_per_update": 8,
}  # fmt: skip


def small(**changes):
    return SftSettings(**{**SMALL, **changes})


def weights(folder):
    return (folder / "model.safetensors").read_bytes()


def beside(folder):
    return sorted(path.name for path in folder.parent.iterdir() if path != folder)


@pytest.fixture(scope="module")
def trained(model_dir, rows, tmp_path_factory):
    out = tmp_path_factory.mktemp("trained") / "model"
    return out, train(model_dir, rows, out, small(num_train_epochs=3))


def test_a_training_learns_and_tells_what_it_did(trained, rows):
    _, result = trained
    assert result.losses[-1] < result.losses[0] - 1
    assert (result.n_examples, result.n_updates, result.n_epochs) == (24, 9, 3)
    assert result.n_tokens_seen == 3 * result.n_tokens
    assert 0 < result.n_loss_tokens < result.n_tokens
    assert result.checkpoint == "last" and result.dropped == []
    assert len(result.losses) == 9 and result.seconds > 0


def test_the_folder_holds_a_card_and_the_loss_as_a_picture(trained, model_dir):
    out, result = trained
    card = (out / "README.md").read_text()
    assert (
        f'base_model: "{model_dir.name}"' in card
        and str(model_dir) not in card
        and result.data_hash in card
        and '"learning_rate": 0.01' in card
    )
    assert "transformers 5" in card and "licence" in card
    assert (out / "loss.svg").read_text().count("<path") > 10
    assert 0 < result.measures["padding"] < 0.5, "rows of unlike lengths, eight a batch"


def test_the_model_loads_anywhere_and_stops_where_it_learnt_to(trained, tokenizer):
    from transformers import AutoModelForCausalLM, AutoTokenizer

    out, _ = trained
    model, loaded = AutoModelForCausalLM.from_pretrained(out), AutoTokenizer.from_pretrained(out)
    assert loaded.chat_template == tokenizer.chat_template
    assert loaded.convert_tokens_to_ids("<|im_end|>") in model.generation_config.eos_token_id
    assert not (out / "training_args.bin").exists()  # a pickle that tells where it was made
    assert beside(out) == []


def test_the_same_call_again_does_nothing_and_says_so(trained, model_dir, rows):
    out, result = trained
    before, progress = (out / "model.safetensors").stat().st_mtime_ns, NoProgress()
    again = train(model_dir, rows, out, small(num_train_epochs=3), progress)
    assert again == result
    assert (out / "model.safetensors").stat().st_mtime_ns == before
    assert "trained already" in progress.logged[0]


@pytest.mark.parametrize("change", ["rows", "settings"])
def test_a_folder_with_another_training_is_never_overwritten(trained, model_dir, rows, change):
    out, _ = trained
    other = (rows[:-1], small(num_train_epochs=3)) if change == "rows" else (rows, small(num_train_epochs=3, seed=1))
    with pytest.raises(InputError, match="another training"):
        train(model_dir, other[0], out, other[1])


class Later(SftSettings):
    """Settings of a later version, with a field more."""

    came_later: int = 3


class Changed(SftSettings):
    """Settings of a later version, with another default."""

    weight_decay: float = 0.1


def test_a_field_that_a_later_version_adds_leaves_a_finished_training_as_it_is(trained, model_dir, rows):
    out, result = trained
    values = {**SMALL, "num_train_epochs": 3}
    assert train(model_dir, rows, out, Later(**values)) == result
    for other in (Later(**values, came_later=4), Changed(**values)):
        with pytest.raises(InputError, match="another training"):
            train(model_dir, rows, out, other)
    assert LoraSettings().hash != SftSettings().hash == Later().hash


def test_a_disk_without_room_for_what_is_saved_is_told_before_the_first_update(model_dir, rows, tmp_path, monkeypatch):
    n_bytes = sum(file.stat().st_size for file in Path(model_dir).glob("*.safetensors"))
    settings = small(save_strategy="epoch")
    for free in (n_bytes, 3.5 * n_bytes):  # the model, and beside it a checkpoint: weights and two states of each
        monkeypatch.setattr(files.shutil, "disk_usage", lambda _, free=free: SimpleNamespace(free=free))
        with pytest.raises(StorageError, match=r"what this training saves will take .* has room for"):
            train(model_dir, rows, tmp_path / "model", settings)
        assert not list(tmp_path.rglob("checkpoint-*"))
    monkeypatch.setattr(files.shutil, "disk_usage", lambda _: SimpleNamespace(free=6.5 * n_bytes))
    assert train(model_dir, rows, tmp_path / "model", settings).n_updates == 6


@pytest.mark.parametrize(
    ("settings", "n_numbers"),
    [
        (SftSettings(), 6),  # two checkpoints: weights and two states each
        (SftSettings(optim="sgd"), 2),
        (SftSettings(save_strategy="no"), 1),
        (SftSettings(keep_checkpoints=True, num_train_epochs=3), 12),
    ],
)
def test_the_bytes_on_the_disk_follow_from_the_settings(settings, n_numbers):
    import torch

    assert bytes_on_disk(torch.nn.Linear(10, 10, bias=False), settings) == 400 * n_numbers


def test_a_folder_with_something_else_is_never_overwritten(model_dir, rows, tmp_path):
    (tmp_path / "thesis.txt").write_text("years of work")
    with pytest.raises(InputError, match="does not hold a trained model"):
        train(model_dir, rows, tmp_path, small())
    assert (tmp_path / "thesis.txt").read_text() == "years of work"


def test_another_seed_gives_other_weights(trained, model_dir, rows, tmp_path):
    train(model_dir, rows, tmp_path / "other", small(seed=4, num_train_epochs=3))
    assert weights(tmp_path / "other") != weights(trained[0])


KILLED = """
import sys, os, signal
from limo.core.progress import NoProgress
from limo.train.methods.lora import LoraSettings
from limo.train.methods.sft import SftSettings, train
import torch, json
torch.set_num_threads(1)
class Killer(NoProgress):
    def show(self, event):
        if event.kind == "advance" and event.n_done == 5:
            os.kill(os.getpid(), signal.SIGKILL)
train(sys.argv[1], json.loads(sys.argv[2]), sys.argv[3], SftSettings(**json.loads(sys.argv[4])), Killer())
"""


class Stopper(NoProgress):
    def show(self, event):
        if event.kind == "advance" and event.n_done == 5:
            raise KeyboardInterrupt


@pytest.mark.parametrize("killed", [False, pytest.param(True, marks=pytest.mark.slow)], ids=["ctrl-c", "kill -9"])
def test_stopped_in_the_middle_it_goes_on_to_the_same_weights(trained, model_dir, rows, tmp_path, killed):
    settings = {**SMALL, "save_strategy": "epoch", "num_train_epochs": 3}
    if killed:
        given = [str(model_dir), json.dumps(rows), str(tmp_path / "cut"), json.dumps(settings)]
        path = os.pathsep.join([str(Path(limo.core.errors.__file__).parents[2]), os.environ.get("PYTHONPATH", "")])
        call, environment = [sys.executable, "-c", KILLED, *given], {**os.environ, "PYTHONPATH": path}
        assert subprocess.run(call, capture_output=True, env=environment).returncode == -9
    else:
        with pytest.raises(KeyboardInterrupt):
            train(model_dir, rows, tmp_path / "cut", SftSettings(**settings), Stopper())
    assert not (tmp_path / "cut").exists()
    work = next(tmp_path.glob(".cut.training-*"))
    assert (work / "checkpoint-3" / "trainer_state.json").is_file()
    (work / "checkpoint-5").mkdir()  # as a kill in the middle of writing one leaves it
    (work / "checkpoint-5" / "trainer_state.json").write_text('{"epo')
    progress = NoProgress()
    resumed = train(model_dir, rows, tmp_path / "cut", SftSettings(**settings), progress)
    begun = next(event for event in progress.events if event.kind == "start")
    assert (begun.n_done, begun.total) == (3, 9)
    out, straight = trained
    assert weights(tmp_path / "cut") == weights(out) and resumed.losses == straight.losses
    assert beside(tmp_path / "cut") == []


@pytest.mark.parametrize(
    "changes",
    [
        {"max_steps": 4, "save_strategy": "steps", "save_steps": 1},
        pytest.param({"checkpoint": 1, "save_strategy": "epoch"}, marks=pytest.mark.slow),
    ],
    ids=["updates", "epoch"],
)
def test_killed_after_its_last_checkpoint_it_makes_no_further_update(model_dir, rows, tmp_path, monkeypatch, changes):
    settings = small(lr_scheduler_type="constant", **changes)
    straight = train(model_dir, rows, tmp_path / "straight", settings)
    with monkeypatch.context() as patch:
        patch.setattr(sft, "publish_model", lambda *_: 1 / 0)
        with pytest.raises(ZeroDivisionError):
            train(model_dir, rows, tmp_path / "cut", settings)
    resumed = train(model_dir, rows, tmp_path / "cut", settings)
    assert (resumed.n_updates, resumed.losses, resumed.n_tokens_seen) == (
        straight.n_updates, straight.losses, straight.n_tokens_seen,
    )  # fmt: skip
    assert weights(tmp_path / "cut") == weights(tmp_path / "straight")


def test_stopping_after_an_epoch_keeps_the_schedule_of_the_whole(trained, model_dir, rows, tmp_path):
    settings = small(num_train_epochs=3, checkpoint=2)
    result = train(model_dir, rows, tmp_path / "model", settings)
    assert (result.n_updates, result.n_epochs, result.checkpoint) == (6, 2, "epoch 2")
    assert result.losses == trained[1].losses[:6]


def test_packed_rows_do_not_see_each_other(model_dir, rows, tmp_path):
    # one update over all 24 rows: packed or padded, the loss per learnt token must be the same
    padded = train(
        model_dir, rows, tmp_path / "padded", small(max_steps=1, per_device_train_batch_size=24, examples_per_update=24)
    )
    settings = small(max_steps=1, packing=True, per_device_train_batch_size=1, examples_per_update=24)
    packed = train(model_dir, rows, tmp_path / "packed", settings)
    assert packed.losses[0] == pytest.approx(padded.losses[0], abs=1e-3)


@pytest.fixture(scope="module")
def short(model_dir, rows, tmp_path_factory):
    """Five updates, without telemetry, one row too long, beside what a training of other settings left."""
    import trl.trainer.base_trainer as base

    def tell(*args, **kwargs):
        raise AssertionError("telemetry")

    folder, progress = tmp_path_factory.mktemp("short"), NoProgress()
    (folder / ".model.training-0123456789abcdef" / "checkpoint-1").mkdir(parents=True)
    long = {**chat("q", "so " * 120), "problem_id": "p9"}
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(base, "send_telemetry", tell)
        patched.delenv("CI", raising=False)
        result = train(model_dir, [*rows, long], folder / "model", small(max_steps=5, on_too_long="drop"), progress)
    return folder / "model", result, progress


def test_max_steps_gives_matched_updates_and_nothing_is_told_to_the_makers_of_the_trainer(short):
    assert short[1].n_updates == 5


def test_a_training_of_other_settings_begun_and_left_is_swept_away(short):
    assert beside(short[0]) == []


def test_a_long_row_dropped_by_choice_is_in_the_record(short):
    out, result, progress = short
    assert [d.problem_id for d in result.dropped] == ["p9"] and result.n_examples == 24
    assert "1 of 25 rows" in progress.logged[0]
    assert read_result(out) == result


class Bomb:
    """A pickle that runs code where it is loaded."""

    def __init__(self, file):
        self.file = file

    def __reduce__(self):
        return Path.touch, (Path(self.file),)


def test_a_model_that_is_none_is_one_clear_line(rows, tmp_path, model_dir):
    empty, broken, pickled = (tmp_path / name for name in ("empty", "broken", "pickled"))
    empty.mkdir()
    for folder in (broken, pickled):
        shutil.copytree(model_dir, folder)
    (broken / "model.safetensors").write_bytes(b"nonsense")
    (pickled / "model.safetensors").unlink()
    (pickled / "pytorch_model.bin").write_bytes(pickle.dumps(Bomb(str(tmp_path / "exploded"))))
    cases = [(empty, "holds no model"), (tmp_path / "gone", "no such model")]
    cases += [(broken, "head of these weights is damaged"), (pickled, "weights are pickles.*safetensors")]
    for path, complaint in cases:
        with pytest.raises(ModelError, match=complaint) as caught:
            train(path, rows, tmp_path / "out", small())
        assert "\n" not in str(caught.value)
    assert not (tmp_path / "out").exists() and not (tmp_path / "exploded").exists()


@pytest.mark.parametrize("name", ["flash_attention_2", "no_such_attention"])
def test_an_attention_that_is_not_installed_is_named_and_not_the_model(model_dir, name):
    with pytest.raises(InputError, match=rf"attention cannot be used here: .*{name} .*=sdpa"):
        load_model(model_dir, "float32", name)


def test_a_row_beyond_the_models_positions_is_refused(model_dir, tmp_path):
    with pytest.raises(InputError, match="longer than the model's positions"):
        train(model_dir, [chat("q", "so " * 120)], tmp_path / "out", small(max_length=4096))


@pytest.mark.parametrize("change", [{"optim": "adamm"}, {"lr_scheduler_type": "sinus"}])
def test_a_setting_that_trl_refuses_is_your_input(model_dir, rows, tmp_path, change):
    with pytest.raises(InputError, match="settings"):
        train(model_dir, rows, tmp_path / "out", small(**change))


def test_a_record_that_is_damaged_is_not_taken_for_a_model(trained, tmp_path):
    out, _ = trained
    shutil.copytree(out, tmp_path / "copy")
    (tmp_path / "copy" / RECORD).write_text("{")
    with pytest.raises(InputError, match="does not hold a trained model"):
        read_result(tmp_path / "copy")


def test_checkpoints_that_are_kept_load_as_models_and_hold_nothing_of_the_optimiser(model_dir, rows, tmp_path):
    from transformers import AutoModelForCausalLM

    settings = small(save_strategy="epoch", num_train_epochs=2, keep_checkpoints=True)
    train(model_dir, rows, tmp_path / "run" / "model", settings)
    assert beside(tmp_path / "run" / "model") == ["checkpoints"]
    kept = sorted((tmp_path / "run" / "checkpoints").iterdir())
    assert [path.name for path in kept] == ["checkpoint-3", "checkpoint-6"]
    assert not [file for file in (tmp_path / "run" / "checkpoints").rglob("*") if file.suffix in (".pt", ".bin")]
    assert weights(kept[1]) == weights(tmp_path / "run" / "model")
    AutoModelForCausalLM.from_pretrained(kept[0])
