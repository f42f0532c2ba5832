"""Every limit of every model: what is inside passes, what is just outside is held as the data says."""

from collections.abc import Iterator

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from evolink_mcp.registry import Parameter
from evolink_mcp.registry.conditions import meets
from tests.unit.registry.breaking import satisfying
from tests.unit.registry.strategies import inside, outside, sizes, wrong_types
from tests.unit.registry.support import LINK, bare_call, callable_models, check, links, model, outcome, refused

BOUNDED = settings(derandomize=True, deadline=None, max_examples=10, database=None)


def beside(name: str, parameter: str, value: object) -> dict[str, object]:
    """What a value needs beside it, where a rule of the model ties it to other parameters."""
    tied: dict[str, object] = {}
    for rule in model(name).rules:
        if rule.kind == "only-with" and rule.parameter == parameter and meets(rule.when, {parameter: value}):
            tied |= satisfying(rule.only)
    return tied


def ends(parameter: Parameter) -> list[object]:
    """Every allowed value, and both ends of a range."""
    found = list(parameter.allowed)
    if parameter.range:
        ends = (parameter.range.low, parameter.range.high)
        found += [end if end % 1 else int(end) for end in ends if end is not None]
    return found


@pytest.mark.parametrize("name", callable_models())
def test_documented_values_and_ends_pass(name: str) -> None:
    for parameter, described in model(name).parameters.items():
        for value in ends(described):
            checked = check(name, bare_call(name) | {parameter: value} | beside(name, parameter, value))
            assert checked.problems == (), (parameter, value)
            assert checked.params[parameter] == value


@pytest.mark.parametrize("name", callable_models())
@BOUNDED
@given(data=st.data())
def test_what_is_inside_the_limits_is_never_refused(name: str, data: st.DataObject) -> None:
    described = model(name)
    parameter = data.draw(st.sampled_from(sorted(set(described.parameters) - {"callback_url"})))
    value = data.draw(inside(described.parameters[parameter]))
    call = bare_call(name) | {parameter: value} | beside(name, parameter, value)
    if parameter == "model_params" and name == "kling-custom-element":
        # Which of its lists is needed depends on a value inside it.
        call = {"model_params": described.example["model_params"]}
    checked = check(name, call)
    empty_required = value == [] and described.parameters[parameter].required
    assert checked.problems == () or empty_required


@pytest.mark.parametrize("name", callable_models())
def test_what_is_just_outside_is_held_as_the_data_says(name: str) -> None:
    for parameter, described in model(name).parameters.items():
        for beyond in outside(described):
            hold, source = described.held(beyond.limit)
            checked = check(name, bare_call(name) | {parameter: beyond.value})
            expected = "refused" if hold == "refuse" else "noted"
            assert outcome(checked, parameter) == expected, (parameter, beyond)
            told = [p.message for p in checked.problems if p.parameter == parameter] or checked.notes
            assert any(source in line and "\n" not in line for line in told)
            if hold == "warn":
                assert checked.params[parameter] == beyond.value


def nested(parameter: Parameter, path: str) -> Iterator[tuple[str, Parameter]]:
    for name, inner in parameter.properties.items():
        yield f"{path}.{name}", inner
        yield from nested(inner, f"{path}.{name}")


def put(parameter: Parameter, path: list[str], value: object) -> object:
    """An object, or a list of one, with all it needs and the value at the path."""
    first, *rest = path
    inner = parameter.properties[first]
    needed: dict[str, object] = {
        name: "image_refer" if one.allowed else LINK for name, one in parameter.properties.items() if one.required
    }
    whole = needed | {first: put(inner, rest, value) if rest else value}
    return [whole] if "object-list" in parameter.types else whole


INSIDE = [
    (name, path, inner)
    for name in callable_models()
    for top in model(name).parameters.values()
    for path, inner in nested(top, top.name)
]


@pytest.mark.parametrize(("name", "path", "inner"), INSIDE, ids=[f"{name}-{path}" for name, path, _ in INSIDE])
def test_nested_limits_are_held_by_dotted_names(name: str, path: str, inner: Parameter) -> None:
    top, *rest = path.split(".")
    described = model(name).parameters[top]
    values = [(beyond.value, *inner.held(beyond.limit)) for beyond in outside(inner)]
    values += [(value, "refuse", inner.source) for value in wrong_types(inner)]
    for value, hold, source in values:
        checked = check(name, bare_call(name) | {top: put(described, rest, value)})
        told = [p.message for p in checked.problems] if hold == "refuse" else checked.notes
        dotted = [line for line in told if line.replace("[0]", "").startswith((f"{path}:", f"{path}["))]
        assert any(source in line for line in dotted), value


def test_nested_parameters_are_many() -> None:
    assert len(INSIDE) > 40


@pytest.mark.parametrize("name", callable_models())
def test_what_another_source_allows_is_sent_with_a_note(name: str) -> None:
    for parameter, described in model(name).parameters.items():
        tolerate = described.tolerate
        if tolerate is None:
            continue
        values: list[object] = [value for value in tolerate.allowed if value not in described.allowed]
        if tolerate.range and tolerate.range.high:
            values.append(int(tolerate.range.high))
        if tolerate.count and tolerate.count.high:
            values.append(links(int(tolerate.count.high)))
        if tolerate.length and tolerate.length.high:
            values.append("x" * int(tolerate.length.high))
        assert values
        for value in values:
            checked = check(name, bare_call(name) | {parameter: value})
            assert checked.problems == ()
            assert checked.params[parameter] == value
            assert any(note.startswith(f"{parameter}:") and tolerate.source in note for note in checked.notes)


@pytest.mark.parametrize("name", callable_models())
def test_a_value_of_another_type_is_refused(name: str) -> None:
    for parameter, described in model(name).parameters.items():
        for value in wrong_types(described):
            checked = check(name, bare_call(name) | {parameter: value})
            assert any(problem.parameter.startswith(parameter) for problem in checked.problems), (parameter, value)


@pytest.mark.parametrize("name", callable_models())
def test_what_is_required_is_missed(name: str) -> None:
    blanks: list[object] = [None, "", [], " \n"]
    for parameter, described in model(name).parameters.items():
        required = described.required
        if required is None or required.when or required.unless:
            continue
        for blank in blanks:
            checked = check(name, dict(model(name).example) | {parameter: blank})
            assert outcome(checked, parameter) == ("refused" if required.hold == "refuse" else "noted"), parameter


@pytest.mark.parametrize("name", [n for n in callable_models() if "prompt" in model(n).parameters])
def test_a_model_that_needs_a_prompt_refuses_a_call_without(name: str) -> None:
    required = model(name).parameters["prompt"].required
    without = {key: value for key, value in model(name).example.items() if key != "prompt"}
    unconditional = required is not None and not required.unless
    by_its_page = name not in ("kling-o3-video-edit",)
    if unconditional and by_its_page:
        assert refused(check(name, without), "prompt")
    elif required is None:
        assert check(name, without).problems == ()


@pytest.mark.parametrize(
    "name", [n for n in callable_models() if "size" in model(n).parameters and model(n).parameters["size"].size]
)
@BOUNDED
@given(data=st.data())
def test_sizes_inside_the_grammar_pass_and_the_nearest_named_is_right(name: str, data: st.DataObject) -> None:
    right = data.draw(sizes(model(name).parameters["size"]))
    assert check(name, bare_call(name) | {"size": right}).problems == ()
    width, height = data.draw(st.tuples(st.integers(1, 9000), st.integers(1, 9000)))
    for problem in check(name, bare_call(name) | {"size": f"{width}x{height}"}).problems:
        _, found, nearest = problem.message.partition("nearest: ")
        if found:
            assert check(name, bare_call(name) | {"size": nearest.split(" ")[0]}).problems == ()
