"""Conditions on what an identity provider says of a person: ``claim=value``."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, cast

EMAIL = "email"
ANY_AT = "*@"
MAX_VALUES = 1_000  # of one claim: groups of a large company


@dataclass(frozen=True)
class Condition:
    """A claim and the value it must have, or hold among others.

    ``claim`` may lead into objects with dots (``realm_access.roles``). ``*@example.com`` is any address of that domain.
    An e-mail address counts only where the provider says that it is verified.
    """

    claim: str
    value: str

    @classmethod
    def parse(cls, text: str) -> Condition:
        """The condition that a text spells.

        Raises:
            ValueError: It has no claim or no value.
        """
        claim, _, value = text.partition("=")
        if not claim.strip() or not value.strip():
            raise ValueError(f"must be written as claim=value; it is {text[:60]!r}.")
        return cls(claim.strip(), value.strip())

    def holds(self, claims: Mapping[str, object]) -> bool:
        """Whether it is true of these claims."""
        if self.claim == EMAIL and str(claims.get("email_verified")).lower() != "true":
            return False
        return any(self._fits(value) for value in values_of(claims, self.claim))

    def _fits(self, value: str) -> bool:
        if self.value.startswith(ANY_AT):
            return _fold(value).endswith(_fold(self.value[1:]))
        return _fold(value) == _fold(self.value) if self.claim == EMAIL else value == self.value


def _fold(address: str) -> str:
    """An address without its case, as far as ASCII goes: some letters beyond fold into ones of other addresses."""
    return address.lower() if address.isascii() else address


def all_hold(conditions: tuple[Condition, ...], claims: Mapping[str, object]) -> bool:
    """Whether, for every claim that is named, one of its conditions is true."""
    return all(
        any(each.holds(claims) for each in conditions if each.claim == claim)
        for claim in {each.claim for each in conditions}
    )


def values_of(claims: Mapping[str, object], name: str) -> list[str]:
    """The values of a claim as text; none where it is absent."""
    value: Any = claims.get(name)
    if value is None and "." in name:
        value = claims
        for part in name.split("."):
            value = cast("dict[str, Any]", value).get(part) if isinstance(value, dict) else None
    values = cast("list[Any]", value)[:MAX_VALUES] if isinstance(value, list) else [value]
    return [str(each) for each in values if isinstance(each, str | int) and not isinstance(each, bool)]
