"""The embedded EvoLink: the same REST API on loopback, with real files and no money.

What lives here: the ASGI application, its tasks on a clock that can be moved,
the file store, the painters of pictures, films and tones, the faults that can
be ordered from it, and the server that runs it. What may not: an import from
any other room of this package. The sandbox is a second reading of the gateway's
documents (S0 to S4 and the files and text pages), so that the client can be
found wrong. Model names may be written here, and in no other code.

Nothing is imported by this module: Pillow, PyAV and the web server are loaded
by the submodules that need them. Start at ``serve``, ``config`` and ``extras``.
"""
