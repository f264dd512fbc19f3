"""What this machine has, and what that is enough for; nothing is installed, changed or connected to.

for fact in machine_facts():
    print(fact.what, fact.here, fact.advice)
"""

from __future__ import annotations

import importlib.util
import os
import platform
import shutil
from collections.abc import Iterator
from contextlib import suppress
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import NamedTuple

from limo.core.environment import environment

DEVICES = Path("/dev")
TRAINING_PACKAGES = {
    "flash_attn": "attn_implementation: flash_attention_2, padding_free and packing (training)",
    "bitsandbytes": "kind: qlora (training)",
    "deepspeed": "--launch zero3 (training)",
    "vllm": "use_vllm (training by reward) and serving large models",
}


def has_gpu() -> bool:
    """Whether torch may find a GPU here: a driver's device, not hidden, and no build of torch for CPUs alone.

    torch itself, which knows, is not imported: that takes seconds, and it need not be installed.
    """
    if os.environ.get("CUDA_VISIBLE_DEVICES", "0") in ("", "-1"):
        return False
    with suppress(PackageNotFoundError):
        if version("torch").endswith("+cpu"):
            return False
    devices = [*DEVICES.glob("nvidia[0-9]*"), *(DEVICES / name for name in ("kfd", "dxg"))]  # CUDA, ROCm, WSL
    return any(device.exists() for device in devices) or (os.name == "nt" and bool(shutil.which("nvidia-smi")))


class MachineFact(NamedTuple):
    """One thing looked at: what is here, and what it means (empty where all is well)."""

    what: str
    here: str
    advice: str = ""


def machine_facts() -> Iterator[MachineFact]:
    """Everything that results, speed or a run's end may depend on."""
    import psutil

    memory, disk = psutil.virtual_memory(), shutil.disk_usage(os.getcwd())
    n_cores, versions = environment()["n_cores"], environment()["versions"]
    assert isinstance(versions, dict)
    yield MachineFact("system", platform.platform())
    yield MachineFact("cores", str(n_cores), "" if n_cores != 1 else "one core: the lab takes twice as long")
    yield MachineFact("memory", f"{_gb(memory.available)} of {_gb(memory.total)} free", _least(memory.available, 4))
    yield MachineFact("disk", f"{_gb(disk.free)} free here", _least(disk.free, 5))
    yield from _gpus()
    yield MachineFact("python", platform.python_version())
    yield from (MachineFact(name, version) for name, version in versions.items())
    yield from _hub()


def _gpus() -> Iterator[MachineFact]:
    try:
        import torch
    except ImportError:
        yield MachineFact("GPU", "not looked for", "models in this process need torch: pip install 'limo[train]'")
        return
    if not torch.cuda.is_available():
        yield MachineFact("GPU", "none", "pocket lab and curation need none; paper scale does")
    for number in range(torch.cuda.device_count()):
        device = torch.cuda.get_device_properties(number)
        yield MachineFact(f"GPU {number}", f"{device.name}, {_gb(device.total_memory)}")
    for package, use in TRAINING_PACKAGES.items():
        here = importlib.util.find_spec(package) is not None
        yield MachineFact(package, "here" if here else "none", "" if here else f"only needed for {use}")


def _hub() -> Iterator[MachineFact]:
    try:
        from huggingface_hub import constants
    except ImportError:
        yield MachineFact("hub", "not used", "data sets on the hub need its client: pip install 'limo[pool]'")
        return
    offline, advice = constants.HF_HUB_OFFLINE, "benchmarks and models must be files or in the cache"
    yield MachineFact("hub", *(("offline (HF_HUB_OFFLINE)", advice) if offline else ("used when needed",)))
    yield MachineFact("hub cache", constants.HF_HUB_CACHE)


def _gb(n_bytes: int) -> str:
    return f"{n_bytes / 2**30:.1f} GB"


def _least(n_bytes: int, gigabytes: int) -> str:
    return "" if n_bytes >= gigabytes * 2**30 else f"the lab needs {gigabytes} GB"
