"""What may be read, written or contacted: paths, links, secrets in logs.

Pure decisions: nothing here opens a connection or knows of MCP. Each check
raises :class:`evolink_mcp.errors.Refused` with the rule it applied.
"""
