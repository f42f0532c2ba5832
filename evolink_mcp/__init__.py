"""An MCP server for making images and videos through the EvoLink gateway.

The version below is the only one: packaging, the server's own answer and the
manifests all read it from here.
"""

__version__ = "0.1.0"
