"""Sign-in with the operator's own identity provider: this server is a resource server, never an authorization server.

``provider`` asks the provider (metadata, keys, introspection), ``tokens`` judges what a caller presents, ``resource``
says who calls and how one signs in. Loaded only with ``--auth oauth``. There is no table of users.
"""
