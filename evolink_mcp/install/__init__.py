"""Setting clients up: what each one's configuration file is, what belongs into it, and how to put it there.

Here live the clients as data, the entry each needs, and edits of other
people's files that keep everything else as it is. Nothing here starts or asks
anything; nothing is written unless the caller says so.
"""
