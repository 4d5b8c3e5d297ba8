"""The whole network: backbone -> head -> optional decoder -> class scores.

Knows nothing about optimisers, data sets or files. Shape legend: N batch, K classes, H and W the
input size in pixels; every size a multiple of 32.
"""

from __future__ import annotations

from typing import Any, cast

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from train.models.backbones import BACKBONES
from train.models.decoder import SkipDecoder
from train.models.heads import build_classifier, build_head
from train.models.layers import conv_bn_relu, resize_like
from train.models.ocr import OcrHead
from train.models.resnet import RESNETS
from train.models.spec import ModelSpec

DECODER_MAPS = {4: "low", 8: "middle"}
"""The backbone's map of a decoder's stride."""


class Segmenter(nn.Module):
    """A semantic-segmentation network of a backbone, a head and, optionally, a decoder.

    `forward` takes normalised pictures ``[N, 3, H, W]`` float in [-1, 1] and returns scores
    ``[N, K, H/s, W/s]`` (s: the decoder's stride, else the output stride). While training it
    returns a tuple: the scores, then what is supervised beside them, each ``[N, K, h, w]``: the
    auxiliary head's scores (PSPNet, section 4; OCR's soft regions), and with several scales each
    scale's own (DeepLabV2). There may be none.
    """

    def __init__(self, spec: ModelSpec) -> None:
        super().__init__()
        self.spec = spec
        self.backbone = BACKBONES[spec.backbone](**_backbone_options(spec))
        self.head = build_head(
            spec.head,
            self.backbone.out_channels,
            spec.head_channels,
            kernel=spec.head_kernel,
            rates=spec.rates,
            bin1=spec.pyramid_bin1,
        )
        channels = cast(int, self.head.out_channels)
        self.decoder: SkipDecoder | None = None
        if spec.decoder == "skip":
            self.decoder = SkipDecoder(
                channels,
                self.backbone.low_channels
                if spec.decoder_stride == 4
                else self.backbone.middle_channels,
                spec.decoder_channels,
                low_channels=spec.decoder_low_channels,
                head_channels=spec.decoder_head_channels,
                depth=spec.decoder_depth,
                separable=spec.decoder_separable,
            )
            channels = self.decoder.out_channels
        self.classifier = build_classifier(spec.head, channels, spec.classes, spec.rates)
        self.auxiliary: nn.Sequential | None = None
        if spec.auxiliary or isinstance(self.head, OcrHead):
            # 256 as in PSPNet's code; a MobileNet's map has fewer channels than that
            width = spec.auxiliary_channels or min(self.backbone.aux_channels, 256)
            self.auxiliary = nn.Sequential(
                conv_bn_relu(self.backbone.aux_channels, width, 3),
                nn.Dropout2d(spec.auxiliary_dropout),
                nn.Conv2d(width, spec.classes, 1),
            )

    def _one_scale(self, pictures_NCHW: Tensor) -> tuple[Tensor, tuple[Tensor, ...]]:
        maps = self.backbone(pictures_NCHW)
        regions = None
        if self.auxiliary is not None and (self.training or isinstance(self.head, OcrHead)):
            regions = self.auxiliary(maps["aux"])
        scores = self.scores(maps, regions)
        return scores, () if regions is None else (regions,)

    def scores(self, maps: dict[str, Tensor], regions_NKhw: Tensor | None = None) -> Tensor:
        """Class scores at the network's own stride, from the backbone's feature maps.

        `regions_NKhw`, the auxiliary head's scores, are what the OCR head needs.
        """
        x = maps["out"]
        if isinstance(self.head, OcrHead):
            assert regions_NKhw is not None, "the OCR head has an auxiliary head"
            x = self.head(x, resize_like(regions_NKhw, x))
        else:
            x = self.head(x)
        if self.decoder is not None:
            x = self.decoder(x, maps[DECODER_MAPS[self.spec.decoder_stride]])
        out: Tensor = self.classifier(x)
        return out

    def forward(self, pictures_NCHW: Tensor) -> Tensor | tuple[Tensor, ...]:
        """Scores; while training, a tuple with what else is supervised."""
        pictures_NCHW = shrink(pictures_NCHW, self.spec.input_scale)
        if not self.spec.scales:
            scores, others = self._one_scale(pictures_NCHW)
            return (scores, *others) if self.training else scores
        each = [self._one_scale(at_scale(pictures_NCHW, scale)) for scale in self.spec.scales]
        largest = each[self.spec.scales.index(1.0)][0]
        fused = torch.stack([resize_like(scores, largest) for scores, _ in each]).amax(dim=0)
        if not self.training:
            return fused
        return fused, *(tensor for scores, more in each for tensor in (scores, *more))


def at_scale(pictures_NCHW: Tensor, scale: float) -> Tensor:
    """Pictures resized bilinearly by a factor."""
    if scale == 1:
        return pictures_NCHW
    return F.interpolate(pictures_NCHW, scale_factor=scale, mode="bilinear", align_corners=False)


def shrink(pictures_NCHW: Tensor, scale: float) -> Tensor:
    """Pictures at `ModelSpec.input_scale`, bilinearly; sides stay multiples of 32."""
    if scale == 1:
        return pictures_NCHW
    # In whole numbers, so that it can be exported with sizes that are not known yet.
    rows, columns = (
        (side // 32 * round(16 * scale) + 8) // 16 * 32 for side in pictures_NCHW.shape[2:]
    )
    return F.interpolate(pictures_NCHW, size=(rows, columns), mode="bilinear", align_corners=False)


def _backbone_options(spec: ModelSpec) -> dict[str, Any]:
    options: dict[str, Any] = {"output_stride": spec.output_stride}
    if spec.dilation_rule != "auto":
        options["dilation_rule"] = spec.dilation_rule
    if spec.backbone in RESNETS:
        return options | {
            "multi_grid": spec.multi_grid,
            "block_strides": spec.block_strides,
            "basic_dilation": spec.basic_dilation,
            "deep_stem_channels": spec.deep_stem,
        }
    return options | {"last_conv": spec.last_conv, "late_padding": spec.late_padding}


def normalise(pictures: Tensor) -> Tensor:
    """uint8 0..255 to float32 in [-1, 1]: the one place that knows what the networks are fed."""
    return pictures.to(torch.float32) * (1 / 127.5) - 1.0


def build_model(spec: ModelSpec) -> Segmenter:
    """A network with random weights; load a backbone's or a checkpoint's into it afterwards.

    Raises:
        ValueError: the number of classes is not known yet.
    """
    if not spec.classes:
        raise ValueError("the number of classes is not known: open the data set first")
    return Segmenter(spec)


def low_resolution_argmax(scores_NKhw: Tensor, height: int, width: int, stride: int) -> Tensor:
    """Labels uint8 ``[N, height, width]`` decided at 1/stride of the size, then repeated.

    Scores are resized bilinearly to ``height // stride`` by ``width // stride``.
    """
    small = F.interpolate(
        scores_NKhw, size=(height // stride, width // stride), mode="bilinear", align_corners=False
    )
    labels = small.argmax(dim=1, keepdim=True).to(torch.float32)
    if stride > 1:
        labels = F.interpolate(labels, size=(height, width), mode="nearest")
    return labels.squeeze(1).to(torch.uint8)
