"""Measurements, run by hand: ``make bench`` for all, ``python -m benchmarks.soak`` for minutes of many agents.

Nothing of the server imports them. One module per row of docs/performance.md; ``__main__`` runs them, ``page`` writes
the figures down, ``budgets`` holds what ``make bench-check`` demands.
"""
