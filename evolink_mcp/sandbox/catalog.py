"""The models this sandbox knows, by name.

Names come from the tables of S1 (images) and S2 (videos), from S0 and S3, and
from the gateway's own pages for the families those documents only touch
(seedance 2.0, the `-beta` names, audio).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

MediaKind = Literal["image", "video", "audio"]
Makes = Literal["file", "character", "element", "persona", "voice"]

PLACEHOLDER = "seedance-2.0"  # S2: a name without an API behind it


@dataclass(frozen=True, slots=True)
class Model:
    """One model: which endpoint takes it, what comes out, and what it can do without."""

    name: str
    kind: MediaKind
    makes: Makes = "file"
    needs_prompt: bool = True
    sound: bool = False  # a sound track unless the request says otherwise


_IMAGES = """
gpt-image-2 gpt-image-1.5 gpt-image-1 gpt-image-1.5-lite gpt-image-1.5-beta gpt-4o-image
gemini-3.1-flash-image-preview gemini-3-pro-image-preview gemini-2.5-flash-image nano-banana-2-lite nano-banana-beta
z-image-turbo doubao-seedream-4.5 doubao-seedream-4.0 doubao-seedream-3.0-t2i doubao-seededit-4.0-i2i
doubao-seededit-3.0-i2i qwen-image-edit qwen-image-edit-plus wan2.5-t2i-preview wan2.5-i2i-preview
wan2.5-text-to-image wan2.5-image-to-image
"""

_VIDEOS = """
doubao-seedance-1.0-pro-fast sora-2-preview sora-2-pro-preview sora-2 sora-2-pro sora-2-beta-max
kling-o3-text-to-video kling-o3-image-to-video kling-o3-reference-to-video kling-o3-video-edit
kling-v3-text-to-video kling-o1-image-to-video kling-o1-video-edit kling-o1-video-edit-fast
veo-3.1-generate-preview veo-3.1-fast-generate-preview veo3.1-pro veo3.1-pro-beta veo3.1-fast veo3.1-fast-beta
veo3.1-fast-extend veo3 veo3-fast wan2.5-t2v-preview wan2.5-i2v-preview wan2.5-text-to-video wan2.5-image-to-video
wan2.6-text-to-video wan2.6-image-to-video wan2.6-reference-video grok-imagine-text-to-video
grok-imagine-image-to-video grok-imagine-text-to-video-beta grok-imagine-image-to-video-beta
"""

# Models whose pages do not require a prompt.
_PROMPTLESS_VIDEOS = (
    "omnihuman-1.5 kling-v3-image-to-video MiniMax-Hailuo-2.3 MiniMax-Hailuo-2.3-Fast MiniMax-Hailuo-02".split()
)

_SEEDANCE_2 = [
    f"{PLACEHOLDER}-{tier}{task}-to-video" for tier in ("", "fast-", "mini-") for task in ("text", "image", "reference")
]

_SUNO = [f"suno-{version}" for version in ("v4", "v4.5", "v4.5plus", "v4.5all", "v5", "v5.5")]


def _every_model() -> list[Model]:
    return [
        *(Model(name, "image") for name in _IMAGES.split()),
        *(Model(name, "video") for name in _VIDEOS.split()),
        *(Model(name, "video", needs_prompt=False) for name in _PROMPTLESS_VIDEOS),
        # S2: seedance speaks unless told to be quiet.
        *(Model(name, "video", sound=True) for name in ("seedance-1.5-pro", *_SEEDANCE_2)),
        Model("sora-character", "video", makes="character", needs_prompt=False),
        Model("kling-custom-element", "video", makes="element", needs_prompt=False),
        *(Model(name + beta, "audio", needs_prompt=False) for name in _SUNO for beta in ("", "-beta")),
        Model("qwen3-tts-vd", "audio"),
        Model("doubao-seed-audio-1-0", "audio"),
        Model("suno-persona", "audio", makes="persona", needs_prompt=False),
        Model("qwen-voice-design", "audio", makes="voice", needs_prompt=False),
    ]


MODELS = {model.name: model for model in _every_model()}
