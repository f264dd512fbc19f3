"""What this machine has, and what that is enough for; nothing is installed, changed or connected to.

for fact in machine():
    print(fact.what, fact.here, fact.advice)
"""

from __future__ import annotations

import os
import platform
import shutil
from dataclasses import dataclass

from limo.core.run_folder import environment


@dataclass(frozen=True, slots=True)
class MachineFact:
    """One thing looked at: what is here, and what it means (empty where all is well)."""

    what: str
    here: str
    advice: str = ""


def machine() -> list[MachineFact]:
    """Everything that results, speed or a run's end may depend on."""
    return [*_computer(), *_gpus(), *_packages(), *_hub()]


def _computer() -> list[MachineFact]:
    import psutil

    cores, memory, disk = environment()["n_cores"], psutil.virtual_memory(), shutil.disk_usage(os.getcwd())
    return [
        MachineFact("system", platform.platform()),
        MachineFact("cores", str(cores), "" if cores != 1 else "one core: the lab takes twice as long"),
        MachineFact("memory", f"{_gb(memory.available)} of {_gb(memory.total)} free", _least(memory.available, 4)),
        MachineFact("disk", f"{_gb(disk.free)} free here", _least(disk.free, 5)),
    ]


def _gpus() -> list[MachineFact]:
    import torch

    if not torch.cuda.is_available():
        return [MachineFact("GPU", "none", "pocket lab and curation need none; paper scale does")]
    devices = [torch.cuda.get_device_properties(n) for n in range(torch.cuda.device_count())]
    return [MachineFact(f"GPU {n}", f"{device.name}, {_gb(device.total_memory)}") for n, device in enumerate(devices)]


def _packages() -> list[MachineFact]:
    versions = environment()["versions"]
    assert isinstance(versions, dict)
    return [
        MachineFact("python", platform.python_version()),
        *(MachineFact(name, text) for name, text in versions.items()),
    ]


def _hub() -> list[MachineFact]:
    from huggingface_hub import constants

    offline = constants.HF_HUB_OFFLINE
    advice = "benchmarks and models must be files or in the cache" if offline else ""
    return [
        MachineFact("hub", "offline (HF_HUB_OFFLINE)" if offline else "used when needed", advice),
        MachineFact("hub cache", constants.HF_HUB_CACHE),
    ]


def _gb(n_bytes: int) -> str:
    return f"{n_bytes / 2**30:.1f} GB"


def _least(n_bytes: int, gigabytes: int) -> str:
    return "" if n_bytes >= gigabytes * 2**30 else f"the lab needs {gigabytes} GB"
