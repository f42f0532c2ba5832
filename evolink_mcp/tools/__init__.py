"""What an agent sees: one thin module a family of tools, their views, strict portable schemas.

What may not live here: HTTP, waiting, limits of models. A tool's body calls the
rooms below and returns a view; errors are raised and rendered in one place.
"""
