"""Building: what is kept, what is refused, and what is left after anything went wrong."""

from __future__ import annotations

import errno
import os
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from streamseg.errors import CacheError, DeviceMemoryError, EngineError, SourceError, UsageError
from streamseg.runtime.backends import names
from streamseg.runtime.backends.base import BackendUnavailableError, BuildConfig, Profile
from streamseg.runtime.backends.names import Machine
from streamseg.runtime.building.build import Builder, smaller_batch
from streamseg.runtime.building.gate import GateError
from streamseg.runtime.building.request import BuildRequest, Watcher
from streamseg.runtime.cache.folder import EngineCache
from tests.streamseg import fake_backend
from tests.streamseg.conftest import REPOSITORY
from tests.streamseg.engines_kit import listing, toy_profile
from tests.streamseg.fake_backend import Behaviour
from tests.streamseg.fakes import toy_header
from tests.streamseg.slow_model import write_pictures, write_slow_toy

SLOW = 0.1
"""Seconds a frame: slower than the slow toy on ONNX Runtime, whatever else the machine does."""
ONE_FRAME = BuildConfig(profile=toy_profile((1, 1, 1)))


@pytest.fixture
def behaviour(monkeypatch: pytest.MonkeyPatch) -> Behaviour:
    """The fake backend, under the name of one that builds from the model file alone."""
    monkeypatch.setitem(names.BACKENDS, "tensorrt", fake_backend.__name__)
    fake_backend.behaviour = Behaviour()
    return fake_backend.behaviour


@pytest.fixture(scope="session")
def slow_model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("slow")
    write_pictures(folder / "pictures")
    return write_slow_toy(folder / "toy.onnx")


@pytest.fixture
def cache(tmp_path: Path) -> EngineCache:
    return EngineCache(tmp_path / "engines")


class Told:
    """Remembers what a watcher is told."""

    def __init__(self) -> None:
        self.notices: list[str] = []
        self.phases: list[str] = []

    def watcher(self) -> Watcher:
        return Watcher(
            notice=self.notices.append, progress=lambda phase, *_: self.phases.append(phase)
        )


@pytest.fixture
def told() -> Told:
    return Told()


@pytest.fixture
def builder(cache: EngineCache, told: Told, behaviour: Behaviour) -> Builder:
    return Builder(cache, Machine(), told.watcher(), round_seconds=0.02)


def request(model: Path, **changes: Any) -> BuildRequest:
    values: dict[str, Any] = {
        "config": BuildConfig(profile=toy_profile()),
        "threads": 1,
        "pictures": model.parent / "pictures",
        **changes,
    }
    return BuildRequest(model=model, header=toy_header(), backend="tensorrt", **values)


def test_a_built_engine_is_proven_and_kept(
    builder: Builder, slow_model: Path, cache: EngineCache, told: Told
) -> None:
    built = builder.build(request(slow_model))
    assert built.proof is not None
    assert built.proof.agreement.share == 1
    assert built.proof.speedup > 1
    assert [t.batch for t in built.proof.speed.timings] == [1, 2, 4]
    header, payload = cache.load(built.path)
    assert header == built.header
    assert header.proof["reference"]["name"] == "ONNX Runtime fp32"
    assert payload.startswith(b"fake plan")
    assert {"tactics", "comparing", "timing"} <= set(told.phases)
    assert listing(cache.folder) == {built.path.name}


def test_what_is_there_is_not_built_again_unless_forced(
    builder: Builder, slow_model: Path, behaviour: Behaviour
) -> None:
    first = builder.build(request(slow_model))
    again = builder.build(request(slow_model))
    assert (again.path, again.proof, len(behaviour.builds)) == (first.path, None, 1)
    assert builder.build(request(slow_model, force=True)).proof is not None
    assert len(behaviour.builds) == 2


def test_what_is_there_is_proven_anew_on_other_pictures(
    builder: Builder, slow_model: Path, behaviour: Behaviour, tmp_path: Path, told: Told
) -> None:
    first = builder.build(request(slow_model))
    write_pictures(tmp_path / "others")
    again = builder.build(request(slow_model, pictures=tmp_path / "others"))
    assert (again.path, again.new, len(behaviour.builds)) == (first.path, False, 1)
    assert again.proof is not None
    assert again.proof.agreement.pictures_from == f"4 pictures of {tmp_path / 'others'}"
    assert builder.cache.load(again.path)[0].proof == again.proof.to_dict()
    assert told.notices[-1].endswith(
        f"there already; proving it on 4 pictures of {tmp_path}/others"
    )


def test_what_is_there_goes_when_a_stricter_gate_refuses_it(
    builder: Builder, slow_model: Path, behaviour: Behaviour, cache: EngineCache
) -> None:
    behaviour.wrong_share = 0.05
    builder.build(request(slow_model, min_agreement=0.9))
    assert builder.build(request(slow_model, min_agreement=0.9)).proof is None
    with pytest.raises(GateError, match="99 % are asked for"):
        builder.build(request(slow_model))
    assert listing(cache.folder) == set()
    assert len(behaviour.builds) == 1


def test_a_damaged_engine_is_built_anew(
    builder: Builder, slow_model: Path, behaviour: Behaviour, told: Told
) -> None:
    path = builder.build(request(slow_model)).path
    content = bytearray(path.read_bytes())
    content[-1] ^= 1
    path.write_bytes(content)
    assert builder.build(request(slow_model)).new
    assert len(behaviour.builds) == 2
    assert "damaged (its checksum is wrong); build the engine again: building" in told.notices[0]


@pytest.mark.parametrize("what", ["data", "pictures"])
def test_pictures_that_cannot_be_read_are_said_before_any_work(
    builder: Builder, slow_model: Path, behaviour: Behaviour, tmp_path: Path, what: str
) -> None:
    (tmp_path / "val").mkdir()
    with pytest.raises((UsageError, SourceError), match=f"{tmp_path}"):
        builder.build(request(slow_model, **{"pictures": None, what: tmp_path}))
    assert behaviour.builds == []


REFUSALS: list[tuple[dict[str, float], dict[str, Any], str]] = [
    ({"wrong_share": 0.05}, {}, r"agrees with fp32 on 9\d\.\d\d % of the pixels, 99 % are asked"),
    (
        {"infer_seconds": SLOW},
        {"config": ONE_FRAME},
        "no faster than ONNX Runtime fp32, .* fps .--allow-slower",
    ),
]


@pytest.mark.parametrize(("faults", "options", "message"), REFUSALS)
def test_a_refused_engine_says_why_and_leaves_nothing(
    builder: Builder,
    slow_model: Path,
    cache: EngineCache,
    behaviour: Behaviour,
    faults: dict[str, float],
    options: dict[str, Any],
    message: str,
) -> None:
    for name, value in faults.items():
        setattr(behaviour, name, value)
    with pytest.raises(GateError, match=message) as refusal:
        builder.build(request(slow_model, **options))
    assert "refused and not kept" in str(refusal.value)
    assert refusal.value.proof.agreement.pictures == 4
    assert listing(cache.folder) == set()


def test_a_slower_engine_is_kept_when_that_is_wanted(
    builder: Builder, slow_model: Path, behaviour: Behaviour
) -> None:
    behaviour.infer_seconds = SLOW
    built = builder.build(request(slow_model, allow_slower=True, config=ONE_FRAME))
    assert built.proof is not None
    assert built.proof.speedup < 1


def test_a_new_engine_must_beat_the_one_it_would_replace(
    builder: Builder, slow_model: Path, behaviour: Behaviour
) -> None:
    from tests.streamseg.fakes import FakeEngine

    quick = FakeEngine()
    behaviour.infer_seconds = 0.02
    builder.incumbent = lambda _: ("the old engine", quick)
    with pytest.raises(GateError, match="no faster than the old engine, which it would") as refusal:
        builder.build(request(slow_model, config=ONE_FRAME))
    assert quick.closed
    replaced = refusal.value.proof.replaced
    assert replaced is not None
    assert replaced.name == "the old engine"


def test_a_device_without_room_gets_a_smaller_batch(
    builder: Builder, slow_model: Path, behaviour: Behaviour, told: Told
) -> None:
    behaviour.fits_build = 3
    built = builder.build(request(slow_model))
    assert [c.profile.batch for c in behaviour.builds] == [(1, 2, 4), (1, 2, 2)]
    assert built.header.key.config.profile.batch == (1, 2, 2)
    assert told.notices == ["fake GPU: no memory to build; trying again with --batch 1:2:2"]


def test_a_device_without_room_for_one_frame_is_an_error(
    builder: Builder, slow_model: Path, behaviour: Behaviour, cache: EngineCache
) -> None:
    behaviour.fits_build = 0
    with pytest.raises(DeviceMemoryError, match="no memory to build"):
        builder.build(request(slow_model))
    assert [c.profile.batch[2] for c in behaviour.builds] == [4, 2, 1]
    assert listing(cache.folder) == set()


@pytest.mark.parametrize(
    ("batch", "smaller"), [((1, 8, 16), (1, 8, 8)), ((4, 4, 5), (2, 2, 2)), ((1, 1, 1), None)]
)
def test_a_smaller_batch_is_half_of_the_largest(
    batch: tuple[int, int, int], smaller: tuple[int, int, int] | None
) -> None:
    found = smaller_batch(BuildConfig(profile=Profile(batch=batch)))
    assert (found and found.profile.batch) == smaller


def test_a_driver_that_is_too_old_is_one_sentence(
    builder: Builder, slow_model: Path, behaviour: Behaviour, cache: EngineCache
) -> None:
    behaviour.environment = BackendUnavailableError(
        "TensorRT 11.1 wants driver 580 or newer, this machine has 535; update the driver"
    )
    with pytest.raises(BackendUnavailableError, match="wants driver 580 or newer"):
        builder.build(request(slow_model))
    assert listing(cache.folder) == set()


def test_a_broken_library_is_one_sentence(
    builder: Builder, slow_model: Path, behaviour: Behaviour
) -> None:
    behaviour.environment = OSError("libnvinfer.so.11: cannot open shared object file")
    with pytest.raises(
        BackendUnavailableError, match=r"TensorRT cannot be used here \(OSError: libnvinfer"
    ):
        builder.build(request(slow_model))


def test_a_full_disk_is_one_sentence_and_leaves_nothing(
    builder: Builder,
    slow_model: Path,
    cache: EngineCache,
    behaviour: Behaviour,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def full(fd: int) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    behaviour.while_building = lambda: monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(CacheError, match="the disk is full, so the engine was not kept"):
        builder.build(request(slow_model))
    assert listing(cache.folder) == set()


@pytest.mark.parametrize("interrupt", [KeyboardInterrupt, EngineError("no kernel")])
def test_a_build_that_is_stopped_leaves_nothing(
    builder: Builder,
    slow_model: Path,
    cache: EngineCache,
    behaviour: Behaviour,
    interrupt: BaseException | type[BaseException],
) -> None:
    def stop() -> None:
        raise interrupt

    behaviour.while_building = stop
    with pytest.raises((KeyboardInterrupt, EngineError)):
        builder.build(request(slow_model))
    assert listing(cache.folder) == set()


def test_torch_needs_the_program_beside_the_model(builder: Builder, slow_model: Path) -> None:
    wanted = replace(request(slow_model), backend="torch")
    with pytest.raises(UsageError, match=r"toy\.pt2: no such file, .*export --format pt2"):
        builder.build(wanted)


SECOND = """
import sys
from pathlib import Path
from streamseg.runtime.backends import names
from streamseg.runtime.backends.base import BuildConfig
from streamseg.runtime.backends.names import Machine
from streamseg.runtime.building.build import Builder
from streamseg.runtime.building.request import BuildRequest, Watcher
from streamseg.runtime.cache.folder import EngineCache
from tests.streamseg import fake_backend
from tests.streamseg.engines_kit import toy_profile
from tests.streamseg.fakes import toy_header
names.BACKENDS["tensorrt"] = fake_backend.__name__
fake_backend.behaviour.build_seconds = 1.0
fake_backend.behaviour.while_building = lambda: print("built", flush=True)
model = Path(sys.argv[1])
wanted = BuildRequest(
    model=model, header=toy_header(), backend="tensorrt", pictures=model.parent / "pictures",
    config=BuildConfig(profile=toy_profile((1, 1, 1))), threads=1, allow_slower=True,
)
say = Watcher(notice=lambda text: print(text, flush=True))
builder = Builder(EngineCache(Path(sys.argv[2])), Machine(), say, round_seconds=0.02)
print("ready", flush=True)
sys.stdin.readline()
print(builder.build(wanted).path.name, flush=True)
"""


def test_of_two_builders_one_builds_and_the_other_waits(
    slow_model: Path, cache: EngineCache
) -> None:
    command = [sys.executable, "-c", SECOND, str(slow_model), str(cache.folder)]
    environment = {**os.environ, "PYTHONPATH": str(REPOSITORY)}
    both = [
        subprocess.Popen(
            command,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            env=environment,
        )
        for _ in range(2)
    ]
    for process in both:
        assert process.stdout is not None
        assert process.stdout.readline() == "ready\n"
    outputs = []
    for process in both:
        assert process.stdin is not None
        process.stdin.write("go\n")
        process.stdin.flush()
    for process in both:
        outputs.append(process.communicate(timeout=30)[0].splitlines())
        assert process.returncode == 0
    lines = [line for output in outputs for line in output]
    assert lines.count("built") == 1
    assert lines.count("another process builds this engine: waiting for it") == 1
    (name,) = listing(cache.folder)
    assert lines.count(name) == 2
