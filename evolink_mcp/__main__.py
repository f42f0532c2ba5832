"""Runs the command line as ``python -m evolink_mcp``."""

from evolink_mcp.cli import main

if __name__ == "__main__":
    main()
