"""Where cells run: a command of this machine, submitit's local executor, and Slurm (a stand-in for its commands)."""

from __future__ import annotations

import json
import os
import signal
import stat
import sys
import threading

import pytest
from paper_cases import small_recipe, write_recipe
from pydantic import ValidationError

from limo.core.errors import InputError, ModelError
from limo.core.progress import NoProgress
from limo.core.recipe import load
from limo.experiments.cells import cells_of
from limo.experiments.paper.lab import PaperLab
from limo.experiments.paper.launchers import (
    CommandLauncher,
    CommandSettings,
    SlurmSettings,
    SubmititLauncher,
    TrainLaunchSettings,
)
from limo.experiments.paper.recipe import PaperRecipe
from limo.experiments.paper.serving import ServeSettings, served
from limo.experiments.runner import measured_arms, run_cells
from limo.models.settings import open_model

# The commands of Slurm that submitit uses: sbatch starts the script as a process of its own and prints its number,
# sacct says what became of it, scancel ends it.
SBATCH = """#!/bin/sh
cd "$(dirname "$0")"; n=$(($(cat last 2>/dev/null || echo 100) + 1)); echo $n > last
echo "$1" >> submitted; cp "$1" script-$n
(SLURM_JOB_ID=$n SLURM_NTASKS=1 SLURM_JOB_NUM_NODES=1 SLURM_NODEID=0 SLURM_PROCID=0 SLURM_LOCALID=0 \\
  setsid sh script-$n > out-$n 2>&1 & echo $! > pid-$n; wait $!; echo $? > code-$n) > /dev/null 2>&1 &
echo "Submitted batch job $n"
"""
SACCT = """#!/bin/sh
cd "$(dirname "$0")"; echo "JobID|State|NodeList"
for n in $(seq 101 $(cat last)); do
  if [ -f code-$n ]; then [ "$(cat code-$n)" = 0 ] && s=COMPLETED || s=FAILED; else s=RUNNING; fi
  echo "$n|$s|node1"
done
"""
SCANCEL = """#!/bin/sh
cd "$(dirname "$0")"; kill -- -$(cat pid-$1)
"""


@pytest.fixture
def slurm(tmp_path, monkeypatch):
    """A folder with a stand-in for Slurm, on PATH."""
    pytest.importorskip("submitit", reason="the extra `slurm` is not installed")
    folder = tmp_path / "slurm"
    folder.mkdir()
    for name, text in {"sbatch": SBATCH, "sacct": SACCT, "scancel": SCANCEL, "srun": '#!/bin/sh\nexec "$@"\n'}.items():
        (folder / name).write_text(text)
        (folder / name).chmod(stat.S_IRWXU)
    monkeypatch.setenv("PATH", f"{folder}{os.pathsep}{os.environ['PATH']}")
    return folder


def outcome(job):
    for _ in range(1200):
        if (value := job.poll()) is not None:
            return value
        threading.Event().wait(0.1)
    pytest.fail("the job does not end")


def test_a_cell_is_a_command_of_this_machine_alone_or_wrapped(tmp_path):
    assert outcome(CommandLauncher(CommandSettings()).start("a", ["true"], tmp_path, 1)) == ""
    wrapped = CommandLauncher(CommandSettings(command="sh -c 'echo on gpu2; {cell}'"))
    assert outcome(wrapped.start("a", ["sh", "-c", "echo no disk; exit 2"], tmp_path, 1)) == "no disk"
    assert "on gpu2" in (tmp_path / "job.log").read_text()
    with pytest.raises(ValidationError, match=r"write \{cell\}"):
        CommandSettings(command="ssh gpu2")


def test_a_training_is_launched_in_one_process_on_a_node_on_several_and_by_a_command_of_yours(monkeypatch):
    words = ["train.yaml", "--run", "out"]
    assert TrainLaunchSettings().words(words)[1:] == ["-m", "limo", "train", *words]
    node = TrainLaunchSettings(nproc=8, accelerate="fsdp2").words(words)
    assert node[node.index("--num_processes") + 1] == "8" and node[-5:] == ["limo", "train", *words]
    two = TrainLaunchSettings(nproc=8, n_nodes=2)
    with pytest.raises(InputError, match="--launcher slurm"):
        two.words(words)
    monkeypatch.setenv("SLURM_JOB_ID", "7")
    command = two.words(words)
    assert command[:4] == ["srun", "--nodes=2", "--ntasks=2", "--ntasks-per-node=1"]
    assert "--num_processes 16" in command[-1] and "--num_machines 2" in command[-1]
    assert "--machine_rank $SLURM_NODEID " in command[-1]
    own = TrainLaunchSettings(nproc=4, command="torchrun-wrapper -n {nproc} -- {train}").words(words)
    assert own[:4] == ["torchrun-wrapper", "-n", "4", "--"] and own[-2:] == ["--run", "out"]
    with pytest.raises(InputError, match=r"no such accelerate file.*cpu, ddp, fsdp2, fsdp2-offload, zero3"):
        _ = TrainLaunchSettings(accelerate="fsdp9").accelerate_file


def test_what_is_sharded_and_what_is_kept_in_the_machine_stands_in_accelerates_file():
    shards = {
        name: TrainLaunchSettings(nproc=8, accelerate=name) for name in ("ddp", "fsdp2", "fsdp2-offload", "zero3")
    }
    assert [launch.is_sharded for launch in shards.values()] == [False, True, True, True]
    assert [launch.is_offloaded for launch in shards.values()] == [False, False, True, False]


def test_a_servers_command_is_filled_in_and_one_that_cannot_be_is_refused():
    words = ServeSettings(tensor_parallel=4, data_parallel=2, arguments="--seed 1").words("runs/m", "limo-0", 8123)
    assert words[:5] == ["vllm", "serve", "runs/m", "--served-model-name", "limo-0"] and words[-2:] == ["--seed", "1"]
    assert words[words.index("--tensor-parallel-size") + 1] == "4" and words[words.index("--port") + 1] == "8123"
    assert ServeSettings(engine="transformers").name_at_server("runs/m", "limo-0") == "runs/m"
    with pytest.raises(ValidationError, match="cannot be filled in: 'gpus'"):
        ServeSettings(command="serve {model} --gpus {gpus}")


@pytest.mark.slow
def test_a_server_that_is_killed_is_started_again_and_one_that_cannot_start_is_told(tmp_path):
    settings = ServeSettings.model_validate(small_recipe(tmp_path)["serve"])
    with served(settings, "unused", "limo-0", tmp_path) as model:
        first = json.loads((tmp_path / "server.json").read_text())["pid"]
        os.kill(first, signal.SIGKILL)
        for _ in range(600):
            record = tmp_path / "server.json"
            if record.exists() and json.loads(record.read_text())["pid"] != first:
                break
            threading.Event().wait(0.05)
        assert json.loads(record.read_text())["pid"] != first
        assert model.source == "limo-0" and open_model(model).name == "limo-0"
    assert not (tmp_path / "server.json").exists()
    broken = ServeSettings(command="sh -c 'echo no such model {model}; exit 3'", start_s=30)
    with (
        pytest.raises(ModelError, match=r"ended with code 3.*no such model runs/m"),
        served(broken, "runs/m", "x", tmp_path),
    ):
        pass


@pytest.mark.slow
def test_a_server_of_yours_must_list_the_model(tmp_path):
    own = ServeSettings.model_validate(small_recipe(tmp_path)["serve"])
    with served(own, "unused", "limo-0", tmp_path) as model:
        yours = ServeSettings(base_urls=model.base_urls, start_s=1)
        with served(yours, "unused", "limo-0", tmp_path) as same:
            assert same.base_urls == model.base_urls
        refused = pytest.raises(ModelError, match=r"does not serve the model: 'limo-1' \(allowed: limo-0\)")
        with refused, served(yours, "unused", "limo-1", tmp_path):
            pass


MEASURE = """
import pathlib, paper_cases
from limo.experiments.paper.lab import PaperLab, PaperRecipe, load
lab = PaperLab(load(PaperRecipe, {recipe!r}), pathlib.Path({folder!r}))
paper_cases.store_measurement(lab, lab.recipe.questions.arms[{arm!r}], 0)
"""


class Measuring:
    """Cells that end in a measurement without a model: what is tested is how they are started."""

    n_at_once = 2

    def __init__(self, launcher, lab, recipe):
        self.launcher, self.lab, self.recipe = launcher, lab, recipe

    def start(self, cell):
        code = MEASURE.format(recipe=str(self.recipe), folder=str(self.lab.folder), arm=cell.arm.name)
        folder = self.lab.cell_folder(cell.arm, 0)
        return self.launcher.start(cell.name, [sys.executable, "-c", code], folder, 0.1)


@pytest.mark.slow
@pytest.mark.parametrize("cluster", ["slurm", "local"])
def test_slurm_jobs_run_the_matrix(cluster, slurm, tmp_path, monkeypatch):
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join([os.path.dirname(__file__), *sys.path]))
    recipe = PaperRecipe.model_validate(small_recipe(tmp_path, seeds=[0]))
    lab, resolved = PaperLab(recipe, tmp_path / "lab"), tmp_path / "resolved.yaml"
    resolved.write_text(recipe.to_yaml())
    arms = recipe.questions.arms_of([recipe.questions.experiment("mine")])
    lab.prepare(arms, NoProgress())
    settings = SlurmSettings(cluster=cluster, options={"partition": "gpu"} if cluster == "slurm" else {})
    of_lab = cells_of(arms, [0])
    assert run_cells(lab, of_lab, Measuring(SubmititLauncher(settings), lab, resolved), NoProgress()) == {}
    assert set(measured_arms(lab, of_lab)) == {"base", "limo"}
    if cluster == "slurm":
        script = (slurm / "script-101").read_text()
        for option in ("--partition=gpu", "--time=60", "--job-name=base-0"):
            assert f"#SBATCH {option}" in script


@pytest.mark.slow
def test_a_job_that_fails_says_why_and_one_that_runs_is_taken_up_again(slurm, tmp_path):
    jobs = SubmititLauncher(SlurmSettings())
    failing = jobs.start("limo-0", ["sh", "-c", "echo out of memory; exit 1"], tmp_path / "a", 0.1)
    assert outcome(failing) == "out of memory"
    command = ["sh", "-c", f"sleep 4; echo once >> {tmp_path}/done"]
    jobs.start("limo-1", command, tmp_path / "b", 0.1)
    again = SubmititLauncher(SlurmSettings()).start(
        "limo-1", command, tmp_path / "b", 0.1
    )  # the driver was killed meanwhile
    assert outcome(again) == ""
    assert (tmp_path / "done").read_text() == "once\n" and (slurm / "last").read_text() == "102\n"


@pytest.mark.slow
def test_a_refused_job_is_one_line(slurm, tmp_path):
    (slurm / "sbatch").write_text("#!/bin/sh\necho invalid partition >&2; exit 1\n")
    with pytest.raises(InputError, match="the job cannot be submitted"):
        SubmititLauncher(SlurmSettings()).start("limo-0", ["true"], tmp_path / "a", 0.1)
    with pytest.raises(InputError, match=r"cannot be submitted.*Unavailable parameter"):
        SubmititLauncher(SlurmSettings(options={"partitoin": "x"})).start("limo-0", ["true"], tmp_path / "b", 0.1)


def test_the_time_limit_and_the_launcher_can_be_given_on_the_command_line(tmp_path):
    recipe = load(PaperRecipe, write_recipe(tmp_path), ["launcher={kind: slurm, hours: 3, options: {account: me}}"])
    assert isinstance(recipe.launcher, SlurmSettings) and recipe.launcher.hours == 3


@pytest.mark.parametrize(
    ("name", "options", "wanted"),
    [
        ("paper-7b", {"partition": "a"}, {"partition": "a", "gpus_per_node": 8}),
        ("paper-7b-lora", {}, {"gpus_per_node": 1}),
        ("paper-32b-2x8", {"qos": "b"}, {"qos": "b", "gpus_per_node": 8, "additional_parameters": {"nodes": 2}}),
        ("paper-7b", {"gres": "gpu:h100:8"}, {"gres": "gpu:h100:8"}),
        ("paper-7b", {"gpus_per_task": 8}, {"gpus_per_task": 8}),
        ("paper-7b", {"additional_parameters": {"gpus": 8}}, {"additional_parameters": {"gpus": 8}}),
    ],
)
def test_a_slurm_job_requests_the_nodes_and_gpus_of_its_cell_unless_the_options_name_them(name, options, wanted):
    assert load(PaperRecipe, name).slurm_options(options) == wanted


def test_a_cell_on_processors_requests_no_gpu(tmp_path):
    assert PaperRecipe.model_validate(small_recipe(tmp_path)).slurm_options({"partition": "a"}) == {"partition": "a"}
