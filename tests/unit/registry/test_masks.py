"""What is told of a mask before it is paid for: the part that is painted anew, by each model's own marks."""

from __future__ import annotations

from dataclasses import replace

import pytest

from evolink_mcp.registry import FileFacts
from tests.unit.registry.support import model, registry

LINK, MASK = "https://local.invalid/0123", "https://local.invalid/4567"
PNG = FileFacts("image/png", 1000, 512, 512, has_alpha=True)
WHITE = "gpt-4o-image"
TRANSPARENT = "gpt-image-2"
OPAQUE, EITHER = "mj-v8.1-upload-paint", "mj-v8.2-upload-paint"


def told(name: str, mask: FileFacts, reference: FileFacts = PNG) -> str:
    """All that is said of a mask."""
    params = {"prompt": "x", "image_urls": [LINK], "mask_url": MASK}
    checked = registry().check(model(name).endpoint, name, params, {LINK: reference, MASK: mask})
    said = (*(each.message for each in checked.problems), *checked.notes)
    return "\n".join(
        each for each in said if "mask" in each and ("paint" in each or "pixels" in each or "neither" in each)
    )


def marked(opaque: float, white: float = 0.0, black: float = 0.0) -> FileFacts:
    return replace(PNG, opaque=opaque, white=white, black=black)


@pytest.mark.parametrize(
    ("name", "mask", "said"),
    [
        (WHITE, marked(1, 0.25, 0.75), "the white part, 25% of the picture, is painted anew"),
        (WHITE, marked(1, 1, 0), "all of the mask is white, so the whole picture is painted anew"),
        (WHITE, marked(1, 0, 1), "nothing of the mask is white"),
        (WHITE, marked(0.5, 0.5, 0), "the mask has transparent parts"),
        (TRANSPARENT, marked(0.75, 0.75, 0), "the transparent part, 25% of the picture, is painted anew"),
        (TRANSPARENT, marked(0, 0, 0), "all of the mask is transparent, so the whole picture is painted anew"),
        (TRANSPARENT, marked(1, 0.5, 0.5), "nothing of the mask is transparent"),
    ],
)
def test_the_part_that_is_painted_anew_is_the_one_that_the_model_means(name: str, mask: FileFacts, said: str) -> None:
    assert said in told(name, mask)


def test_grey_in_a_mask_of_black_and_white_is_told_where_there_is_more_than_a_little() -> None:
    assert "10% of the mask is neither black nor white" in told(WHITE, marked(1, 0.3, 0.6))
    assert "neither" not in told(WHITE, marked(1, 0.3, 0.66))


def test_a_mask_inside_of_the_parameters_of_a_model_is_judged_as_well() -> None:
    params = {"prompt": "x", "image_urls": [LINK], "model_params": {"mask": {"url": MASK}}}
    for name, said in ((OPAQUE, "the opaque part, 25% of"), (EITHER, "the white or transparent part, 85% of")):
        files = {LINK: PNG, MASK: marked(0.25, 0.1, 0.15)}
        notes = registry().check("image", name, params, files).notes
        assert any(note.startswith("model_params.mask.url: ") and said in note for note in notes), notes


def test_a_mask_of_unknown_marks_or_of_a_reference_of_unknown_size_is_not_judged() -> None:
    assert told(WHITE, PNG) == ""
    assert told(WHITE, PNG, replace(PNG, width=None, height=None)) == ""
    assert told(WHITE, replace(PNG, width=None, height=None, opaque=1.0)) == ""
    for width, height in ((511, 512), (512, 511)):
        assert f"the mask has {width} × {height} pixels, the reference 512 × 512" in told(
            WHITE, replace(PNG, width=width, height=height)
        )
