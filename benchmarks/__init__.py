"""Measurements that are run by hand: ``python -m benchmarks.NAME``. Nothing of the server imports them."""
