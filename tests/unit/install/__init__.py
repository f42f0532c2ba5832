"""Tests of setting clients up."""
