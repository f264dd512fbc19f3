"""Reinforcement learning with verified answers (GRPO), by TRL's GRPOTrainer: the rival of a few selected chains.

Rollouts are made by our completer on the policy's own weights, with the random numbers of (problem, policy, index); by
TRL only through a vLLM server or where no process holds the whole model.  The reward of a completion is 1 where the
verifier says `correct`, else 0.  `recorder` verifies each rollout and keeps it (the train stage: in the run's ledger).
Truncated completions are masked: they teach nothing, and count as wrong in their group.  `max_flops` ends a training at
the cost of another one.

    result = train("models/base", problems, "runs/rl/model", GrpoSettings(max_steps=100), recorder)
    result.measures["pass_rate_last"], result.flops
"""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from statistics import mean
from typing import Any, ClassVar, Literal, Protocol

from pydantic import Field

from limo.core.errors import InputError
from limo.core.files import model_identity
from limo.core.progress import NoProgress, Progress
from limo.core.prompts import SYSTEM, Message, messages, prompt_hash
from limo.core.records import Completion, Problem, Rollout, Sampling, Verdict
from limo.core.text import content_hash, shorten
from limo.models.completer import Request
from limo.models.local.completer import LocalCompleter
from limo.models.local.config import check_model
from limo.train.compute import GENERATE, TRAIN
from limo.train.data import reading_note
from limo.train.memory import launched_sharding
from limo.train.model import load_model, load_tokenizer
from limo.train.model_folder import make_work_folder, publish_model, read_result
from limo.train.result import TrainResult, result_of
from limo.train.settings import TrainSettings
from limo.train.trainer import checked_trainer, log_speed, run_trainer, trl_config, without_name_warnings

FLOPS_PER_TOKEN = GENERATE + TRAIN  # each token is generated (or read) once and trained on once
SHARE_SHOWN = 0.1  # of the updates, whose mean pass rate is the first and the last one


class GrpoSettings(TrainSettings):
    """How to train by GRPO.  Defaults are TRL's where nothing else is said; the paper reports no RL of its own."""

    NOT_OF_TRL: ClassVar[frozenset[str]] = TrainSettings.NOT_OF_TRL | {"max_flops", "system"}
    kind: Literal["grpo"] = Field("grpo", description="reinforcement learning with verified answers")
    learning_rate: float = Field(1e-6, gt=0, description="peak")
    num_train_epochs: float = Field(1, gt=0, description="passes over the problems")
    lr_scheduler_type: str = Field("constant", description="shape of the learning rate")
    num_generations: int = Field(8, ge=2, description="rollouts of a problem in an update; their mean is the baseline")
    max_completion_length: int = Field(2048, ge=1, description="tokens of a completion; a longer one is truncated")
    mask_truncated_completions: bool = Field(True, description="truncated completions give no gradient")
    temperature: float = Field(1.0, gt=0, description="of the rollouts")
    top_p: float = Field(1.0, gt=0, le=1, description="of the rollouts")
    beta: float = Field(0.0, ge=0, description="weight of the divergence from the base model")
    loss_type: str = Field("dapo", description="how tokens are averaged, by TRL's name")
    scale_rewards: Literal["group", "batch", "none"] = Field("group", description="what advantages are divided by")
    use_vllm: bool = Field(False, description="rollouts by a vLLM server of TRL's (`trl vllm-serve`)")
    vllm_server_base_url: str | None = Field(None, description="its address")
    system: str = Field(SYSTEM, description="system text of every prompt")
    max_flops: float = Field(0.0, ge=0, description="stop at this cost (`flops` of another training); 0 = do not")

    @property
    def sampling(self) -> Sampling:
        """How rollouts are sampled, as the ledger keeps it."""
        return Sampling(self.temperature, self.top_p, self.max_completion_length, self.seed)


class RolloutRecorder(Protocol):
    """Verifies rollouts and keeps them."""

    def add(self, rollouts: Sequence[tuple[Problem, Rollout]]) -> list[Verdict]:
        """The verdict of each, which is stored with its rollout; one that is stored already is not stored twice."""


def train(
    model_dir: str | Path,
    problems: Sequence[Problem],
    out_dir: str | Path,
    settings: GrpoSettings,
    recorder: RolloutRecorder,
    progress: Progress | None = None,
    stage: str = "train",
) -> TrainResult:
    """Train the model at `model_dir` on problems; the result is in `out_dir`.

    Raises ModelError (no model there, or the training diverged), InputError and StorageError.
    """
    is_main = os.environ.get("RANK", "0") == "0"
    progress, out = (progress if is_main else None) or NoProgress(), Path(out_dir)
    check_model(model_dir)
    data = content_hash(*(f"{problem.id} {problem.answer}" for problem in problems))
    identity = content_hash(model_identity(model_dir) or str(model_dir), data, settings.hash)
    if done := read_result(out, identity, settings):
        progress.log(f"{stage}: {out} is trained already ({done.n_updates:,} updates)")
        return done
    if not problems:
        raise InputError("there is nothing to train on", "0 problems", "at least one", "check the dataset")
    if settings.save_strategy == "no" and is_main:
        progress.log(f"{stage}: save_strategy=no: a killed run starts anew, with new rollouts")
    tokenizer = load_tokenizer(model_dir)
    if note := reading_note((problem.problem for problem in problems), tokenizer):
        progress.log(f"warning: {note}")
    work = make_work_folder(out, identity)
    model = load_model(model_dir, settings.dtype, settings.attn_implementation, 0, _end_token(tokenizer))
    n_parameters = model.num_parameters()
    rollouts = _Rollouts(problems, settings, tokenizer, model.generation_config, recorder, f"grpo-{identity}")
    trainer = _make_trainer(model, tokenizer, problems, settings, work, rollouts)
    if settings.max_flops:
        trainer.add_callback(_stop_at(settings.max_flops / (FLOPS_PER_TOKEN * n_parameters)))
    seconds = run_trainer(trainer, work, progress, stage, settings)
    n_tokens = int(trainer.state.num_input_tokens_seen)
    flops = float(FLOPS_PER_TOKEN * n_parameters * n_tokens)
    log_speed(progress, stage, flops, n_tokens, seconds)
    measures = _measures(trainer.state.log_history, trainer.state.global_step * settings.examples_per_update)
    result = result_of(
        trainer,
        settings,
        "grpo",
        model_dir=str(out),
        base=str(model_dir),
        n_examples=len(problems),
        n_tokens=n_tokens,
        n_loss_tokens=round(measures["n_completion_tokens"]),
        n_tokens_seen=n_tokens,
        seconds=seconds,
        flops=flops,
        identity=identity,
        data_hash=data,
        measures=measures,
    )
    save = lambda new: trainer.save_model(str(new))  # noqa: E731
    publish_model(result, work, save, trainer.args.should_save, settings.keep_checkpoints)
    return result


class _Rollouts:
    """The rollouts of the policy at each update: `generate` makes them by our completer, the call verifies them.

    Where TRL generates, `generate` is not called, and the call makes rollouts of the tokens it is given.
    """

    __name__ = "verified"

    def __init__(
        self,
        problems: Sequence[Problem],
        settings: GrpoSettings,
        tokenizer: Any,
        generation_config: Any,
        recorder: RolloutRecorder,
        name: str,
    ) -> None:
        end = generation_config.eos_token_id
        self._ends = {tokenizer.eos_token_id, *(end if isinstance(end, list) else [end])}
        self._by_text = {problem.problem: problem for problem in problems}
        self._tokenizer, self._recorder, self._name = tokenizer, recorder, name
        self._sampling = settings.sampling
        self._setup = (prompt_hash(settings.system), self._sampling.hash)
        self._first_index = int(os.environ.get("RANK", "0")) * settings.examples_per_update
        self._step, self._n_of_problem = -1, Counter[str]()

    def generate(self, chats: list[list[Message]], trainer: Any) -> dict[str, Any]:
        """TRL's `rollout_func`: completions of these chats by the policy as it is; it computes their likelihoods."""
        policy = trainer.accelerator.unwrap_model(trainer.model_wrapped)
        model = self._model(trainer.state)
        requests = [
            Request(problem, chat, self._sampling, index)
            for chat, (problem, index) in zip(chats, self._numbered(chats, trainer.state), strict=True)
        ]
        completed = LocalCompleter.of(policy, self._tokenizer, model).complete_tokens(requests)
        for one in completed:
            if one.completion.finish_reason == "error":
                do = "leave long problems out of the pool"
                raise InputError("a problem cannot be completed", one.completion.error, "room for an answer", do)
        return {
            "prompt_ids": [one.prompt for one in completed],
            "completion_ids": [one.tokens for one in completed],
            "logprobs": None,
            "rollout": [
                Rollout(request.problem.id, model, *self._setup, request.index, one.completion)
                for request, one in zip(requests, completed, strict=True)
            ],
        }

    def __call__(
        self,
        prompts: list[Any],
        completions: list[Any],
        completion_ids: list[list[int]],
        trainer_state: Any,
        rollout: list[Rollout] | None = None,
        **_: Any,
    ) -> list[float]:
        """TRL's reward function: 1 for what is verified as correct, else 0."""
        rollouts = rollout or self._rollouts_of_trl(prompts, completions, completion_ids, trainer_state)
        pairs = [(self._by_text[chat[-1]["content"]], one) for chat, one in zip(prompts, rollouts, strict=True)]
        return [float(verdict.outcome == "correct") for verdict in self._recorder.add(pairs)]

    def _rollouts_of_trl(
        self, chats: list[Any], completions: list[Any], ids: list[list[int]], state: Any
    ) -> list[Rollout]:
        ends, rollouts = self._ends, []
        for (problem, index), chat, tokens in zip(self._numbered(chats, state), completions, ids, strict=True):
            reason = "stop" if tokens and tokens[-1] in ends else "length"
            completion = Completion(chat[0]["content"], reason, n_completion_tokens=len(tokens))
            rollouts.append(Rollout(problem.id, self._model(state), *self._setup, index, completion))
        return rollouts

    def _numbered(self, chats: list[Any], state: Any) -> list[tuple[Problem, int]]:
        """The problem of each chat, and which of its rollouts in this update it is."""
        if state.global_step != self._step:
            self._step, self._n_of_problem = state.global_step, Counter()
        numbered = []
        for chat in chats:
            problem = self._by_text[chat[-1]["content"]]
            numbered.append((problem, self._first_index + self._n_of_problem[problem.id]))
            self._n_of_problem[problem.id] += 1
        return numbered

    def _model(self, state: Any) -> str:
        """The policy at an update, as the ledger names it."""
        return f"{self._name}@{state.global_step}"


def _make_trainer(
    model: Any, tokenizer: Any, problems: Sequence[Problem], settings: GrpoSettings, work: Path, rollouts: _Rollouts
) -> Any:
    from datasets import Dataset
    from trl import GRPOConfig, GRPOTrainer

    config = trl_config(GRPOConfig, settings, work, log_completions=False, vllm_mode="server")
    is_whole = launched_sharding()[0] in ("one", "ddp")  # decoding a shard would need every process at every token
    rows = [{"prompt": messages(problem.problem, settings.system)} for problem in problems]
    try:
        with without_name_warnings():
            return checked_trainer(GRPOTrainer)(
                model=model,
                reward_funcs=[rollouts],
                args=config,
                train_dataset=Dataset.from_list(rows),
                processing_class=tokenizer,
                rollout_func=rollouts.generate if is_whole and not settings.use_vllm else None,
            )
    except (ValueError, ImportError) as error:
        reason = shorten(str(error), 160)
        raise InputError("TRL refuses these settings", reason, "", "change the setting that it names") from error


def _end_token(tokenizer: Any) -> int | None:
    """The token that ends an assistant's turn by the chat template; a base model's own end token is another."""
    from limo.train.data import encode

    chat = [*messages("1+1?"), {"role": "assistant", "content": "2"}]
    return encode([{"messages": chat}], tokenizer, 1 << 20).end_token_id


def _stop_at(n_tokens: float) -> Any:
    from transformers import TrainerCallback

    class StopAtCost(TrainerCallback):
        """Ends the training once so many tokens were generated and trained on."""

        def on_step_end(self, args: Any, state: Any, control: Any, **kwargs: Any) -> None:
            control.should_training_stop |= state.num_input_tokens_seen >= n_tokens

    return StopAtCost()


def _measures(history: list[dict[str, float]], n_rollouts: int) -> dict[str, float]:
    """What the updates showed: pass rates, groups whose rewards were all equal (which teach nothing), truncations."""
    steps = [entry for entry in history if "reward" in entry]
    if not steps:
        raise InputError(
            "no update was recorded", "0 updates", "at least one", "raise max_steps or lower logging_steps"
        )
    n = max(1, round(SHARE_SHOWN * len(steps)))
    return {
        "pass_rate_first": mean(entry["reward"] for entry in steps[:n]),
        "pass_rate_last": mean(entry["reward"] for entry in steps[-n:]),
        "groups_without_variance": mean(entry["frac_reward_zero_std"] for entry in steps),
        "truncated": mean(entry["completions/clipped_ratio"] for entry in steps),
        "n_rollouts": n_rollouts,
        "n_completion_tokens": mean(entry["completions/mean_length"] for entry in steps) * n_rollouts,
    }
