"""How the work of an experiment reaches its machines: a training in several processes, a cell as a job.

A training is launched by `accelerate` on one GPU, a node or several nodes, or by a command of yours.  A cell (an arm
with a training seed) is a command, run here, wrapped into a command of yours (ssh, kubectl, sbatch --wait), or
submitted to Slurm by submitit, which writes the job script, requeues a preempted job and says what became of it.

    job = SubmititLauncher(SlurmSettings(), folder).start("limo/seed-0", ["python", "-m", ...], hours=4)
    job.poll()                                 # None while it is queued or runs, then '' or why it failed
"""

from __future__ import annotations

import os
import shlex
import socket
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Literal, Protocol

from pydantic import Field, field_validator

from limo.core.bounded_yaml import load_yaml
from limo.core.errors import InputError, ModelError
from limo.core.files import write_json, write_text
from limo.core.recipe import RECIPES, Settings, execution_field
from limo.core.text import parse_json
from limo.experiments.cells import RunningCell
from limo.experiments.child_process import ChildProgram, last_lines
from limo.stages import train as train_stage
from limo.train.model_folder import read_result
from limo.train.result import TrainResult

RENDEZVOUS_PORT = 29500  # PyTorch's own default


class TrainLaunchSettings(Settings):
    """How a training is launched; what comes out does not depend on it."""

    nproc: int = execution_field(1, ge=1, description="processes on a node, one a GPU")
    n_nodes: int = execution_field(1, ge=1, description="nodes; above 1 inside a Slurm job, or by `command`")
    accelerate: str = execution_field(
        "fsdp2", description="a shipped file of accelerate's (ddp, fsdp2, fsdp2-offload, zero3, cpu) or one of yours"
    )
    command: str = execution_field(
        "", description="your own launcher; {train} is the training's command, {nproc} and {n_nodes} are filled in"
    )
    env: dict[str, str] = execution_field(default_factory=dict, description="further environment variables")

    @field_validator("command")
    @classmethod
    def _holds_the_training(cls, value: str) -> str:
        if value and "{train}" not in value:
            raise ValueError("the launcher's command does not say where the training's goes; write {train}")
        return value

    @property
    def n_gpus(self) -> int:
        """Processes on all nodes."""
        return self.nproc * self.n_nodes

    @property
    def accelerate_file(self) -> Path:
        """The file of accelerate's settings.  Raises InputError where there is none."""
        shipped = RECIPES / "accelerate" / f"{self.accelerate}.yaml"
        file = shipped if shipped.is_file() else Path(self.accelerate)
        if not file.is_file():
            known = sorted(path.stem for path in shipped.parent.glob("*.yaml"))
            what = "there is no such accelerate file"
            raise InputError(what, self.accelerate, known=known, do="name one, or a path")
        return file

    @property
    def is_sharded(self) -> bool:
        """Whether the devices share weights, gradients and optimiser states."""
        return self.n_gpus > 1 and self._values().get("distributed_type") in ("FSDP", "DEEPSPEED")

    @property
    def is_offloaded(self) -> bool:
        """Whether these stay in the memory of the machine between updates."""
        return self.n_gpus > 1 and bool(self._values().get("fsdp_config", {}).get("fsdp_offload_params"))

    def _values(self) -> dict[str, Any]:
        values, _ = load_yaml(self.accelerate_file.read_text(encoding="utf-8"))
        return values if isinstance(values, dict) else {}

    def words(self, train: Sequence[str], is_planned: bool = False) -> list[str]:
        """The command of `limo train` with these words.

        Raises InputError for several nodes outside of a Slurm job, unless the command is only to be shown.
        """
        single = [sys.executable, "-m", "limo", "train", *train]
        if self.command:
            return fill_in(self.command, "train", single, nproc=self.nproc, n_nodes=self.n_nodes)
        if self.n_gpus == 1:
            return single
        launch = train_stage.launch_command(self.n_gpus, self.accelerate_file, train)
        if self.n_nodes == 1:
            return launch
        if "SLURM_JOB_ID" not in os.environ and not is_planned:
            do = "use --launcher slurm, or give train.command a launcher of yours"
            raise InputError("a training on several nodes needs one who starts it there", self.n_nodes, "1 here", do)
        head = ["--num_machines", str(self.n_nodes), "--main_process_ip", socket.gethostname()]
        position = launch.index("--num_processes")
        launch[position:position] = [*head, "--main_process_port", str(RENDEZVOUS_PORT)]
        rank = "--machine_rank $SLURM_NODEID "
        before, after = shlex.join(launch[:position]), shlex.join(launch[position:])
        spread = [f"--nodes={self.n_nodes}", f"--ntasks={self.n_nodes}", "--ntasks-per-node=1"]
        return ["srun", *spread, "bash", "-c", f"{before} {rank}{after}"]


def fill_in(template: str, name: str, command: Sequence[str], **values: object) -> list[str]:
    """The words of a template: a word `{name}` becomes the command's words, within a longer word it is one text."""
    text = shlex.join(command)
    words: list[str] = []
    for word in shlex.split(template):
        words += command if word == f"{{{name}}}" else [word.format(**{name: text}, **values)]
    return words


def launch_training(recipe: train_stage.Recipe, folder: Path, launch: TrainLaunchSettings) -> TrainResult:
    """Train in processes of their own, or return the record of what is trained; the log is `train.log` beside it.

    Raises ModelError with the last lines of the log where the training fails.
    """
    if done := read_result(folder / "model"):
        return done
    file = folder.with_name("train.yaml")
    write_text(file, recipe.to_yaml())
    with ChildProgram(launch.words([str(file), "--run", str(folder)]), folder, launch.env) as program:
        code = program.wait()
    result = read_result(folder / "model") if code == 0 else None
    if result is None:
        what, do = f"the training ended with code {code}", f"see {program.log}; the same command goes on"
        raise ModelError(what, program.last_lines(), "", do)
    return result


class JobLauncher(Protocol):
    """Starts the programs of cells."""

    n_at_once: int

    def start(self, name: str, command: Sequence[str], folder: Path, hours: float) -> RunningCell:
        """Start the command of a cell, or take up the job that an earlier start of this run left running."""


class CommandSettings(Settings):
    """Cells as programs of this machine, alone or inside a command of yours that ends when they end."""

    kind: Literal["command"] = "command"
    command: str = Field("{cell}", description="for example: ssh gpu2 {cell}; or: sbatch --wait --wrap={cell}")
    n_at_once: int = Field(1, ge=1, description="cells that run at the same time")

    @field_validator("command")
    @classmethod
    def _holds_the_cell(cls, value: str) -> str:
        if "{cell}" not in value:
            raise ValueError("the command does not say where the cell's goes; write {cell}")
        return value


class SlurmSettings(Settings):
    """Cells as Slurm jobs."""

    kind: Literal["slurm"] = "slurm"
    options: dict[str, Any] = Field(
        default_factory=dict,
        description="sbatch's, by submitit's names: partition, account, qos ...; nodes and GPUs are known",
    )
    hours: float = Field(0, ge=0, description="time limit of a job; 0 = twice what is planned, an hour at least")
    n_at_once: int = Field(64, ge=1, description="jobs queued or running at the same time")
    requeues: int = Field(100, ge=0, description="times that a job which met its time limit is queued again")
    cluster: Literal["slurm", "local"] = Field("slurm", description="local: submitit's own executor, without Slurm")


class CommandLauncher:
    """Runs cells as programs of this machine; they end with the run."""

    def __init__(self, settings: CommandSettings) -> None:
        self._settings, self.n_at_once = settings, settings.n_at_once

    def start(self, name: str, command: Sequence[str], folder: Path, hours: float) -> RunningCell:
        """See `JobLauncher`."""
        words = fill_in(self._settings.command, "cell", command)
        return _CellProgram(ChildProgram(words, folder / "job"))


class _CellProgram:
    def __init__(self, program: ChildProgram) -> None:
        self._program = program

    def poll(self) -> str | None:
        code = self._program.poll()
        if code is None:
            return None
        return "" if code == 0 else self._program.last_lines(1) or f"it ended with code {code}"

    def cancel(self) -> None:
        self._program.end()


class RunCommand:
    """The function of a submitted job.  A preempted job is queued again and runs the same command, which goes on."""

    def __init__(self, command: Sequence[str], log: str) -> None:
        self.command, self.log = list(command), log

    def __call__(self) -> str:
        """'' or why the command failed."""
        with ChildProgram(self.command, Path(self.log)) as program:
            return "" if program.wait() == 0 else program.last_lines(1) or f"it ended with code {program.poll()}"

    def checkpoint(self) -> Any:
        """What submitit queues again."""
        from submitit.helpers import DelayedSubmission

        return DelayedSubmission(self)


class SubmititLauncher:
    """Submits cells to Slurm; they outlive the run's own process, and its next start takes them up again."""

    def __init__(self, settings: SlurmSettings) -> None:
        self._settings, self.n_at_once = settings, settings.n_at_once

    def start(self, name: str, command: Sequence[str], folder: Path, hours: float) -> RunningCell:
        """See `JobLauncher`.  Raises InputError where Slurm is not there or refuses the job."""
        submitit = _submitit()
        settings, logs, record = self._settings, folder / "jobs", folder / "job.json"
        job_class = submitit.SlurmJob if settings.cluster == "slurm" else submitit.LocalJob
        if running := _stored_job(record, job_class, logs):
            return running
        executor_class = submitit.SlurmExecutor if settings.cluster == "slurm" else submitit.LocalExecutor
        minutes = round(60 * (settings.hours or max(1.0, 2 * hours)))
        options = {"use_srun": False, "ntasks_per_node": 1} if settings.cluster == "slurm" else {}
        named = {"job_name": name.replace("/", "-"), "time": minutes} if options else {"timeout_min": minutes}
        try:
            executor = executor_class(logs, max_num_timeout=settings.requeues)
            executor.update_parameters(**{**options, **named, **settings.options})
            job = executor.submit(RunCommand(command, str(folder / "job")))
        except (RuntimeError, ValueError, OSError, subprocess.SubprocessError) as error:
            do = "check launcher.options, or use --launcher command"
            raise InputError("the job cannot be submitted", str(error), "", do) from error
        write_json(record, {"job": job.job_id})
        return _SubmittedCell(job, folder, record)


class _SubmittedCell:
    def __init__(self, job: Any, folder: Path, record: Path) -> None:
        self._job, self._folder, self._record = job.task(0), folder, record

    def poll(self) -> str | None:
        if not self._job.done():
            return None
        self._record.unlink(missing_ok=True)
        try:
            return str(self._job.result())
        except Exception as error:  # submitit's own kinds: the job was killed, ran out of time, raised
            return last_lines(self._folder / "job.log", 1) or f"{type(error).__name__}: {error}"

    def cancel(self) -> None:
        self._job.cancel(check=False)
        self._record.unlink(missing_ok=True)


def _stored_job(record: Path, job_class: Any, logs: Path) -> RunningCell | None:
    """The job of an earlier start, unless it has ended."""
    try:
        job = job_class(logs, parse_json(record.read_text(encoding="ascii"))["job"])
    except (OSError, ValueError, KeyError, TypeError):
        return None
    return None if job.done(force_check=True) else _SubmittedCell(job, record.parent, record)


def _submitit() -> Any:
    try:
        import submitit
    except ImportError:
        do = "pip install 'limo[slurm]'"
        raise InputError("Slurm jobs need a package that is not installed", "submitit", "", do) from None
    return submitit
