"""What replicas remember in common, in Redis or Valkey (the ``redis`` extra).

Everything here has a twin in :mod:`evolink_mcp.jobs` that lives in the process,
and falls back on it: with the shared store away, calls go on alone. Loaded only
where a store is configured. What may not live here: prompts, links, keys.
"""
