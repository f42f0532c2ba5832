"""Arguments that hosts add to every call by themselves. Their users cannot take them away, so we do, without a word.

A name counts in any spelling of its words (``toolCallId``, ``tool_call_id``). One that a tool declares itself is the
caller's own.
"""

from __future__ import annotations

from evolink_mcp.sdk.leniency import MAX_NAME, words_of

# Name, and where it was reported.
HOST_ARGUMENTS = {
    "toolCallId": "n8n: n8n-io/n8n#21500",
    "sessionId": "n8n: n8n-io/n8n#21500",
    "action": "n8n: n8n-io/n8n#21500",
    "chatInput": "n8n: n8n-io/n8n#21500",
    "tool": "n8n: n8n-io/n8n#21716",
    "wait_for_previous": "Gemini CLI: its scheduler's own argument",
    "waitForPreviousTools": "Windsurf and Antigravity: the same by another name",
    "toolAction": "Antigravity: what it shows its user of a call",
    "toolSummary": "Antigravity: what it shows its user of a call",
    "task_progress": "Cline: its list of steps",
    "security_context": "CrewAI: crewAIInc/crewAI, added to the arguments of every tool",
    "random_string": "Cursor: for tools without required arguments",
}


_BY_WORDS = frozenset(map(words_of, HOST_ARGUMENTS))


def is_host_argument(name: str) -> bool:
    """Whether a host put this argument in."""
    return len(name) <= MAX_NAME and words_of(name) in _BY_WORDS
