"""Fixtures that ask the caller something before they answer, as the protocol of 2026-07-28 has it.

Our own tools ask nothing. These show that a question, its state and its answer
pass through our middleware and the HTTP application unharmed.
"""

from __future__ import annotations

from typing import Any

from mcp.server.mcpserver import Context
from mcp_types import (
    CreateMessageRequest,
    CreateMessageRequestParams,
    ElicitRequest,
    ElicitRequestFormParams,
    InputRequest,
    InputRequiredResult,
    ListRootsRequest,
    SamplingMessage,
    TextContent,
)

Asked = Context[Any, Any]
Answer = InputRequiredResult | str


def elicit(message: str, name: str, kind: str = "string") -> ElicitRequest:
    schema = {"type": "object", "properties": {name: {"type": kind}}, "required": [name]}
    return ElicitRequest(params=ElicitRequestFormParams(message=message, requested_schema=schema))


def sample(text: str) -> CreateMessageRequest:
    message = SamplingMessage(role="user", content=TextContent(type="text", text=text))
    return CreateMessageRequest(params=CreateMessageRequestParams(messages=[message], max_tokens=100))


def asking(context: Asked, state: str | None, **wanted: InputRequest) -> Answer:
    """Asks for what is wanted until all of it is there."""
    given = context.input_responses or {}
    if all(name in given for name in wanted):
        return f"answered: {', '.join(wanted)}"
    return InputRequiredResult(input_requests=dict(wanted), request_state=state)


async def test_input_required_result_elicitation(context: Asked) -> Answer:
    """Asks for a name."""
    return asking(context, None, user_name=elicit("What is your name?", "name"))


async def test_input_required_result_sampling(context: Asked) -> Answer:
    """Asks the caller's model."""
    return asking(context, None, capital=sample("What is the capital of France?"))


async def test_input_required_result_list_roots(context: Asked) -> Answer:
    """Asks for the roots."""
    return asking(context, None, roots=ListRootsRequest())


async def test_input_required_result_request_state(context: Asked) -> Answer:
    """Asks, and gives a state along."""
    return asking(context, "first", confirm=elicit("Go on?", "ok", "boolean"))


async def test_input_required_result_tampered_state(context: Asked) -> Answer:
    """Asks, and gives a state along that must come back as it was."""
    return asking(context, "first", confirm=elicit("Go on?", "ok", "boolean"))


async def test_input_required_result_multiple_inputs(context: Asked) -> Answer:
    """Asks three things at once."""
    name = elicit("What is your name?", "name")
    return asking(context, "all", name=name, greeting=sample("Greet."), roots=ListRootsRequest())


async def test_input_required_result_multi_round(context: Asked) -> Answer:
    """Asks twice, one after the other."""
    if context.request_state is None:
        return asking(context, "one", name=elicit("What is your name?", "name"))
    if context.request_state == "one":
        return InputRequiredResult(input_requests={"colour": elicit("Which colour?", "color")}, request_state="two")
    return "answered twice"


async def test_input_required_result_capabilities(context: Asked) -> Answer:
    """Asks only what the caller can answer."""
    declared = context.client_capabilities
    wanted: dict[str, InputRequest] = {}
    if declared is not None and declared.sampling is not None:
        wanted["capital"] = sample("What is the capital of France?")
    if declared is not None and declared.elicitation is not None:
        wanted["name"] = elicit("What is your name?", "name")
    return asking(context, None, **wanted)


async def test_streaming_elicitation(context: Asked) -> Answer:
    """Asks where the answer's own stream would carry the question."""
    return asking(context, None, name=elicit("What is your name?", "name"))


async def test_input_required_result_prompt(context: Asked) -> Answer:
    """A prompt that asks first."""
    return asking(context, None, about=elicit("About what?", "context"))


TOOLS = (
    test_input_required_result_elicitation,
    test_input_required_result_sampling,
    test_input_required_result_list_roots,
    test_input_required_result_request_state,
    test_input_required_result_tampered_state,
    test_input_required_result_multiple_inputs,
    test_input_required_result_multi_round,
    test_input_required_result_capabilities,
    test_streaming_elicitation,
)
PROMPTS = (test_input_required_result_prompt,)
