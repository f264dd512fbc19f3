"""What a training costs in matrix operations, and the share of the hardware's peak that it uses (MFU).

A trained token takes 2 operations a parameter forward and 4 backward (2 where only an adapter learns: no gradients of
the weights); a generated one, or one of a prompt that is read, 2.  Attention's own products and the second forward
pass of gradient checkpointing are left out, as is usual.  Source: Kaplan et al. 2020, arXiv 2001.08361, section 2.1.
"""

from __future__ import annotations

GENERATE, TRAIN, TRAIN_ADAPTER = 2, 6, 4  # operations a parameter and token
PEAK_FLOPS = {
    "H200": 989e12,
    "H100": 989e12,
    "A100": 312e12,
    "L40S": 362e12,
    "B200": 2250e12,
}  # dense bf16, data sheets


def speed_line(flops: float, n_tokens: int, seconds: float, device: str = "", n_devices: int = 1) -> str:
    """Tokens and operations a second as a line of the log, with the MFU where the device's peak is known."""
    seconds = max(seconds, 1e-9)
    line = f"{n_tokens / seconds:,.0f} tokens/s, {flops / seconds / 1e12:.3g} TFLOP/s"
    peak = next((peak for name, peak in PEAK_FLOPS.items() if name in device), 0.0) * n_devices
    return f"{line}, MFU {flops / seconds / peak:.1%} of {peak / 1e12:,.0f} TFLOP/s (bf16)" if peak else line
