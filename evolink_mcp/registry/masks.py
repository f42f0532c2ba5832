"""A mask that is a local file: of the reference's size, and marked as the model wants it.

Which part is painted anew differs from model to model, and the wrong one is paid for like the right one. So the answer
names it, with how much of the picture it is.
"""

from collections.abc import Iterator, Mapping
from typing import cast

from evolink_mcp.registry.report import Report
from evolink_mcp.registry.spec import FileFacts, Hold, Model, Parameter

MIN_PAINTED, MAX_PAINTED = 0.001, 0.999  # of the picture: less is nothing, more is everything
MAX_GREY = 0.05  # of a mask in black and white


def check_masks(model: Model, call: Mapping[str, object], report: Report) -> None:
    """What is wrong with the local masks of a call goes to the report, and of each the part that is painted anew."""
    links = call.get("image_urls")
    first = cast("list[object]", links)[0] if isinstance(links, list) and links else None
    reference = report.files.get(first) if isinstance(first, str) else None
    for parameter, path, link in _masks(model.parameters, call, ""):
        facts = report.files.get(link)
        if facts is None or not (facts.width and facts.height):
            continue
        if parameter.mask.get("same_size") and reference is not None and reference.width and reference.height:
            _check_size(parameter, path, facts, reference, report)
        if facts.opaque is not None:
            _check_marks(parameter, path, facts, report)


def _masks(
    parameters: Mapping[str, Parameter], values: Mapping[str, object], before: str
) -> Iterator[tuple[Parameter, str, str]]:
    """Each link of a mask in a call, with its parameter and path."""
    for name, parameter in parameters.items():
        value = values.get(name)
        if isinstance(value, dict):
            yield from _masks(parameter.properties, cast("dict[str, object]", value), f"{before}{name}.")
        elif parameter.mask:
            links = cast("list[object]", value) if isinstance(value, list) else [value]
            yield from ((parameter, before + name, link) for link in links if isinstance(link, str))


def _check_size(parameter: Parameter, path: str, mask: FileFacts, reference: FileFacts, report: Report) -> None:
    if (mask.width, mask.height) != (reference.width, reference.height):
        text = (
            f"the mask has {mask.width} × {mask.height} pixels, the reference {reference.width} × {reference.height}; "
            "they must be equal"
        )
        report.fault(parameter.held("item"), path, text)


def _check_marks(parameter: Parameter, path: str, facts: FileFacts, report: Report) -> None:
    repaints = parameter.mask.get("repaints")
    opaque, white, black = facts.opaque or 0.0, facts.white or 0.0, facts.black or 0.0
    held = (cast(Hold, parameter.mask.get("hold", parameter.hold)), parameter.source)
    share = {
        "white": white,
        "transparent": 1 - opaque,
        "opaque": opaque,
        "white or transparent": white + 1 - opaque,
    }.get(str(repaints))
    if share is None:
        return
    if repaints == "white" and opaque < MAX_PAINTED:
        text = "the mask has transparent parts; this model wants it black and white, and paints the white part anew"
        report.fault(held, path, text)
    elif share < MIN_PAINTED:
        report.fault(held, path, f"nothing of the mask is {repaints}, so nothing would be painted anew")
    elif share > MAX_PAINTED:
        report.note(f"{path}: all of the mask is {repaints}, so the whole picture is painted anew")
    else:
        report.note(f"{path}: the {repaints} part, {share:.0%} of the picture, is painted anew")
    if repaints == "white" and opaque > MAX_PAINTED and 1 - white - black > MAX_GREY:
        report.note(f"{path}: {1 - white - black:.0%} of the mask is neither black nor white")
