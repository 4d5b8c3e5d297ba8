"""Other people's graphs become model files that say what the graphs say, and run everywhere."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import onnx
import pytest
import torch
import torchvision

from streamseg import open_engine
from streamseg.errors import ModelError, UsageError
from streamseg.importing.importer import Imported, import_model
from streamseg.importing.plan import ImportOptions
from streamseg.models.modelfile import read_header
from streamseg.segmenter import Segmenter
from streamseg.video.output import OutputPath
from streamseg.video.picture import read_picture, write_picture
from tests.streamseg.conftest import Cli
from tests.streamseg.importing.graphs import (
    HALF,
    STRIPES,
    binary_like,
    keras_like,
    torchvision_like,
    ultralytics_like,
    unet_like,
)

THIRDS = np.repeat(np.arange(3, dtype=np.uint8), 32)[None].repeat(64, axis=0)
"""What a graph says of `STRIPES`."""


@pytest.fixture
def stripes(tmp_path: Path) -> Path:
    path = tmp_path / "stripes.png"
    write_picture(OutputPath.check(path, overwrite=False, kinds={".png": "png"}), STRIPES)
    return path


def imported(source: Path, picture: Path, **options: object) -> Imported:
    asked = ImportOptions(**{"size": (96, 64), **options})  # type: ignore[arg-type]
    return import_model(source, source.with_name("model.onnx"), asked, picture=picture)


MAKERS: dict[str, Callable[[Path], Path]] = {
    "torchvision": torchvision_like,
    "stride 4": lambda path: torchvision_like(path, stride=4),
    "float16": lambda path: torchvision_like(path, kind=HALF),
    "fixed": lambda path: torchvision_like(path, free=False),
    "keras": keras_like,
    "keras, scaled inside": lambda path: keras_like(path, inside=True),
    "labels": ultralytics_like,
}


@pytest.mark.parametrize("kind", MAKERS)
def test_a_graph_says_the_same_once_it_is_a_model_file(
    kind: str, tmp_path: Path, stripes: Path
) -> None:
    result = imported(MAKERS[kind](tmp_path / "net.onnx"), stripes)
    assert result.agreement.whole
    assert result.agreement.pixels == 96 * 64
    with open_engine(result.path) as engine:
        labels = engine.infer(STRIPES[None])[0]
    # An enlarged map's borders lie within a cell of where they are.
    assert np.mean(labels == THIRDS) > (0.95 if kind == "stride 4" else 0.9999)
    assert set(result.shares) == set(result.header.classes.names[:3])
    assert read_picture(result.overlay).shape == STRIPES.shape


def test_what_a_free_graph_takes_is_found_out(tmp_path: Path, stripes: Path) -> None:
    header = imported(torchvision_like(tmp_path / "net.onnx"), stripes).header
    assert (header.fixed_size, header.fixed_batch, header.multiple) == (None, None, 32)
    assert header.default_size == (96, 64)
    assert header.source_file == "net.onnx"


def test_what_a_fixed_graph_takes_is_told(tmp_path: Path, stripes: Path) -> None:
    header = imported(torchvision_like(tmp_path / "net.onnx", free=False), stripes).header
    assert (header.fixed_size, header.fixed_batch, header.multiple) == ((96, 64), 1, 1)


def test_a_fixed_height_and_width_may_leave_the_batch_free(tmp_path: Path, stripes: Path) -> None:
    header = imported(keras_like(tmp_path / "net.onnx"), stripes).header
    assert (header.fixed_size, header.fixed_batch) == ((96, 64), None)


def test_multiples_that_a_graph_needs_are_tried(tmp_path: Path, stripes: Path) -> None:
    result = imported(unet_like(tmp_path / "net.onnx"), stripes, size=(128, 64))
    assert result.header.multiple == 64
    with Segmenter(result.path) as segmenter:  # a picture of any size goes through it
        assert segmenter.image(np.zeros((50, 70, 3), np.uint8)).array.shape == (50, 70)


def test_flags_overrule_guesses(tmp_path: Path, stripes: Path) -> None:
    source = torchvision_like(tmp_path / "net.onnx")
    options = {"bgr": True, "classes": "r,g,b", "mean": (104.0, 117.0, 124.0), "output": "aux"}
    plan = imported(source, stripes, **options).plan
    assert plan.pixels.bgr
    assert plan.pixels.scale == 1  # means of that size are of pixels
    assert plan.palette.names == ("r", "g", "b")
    assert plan.output.name == "aux"


def test_blue_first_turns_red_and_blue_round(tmp_path: Path, stripes: Path) -> None:
    result = imported(torchvision_like(tmp_path / "net.onnx"), stripes, bgr=True)
    with open_engine(result.path) as engine:
        assert np.array_equal(engine.infer(STRIPES[None])[0], 2 - THIRDS)


def test_a_probability_is_background_and_foreground(tmp_path: Path, stripes: Path) -> None:
    result = imported(binary_like(tmp_path / "net.onnx", "Sigmoid"), stripes)
    assert result.header.classes.names == ("background", "foreground")
    assert result.shares["foreground"] == pytest.approx(1 / 3)


def test_a_bare_score_is_a_foreground_if_it_is_named(tmp_path: Path, stripes: Path) -> None:
    source = binary_like(tmp_path / "net.onnx")
    with pytest.raises(UsageError, match="one value a pixel: a depth, or the score"):
        imported(source, stripes)
    assert imported(source, stripes, classes="background,person").shares["person"] > 0.3


def test_names_and_licence_come_from_the_metadata(tmp_path: Path, stripes: Path) -> None:
    header = imported(ultralytics_like(tmp_path / "net.onnx"), stripes).header
    assert header.classes.names == ("red", "green", "blue")
    assert header.training_data_licence == "AGPL-3.0"


def test_one_class_alone_is_a_warning(tmp_path: Path) -> None:
    picture = tmp_path / "red.png"
    place = OutputPath.check(picture, overwrite=False, kinds={".png": "png"})
    write_picture(place, np.full((64, 96, 3), (200, 30, 30), np.uint8))
    result = imported(torchvision_like(tmp_path / "net.onnx"), picture)
    assert "100.0 % of the picture is class 0" in result.warnings[0]


def test_weights_beside_the_file_come_along(tmp_path: Path, stripes: Path) -> None:
    source = torchvision_like(tmp_path / "net.onnx")
    model = onnx.load(str(source))
    onnx.save(model, str(source), save_as_external_data=True, location="net.data", size_threshold=0)
    assert (tmp_path / "net.data").is_file()
    result = imported(source, stripes)
    (tmp_path / "net.data").unlink()
    with open_engine(result.path) as engine:
        assert np.array_equal(engine.infer(STRIPES[None])[0], THIRDS)
    with pytest.raises(ModelError, match=r"its weights are in 'net.data', which is not beside it"):
        import_model(source, tmp_path / "again.onnx")


def test_nothing_is_written_over_or_left_behind(tmp_path: Path, stripes: Path) -> None:
    source = torchvision_like(tmp_path / "net.onnx")
    imported(source, stripes)
    with pytest.raises(UsageError, match=r"model\.onnx: already exists; use --overwrite"):
        imported(source, stripes)
    with pytest.raises(UsageError, match="input and output are the same file"):
        import_model(source, source, overwrite=True)
    left = {path.name for path in tmp_path.iterdir()}
    assert left == {"net.onnx", "model.onnx", "model.png", "stripes.png"}


def test_torchvision_s_own_exporter(tmp_path: Path, stripes: Path) -> None:
    torch.manual_seed(0)
    models = torchvision.models.segmentation
    net = models.deeplabv3_mobilenet_v3_large(
        weights=None, weights_backbone=None, num_classes=21, aux_loss=True
    ).eval()
    source = tmp_path / "deeplab.onnx"
    torch.onnx.export(
        net,
        (torch.zeros(1, 3, 64, 96),),
        str(source),
        input_names=["input"],
        output_names=["out", "aux"],
        verbose=False,
    )
    result = imported(source, stripes)
    assert result.agreement.whole
    assert result.header.fixed_size == (96, 64)
    assert result.header.classes.names[15] == "person"
    account = dict(result.plan.account)
    assert account["output"].endswith("scores of 21 classes at the picture's size; not used: aux")


def test_the_command_line_tells_what_it_found_and_the_model_runs(
    tmp_path: Path, stripes: Path, clip: Path, cli: Cli
) -> None:
    source = torchvision_like(tmp_path / "net.onnx")
    model = tmp_path / "rgb.onnx"
    options = ["--size", "96x64", "--mean", "0", "--std", "1", "--picture", stripes]
    done = cli("import-model", source, "-o", model, "--classes", "red,green,blue", *options)
    assert done.returncode == 0, done.stderr
    lines = dict(line.split(": ", 1) for line in done.stdout.splitlines())
    assert lines["pixels"] == "RGB, p / 255 (0..1) (as asked)"
    assert lines["by hand"].startswith("100 % of 6144 labels are those of the source file")
    assert lines["picture"] == "red 33.3 %, green 33.3 %, blue 33.3 %"
    assert read_header(model).classes.names == ("red", "green", "blue")
    run = cli("video", clip, tmp_path / "out.mp4", "--model", model, "--json", "-")
    assert run.returncode == 0, run.stderr


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--mean", "a,b,c"], "mean is 'a'; give a number"),
        (["--std", "0"], "std is '0'; give a number"),
        (["--mean", "1,2"], "mean is '1,2'; give three numbers with commas, or one"),
        (["--scale", "1/0"], "scale is '0'; give a number"),
        (["--classes", "nope"], "classes is 'nope': no file, and no list that is known"),
        (["--classes", "voc"], "out tells 3 classes apart, and --classes names 21"),
        (["--output", "x"], "no output 'x' that lies over the picture; those that do: aux, out"),
        (
            ["--layout", "nhwc"],
            "layout is nhwc, and the graph's input is input: float [?, 3, ?, ?]",
        ),
        (["--size", "96x60"], "size is 96x60; the graph takes multiples of 32, as 96x64"),
    ],
)
def test_options_that_cannot_be_are_one_sentence(
    options: list[str], message: str, tmp_path: Path, cli: Cli
) -> None:
    source = torchvision_like(tmp_path / "net.onnx")
    done = cli("import-model", source, "-o", tmp_path / "m.onnx", "--quiet", *options)
    assert done.returncode == 2
    assert message in done.stderr
    assert len(done.stderr.splitlines()) == 1
    assert not (tmp_path / "m.onnx").exists()
