from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from torchvision import tv_tensors

from tests.train.drawn import draw_dataset
from train.data.dataset import SegmentationData
from train.data.opening import open_dataset
from train.data.pixels import IGNORE
from train.data.transforms import (
    GREY,
    RandomScale,
    Size,
    preparation,
    training_augmentation,
)


def augmented(root: Path, seed: int = 0) -> SegmentationData:
    augment = training_augmentation(crop=64, scale=(0.5, 2.0), flip=True, jitter=0.3)
    return open_dataset("camvid", root, "train", augment=augment, seed=seed)


def test_a_sample_depends_on_seed_epoch_and_index_alone(tmp_path: Path) -> None:
    root = draw_dataset(tmp_path / "d")
    dataset = augmented(root)
    first = dataset[1]
    torch.manual_seed(99)
    dataset[0]
    again = dataset[1]
    assert torch.equal(first[0], again[0])
    assert torch.equal(first[1], again[1])
    assert torch.equal(first[0], dataset[0, 1][0])
    assert not torch.equal(first[0], dataset[1, 1][0])
    assert not torch.equal(first[0], augmented(root, seed=1)[1][0])


def test_augmenting_leaves_the_global_generator_alone(tmp_path: Path) -> None:
    dataset = augmented(draw_dataset(tmp_path / "d"))
    torch.manual_seed(5)
    expected = torch.rand(1)
    torch.manual_seed(5)
    dataset[0]
    assert torch.equal(torch.rand(1), expected)


def test_picture_and_labels_stay_aligned(tmp_path: Path) -> None:
    """The picture shows the class index as its grey value: wherever labelled, it must still."""
    root = tmp_path / "d"
    for name in ("train", "trainannot"):
        (root / name).mkdir(parents=True)
    labels = np.repeat(np.arange(11, dtype=np.uint8), 16)[None].repeat(96, axis=0)
    Image.fromarray(np.stack([labels * 20] * 3, axis=2)).save(root / "train" / "0.png")
    Image.fromarray(labels).save(root / "trainannot" / "0.png")
    augment = training_augmentation(crop=128, scale=(0.5, 2.0), flip=True, jitter=0)
    dataset = open_dataset("camvid", root, "train", augment=augment)
    padded = flipped = 0
    for epoch in range(20):
        picture, truth = dataset[epoch, 0]
        assert picture.shape == (3, 128, 128)
        assert truth.shape == (128, 128)
        known = truth != IGNORE
        # Only pixels that the resize blended across a border may differ, by less than one class.
        difference = (picture[0][known].float() / 20 - truth[known]).abs()
        assert float(difference.max()) < 1.01
        assert float((difference < 0.1).float().mean()) > 0.6
        assert set(picture[0][~known].tolist()) <= {128}
        padded += int((~known).any())
        row = next(row[row != IGNORE] for row in truth if bool((row != IGNORE).any()))
        flipped += int(row[0] > row[-1])
    assert 0 < padded < 20
    assert 0 < flipped < 20


@pytest.mark.parametrize("height", [50, 60, 75, 90, 130, 170])
def test_labels_are_not_shifted_against_the_picture(height: int) -> None:
    """Columns of two classes of random widths: labels must change where the picture does."""
    generator = torch.Generator().manual_seed(0)
    widths = torch.randint(6, 15, (400,), generator=generator)
    columns = torch.arange(400).remainder(2).repeat_interleave(widths)[None].expand(100, -1)
    picture = tv_tensors.Image((columns * 255).to(torch.uint8)[None].repeat(3, 1, 1))
    labels = tv_tensors.Mask(columns.to(torch.uint8))
    prepare = preparation(resize=(height, 40 * height))
    assert prepare is not None
    image, mask = prepare(picture, labels)
    assert mask.shape == image.shape[1:] == (height, 40 * height)
    edges = mask[0, 1:].int() - mask[0, :-1].int()
    # At a border the picture is at its middle grey half-way between the two labels, on average.
    before, after = image[0, 0, :-1].float() / 255, image[0, 0, 1:].float() / 255
    off = torch.where(edges > 0, before + after - 1, 1 - before - after)[edges != 0]
    assert len(off) == 399
    assert abs(float(off.mean())) < 0.06
    assert set(mask.unique().tolist()) == {0, 1}


@pytest.mark.parametrize("crop", [96, 97, 321, (64, 128), (513, 65)])
def test_crops_of_any_size(crop: Size) -> None:
    augment = training_augmentation(crop=crop, scale=(0.5, 1.5), jitter=0.2)
    picture = tv_tensors.Image(torch.full((3, 120, 160), 200, dtype=torch.uint8))
    labels = tv_tensors.Mask(torch.zeros(120, 160, dtype=torch.uint8))
    picture, labels = augment(picture, labels)
    assert tuple(labels.shape) == (crop if isinstance(crop, tuple) else (crop, crop))
    assert picture.shape[1:] == labels.shape
    assert set(labels.unique().tolist()) <= {0, IGNORE}


def sizes(scale: RandomScale, count: int = 200) -> list[int]:
    labels = tv_tensors.Mask(torch.zeros(100, 200, dtype=torch.uint8))
    torch.manual_seed(0)
    heights = []
    for _ in range(count):
        height, width = scale(labels).shape
        assert abs(width - 2 * height) <= 1
        heights.append(height)
    return heights


def test_listed_scales_are_chosen_alike() -> None:
    heights = sizes(RandomScale(1, 1, choices=(0.5, 0.75, 1.0, 1.25, 1.5)), 500)
    counts = {height: heights.count(height) for height in sorted(set(heights))}
    assert list(counts) == [50, 75, 100, 125, 150]
    assert min(counts.values()) > 70


def test_a_range_of_scales_is_log_uniform() -> None:
    heights = sizes(RandomScale(0.5, 2.0), 400)
    assert 50 <= min(heights) < 55
    assert 190 < max(heights) <= 200
    assert 0.4 < sum(height < 100 for height in heights) / 400 < 0.6


def test_nothing_to_do_changes_nothing() -> None:
    augment = training_augmentation(crop=0, flip=False)
    picture = tv_tensors.Image(torch.arange(300, dtype=torch.uint8).reshape(3, 10, 10))
    labels = tv_tensors.Mask(torch.arange(100, dtype=torch.uint8).reshape(10, 10))
    again, same = augment(picture, labels)
    assert torch.equal(again, picture)
    assert torch.equal(same, labels)
    assert preparation() is None


def test_resizing_keeps_labels_labels() -> None:
    prepare = preparation(resize=(32, 64))
    assert prepare is not None
    picture = tv_tensors.Image(torch.zeros(3, 64, 64, dtype=torch.uint8))
    picture[..., 32:] = 200
    labels = tv_tensors.Mask(torch.zeros(64, 64, dtype=torch.uint8))
    labels[:, 32:] = 7
    small, truth = prepare(picture, labels)
    assert small.shape == (3, 32, 64)
    assert torch.equal(truth, truth[:1].expand(32, 64))
    assert truth.unique().tolist() == [0, 7]
    assert int((truth[0] == 7).sum()) == 32


def test_a_centre_crop_takes_the_middle_and_pads_with_void() -> None:
    prepare = preparation(centre_crop=(40, 20))
    assert prepare is not None
    labels = tv_tensors.Mask(torch.arange(30, dtype=torch.uint8)[:, None].expand(30, 60).clone())
    picture = tv_tensors.Image(labels[None].expand(3, 30, 60).clone())
    cropped, truth = prepare(picture, labels)
    assert truth.shape == (40, 20)
    assert truth[5:35, 0].tolist() == list(range(30))
    assert set(truth[:5].unique().tolist() + truth[35:].unique().tolist()) == {IGNORE}
    assert set(cropped[:, :5].unique().tolist()) == {GREY}


def test_what_is_prepared_is_what_everybody_sees(tmp_path: Path) -> None:
    prepare = preparation(resize=(32, 48), centre_crop=32)
    dataset = open_dataset("camvid", draw_dataset(tmp_path / "d"), "val", prepare=prepare)
    picture, truth = next(dataset.pairs())
    assert picture.shape == (32, 32, 3)
    assert picture.flags.c_contiguous
    assert truth.shape == (32, 32)
    assert truth.dtype == np.uint8
    sample, labels = dataset[0]
    assert np.array_equal(sample.permute(1, 2, 0).numpy(), picture)
    assert np.array_equal(labels.numpy(), truth)
    # Class weights are those of the files, not of a crop.
    assert int(dataset.class_pixels().sum()) == 2 * 62 * 96
