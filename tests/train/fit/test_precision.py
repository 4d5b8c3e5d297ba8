from __future__ import annotations

import pytest
import torch

from train.errors import TrainError
from train.fit.precision import Precision

CPU = torch.device("cpu")


def product(precision: Precision) -> torch.dtype:
    with precision.autocast():
        return (torch.ones(2, 2) @ torch.ones(2, 2)).dtype


def test_auto_is_off_on_a_cpu_and_bf16_is_an_option() -> None:
    assert product(Precision("auto", CPU)) == product(Precision("off", CPU)) == torch.float32
    assert product(Precision("bf16", CPU)) == torch.bfloat16
    assert not Precision("bf16", CPU).scaler.is_enabled()


def test_fp16_needs_cuda() -> None:
    with pytest.raises(TrainError, match=r"'fp16' on cpu: .* use 'bf16' or 'off'"):
        Precision("fp16", CPU)


@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a GPU")
def test_auto_on_cuda_is_fp16_with_loss_scaling() -> None:
    precision = Precision("auto", torch.device("cuda"))
    assert precision.name == "fp16"
    assert precision.scaler.is_enabled()
