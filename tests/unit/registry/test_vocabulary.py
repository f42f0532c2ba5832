"""The vocabulary of the data: closed, so that a slip is found, and wide enough for the models still to come."""

import json
from pathlib import Path

import pytest

from evolink_mcp.registry import describe, describe_text
from tests.unit.registry.support import LINK, MINE, Overlay, built_in_models_work, outcome

P: dict[str, object] = {"prompt": "A fox"}

BAD_MODELS = [
    ("parameters.prompt = { type = 'strin' }", "model.mine.parameters.prompt.type: 'strin' is not one of:"),
    ("parameters.prompt = { type = 'string', lenght = [1, 2] }", "lenght: unknown key; did you mean length?"),
    ("parameters.prompt = { type = 'string', length = [2, 1] }", "length: must be [low] or [low, high]"),
    ("parameters.prompt = { type = 'string', length = 5 }", "length: must be a list"),
    ("parameters.prompt = { type = 'string', length = [true] }", "length.0: must be a number"),
    ("parameters.prompt = { type = 'string', hold = 'maybe' }", "hold: 'maybe' is not one of"),
    ("parameters.prompt = { type = 'string', source = 'rumour' }", "source: 'rumour' is not one of"),
    ("parameters.prompt = { type = 'string', allowed = 5 }", "allowed: must be a text"),
    ("parameters.prompt = { type = 'string', allowed = 'no-list' }", "allowed: 'no-list' is not one of"),
    ("parameters.prompt = { type = 'string', soft = { lengthy = 'docs' } }", "soft.lengthy: unknown key"),
    ("parameters.prompt = { type = 'string', soft = { length = 'x' } }", "soft.length: 'x' is not one of"),
    ("parameters.prompt = { type = 'string', note = 5 }", "note: must be a text"),
    ("parameters.prompt = { type = 'string', any_case = 1 }", "any_case: must be true or false"),
    ("parameters.prompt = { type = 'string', size = { edges = [1] } }", "size.edges: unknown key; did you mean edge?"),
    ("parameters.prompt = { type = 'string', item = { mb = 5 } }", "item.mb: unknown key"),
    ("parameters.prompt = { type = 'string', tolerate = { step = 5 } }", "tolerate.step: unknown key"),
    ("parameters.prompt = { type = 'string', forms = ['ftp'] }", "forms.0: 'ftp' is not one of"),
    ("parameters.prompt = { type = 'string', required = { if = {} } }", "required.if: unknown key"),
    ("parameters.prompt = { type = 'string', required = { when = { a = { b = 1 } } } }", "when.a.b: unknown key"),
    (
        "parameters.prompt = { type = 'string', required = { when = { a = { form = 'x' } } } }",
        "a.form: 'x' is",
    ),
    ("parameters.prompt = { type = 'object', keys = '(' }", "keys: is not a pattern"),
    ("parameters.prompt = { allowed = [1] }", "model.mine.parameters.prompt: has no type"),
    ("parameters.prompt = 'no-such'", "no shared parameter 'no-such'"),
    ("parameters.prompt = { like = 5 }", "parameters.prompt.like: must be a text"),
    ("parameters.prompt = 5", "model.mine.parameters.prompt: must be a text"),
    ("like = 'nobody'", "model.mine.like: no model 'nobody' to take over from"),
    ("like = 'mine'", "model.mine.like: no model 'mine' to take over from"),
    ("kynd = 'image'", "model.mine.kynd: unknown key; did you mean kind?"),
    ("kind = 'sound'", "model.mine.kind: 'sound' is not one of: 'image', 'video', 'audio' or 'asset'"),
    ("parameters.prompt = { type = 'string', pattern = '(' }", "pattern: is not a pattern"),
    ("rules = [{ rule = 'difference-of', of = ['n'], range = [1], message = 'm' }]", "rules.0: of must name two"),
    ("rules = [{ rule = 'difference-of', of = ['n', 'm'], message = 'm' }]", "a rule 'difference-of' needs 'range'"),
    ("status = 'old'", "model.mine.status: 'old' is not one of"),
    ("capabilities = ['flying']", "model.mine.capabilities: 'flying' is not one of"),
    ("capabilities = 'flying'", "model.mine.capabilities: must be a list"),
    ("provider = ''", "model.mine.provider: must be a text"),
    ("beta = 'yes'", "model.mine.beta: must be true or false"),
    ("example = { n = 3 }", "model.mine.example: n: mine has no such parameter"),
    ("example = {}", "model.mine.example: prompt: mine needs a text here"),
    ("aliases = ['gpt-image-2']", "model.mine.aliases: 'gpt-image-2' is the name of gpt-image-2"),
    ("replacements = ['nobody']", "model.mine.replacements: no model 'nobody'"),
    ("rules = ['no-rule']", "model.mine.rules.0: 'no-rule' is not one of"),
    ("rules = [{ rule = 'forbids', message = 'm' }]", "model.mine.rules.0.rule: 'forbids' is not one of"),
    ("rules = [{ rule = 'advise', message = 'm' }]", "a rule 'advise' needs 'when'"),
    ("rules = [{ rule = 'advise', when = { n = 1 } }]", "a rule 'advise' needs 'message'"),
    ("rules = [{ rule = 'advise', when = { 'n.x' = 1 }, message = 'm' }]", "rules.0: no parameter 'n.x'"),
    ("rules = [{ rule = 'advise', when = {}, message = 'm', hint = 'h' }]", "rules.0.hint: unknown key"),
    ("rules = 5", "model.mine.rules: must be a list"),
    ("spellings = { pic = { too = 'prompt' } }", "spellings.pic.too: unknown key; did you mean to?"),
    ("spellings = { pic = { to = 'prompt', shape = 'round' } }", "spellings.pic.shape: 'round' is not one of"),
]


@pytest.mark.parametrize(("line", "expected"), BAD_MODELS, ids=[row[0][:60] for row in BAD_MODELS])
def test_a_bad_model_is_reported_with_file_and_key(overlay: Overlay, tmp_path: Path, line: str, expected: str) -> None:
    key = line.split(" = ", 1)[0]
    text = "\n".join(row for row in MINE.splitlines() if not row.startswith(f"{key} "))
    if key.startswith("parameters"):
        text = text.split("[model.mine.parameters]")[0]
    text = text.replace("[model.mine]\n", f"[model.mine]\n{line}\n", 1)
    found = overlay(text + MINE.replace("model.mine", "model.good"))
    assert any(expected in problem for problem in found.overlay_problems), found.overlay_problems
    assert all(problem.startswith(f"{tmp_path / 'models.toml'}: ") for problem in found.overlay_problems)
    assert "mine" not in found.models
    assert found.check("image", "good", P).problems == ()
    assert built_in_models_work(found)


# The further documented models need these; none of them may need another shape.
FURTHER = """
[model.further]
kind = 'video'
provider = 'Me'
description = 'Stands for what other documented models ask of the vocabulary.'
capabilities = ['lip-sync', 'motion-control', 'upscale', 'layers', 'outpainting', 'variation']
example = { generation_mode = 'first_frame', image_start = 'https://example.com/a.png' }
rules = ['either', 'draft', 'clips', 'references', 'small']
[rules.either]
rule = 'excludes'
for = 'hd'
of = ['draft']
when = { hd = true, draft = true }
message = 'hd and draft exclude each other'
[rules.draft]
rule = 'allowed-when'
for = 'quality'
allowed = ['480p']
when = { draft = true }
message = 'a draft is 480p'
[rules.clips]
rule = 'allowed-when'
for = 'duration'
range = [2, 10]
when = { video_urls = { count = [1] } }
message = 'at most 10 s with clips'
[rules.references]
rule = 'count-of'
of = ['image_urls', 'video_urls']
count = [0, 5]
for = 'image_urls'
message = 'at most 5 references'
[rules.small]
rule = 'only-with'
for = 'quality'
when = { quality = '1080p' }
with = { image_urls = { count = [0, 1], or_absent = true } }
message = 'no 1080p with two images'
[model.further.parameters]
generation_mode = { type = 'string', allowed = ['first_frame', 'video_continuation'] }
image_start = { type = 'url', required = { when = { generation_mode = 'first_frame' } } }
image_urls = { type = 'url-list', count = [1, 6], forms = ['url', 'data', 'base64'] }
inputs = { type = 'url-list', forms = ['url', 'data'] }
video_urls = { type = 'url-list', count = [1, 3], item = { seconds = [1, 30], max_mb = 100 } }
duration = { type = ['integer', 'string'], range = [3, 15], allowed = [-1, 'auto'], default = 5 }
clips = { type = 'integer', range = [2, 10], allowed = [0] }
speed = { type = 'number' }
weight = { type = 'number', range = [0, 1], step = 0.01 }
tags = { type = 'string-list', count = [0, 2] }
quality = { type = 'string', allowed = ['480p', '1080p'] }
hd = 'flag-off'
draft = 'flag-off'
extra = { type = 'object', open = true, properties = { known = 'flag' } }
tools = { type = 'object-list', properties = { type = { type = 'string', required = true, allowed = ['web_search'] } } }
voices = { type = 'object', keys = '(image|video)[1-9][0-9]*', values = { type = 'url' } }
"""


@pytest.mark.parametrize(
    ("params", "parameter", "expected"),
    [
        ({"generation_mode": "first_frame"}, "image_start", "refused"),
        ({"generation_mode": "video_continuation"}, "image_start", "sent"),
        ({"duration": "auto"}, "duration", "sent"),
        ({"duration": -1}, "duration", "sent"),
        ({"duration": 15}, "duration", "sent"),
        ({"duration": 16}, "duration", "refused"),
        ({"duration": "long"}, "duration", "refused"),
        ({"duration": 11, "video_urls": [LINK]}, "duration", "refused"),
        ({"duration": 10, "video_urls": [LINK]}, "duration", "sent"),
        ({"clips": 0}, "clips", "sent"),
        ({"clips": 1}, "clips", "refused"),
        ({"weight": 0.07}, "weight", "sent"),
        ({"weight": 1}, "weight", "sent"),
        ({"weight": 0.075}, "weight", "refused"),
        ({"weight": 1.01}, "weight", "refused"),
        ({"weight": float("inf")}, "weight", "refused"),
        ({"speed": 1.5}, "speed", "sent"),
        ({"speed": float("inf")}, "speed", "refused"),
        ({"tags": ["a", "b"]}, "tags", "sent"),
        ({"tags": ["a", "b", "c"]}, "tags", "refused"),
        ({"image_urls": ["iVBORw0KGgo="]}, "image_urls[0]", "sent"),
        ({"inputs": ["DATA:image/png;base64,AA=="]}, "inputs[0]", "sent"),
        ({"inputs": ["iVBORw0KGgo="]}, "inputs[0]", "refused"),
        ({"image_urls": [LINK] * 3, "video_urls": [LINK] * 3}, "image_urls", "refused"),
        ({"image_urls": [LINK] * 2, "quality": "1080p"}, "quality", "refused"),
        ({"quality": "1080p"}, "quality", "sent"),
        ({"quality": "1080p", "draft": True}, "quality", "refused"),
        ({"hd": True, "draft": True}, "hd", "refused"),
        ({"hd": True, "draft": False}, "hd", "sent"),
        ({"extra": {"known": True, "anything": [1]}}, "extra.anything", "sent"),
        ({"extra": {"known": 1}}, "extra.known", "refused"),
        ({"tools": [{"type": "web_search"}, {}]}, "tools[1].type", "refused"),
        ({"voices": {"image1": LINK, "video12": LINK}}, "voices", "sent"),
        ({"voices": {"image0": LINK}}, "voices.image0", "refused"),
        ({"voices": {"image1": "nope"}}, "voices.image1", "refused"),
    ],
)
def test_the_vocabulary_can_say_what_further_models_need(
    overlay: Overlay, params: dict[str, object], parameter: str, expected: str
) -> None:
    found = overlay(FURTHER)
    assert found.overlay_problems == []
    checked = found.check("video", "further", params)
    assert outcome(checked, parameter) == expected, checked
    described = found.models["further"]
    assert json.dumps(describe(described))
    assert "voices" in describe_text(described)


SOUND = """
[model.singer]
kind = 'audio'
provider = 'Me'
description = 'Stands for the models that make sound.'
example = { prompt = 'A lullaby' }
[[model.singer.rules]]
rule = 'difference-of'
of = ['vocal_end', 'vocal_start']
range = [10, 30]
message = 'the voice must last 10 to 30 s'
[model.singer.parameters]
prompt = { type = 'string', required = true }
vocal_start = { type = 'number', range = [0] }
vocal_end = { type = 'number', range = [0] }
shots = { type = 'integer-list', count = [1, 2], range = [2, 5] }
key = { type = 'string', pattern = '[A-G]#?' }
"""


@pytest.mark.parametrize(
    ("params", "parameter", "expected"),
    [
        ({"shots": [2, 3]}, "shots", "sent"),
        ({"shots": [3] * 3}, "shots", "refused"),
        ({"shots": []}, "shots", "refused"),
        ({"shots": [2, 6]}, "shots[1]", "refused"),
        ({"shots": [2, "3"]}, "shots", "refused"),
        ({"shots": [True]}, "shots", "refused"),
        ({"shots": 3}, "shots", "refused"),
        ({"shots": [2, 5]}, "shots", "sent"),
        ({"shots": [2, 5.0]}, "shots[1]", "noted"),
        ({"shots": [1]}, "shots[0]", "refused"),
        ({"shots": [2.5]}, "shots", "refused"),
        ({"key": "C#"}, "key", "sent"),
        ({"key": "C# minor"}, "key", "refused"),
        ({"vocal_start": 5, "vocal_end": 15}, "vocal_end", "sent"),
        ({"vocal_start": 5, "vocal_end": 14.5}, "vocal_end", "refused"),
        ({"vocal_start": 0, "vocal_end": 31}, "vocal_end", "refused"),
        ({"vocal_end": 31}, "vocal_end", "sent"),
    ],
)
def test_models_of_sound_fit_the_vocabulary(
    overlay: Overlay, params: dict[str, object], parameter: str, expected: str
) -> None:
    found = overlay(SOUND)
    assert found.overlay_problems == []
    checked = found.check("audio", "singer", P | params)
    assert outcome(checked, parameter) == expected, checked
    text = describe_text(found.models["singer"])
    assert "like [A-G]#?" in text
    assert "shots integer-list: 2–5; 1–2 items" in text
    assert found.names()[-1] == "singer"
    assert found.names("audio")[-1] == "singer"
    assert "makes sound: use generate_audio" in found.check("image", "singer", P).problems[0].message
