"""Sets clients up: where each keeps its configuration, what our entry looks like there, and how to write it.

Here live the clients as data, the entry each needs, and edits of other
people's files that keep everything else as it is. Nothing here starts or asks
anything; nothing is written unless the caller says so.
"""
