"""What a training costs in matrix operations, and the share of the hardware's peak that it uses (MFU).

A trained token takes 2 operations a parameter forward and 4 backward (2 where only an adapter learns: no gradients of
the weights); a generated one, or one of a prompt that is read, 2.  Attention's own products and the second forward
pass of gradient checkpointing are left out, as is usual.  Source: Kaplan et al. 2020, arXiv 2001.08361, section 2.1.
"""

from __future__ import annotations

from typing import NamedTuple

GENERATE, TRAIN, TRAIN_ADAPTER = 2, 6, 4  # operations a parameter and token


class Gpu(NamedTuple):
    """Dense bf16 operations a second and bytes of memory, by the makers' data sheets."""

    flops: float
    memory: float


GPUS = {
    "A100": Gpu(312e12, 80e9),
    "H100": Gpu(989e12, 80e9),
    "H200": Gpu(989e12, 141e9),
    "B200": Gpu(2250e12, 180e9),
    "L40S": Gpu(362e12, 48e9),
    "RTX4090": Gpu(165e12, 24e9),
    "MI300X": Gpu(1307e12, 192e9),
}


def speed_line(flops: float, n_tokens: int, seconds: float, device: str = "", n_devices: int = 1) -> str:
    """Tokens and operations a second as a line of the log, with the MFU where the device's peak is known."""
    seconds = max(seconds, 1e-9)
    line = f"{n_tokens / seconds:,.0f} tokens/s, {flops / seconds / 1e12:.3g} TFLOP/s"
    name = device.replace(" ", "")
    peak = next((gpu.flops for known, gpu in GPUS.items() if known in name), 0.0) * n_devices
    return f"{line}, MFU {flops / seconds / peak:.1%} of {peak / 1e12:,.0f} TFLOP/s (bf16)" if peak else line
