from __future__ import annotations

import dataclasses

import pytest

from tests.train.report.kit import LATENCIES, entry, evaluation, run
from train.report import tables, training_tables
from train.report.cost import Cost
from train.report.entry import Entry, join, on_target, targets
from train.report.table import Table


def rows(table: Table | None) -> tuple[tuple[str, ...], ...]:
    assert table is not None
    return (table.columns, *table.rows)


def test_the_league_table_has_every_score_and_cost() -> None:
    table = tables.overview([entry("a")], LATENCIES)
    assert rows(table) == (
        (
            *("Model", "Network", "mIoU", "mAcc", "allAcc", "FWIoU"),
            *("Parameters (M)", "GFLOPs", "Latency (ms)"),
        ),
        (
            *("a", "ResNet-18 + PPM, stride 8", "62.50", "87.50", "80.00", "70.00"),
            *("2.50", "5.00", "20.0"),
        ),
    )
    assert table is not None
    assert "480x352, a multiply-add counted as two" in table.note
    assert "batch 2, 480x352; a processor" in table.note


def test_the_best_model_comes_first_and_what_nobody_knows_is_a_dash() -> None:
    bad = evaluation("bad", [[10, 70], [10, 10]])
    table = tables.overview(join([], [bad, evaluation("good")]), None)
    assert [row[0] for row in rows(table)[1:]] == ["good", "bad"]
    assert rows(table)[1][6:] == ("-", "-", "-")


def test_report_000_backbones_and_modules() -> None:
    entries = [entry("a"), entry("b", "mobilenet_v2"), entry("c", "resnet18", "ocr")]
    (backbones,), (modules,) = tables.backbones(entries), tables.modules(entries)
    assert rows(backbones) == (
        ("Backbone", "mIoU", "mAcc", "allAcc"),
        ("ResNet-18", "62.50", "87.50", "80.00"),
        ("MobileNetV2", "62.50", "87.50", "80.00"),
    )
    assert rows(modules) == (
        ("Module", "mIoU", "mAcc", "allAcc"),
        ("PPM", "62.50", "87.50", "80.00"),
        ("OCR", "62.50", "87.50", "80.00"),
    )
    assert tables.backbones(entries[:1]) == []


def test_report_000_has_a_table_for_each_head() -> None:
    names = {"a": ("resnet18", "ppm"), "b": ("resnet50", "ppm"), "c": ("resnet101", "ppm")}
    names |= {"d": ("resnet18", "ocr"), "e": ("resnet50", "ocr")}
    found = tables.backbones([entry(name, *model) for name, model in names.items()])
    assert [table.title.split(",")[0] for table in found] == [
        "Backbones under PPM",
        "Backbones under OCR",
    ]
    assert [len(table.rows) for table in found] == [3, 2]


def test_report_000_latency_side_by_side_and_speed() -> None:
    entries = [entry("a"), entry("b", ms=40.0)]
    assert rows(tables.latency(entries, LATENCIES)) == (
        ("Model", "a", "b"),
        ("Batch latency (ms)", "20.0", "40.0"),
        ("mIoU", "62.50", "62.50"),
    )
    # batches of two in 20 ms: 100 pictures a second
    assert [row[3] for row in rows(tables.speed(entries, LATENCIES))[1:]] == ["100.00", "50.00"]
    assert tables.latency(entries, None) is None


def test_many_models_stand_in_rows() -> None:
    entries = [entry(name) for name in "abcdefg"]
    assert rows(tables.latency(entries, LATENCIES))[0] == ("Model", "Batch latency (ms)", "mIoU")
    assert rows(tables.precision_recall(entries))[0][:2] == ("Model", "Precision")


def test_report_001_target_domains() -> None:
    (model,) = join([], [evaluation("m"), evaluation("m", [[50, 0], [0, 50]], data="campus")])
    assert rows(tables.target_domains(model)) == (
        ("Target Domain", "PA", "MA", "MIoU", "FWIoU"),
        ("CamVid val", "80.00", "87.50", "62.50", "70.00"),
        ("campus val", "100.00", "100.00", "100.00", "100.00"),
    )


def test_report_001_training_and_tests() -> None:
    optim = {"name": "sgd", "lr": 2.5e-4, "momentum": 0.9, "backbone_factor": 1.0}
    trained = run(
        "m", (0.5,), data={"layout": "camvid", "scale": [0.5, 1.5]}, train={"batch": 5}, optim=optim
    )
    table = training_tables.training([Entry(name="m", run=trained)])
    expected = ("m", "CamVid", "2", "0.5 to 1.5", "10", "5", "0.9", "0.00025")
    assert rows(table)[1] == expected
    tests = training_tables.tests(join([], [evaluation("m")]))
    assert rows(tests) == (
        ("Model", "Test Set", "Input Size", "Batch Size", "Pictures", "Protocol"),
        ("m", "CamVid val", "each picture's own", "1", "3", "whole picture"),
    )
    squeezed = dataclasses.replace(evaluation("m"), size="512x512")
    assert rows(training_tables.tests(join([], [squeezed])))[1][2] == "512x512"


def test_listed_scales_go_before_the_range_and_sizes_are_width_by_height() -> None:
    data = {"scale": [0.5, 2.0], "scales": [0.5, 0.75, 1.0], "resize": [512, 1024], "crop": 321}
    entries = [Entry(name="m", run=run("m", (0.5,), data=data))]
    assert rows(training_tables.training(entries))[1][3] == "0.5, 0.75, 1"
    table = rows(training_tables.hyper_parameters(entries))[1:]
    found = {row[0]: row[1] for row in table}
    assert found["Random Scaling"] == "0.5, 0.75, 1"
    assert found["Initial Rescale"] == "1024x512"
    assert (found["Random Crop"], found["Crop Size"]) == ("Yes", "321")
    plain = {"scale": [1.0, 1.0], "resize": 0, "crop": 0}
    table = rows(
        training_tables.hyper_parameters([Entry(name="m", run=run("m", (0.5,), data=plain))])
    )[1:]
    found = {row[0]: row[1] for row in table}
    assert (found["Random Scaling"], found["Random Crop"]) == ("No", "No")
    assert found["Initial Rescale"] == "1.0 (None)"


def test_reports_002_and_004_course_of_training() -> None:
    table = training_tables.course([Entry(name="m", run=run("m", (0.2, 0.6, 0.4), loss=3.0))])
    assert rows(table)[1] == ("m", "3", "30", "0.05", "3.000", "1.000", "60.00", "2")


def test_report_002_sizes() -> None:
    cost = Cost(
        parameters=1, gflops=1, size=(480, 352), numbers=1 << 20, trainable=39_703_423,
        activation_bytes=3 << 20,
    )  # fmt: skip
    table = tables.sizes([dataclasses.replace(entry("a"), cost=cost)])
    assert rows(table)[1] == ("a", "39,703,423", "4.00", "6.00", "10.00")


def test_every_target_beside_the_first() -> None:
    entries = join(
        [], [evaluation("a"), evaluation("b"), evaluation("b", [[9, 1], [0, 9]], data="campus")]
    )
    assert targets(entries) == ["CamVid val", "campus val"]
    (there,) = on_target(entries, "campus val")
    assert there.name == "b"
    assert there.main is not None
    assert there.main.target == "campus val"
    assert rows(tables.classes([there]))[1] == ("road", "90.0")


def test_report_002_scores_are_shares_and_miou_per_cent() -> None:
    assert rows(tables.precision_recall([entry("a")])) == (
        ("Score", "a"),
        ("Precision", "0.750000"),
        ("Recall", "0.875000"),
        ("F1 score", "0.761905"),  # (6/7 + 2/3) / 2
        ("Weighted precision", "0.900000"),  # (4 * 1 + 0.5) / 5
        ("Weighted recall", "0.800000"),
        ("Weighted F1", "0.819048"),  # (4 * 6/7 + 2/3) / 5
        ("mIoU", "62.50"),
    )


def test_report_003_adaptation() -> None:
    optim = {"name": "sgd", "lr": 0.001, "backbone_factor": 0.1}
    moved = Entry(name="m", run=run("m", (0.30, 0.10, 0.45, 0.40), optim=optim))
    row = rows(training_tables.adaptation([moved]))[1]
    assert row == ("m", "ResNet-18", "0.001", "0.0001", "4", "30.00", "10.00", "45.00", "40.00")


def test_report_004_hyper_parameters_and_classes() -> None:
    optim = {"name": "sgd", "lr": 0.007, "end_lr": 0.001, "power": 0.9, "momentum": 0.9}
    data = {"crop": 512, "flip": True}
    table = training_tables.hyper_parameters(
        [Entry(name="m", run=run("m", (0.5,), optim=optim, data=data))]
    )
    found = {row[0]: row[1] for row in rows(table)[1:]}
    assert found["Optimizer"] == "SGD"
    assert found["Learning Rate Policy"] == "Poly (power = 0.9)"
    assert found["End Learning Rate"] == "0.001"
    assert found["Crop Size"] == "512"
    assert found["Random Horizontal Flipping"] == "Yes"
    assert "Seed" not in found
    classes = rows(tables.classes([entry("a")]))
    assert classes[1:] == (("road", "75.0"), ("car", "50.0"), ("**mean**", "**62.5**"))


def test_only_models_measured_on_the_same_data_are_compared() -> None:
    entries = join([], [evaluation("a"), evaluation("b", data="elsewhere")])
    assert [row[0] for row in rows(tables.overview(entries, None))[1:]] == ["a"]


def test_markdown_aligns_numbers_right_and_escapes_pipes() -> None:
    table = Table(title="T", columns=("a|b", "n"), rows=(("x", "1.5"), ("y", "-")), note="N.")
    assert table.markdown() == (
        "**T**\n\n| a\\|b | n |\n| --- | ---: |\n| x | 1.5 |\n| y | - |\n\nN.\n"
    )


def test_a_row_of_another_length_is_our_mistake() -> None:
    with pytest.raises(ValueError, match="1 cells in 2 columns"):
        Table(title="T", columns=("a", "b"), rows=(("x",),))
