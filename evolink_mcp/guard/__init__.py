"""What may be read, contacted or shown: files, links, names, secrets, foreign text.

Nothing here opens a connection or knows of MCP. A check that fails raises :class:`evolink_mcp.errors.Refused` with the
rule it applied.
"""
