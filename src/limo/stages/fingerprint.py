"""What a score depends on besides the model's weights: engine, precision, hardware, template, benchmark, verifier.

Two scores are comparable where their fingerprints agree; `differences` lists where they do not.  What a server does not
say of itself is left out: an absent fact is never a difference.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from importlib import metadata
from pathlib import Path
from typing import Any

from limo.core.environment import environment
from limo.core.files import resolve_data_path
from limo.core.records import Problem, Provenance, Sampling
from limo.core.text import content_hash, parse_json
from limo.models.server_info import server_info
from limo.models.settings import HttpModelSettings, LocalModelSettings, ModelSettings

Facts = dict[str, str]
# Facts that are kept as hashes, in words: that they differ is all there is to say.
_HASHES = {"prompt": "system text", "benchmark": "problems or their answers", "template": "chat template"}

_ROUNDING = ("engine", "dtype", "hardware")  # facts that change how numbers are rounded, and not what a model is given


def model_facts(settings: ModelSettings, data: str = "") -> Facts:
    """What can be learnt of how a model is run: `engine`, `dtype`, `hardware`, `template`, `context` where known."""
    if isinstance(settings, HttpModelSettings):
        return server_info(settings)
    if not isinstance(settings, LocalModelSettings):
        return {"engine": "recording"}
    packages = [f"{name} {metadata.version(name)}" for name in ("transformers", "torch")]
    facts = {"engine": ", ".join(packages), "hardware": _hardware(settings.device)}
    folder = Path(resolve_data_path(settings.path, data))
    config = _read_json(folder / "config.json")
    dtype, context = config.get("dtype") or config.get("torch_dtype"), config.get("max_position_embeddings")
    template = folder / "chat_template.jinja"
    text = template.read_text(encoding="utf-8") if template.is_file() else ""
    text = text or json.dumps(_read_json(folder / "tokenizer_config.json").get("chat_template") or "")
    facts |= {"dtype": str(dtype)} if dtype else {}
    facts |= {"context": str(context)} if isinstance(context, int) else {}
    return facts | ({"template": content_hash(text)} if text != '""' else {})


def fingerprint(
    facts: Facts, problems: Sequence[Problem], source: Provenance | None, sampling: Sampling | None = None
) -> Facts:
    """The fingerprint of a score on `problems`: the model's facts, hashes of benchmark, prompt and sampling.

    `sampling`: what its hash is of, for the reader.
    """
    rows = [part for problem in problems for part in (problem.id, problem.answer)]
    own = (
        {"prompt": source.prompt_hash, "sampling": source.sampling_hash, "verifier": source.verifier} if source else {}
    )
    own |= {name: str(value) for name, value in asdict(sampling).items() if value != ()} if sampling else {}
    return facts | {"benchmark": content_hash(*rows)} | own


def differences(one: Mapping[str, Facts], other: Mapping[str, Facts]) -> list[str]:
    """Where the fingerprints of two measurements differ, in words; both are by benchmark."""
    benchmarks_by_fact: dict[tuple[str, str, str], list[str]] = {}
    for benchmark in [name for name in one if name in other]:
        for fact in [name for name in one[benchmark] if name in other[benchmark]]:
            a, b = one[benchmark][fact], other[benchmark][fact]
            is_told = fact == "sampling" and "temperature" in one[benchmark] and "temperature" in other[benchmark]
            if a != b and not is_told:
                benchmarks_by_fact.setdefault((fact, a, b), []).append(benchmark)
    return [f"{_in_words(*of)} ({', '.join(names)})" for of, names in benchmarks_by_fact.items()]


def meaning_of(differing: Sequence[str]) -> str:
    """What differences, as `differences` words them, mean for a comparison, in a sentence; '' where there are none."""
    if not differing:
        return ""
    if all(one.split(":")[0] in _ROUNDING for one in differing):
        return (
            "what differs rounds numbers otherwise, which changes single answers in either direction: a separable "
            "difference stands, one near the edge of its interval should be measured again with the same"
        )
    return (
        "what differs can move a score by itself, so the difference cannot be put down to the models alone: measure "
        "both with the same settings"
    )


def _in_words(fact: str, one: str, other: str) -> str:
    if fact in _HASHES:
        return _HASHES[fact]
    return f"{fact}: {one} and {other}" if fact != "sampling" else "sampling: older scores do not keep what it was"


def _hardware(device: str) -> str:
    from limo.models.local.completer import device_of

    if device != "cpu" and (device := device_of(device)).startswith("cuda"):
        import torch

        return str(torch.cuda.get_device_name(device)) if torch.cuda.is_available() else device
    return str(environment()["platform"])


def _read_json(file: Path) -> dict[str, Any]:
    """A JSON object in a file; empty where there is none."""
    try:
        value = parse_json(file.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    return value if isinstance(value, dict) else {}
