"""What the processes of one user share: the history file, and what is kept in it.

Loaded only where there is a file. Two things are in it: the tasks submitted from
here, and the purchases that are not over yet. What may not live here: keys.
"""
