"""Bytes: what a file is, files going up, results coming down.

What may not live here: MCP and paid requests.
"""
