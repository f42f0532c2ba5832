"""A local file against what a parameter says of the files it links to: kind, format, weight and shape. Of a link to
somewhere else, what its ending says.

Only what is known is judged. A file of the wrong kind is refused: no source disagrees about that, as none does about
types. The other limits are refused or warned of as the parameter's source says.
"""

from collections.abc import Iterator, Mapping, Sequence
from typing import cast

from evolink_mcp.registry.report import Report
from evolink_mcp.registry.sizes import between
from evolink_mcp.registry.spec import FileFacts, Model, Parameter, Span
from evolink_mcp.registry.text import listed

MEBIBYTE = 1024 * 1024  # pages say MB; the larger reading of it refuses nobody wrongly
SLACK_SECONDS = 0.5  # containers round, and a sound track may outlast the pictures by a little
FORMATS: Mapping[str, str] = {
    "jpeg": "image/jpeg",
    "jpg": "image/jpeg",
    "png": "image/png",
    "webp": "image/webp",
    "gif": "image/gif",
    "avif": "image/avif",
    "bmp": "image/bmp",
    "tiff": "image/tiff",
    "heic": "image/heic",
    "heif": "image/heif",
    "mp4": "video/mp4",
    "mov": "video/quicktime",
    "webm": "video/webm",
    "mp3": "audio/mpeg",
    "wav": "audio/wav",
    "m4a": "audio/mp4",
    "weba": "audio/webm",
}
"""The words of the data files for formats. Documents are among them too, and no local file is one."""
_ENDINGS = {
    **FORMATS,
    "svg": "image/svg+xml",
    "m4v": "video/x-m4v",
    "mkv": "video/x-matroska",
    "avi": "video/x-msvideo",
    "aac": "audio/aac",
    "flac": "audio/flac",
    "opus": "audio/ogg",
}
MAX_TYPE_CHARACTERS = 100
_KINDS = {"image": "a picture", "video": "a film", "audio": "a sound"}
# What the wire calls its parameters, where no format is named.
_NAMES = {"image": "image", "mask": "image", "video": "video", "audio": "audio"}
_ALPHA = {"with alpha": True, "without alpha": False}
_SHAPES = frozenset(
    "edge edge_min max_edge aspect pixels max_pixels seconds min_seconds max_seconds total_seconds fps".split()
)


def judges_shape(model: Model | None) -> bool:
    """Whether anything but kind, format and weight of a local file matters to a model."""
    return model is not None and any(map(_has_shape, model.parameters.values()))


def _has_shape(parameter: Parameter) -> bool:
    transparency = any(" alpha" in each for each in _formats(parameter))
    return bool(_SHAPES & parameter.item.keys()) or transparency or any(map(_has_shape, parameter.properties.values()))


def check_file(parameter: Parameter, facts: FileFacts, path: str, report: Report) -> None:
    """What is wrong with a local file in the place of a link goes to the report."""
    marked = parameter.mask and facts.opaque is not None  # then masks.py says what its transparency means
    words = [each.partition(" ")[0] if marked else each for each in _formats(parameter)]
    formats = [(*each.partition(" "), each) for each in words]
    kinds = _kinds(parameter)
    if kinds and facts.kind not in kinds:
        text = f"the file is {_KINDS[facts.kind]}; allowed: {_in_words(kinds)}"
        report.fault(("refuse", parameter.source), path, text)
        return
    for text in [*_format_problems(facts, formats), *_extent_problems(facts, parameter.item)]:
        report.fault(parameter.held("item"), path, text)


def check_link(parameter: Parameter, link: str, path: str, report: Report) -> None:
    """What is wrong with a link by its ending, or by the type that a data URL names, goes to the report.

    A kind that does not fit is refused like that of a file, but for links with a query, which may make a picture of a
    film. A format is only warned of: a name is not what is in the file.
    """
    kinds, mime_type = _kinds(parameter), ""
    if link[:5].lower() == "data:":
        mime_type, query = link[5:MAX_TYPE_CHARACTERS].partition(",")[0].partition(";")[0].lower(), ""
        shown, mime_type = f"the data URL is {mime_type}", mime_type.replace("image/jpg", "image/jpeg")
    else:
        place, _, query = link.partition("#")[0].partition("?")
        name = place.partition("://")[2].partition("/")[2].rpartition("/")[2]
        ending = name.rpartition(".")[2].lower() if "." in name else ""
        mime_type, shown = _ENDINGS.get(ending, ""), f"the link ends in .{ending}"
    kind = mime_type.partition("/")[0]
    if kind not in _KINDS or not kinds or (kind == "video" and kinds == {"audio"}):  # which may hold sound alone
        return
    if kind not in kinds:
        text = f"{shown}, which is {_KINDS[kind]}; allowed: {_in_words(kinds)}"
        report.fault(("warn" if query else "refuse", parameter.source), path, text)
    elif (formats := _formats(parameter)) and mime_type not in {FORMATS.get(each.split()[0]) for each in formats}:
        report.fault(("warn", parameter.source), path, f"{shown}; allowed: {', '.join(formats)}")


def _kinds(parameter: Parameter) -> set[str]:
    """The kinds of file that a parameter takes; empty where that is not known."""
    formats = _formats(parameter)
    words = (each.partition(" ")[0] for each in formats)
    if formats:
        return {FORMATS[word].partition("/")[0] for word in words if word in FORMATS}
    return {kind for word, kind in _NAMES.items() if word in parameter.name}


def _in_words(kinds: set[str]) -> str:
    return listed((_KINDS[kind] for kind in sorted(kinds)), "or")


def check_total(parameter: Parameter, files: Sequence[FileFacts], path: str, report: Report) -> None:
    """The seconds of all local files of a list together."""
    limit = cast("float | None", parameter.item.get("total_seconds"))
    seconds = sum(facts.seconds or 0 for facts in files)
    if limit is not None and seconds > limit + SLACK_SECONDS:
        report.fault(parameter.held("item"), path, f"the files last {seconds:,.1f} s together; allowed: {limit:g} s")


def _formats(parameter: Parameter) -> Sequence[str]:
    return cast("Sequence[str]", parameter.item.get("formats", ()))


def _format_problems(facts: FileFacts, formats: Sequence[tuple[str, str, str, str]]) -> Iterator[str]:
    if not formats:
        return
    matches = [alpha for word, _, alpha, _ in formats if FORMATS.get(word) == facts.mime_type]
    allowed = ", ".join(each for *_, each in formats)
    if not matches:
        yield f"the file is {facts.mime_type.partition('/')[2]}; allowed: {allowed}"
    elif facts.has_alpha is not None and all(
        _ALPHA.get(alpha, facts.has_alpha) != facts.has_alpha for alpha in matches
    ):
        yield f"the file has {'transparency' if facts.has_alpha else 'no transparency'}; allowed: {allowed}"


def _extent_problems(facts: FileFacts, item: Mapping[str, object]) -> Iterator[str]:
    limit = cast("float | None", item.get("max_mb"))
    if limit is not None and facts.size > limit * MEBIBYTE:
        yield f"the file has {facts.size / MEBIBYTE:,.1f} MB; allowed: {limit:g} MB"
    width, height = facts.width or 0, facts.height or 0
    if width and height:
        short, long = sorted((width, height))
        shown = f"the file has {width} × {height} pixels"
        for name, low, high in (("edge", short, long), ("edge_min", short, short), ("max_edge", long, long)):
            span = _span(name, item)
            if span and not (span.holds(low) and span.holds(high)):
                yield f"{shown}; allowed: {between(span)} for each edge"
        for name in ("pixels", "max_pixels"):
            if (span := _span(name, item)) and not span.holds(width * height):
                yield f"{shown}, {width * height:,} in all; allowed: {between(span)}"
        if (span := _span("aspect", item)) and not span.holds(width / height):
            yield f"{shown}, width / height is {width / height:.2f}; allowed: {between(span)}"
    for name in ("seconds", "min_seconds", "max_seconds"):
        span = _span(name, item)
        if facts.seconds is not None and span and not _widened(span).holds(facts.seconds):
            yield f"the file lasts {facts.seconds:,.1f} s; allowed: {between(span)} s"
    if facts.frame_rate is not None and (span := _span("fps", item)) and not _widened(span).holds(facts.frame_rate):
        yield f"the file has {facts.frame_rate:g} frames a second; allowed: {between(span)}"


def _span(name: str, item: Mapping[str, object]) -> Span | None:
    """The range that one word of the data files means; ``None`` where it is not said."""
    value = item.get(name)
    if isinstance(value, list | tuple):
        low, high = cast("Sequence[float]", value)
        return Span(low, high)
    if not isinstance(value, int | float):
        return None
    return Span(value, None) if name in ("edge_min", "min_seconds") else Span(None, value)


def _widened(span: Span) -> Span:
    low, high = span.low, span.high
    return Span(None if low is None else low - SLACK_SECONDS, None if high is None else high + SLACK_SECONDS)
