"""From plain tables to models. The vocabulary is closed: a key or word it does not know is an error that names it."""

import re
from collections.abc import Iterator, Mapping
from typing import Any, cast

from evolink_mcp.registry.conditions import condition, numbers, span
from evolink_mcp.registry.reading import DataError, Tables, as_table
from evolink_mcp.registry.rules import KINDS, NOTES
from evolink_mcp.registry.spec import EMPTY, Hold, Model, Parameter, Raw, Required, Rule, Size, Spelling, Tolerance
from evolink_mcp.registry.vocabulary import (
    ENDPOINTS,
    FORMS,
    ITEM_KEYS,
    LIMITS,
    MODEL_KEYS,
    PARAMETER_KEYS,
    RULE_KEYS,
    SHAPES,
    SIZE_KEYS,
    SPELLING_KEYS,
    STATUSES,
    TOLERATE_KEYS,
    TYPES,
    closed,
    flag,
    text,
    texts,
    word,
)


class Models(Mapping[str, Model]):
    """Models by id, each built when it is first asked for: a call needs one of them, not all."""

    def __init__(self, tables: Tables) -> None:
        order: dict[str, int] = {}
        for names in tables.section("order").values():
            order |= {name: place for place, name in enumerate(names)}
        self._builder = Builder(tables)
        self._built: dict[str, Model | None] = dict.fromkeys(
            sorted(tables.models, key=lambda name: (_place(tables.models[name]), order.get(name, len(order))))
        )

    def __getitem__(self, name: str) -> Model:
        built = self._built[name]
        if built is None:
            built = self._built[name] = self._builder.model(name)
        return built

    def __iter__(self) -> Iterator[str]:
        return iter(self._built)

    def __len__(self) -> int:
        return len(self._built)


def _place(raw: Raw) -> int:
    endpoint = str(raw.get("endpoint", raw.get("kind")))
    return ENDPOINTS.index(endpoint) if endpoint in ENDPOINTS else len(ENDPOINTS)


class Builder:
    """Builds models from tables, sharing what the tables share."""

    def __init__(self, tables: Tables) -> None:
        self._tables = tables
        self._lists = tables.section("lists")
        self._capabilities = tables.section("capabilities")
        self._built: dict[tuple[int, str, str], tuple[Raw, Parameter]] = {}
        self._holds: dict[str, Hold] = {}
        for name, (hold, _) in tables.section("sources").items():
            self._holds[name] = word(hold, ("refuse", "warn"), f"sources.{name}")

    def model(self, name: str) -> Model:
        """One model by its id. Raises: DataError."""
        raw = self._tables.models[name]
        key = f"model.{name}"
        closed(raw, MODEL_KEYS, key)
        kind = word(raw.get("kind"), ("image", "video", "audio", "asset"), f"{key}.kind")
        endpoint = word(raw.get("endpoint", kind), ENDPOINTS, f"{key}.endpoint")
        source = raw.get("source", "docs")
        table = {"image": "S1-table", "video": "S2-table"}.get(endpoint, "docs")
        parameters = {**raw["parameters"], **self._tables.section("common")}
        capabilities = texts(raw.get("capabilities", []), f"{key}.capabilities")
        for capability in capabilities:
            word(capability, self._capabilities, f"{key}.capabilities")
        rules = raw.get("rules", [])
        return Model(
            id=name,
            kind=kind,
            endpoint=endpoint,
            provider=text(raw, "provider", key),
            description=text(raw, "description", key),
            capabilities=capabilities,
            beta=flag(raw, "beta", key),
            status=word(raw.get("status", "active"), STATUSES, f"{key}.status"),
            aliases=texts(raw.get("aliases", []), f"{key}.aliases"),
            replacements=texts(raw.get("replacements", []), f"{key}.replacements"),
            parameters={
                parameter: self.parameter(parameter, value, source, table, f"{key}.parameters.{parameter}")
                for parameter, value in parameters.items()
            },
            rules=tuple(self.rule(rule, source, f"{key}.rules.{index}") for index, rule in enumerate(rules)),
            example=as_table(raw.get("example", {}), f"{key}.example"),
            notes=texts(raw.get("notes", []), f"{key}.notes"),
            sources=texts(raw.get("sources", []), f"{key}.sources"),
            open=flag(raw, "open", key),
            spellings=spellings(raw.get("spellings", {}), f"{key}.spellings"),
        )

    def parameter(self, name: str, raw: Raw, source: str, table: str, key: str) -> Parameter:
        """One parameter; the same table is built once. Raises: DataError."""
        seen = (id(raw), source, name)
        if seen not in self._built:
            # The table is kept beside what was built of it, or its id could come to mean another.
            self._built[seen] = raw, self._parameter(name, raw, source, table, key)
        return self._built[seen][1]

    def _parameter(self, name: str, raw: Raw, source: str, table: str, key: str) -> Parameter:
        closed(raw, PARAMETER_KEYS, key)
        types = raw["type"]
        fields: dict[str, Any] = {}
        for limit in ("range", "length", "bytes", "count"):
            if limit in raw:
                fields[limit] = span(raw[limit], f"{key}.{limit}")
        for field in ("unit", "caution", "note", "keys", "pattern"):
            if field in raw:
                fields[field] = text(raw, field, key)
        for field in ("any_case", "callback", "open"):
            if field in raw:
                fields[field] = flag(raw, field, key)
        for field in ("keys", "pattern"):
            if field in fields:
                _pattern(fields[field], f"{key}.{field}")
        if "allowed" in raw:
            fields["allowed"] = self._list(raw["allowed"], f"{key}.allowed")
        if "size" in raw:
            fields["size"] = _size(raw["size"], f"{key}.size")
        if "step" in raw:
            fields["step"] = numbers([raw["step"]], f"{key}.step")[0]
        if "forms" in raw:
            fields["forms"] = tuple(word(form, FORMS, f"{key}.forms") for form in raw["forms"])
        if "item" in raw:
            fields["item"] = self._item(raw["item"], f"{key}.item")
        if "values" in raw:
            fields["values"] = self.parameter(name, raw["values"], source, table, f"{key}.values")
        if "properties" in raw:
            fields["properties"] = {
                inner: self.parameter(inner, value, source, table, f"{key}.properties.{inner}")
                for inner, value in raw["properties"].items()
            }
        source = raw.get("source", source)
        hold = self._held(raw.get("hold"), source, key)
        if raw.get("soft"):
            fields["soft"] = self._soft(raw["soft"], f"{key}.soft")
        if raw.get("tolerate"):
            fields["tolerate"] = self._tolerance(raw["tolerate"], table, f"{key}.tolerate")
        if "required" in raw:
            fields["required"] = _required(raw, key)
        return Parameter(
            name=name,
            types=tuple(word(one, TYPES, f"{key}.type") for one in ([types] if isinstance(types, str) else types)),
            source=source,
            hold=hold,
            default=raw.get("default"),
            **fields,
        )

    def rule(self, raw: Any, source: str, key: str) -> Rule:
        """One rule, by name or in full. Raises: DataError."""
        if isinstance(raw, str):
            shared = self._tables.section("rules")
            raw = shared[word(raw, shared, key)]
        raw = as_table(raw, key)
        closed(raw, RULE_KEYS, key)
        kind = word(raw.get("rule"), KINDS, f"{key}.rule")
        for field in KINDS[kind]:
            if field not in raw:
                raise DataError(key, f"a rule {kind!r} needs {field!r}")
        if kind == "difference-of" and len(texts(raw["of"], f"{key}.of")) != 2:
            raise DataError(f"{key}.of", "must name two parameters: first minus second")
        source = raw.get("source", source)
        return Rule(
            kind=kind,
            message=text(raw, "message", key),
            source=source,
            hold="warn" if kind in NOTES else self._held(raw.get("hold"), source, key),
            parameter=text(raw, "for", key) if "for" in raw else "",
            others=texts(raw.get("of", []), f"{key}.of"),
            count=span(raw["count"], f"{key}.count") if "count" in raw else None,
            allowed=self._list(raw.get("allowed", []), f"{key}.allowed"),
            range=span(raw["range"], f"{key}.range") if "range" in raw else None,
            only=condition(raw["with"], f"{key}.with") if "with" in raw else (),
            when=condition(raw["when"], f"{key}.when") if "when" in raw else (),
            unless=condition(raw["unless"], f"{key}.unless") if "unless" in raw else (),
        )

    def _held(self, hold: Any, source: Any, key: str) -> Hold:
        """The hold of a source: several sources refuse together when one of them would."""
        if hold is not None:
            return word(hold, ("refuse", "warn"), f"{key}.hold")
        holds = [self._holds[word(one, self._holds, f"{key}.source")] for one in str(source).split(", ")]
        return "refuse" if "refuse" in holds else "warn"

    def _list(self, value: Any, key: str) -> tuple[object, ...]:
        if isinstance(value, str):
            value = self._lists[word(value, self._lists, key)]
        if not isinstance(value, list):
            raise DataError(key, "must be a list, or the name of one")
        return tuple(cast(list[object], value))

    def _item(self, raw: Any, key: str) -> Mapping[str, object]:
        item = dict(closed(as_table(raw, key), ITEM_KEYS, key))
        if "formats" in item:
            item["formats"] = self._list(item["formats"], f"{key}.formats")
        return item

    def _soft(self, raw: Any, key: str) -> Mapping[str, str]:
        for limit, source in closed(as_table(raw, key), LIMITS, key).items():
            self._held(None, source, f"{key}.{limit}")
        return raw

    def _tolerance(self, raw: Any, table: str, key: str) -> Tolerance:
        if not isinstance(raw, dict):
            return Tolerance(source=table, allowed=self._list(raw, key))
        rows = closed(as_table(raw, key), TOLERATE_KEYS, key)
        spans = {limit: span(rows[limit], f"{key}.{limit}") for limit in ("range", "count", "length") if limit in rows}
        return Tolerance(
            source=str(rows.get("source", table)),
            allowed=self._list(rows.get("allowed", []), f"{key}.allowed"),
            **spans,
        )


def spellings(raw: Any, key: str) -> Mapping[str, Spelling]:
    """A table of friendly spellings. Raises: DataError."""
    if not raw:
        return EMPTY
    built: dict[str, Spelling] = {}
    for name, value in as_table(raw, key).items():
        row = closed(as_table(value, f"{key}.{name}"), SPELLING_KEYS, f"{key}.{name}")
        to: Any = row.get("to", [])
        shape = word(row.get("shape", "same"), SHAPES, f"{key}.{name}.shape")
        targets = texts([to] if isinstance(to, str) else to, f"{key}.{name}.to")
        built[name] = Spelling(targets, shape, as_table(row.get("values", {}), f"{key}.{name}.values"))
    return built


def _pattern(pattern: str, key: str) -> None:
    try:
        re.compile(pattern)
    except re.error as error:
        raise DataError(key, f"is no pattern: {error}") from error


def _required(raw: Raw, key: str) -> Required | None:
    hold: Hold = word(raw.get("required_hold", "refuse"), ("refuse", "warn"), f"{key}.required_hold")
    required = raw["required"]
    if isinstance(required, bool):
        return Required(hold) if required else None
    rows = closed(as_table(required, f"{key}.required"), frozenset({"when", "unless"}), f"{key}.required")
    when, unless = (condition(rows.get(part, {}), f"{key}.required.{part}") for part in ("when", "unless"))
    return Required(hold, when, unless)


def _size(raw: Any, key: str) -> Size:
    rows = closed(as_table(raw, key), SIZE_KEYS, key)
    spans = {name: span(rows[name], f"{key}.{name}") for name in ("edge", "pixels") if name in rows}
    multiple, ratio = (
        numbers([rows[name]], f"{key}.{name}")[0] if name in rows else None for name in ("multiple", "ratio")
    )
    return Size(multiple=int(multiple or 1), ratio=ratio, **spans)
