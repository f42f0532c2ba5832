"""The registry: what models take, and calls held against it."""
