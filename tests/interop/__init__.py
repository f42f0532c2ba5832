"""Tests with software that nobody here wrote, and with the packages as users get them.

They fetch what they need by name from the package indexes and fail where they
cannot; none passes empty. ``make test`` leaves them out.
"""
