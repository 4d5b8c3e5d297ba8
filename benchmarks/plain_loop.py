"""The loop everybody writes: the baseline that `benchmarks.video` compares with.

OpenCV reads, PyTorch runs eagerly, softmax at the frame's full size, NumPy argmax, a colour
look-up, `cv2.addWeighted`, OpenCV writes. No audio, constant frame rate: nothing is tuned, nothing
is made slow on purpose.
"""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
import torch
from numpy.typing import NDArray
from torch.nn import functional as F

from streamseg.models.palette import CAMVID
from train.checkpoint import load_checkpoint
from train.models import Segmenter
from train.models.segmenter import normalise


def load_network(checkpoint: Path) -> Segmenter:
    """The trained network, eager, in evaluation mode."""
    return load_checkpoint(checkpoint).build()


@torch.inference_mode()
def run(network: Segmenter, source: Path, target: Path, size: tuple[int, int]) -> int:
    """Segment `source` into `target` with the network at `size` (width, height); frames done."""
    capture = cv2.VideoCapture(str(source))
    fps = capture.get(cv2.CAP_PROP_FPS)
    width = int(capture.get(cv2.CAP_PROP_FRAME_WIDTH))
    height = int(capture.get(cv2.CAP_PROP_FRAME_HEIGHT))
    writer = cv2.VideoWriter(str(target), cv2.VideoWriter.fourcc(*"mp4v"), fps, (width, height))
    colours = np.array(CAMVID.colours, np.uint8)[:, ::-1]
    frames = 0
    while True:
        ok, bgr = capture.read()
        if not ok:
            break
        rgb = cv2.resize(cv2.cvtColor(bgr, cv2.COLOR_BGR2RGB), size)
        pictures = normalise(torch.from_numpy(rgb).permute(2, 0, 1)[None])
        scores = network(pictures)
        full = F.interpolate(scores, size=(height, width), mode="bilinear", align_corners=False)
        probabilities = F.softmax(full, dim=1)[0].numpy()
        labels = np.argmax(probabilities, axis=0)
        writer.write(cv2.addWeighted(bgr, 0.5, colours[labels], 0.5, 0))
        frames += 1
    capture.release()
    writer.release()
    return frames


@torch.inference_mode()
def label(network: Segmenter, rgb_HWC: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """Labels of one picture at its own size: what the loop decides, before it is drawn."""
    scores = network(normalise(torch.from_numpy(rgb_HWC.copy()).permute(2, 0, 1)[None]))
    full = F.interpolate(scores, size=rgb_HWC.shape[:2], mode="bilinear", align_corners=False)
    labels: NDArray[np.uint8] = np.argmax(F.softmax(full, dim=1)[0].numpy(), axis=0).astype(
        np.uint8
    )
    return labels
