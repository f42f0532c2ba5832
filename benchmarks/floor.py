"""What the SDK allows at best: seven empty tools, over stdio (``python -m benchmarks.floor``)."""

from __future__ import annotations

from mcp.server.mcpserver import MCPServer


def empty(server: MCPServer) -> MCPServer:
    """Adds seven tools that do nothing."""

    def add(name: str) -> None:
        async def tool(text: str) -> str:
            return "done"

        server.add_tool(tool, name=name, description="Does nothing.")

    for number in range(1, 8):
        add(f"tool_{number}")
    return server


if __name__ == "__main__":
    empty(MCPServer("floor", version="1")).run("stdio")
