"""Tests of the HTTP application's edges."""
