from __future__ import annotations

import csv
import os
import socket
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file
from torch import nn

from tests.train.drawn import draw_dataset
from train.errors import TrainError
from train.fit.distributed import World, join_world
from train.models import ModelSpec, build_model

ROOT = Path(__file__).parents[3]
CPU = torch.device("cpu")
RECIPE = """
[model]
head_channels = 8
[data]
crop = 64
workers = 0
[optim]
warmup_steps = 0
freeze_batchnorm = "all"
[loss]
label_smoothing = 0.1
[train]
epochs = 2
batch = 4
ema_decay = 0.5
tensorboard = false
"""


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def start(processes: int, *arguments: str) -> subprocess.CompletedProcess[str]:
    launcher = [sys.executable]
    if processes > 1:
        launcher += ["-m", "torch.distributed.run", f"--nproc-per-node={processes}"]
        launcher += ["--master-addr=127.0.0.1", f"--master-port={free_port()}"]
    environment = os.environ | {"PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1"}
    return subprocess.run(
        [*launcher, "-m", "tests.train.without_dropout", *arguments, "--device", "cpu"],
        cwd=ROOT,
        env=environment,
        capture_output=True,
        text=True,
        timeout=300,
    )


def rows(path: Path) -> list[dict[str, float]]:
    with path.open(newline="") as file:
        return [
            {k: float(v) for k, v in row.items() if k != "seconds"} for row in csv.DictReader(file)
        ]


def test_two_processes_train_what_one_does(tmp_path: Path) -> None:
    """The same global batch: equal losses, metrics (three pictures, so one has two) and weights."""
    data = draw_dataset(tmp_path / "data", train=8, val=3)
    (tmp_path / "r.toml").write_text(RECIPE)
    folders = {}
    for processes in (1, 2):
        folder = folders[processes] = tmp_path / str(processes)
        more = ("--set", "train.accumulate=2") if processes == 2 else ()
        arguments = (str(tmp_path / "r.toml"), "--data", str(data), "--out", str(folder), *more)
        result = start(processes, *arguments)
        assert result.returncode == 0, result.stderr
        assert result.stdout.count("best validation mIoU") == 1
    assert "2 processes, each on cpu" in result.stdout
    alone, together = (rows(folder / "steps.csv") for folder in folders.values())
    assert [row["step"] for row in alone] == [1, 2, 3, 4]
    for one, two in zip(alone, together, strict=True):
        assert two == pytest.approx(one, rel=1e-4)
    for one, two in zip(*(rows(folder / "log.csv") for folder in folders.values()), strict=True):
        assert two == pytest.approx(one, rel=1e-3, abs=2e-3, nan_ok=True)
    expected, got = (load_file(folder / "last.safetensors") for folder in folders.values())
    assert expected.keys() == got.keys()
    for key, value in expected.items():
        torch.testing.assert_close(got[key], value, rtol=1e-3, atol=1e-5, msg=key)


def test_one_process_alone_needs_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("RANK", "WORLD_SIZE"):
        monkeypatch.delenv(name, raising=False)
    with join_world(CPU) as (world, device):
        assert (world, device) == (World(), CPU)
        assert world.is_main
        values = torch.ones(3)
        assert world.total(values) is values


def test_half_a_launchers_variables(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("RANK", "0")
    monkeypatch.setenv("WORLD_SIZE", "2")
    for name in ("LOCAL_RANK", "MASTER_ADDR", "MASTER_PORT"):
        monkeypatch.delenv(name, raising=False)
    message = "LOCAL_RANK, MASTER_ADDR, MASTER_PORT is not; start several processes with torchrun"
    with pytest.raises(TrainError, match=message), join_world(CPU):
        pass


def test_synchronised_batchnorm_needs_gpus() -> None:
    """Its sums are PyTorch's; here, that every BatchNorm becomes one and keeps its names."""
    model = build_model(ModelSpec(classes=3, head_channels=8))
    with pytest.raises(TrainError, match=r"train\.sync_batchnorm needs GPUs.*'all'"):
        World(size=2).synchronised(model, CPU)
    names = set(model.state_dict())
    count = sum(isinstance(m, nn.BatchNorm2d) for m in model.modules())
    assert World().synchronised(model, CPU) is model
    converted = World(size=2).synchronised(model, torch.device("cuda", 0))
    assert sum(isinstance(m, nn.SyncBatchNorm) for m in converted.modules()) == count
    assert set(converted.state_dict()) == names
