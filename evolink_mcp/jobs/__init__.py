"""A task's life on our side: submitted once, waited for at the documented pace.

The gateway keeps the state; a task id is the only handle. What may not live
here: MCP, model names, files.
"""
