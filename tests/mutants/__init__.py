"""A bounded mutation run: one small change of the code at a time, and whether a test that executes it fails."""
