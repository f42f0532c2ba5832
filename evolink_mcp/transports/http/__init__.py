"""The HTTP application: Streamable HTTP, HTTP+SSE, health and metrics, for agents elsewhere.

What may not live here: tools, money, what a caller may do at the gateway. Here
it is decided who calls, how much of it is let in, and how the process ends.
Start at ``application`` (the parts put together) and ``serve`` (the process).
"""
