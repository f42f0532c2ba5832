"""The expressions of pricing rules, worked out: bounded in depth and number, and without anything they could run."""

from __future__ import annotations

import math
from collections.abc import Mapping

from evolink_mcp.gateway.values import as_list, as_number, as_object, as_text

MAX_NODES, MAX_DEPTH = 2_000, 24  # of the expressions of one model
MAX_ARGS = 100

Value = float | str | bool


class Unclear(Exception):
    """A rule that cannot be worked out for this call."""


def work_out(rule: object, values: Mapping[str, Value], nodes: list[int], depth: int = 0) -> Value:
    """The value of an expression ``{op, name, value, args, key, values}``.

    Args:
        nodes: How many more may be looked at; counted down.

    Raises:
        Unclear: A value is not known, or the expression is none.
        ArithmeticError, ValueError: It cannot be calculated.
    """
    node, nodes[0] = as_object(rule), nodes[0] - 1
    if nodes[0] < 0 or depth > MAX_DEPTH:
        raise Unclear
    args = as_list(node.get("args"))[:MAX_ARGS]

    def at(place: int) -> Value:
        if place >= len(args):
            raise Unclear
        return work_out(args[place], values, nodes, depth + 1)

    match as_text(node.get("op")):
        case "constant":
            return _constant(node.get("value"))
        case "variable":
            if (name := as_text(node.get("name"))) not in values:
                raise Unclear
            return values[name]
        case "lookup":
            key = _word(work_out(node.get("key"), values, nodes, depth + 1))
            return as_float(_constant(as_object(node.get("values")).get(key)))
        case "if":
            return at(1) if at(0) is True else at(2)
        case "not":
            return at(0) is not True
        case "and":
            return all(at(place) is True for place in range(len(args)))
        case "or":
            return any(at(place) is True for place in range(len(args)))
        case "eq" | "neq" as op:
            return (_word(at(0)) == _word(at(1))) is (op == "eq")
        case op:
            return _arithmetic(op, [as_float(at(place)) for place in range(len(args))])


def _arithmetic(op: str, numbers: list[float]) -> Value:
    match op, numbers:
        case "add", [_, *_]:
            return math.fsum(numbers)
        case "multiply", [_, *_]:
            return math.prod(numbers)
        case "subtract", [first, second]:
            return first - second
        case "divide", [first, second]:
            return first / second
        case "min", [_, *_]:
            return min(numbers)
        case "max", [_, *_]:
            return max(numbers)
        case "clamp", [number, low, high]:
            return min(max(number, low), high)
        case "ceil", [number]:
            return float(math.ceil(round(number, 9)))
        case "floor", [number]:
            return float(math.floor(round(number, 9)))
        case "lt", [first, second]:
            return first < second
        case "lte", [first, second]:
            return first <= second
        case "gt", [first, second]:
            return first > second
        case "gte", [first, second]:
            return first >= second
        case _:
            raise Unclear


def _constant(value: object) -> Value:
    if value in ("true", "false", True, False):
        return value in ("true", True)
    number = as_number(value)
    if number is not None:
        return number
    if isinstance(value, str):
        return value
    raise Unclear


def as_float(value: Value) -> float:
    """A value as a number.

    Raises:
        Unclear: It is none.
    """
    number = as_number(value)
    if number is None:
        raise Unclear
    return float(number)


def _word(value: Value) -> str:
    """A value as the key of a table: numbers without a needless point."""
    number = as_number(value)
    return f"{number:g}" if number is not None else str(value).lower() if isinstance(value, bool) else str(value)
