"""The card in a real browser, under the official host library for MCP Apps."""
