"""Fine-tuning of low-rank adapters on all linear layers, by PEFT; the rest is as in `sft`.

The adapter is kept in `adapter/` of the model's folder, and (with `merge`) the whole model with the adapter added to
its weights, so that everything that loads a model loads it.  Defaults: all linear layers and ten times the learning
rate of full fine-tuning.  Source: Thinking Machines, "LoRA Without Regret" (September 2025).
"""

from __future__ import annotations

from pathlib import Path
from typing import Any, ClassVar, Literal

from pydantic import Field

from limo.train.compute import TRAIN_ADAPTER
from limo.train.methods.sft import SftSettings
from limo.train.model import load_model, load_tokenizer


class LoraSettings(SftSettings):
    """How to fine-tune an adapter."""

    NOT_OF_TRL: ClassVar[frozenset[str]] = SftSettings.NOT_OF_TRL | {"rank", "alpha", "dropout", "merge"}
    flops_per_token: ClassVar[int] = TRAIN_ADAPTER
    kind: Literal["lora"] = Field("lora", description="an adapter on all linear layers")  # type: ignore[assignment]
    learning_rate: float = Field(5e-5, gt=0, description="peak; ten times that of full fine-tuning")
    rank: int = Field(128, ge=1, description="of the adapter's matrices; the field's evidence: 64 to 256")
    alpha: float = Field(32, gt=0, description="the adapter's output is scaled by alpha / rank")
    dropout: float = Field(0.0, ge=0, lt=1, description="of the adapter's input")
    merge: bool = Field(True, description="also save the whole model with the adapter added to its weights")

    @property
    def peft_config(self) -> Any:
        """PEFT's settings."""
        from peft import LoraConfig

        return LoraConfig(
            r=self.rank,
            lora_alpha=self.alpha,  # type: ignore[arg-type]
            lora_dropout=self.dropout,
            target_modules="all-linear",
            task_type="CAUSAL_LM",
        )

    def save(self, trainer: Any, folder: Path, base: str | Path) -> None:
        """The adapter, and with `merge` the whole model with the adapter added to the weights of `base`."""
        adapter = folder / "adapter" if self.merge else folder
        trainer.save_model(str(adapter))
        if self.merge and trainer.args.should_save:
            (adapter / "training_args.bin").unlink(missing_ok=True)
            merge(base, adapter, folder, self.dtype, trainer.model.generation_config)

    def adapted(self, model: Any) -> Any:
        """The model with an adapter on all linear layers."""
        from peft import get_peft_model

        return get_peft_model(model, self.peft_config, low_cpu_mem_usage=True)


class QloraSettings(LoraSettings):
    """How to fine-tune an adapter of weights in 4 bits (bitsandbytes; a GPU)."""

    kind: Literal["qlora"] = Field("qlora", description="an adapter of weights in 4 bits")  # type: ignore[assignment]
    dtype: Literal["float32", "bfloat16"] = Field("bfloat16", description="precision of the merged model")

    @property
    def is_quantised(self) -> bool:
        """Always."""
        return True


def merge(base: str | Path, adapter: Path, out: Path, dtype: str = "float32", generation_config: Any = None) -> None:
    """Save in `out` the model `base` with the adapter added to its weights.  Raises ModelError."""
    from peft import PeftModel

    tokenizer = load_tokenizer(base)
    model = load_model(base, dtype, "")
    merged = PeftModel.from_pretrained(model, str(adapter)).merge_and_unload()
    merged.generation_config = generation_config or merged.generation_config
    merged.save_pretrained(str(out))
    tokenizer.save_pretrained(str(out))
