"""Networks as other projects' own exporters write them, imported: the account, and the labels.

    python -m benchmarks.imports FOLDER [NAME ...]

Whatever is installed of torchvision, segmentation-models-pytorch, transformers and ultralytics
writes its files (random weights, spread so that many classes occur), `import_model` wraps them, and
a line each says how many labels are those of the source file. Files stay in FOLDER.
"""

from __future__ import annotations

import shutil
import sys
from collections.abc import Callable
from importlib import import_module
from pathlib import Path
from typing import Any

import torch
from torch import nn

from streamseg.errors import StreamsegError
from streamseg.importing.importer import import_model

SIZE = (288, 512)
"""Height and width."""


def spread(net: nn.Module, classifier: nn.Conv2d) -> nn.Module:
    """Make a random network's scores differ between places more than between classes."""
    seen: list[torch.Tensor] = []
    handle = classifier.register_forward_hook(lambda _, __, out: seen.append(out.detach()))
    with torch.no_grad():
        net(torch.randn(1, 3, *SIZE))
        handle.remove()
        scores = seen[0]
        deviation = scores.std(dim=(0, 2, 3)).clamp(min=1e-6)
        classifier.weight /= deviation[:, None, None, None]
        if classifier.bias is None:
            classifier.bias = nn.Parameter(torch.zeros(len(deviation)))
        classifier.bias -= scores.mean(dim=(0, 2, 3))
        classifier.bias /= deviation
    return net


def export(net: nn.Module, path: Path, *, free: bool, names: tuple[str, str]) -> None:
    """By both of PyTorch's exporters: the old one with free axes, the new one as it stands."""
    axes = {0: "batch", 2: "height", 3: "width"}
    more: dict[str, Any] = (
        {"dynamic_axes": dict.fromkeys(names, axes), "opset_version": 17} if free else {}
    )
    torch.onnx.export(
        net.eval(),
        (torch.randn(1, 3, *SIZE),),
        str(path),
        input_names=[names[0]],
        output_names=[names[1]],
        dynamo=not free,
        verbose=False,
        **more,
    )


def torchvision_deeplab(path: Path, *, free: bool) -> None:
    models = import_module("torchvision.models.segmentation")
    net = models.deeplabv3_mobilenet_v3_large(weights=None, weights_backbone=None, num_classes=21)
    export(spread(net.eval(), net.classifier[-1]), path, free=free, names=("input", "out"))


def smp_network(path: Path, *, free: bool, kind: str, encoder: str) -> None:
    smp = import_module("segmentation_models_pytorch")
    net = getattr(smp, kind)(encoder, encoder_weights=None, classes=19).eval()
    export(spread(net, net.segmentation_head[0]), path, free=free, names=("image", "mask"))


def segformer(path: Path, *, free: bool) -> None:
    library = import_module("transformers")
    net = library.SegformerForSemanticSegmentation(library.SegformerConfig(num_labels=150)).eval()

    class Logits(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.net = net

        def forward(self, pixel_values: torch.Tensor) -> Any:
            return self.net(pixel_values).logits

    whole = spread(Logits().eval(), net.decode_head.classifier)
    export(whole, path, free=free, names=("pixel_values", "logits"))


def ultralytics(path: Path, *, task: str) -> None:
    name = f"yolo26n{task}"
    model = import_module("ultralytics").YOLO(f"{name}.yaml")
    if task == "-sem":
        spread(model.model.eval(), model.model.model[-1].classifier[-1])
    shutil.move(model.export(format="onnx", imgsz=SIZE), path)


MAKERS: dict[str, Callable[[Path], None]] = {
    "torchvision-deeplab": lambda path: torchvision_deeplab(path, free=False),
    "torchvision-deeplab-free": lambda path: torchvision_deeplab(path, free=True),
    "smp-unet": lambda p: smp_network(p, free=False, kind="Unet", encoder="resnet18"),
    "smp-unet-free": lambda p: smp_network(p, free=True, kind="Unet", encoder="resnet18"),
    "smp-deeplab": lambda p: smp_network(p, free=False, kind="DeepLabV3Plus", encoder="resnet18"),
    "smp-deeplab-free": lambda p: smp_network(
        p, free=True, kind="DeepLabV3Plus", encoder="resnet18"
    ),
    "segformer": lambda path: segformer(path, free=False),
    "segformer-free": lambda path: segformer(path, free=True),
    "yolo26n-sem": lambda path: ultralytics(path, task="-sem"),
    "yolo26n-seg": lambda path: ultralytics(path, task="-seg"),
    "yolo26n": lambda path: ultralytics(path, task=""),
    "yolo26n-cls": lambda path: ultralytics(path, task="-cls"),
    "yolo26n-pose": lambda path: ultralytics(path, task="-pose"),
}


def main(folder: Path, names: list[str]) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    torch.manual_seed(0)
    lines = []
    for name in names or MAKERS:
        source = folder / f"{name}.onnx"
        try:
            MAKERS[name](source)
            result = import_model(source, folder / f"{name}.model.onnx", overwrite=True)
        except ModuleNotFoundError as error:
            lines.append(f"{name}: {error.name} is not installed")
        except StreamsegError as error:
            lines.append(f"{name}: refused: {str(error).removeprefix(f'{source}: ')}")
        else:
            agreement, header = result.agreement, result.header
            size = "x".join(map(str, header.fixed_size or ())) or f"multiples of {header.multiple}"
            lines.append(
                f"{name}: {agreement.equal} of {agreement.pixels} labels equal, "
                f"{agreement.ties} ties, {len(result.shares)} classes in the picture; {size}"
            )
    print("\n".join(lines))


if __name__ == "__main__":
    main(Path(sys.argv[1]), sys.argv[2:])
