"""Mixed precision: which number format a device computes in, and the loss scaling it needs."""

from __future__ import annotations

import torch

from train.errors import TrainError


class Precision:
    """What `train.amp` means on a device.

    fp16 (Micikevicius et al. 2018) needs loss scaling, its gradients underflow; bf16 has float32's
    range and needs none.

    Raises:
        TrainError: the device cannot compute in that format.
    """

    def __init__(self, amp: str, device: torch.device) -> None:
        cuda = device.type == "cuda"
        if amp == "auto":
            amp = ("bf16" if _native_bf16() else "fp16") if cuda else "off"
        if amp == "fp16" and not cuda:
            raise TrainError(
                f"train.amp is 'fp16' on {device.type}: half precision with loss scaling needs "
                "CUDA; use 'bf16' or 'off'"
            )
        if amp == "bf16" and cuda and not torch.cuda.is_bf16_supported():
            raise TrainError("train.amp is 'bf16': this GPU has no bfloat16; use 'fp16' or 'off'")
        self.name = amp
        self.device = device
        self.scaler = torch.amp.GradScaler(device.type, enabled=amp == "fp16")

    def looking(self) -> torch.autocast:
        """The context for validation: in the run's format on a GPU; CPUs look in float32."""
        if self.device.type == "cuda":
            return self.autocast()
        return torch.autocast(self.device.type, enabled=False)

    def autocast(self) -> torch.autocast:
        """The context for the forward pass."""
        kind = torch.float16 if self.name == "fp16" else torch.bfloat16
        return torch.autocast(self.device.type, dtype=kind, enabled=self.name != "off")


def _native_bf16() -> bool:
    """Whether the GPU computes in bfloat16 itself (from Ampere on) and does not only emulate it."""
    return bool(torch.cuda.is_bf16_supported(including_emulation=False))


def quick(device: torch.device, *, tf32: bool) -> None:
    """Let cuDNN time its algorithms (crops have one size) and, with `tf32`, round float32 products.

    TF32 has float32's range and ten bits of mantissa; on GPUs from Ampere on only. Global, and of
    no effect on CPUs.
    """
    if device.type == "cuda":
        torch.backends.cudnn.benchmark = True
        torch.backends.cuda.matmul.allow_tf32 = torch.backends.cudnn.allow_tf32 = tf32
