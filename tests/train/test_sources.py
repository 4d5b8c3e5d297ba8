from __future__ import annotations

from pathlib import Path

import pytest

from train.sources import Origin, origins, read_origin, with_sources

PAGE = Path(__file__).parents[2] / "docs" / "sources.md"


@pytest.fixture(scope="module")
def found() -> list[Origin]:
    return origins()


def test_the_page_says_what_the_recipes_say() -> None:
    page = PAGE.read_text()
    assert page == with_sources(page), "run: python -m train.sources docs/sources.md"


def test_networks_have_the_parameters_that_were_published(found: list[Origin]) -> None:
    ratios = {
        origin.name: origin.parameters / origin.published_parameters
        for origin in found
        if origin.published_parameters
    }
    assert len(ratios) >= 8
    assert {name: ratio for name, ratio in ratios.items() if abs(ratio - 1) > 2e-3} == {}


def test_pspnet_on_resnet_50_has_exactly_its_codes_parameters(found: list[Origin]) -> None:
    assert {o.name: o.parameters for o in found}["000_pspnet_resnet50_cityscapes"] == 48_956_262


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("# Departure: a: b | c | d", "needs one line '# Source: ...'"),
        ("# Source: x\n# Departure: a: b | c", "is not WHAT: theirs | ours | why"),
    ],
)
def test_a_recipe_that_says_it_wrongly_is_refused(text: str, message: str, tmp_path: Path) -> None:
    path = tmp_path / "x.toml"
    path.write_text(text)
    with pytest.raises(ValueError, match=message.replace("|", r"\|")):
        read_origin(path)
