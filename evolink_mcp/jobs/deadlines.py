"""How long a call may take. Many hosts give a call up after 60 s."""

from __future__ import annotations

MAX_WAIT_SECONDS = 45  # the longest wait of one call
SUBMIT_SECONDS = float(MAX_WAIT_SECONDS)  # from the moment a paid call comes in until its task is known
GRACE_SECONDS = 10.0  # a wait ends within its seconds and this, whatever the gateway does
