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


def test_validation_on_a_cpu_is_in_float32() -> None:
    with Precision("bf16", CPU).looking():
        assert (torch.ones(2, 2) @ torch.ones(2, 2)).dtype == torch.float32


@pytest.mark.parametrize(("native", "name"), [(True, "bf16"), (False, "fp16")])
def test_auto_on_cuda_is_bf16_where_the_gpu_has_it(
    native: bool, name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("torch.cuda.is_bf16_supported", lambda **_: native)
    scaled: list[bool] = []
    monkeypatch.setattr("torch.amp.GradScaler", lambda _, enabled: scaled.append(enabled))
    precision = Precision("auto", torch.device("cuda"))
    assert precision.name == name
    assert scaled == [name == "fp16"]
