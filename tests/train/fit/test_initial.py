from __future__ import annotations

import dataclasses
from pathlib import Path

import pytest
import torch
from safetensors.torch import save_file

from streamseg.models.palette import Palette
from tests.train.drawn import tiny_recipe
from train.checkpoint import Checkpoint, save_checkpoint
from train.errors import TrainError
from train.fit.initial import initialise
from train.fit.takeover import class_axes
from train.models import ModelSpec, Segmenter, build_model

OLD = Palette(names=("void", "car", "road"), colours=((0, 0, 0), (1, 1, 1), (2, 2, 2)))
NEW = Palette(
    names=("road", "sky", "person", "car"), colours=((0, 0, 0), (1, 1, 1), (2, 2, 2), (3, 3, 3))
)
SPEC = ModelSpec(classes=3, head_channels=8)


def network(classes: int, seed: int, spec: ModelSpec = SPEC) -> Segmenter:
    torch.manual_seed(seed)
    return build_model(dataclasses.replace(spec, classes=classes))


@pytest.fixture(scope="module")
def saved(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Segmenter]:
    model = network(3, seed=1)
    path = tmp_path_factory.mktemp("init") / "best.safetensors"
    recipe = dataclasses.replace(tiny_recipe(), model=SPEC)
    tensors = {f"model.{k}": v for k, v in model.state_dict().items()}
    save_checkpoint(
        path, Checkpoint(recipe=recipe, classes=OLD, epoch=1, metrics={}, tensors=tensors)
    )
    return path, model


def test_the_whole_network_of_a_run_with_the_same_classes(saved: tuple[Path, Segmenter]) -> None:
    path, old = saved
    model = network(3, seed=2)
    assert initialise(model, path, OLD) == f"starting from the whole network of {path}"
    assert all(torch.equal(v, old.state_dict()[k]) for k, v in model.state_dict().items())


def test_another_class_list_replaces_the_classifier_and_keeps_classes_by_name(
    saved: tuple[Path, Segmenter],
) -> None:
    path, old = saved
    model, fresh = network(4, seed=2), network(4, seed=2)
    line = initialise(model, path, NEW)
    assert line.endswith("its classifier is replaced: 4 classes for 3, kept by name: road, car")
    before, state, random = old.state_dict(), model.state_dict(), fresh.state_dict()
    by_class = {"classifier.weight", "classifier.bias", "auxiliary.2.weight", "auxiliary.2.bias"}
    assert set(class_axes(SPEC)) == by_class
    for key, value in state.items():
        if key not in by_class:
            assert torch.equal(value, before[key]), key
            continue
        assert torch.equal(value[0], before[key][2])  # road
        assert torch.equal(value[3], before[key][1])  # car
        assert torch.equal(value[1:3], random[key][1:3])  # sky and person are new


def test_as_many_classes_of_other_names_are_another_class_list(
    saved: tuple[Path, Segmenter],
) -> None:
    path, old = saved
    model = network(3, seed=2)
    names = Palette(names=("car", "a", "b"), colours=OLD.colours)
    initialise(model, path, names)
    assert torch.equal(
        model.get_parameter("classifier.weight")[0], old.get_parameter("classifier.weight")[1]
    )
    assert not torch.equal(
        model.get_parameter("classifier.weight")[1:], old.get_parameter("classifier.weight")[1:]
    )


@pytest.mark.parametrize("palette", [OLD, NEW], ids=["same classes", "others"])
def test_an_auxiliary_head_may_come_or_go(
    tmp_path: Path, saved: tuple[Path, Segmenter], palette: Palette
) -> None:
    """From a VOC run with one to a recipe without, as for report 003; and back."""
    path, old = saved
    bare = dataclasses.replace(SPEC, auxiliary=False)
    model = network(len(palette), seed=2, spec=bare)
    assert " without its auxiliary head" in initialise(model, path, palette)
    kept = "head.fuse.0.weight"
    assert torch.equal(model.state_dict()[kept], old.state_dict()[kept])
    many = Palette(
        names=tuple(f"class {i}" for i in range(20)), colours=tuple((i, i, i) for i in range(20))
    )
    source = network(20, seed=3, spec=bare)
    tensors = {f"model.{k}": v for k, v in source.state_dict().items()}
    recipe = dataclasses.replace(tiny_recipe(), model=dataclasses.replace(bare, classes=20))
    other = tmp_path / "bare.safetensors"
    save_checkpoint(
        other, Checkpoint(recipe=recipe, classes=many, epoch=1, metrics={}, tensors=tensors)
    )
    back = network(len(palette), seed=4)
    own = back.state_dict()["auxiliary.2.weight"].clone()
    assert " with a new auxiliary head" in initialise(back, other, palette)
    assert torch.equal(back.state_dict()["auxiliary.2.weight"], own)


def test_a_checkpoint_of_another_network(saved: tuple[Path, Segmenter]) -> None:
    model = network(3, seed=2, spec=dataclasses.replace(SPEC, head_channels=16))
    with pytest.raises(TrainError, match=r"another network than the recipe's \[model\]"):
        initialise(model, saved[0], OLD)


def test_backbone_weights(tmp_path: Path) -> None:
    donor, model = network(3, seed=1), network(3, seed=2)
    save_file(donor.backbone.state_dict(), tmp_path / "b.safetensors")
    line = initialise(model, str(tmp_path / "b.safetensors"), OLD)
    assert line == f"starting from backbone weights: {tmp_path / 'b.safetensors'}"
    assert all(
        torch.equal(v, donor.backbone.state_dict()[k])
        for k, v in model.backbone.state_dict().items()
    )


def test_a_missing_file_and_nothing() -> None:
    model = network(3, seed=2)
    assert initialise(model, None, OLD) == "starting from random weights"
    with pytest.raises(TrainError, match="no such weights file"):
        initialise(model, "none.safetensors", OLD)
    with pytest.raises(TrainError, match="no DeepLabV3 with mobilenet_v2"):
        initialise(model, "torchvision:deeplabv3", OLD)


def test_files_that_people_take_for_weights_are_named(tmp_path: Path) -> None:
    model = network(3, seed=2)
    pickled, exported = tmp_path / "net.pth", tmp_path / "net.onnx"
    torch.save(network(3, seed=5).state_dict(), pickled)
    exported.write_bytes(b"\x08\x0a")
    assert "a network of ours" in initialise(model, pickled, OLD)
    expected = network(3, seed=5).state_dict()
    for key, value in model.state_dict().items():
        if not key.startswith("classifier") and not key.startswith("auxiliary.2"):
            torch.testing.assert_close(value, expected[key])
    with pytest.raises(TrainError, match=r"net\.onnx: a model file \(ONNX\) .*checkpoint"):
        initialise(model, exported, OLD)


def test_a_class_under_another_name_keeps_its_weights(saved: tuple[Path, Segmenter]) -> None:
    path, old = saved
    names = Palette(names=("Road", "sky", "vehicle"), colours=NEW.colours[:3])
    model = network(3, seed=2)
    assert initialise(model, path, names).endswith("kept by name: Road")
    new, before = (m.state_dict()["classifier.weight"] for m in (model, old))
    assert torch.equal(new[0], before[OLD.names.index("road")])
    assert not torch.equal(new[1], before[1])


def test_a_classifier_kept_by_index_whatever_its_classes_meant(
    saved: tuple[Path, Segmenter],
) -> None:
    """As report 003's code: class i starts as class i; what the file lacks stays random."""
    path, old = saved
    model, fresh = network(4, seed=2), network(4, seed=2)
    line = initialise(model, path, NEW, "index")
    assert line.endswith("kept by index: void as road, car as sky, road as person")
    new, before, random = (m.state_dict()["classifier.weight"] for m in (model, old, fresh))
    assert torch.equal(new[:3], before)
    assert torch.equal(new[3], random[3])
