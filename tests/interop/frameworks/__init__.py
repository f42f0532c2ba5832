"""Agent frameworks by other people, driven by a scripted model through the snippets of docs/frameworks.md."""
