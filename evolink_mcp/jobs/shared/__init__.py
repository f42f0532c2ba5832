"""What replicas remember in common, in Redis or Valkey (the ``redis`` extra).

Everything here has a twin in :mod:`evolink_mcp.jobs` that lives in the process,
and falls back on it: with the shared store away, calls go on alone. Loaded only
where a store is configured. What may not live here: links, keys; and of prompts only
their first words, in the history, if the operator asked for one.
"""
