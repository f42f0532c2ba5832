"""From plain tables to models. What a table leans on is looked up here; ``shape.py`` judges the tables themselves."""

from collections.abc import Iterator, Mapping
from typing import Any, cast

from evolink_mcp.registry.conditions import condition, span
from evolink_mcp.registry.reading import DataError, Files, Tables
from evolink_mcp.registry.rules import NOTES
from evolink_mcp.registry.spec import (
    EMPTY,
    ENDPOINTS,
    Endpoint,
    Flags,
    Hold,
    Making,
    Model,
    Parameter,
    Raw,
    Required,
    Rule,
    Size,
    Spelling,
    Tolerance,
)

_TABLE_SOURCES: Mapping[Endpoint, str] = {"image": "S1-table", "video": "S2-table", "audio": "docs"}
"""What ``tolerate`` means where it names no source: the reference's table for all models of an endpoint."""


_PLAIN = ("outcome", "mask", "wants_draft", "costs")


class Models(Mapping[str, Model]):
    """The built-in models by id, each built when it is first asked for: a call needs one of them, not all."""

    def __init__(self, files: Files) -> None:
        order: dict[str, int] = {}
        for names in files.common.section("order").values():
            order |= {name: place for place, name in enumerate(names)}
        self._files = files
        self._models: dict[str, Model | None] = dict.fromkeys(
            sorted(files.endpoints, key=lambda name: (_place(files.endpoints[name]), order.get(name, len(order))))
        )

    def __getitem__(self, name: str) -> Model:
        model = self._models[name]
        if model is None:
            model = self._models[name] = Builder(self._files.tables_of(name)).model(name)
        return model

    def __iter__(self) -> Iterator[str]:
        return iter(self._models)

    def __len__(self) -> int:
        return len(self._models)


def _place(endpoint: str) -> int:
    return ENDPOINTS.index(endpoint) if endpoint in ENDPOINTS else len(ENDPOINTS)


class Builder:
    """Builds models from tables whose shape is right."""

    def __init__(self, tables: Tables) -> None:
        self._tables = tables
        self._holds: dict[str, Hold] = {}
        for name, (hold, _) in tables.section("sources").items():
            self._holds[name] = _word(hold, ("refuse", "warn"), f"sources.{name}")

    def model(self, name: str) -> Model:
        """One model by its id.

        Raises:
            DataError: It leans on a name that is not there, or lacks what every model needs.
        """
        raw = self._tables.models[name]
        key = f"model.{name}"
        for field in ("kind", "provider", "description"):
            if field not in raw:
                raise DataError(key, f"has no {field}")
        endpoint = _word(raw.get("endpoint", raw["kind"]), ENDPOINTS, f"{key}.endpoint")
        source = raw.get("source", "docs")
        for capability in raw.get("capabilities", []):
            _word(capability, self._tables.section("capabilities"), f"{key}.capabilities")
        lists = ("capabilities", "aliases", "replacements", "markers", "follow_ups", "notes", "sources")
        plain = ("kind", "provider", "description", "beta", "status", "since", "superseded_by", "sound", "head", "open")
        shared: Raw = {"beta": False, "status": "active"}
        parameters = {**raw["parameters"], **self._tables.section("common")}
        return Model(
            id=name,
            endpoint=endpoint,
            parameters={
                parameter: self.parameter(parameter, value, source, endpoint, f"{key}.parameters.{parameter}")
                for parameter, value in parameters.items()
            },
            rules=tuple(self.rule(rule, source, f"{key}.rules.{at}") for at, rule in enumerate(raw.get("rules", []))),
            makes=tuple(_making(each) for each in raw.get("makes", ())),
            flags=self._flags(raw["flags"], f"{key}.flags") if "flags" in raw else None,
            example=raw.get("example", {}),
            spellings=spellings(raw.get("spellings", {})),
            **{field: tuple(raw.get(field, ())) for field in lists},
            **{field: raw[field] for field in plain if field in raw} | {f: raw.get(f, v) for f, v in shared.items()},
        )

    def parameter(self, name: str, raw: Raw, source: str, endpoint: Endpoint, key: str) -> Parameter:
        """One parameter; ``source`` is its model's.

        Raises:
            DataError: It leans on a name that is not there.
        """
        table = _TABLE_SOURCES[endpoint]
        fields: dict[str, Any] = {
            field: raw[field]
            for field in (
                "unit",
                "caution",
                "note",
                "keys",
                "pattern",
                "any_case",
                "callback",
                "open",
                "step",
                "soft",
                *_PLAIN,
            )
            if field in raw
        }
        fields |= {limit: span(raw[limit]) for limit in ("range", "length", "bytes", "count") if limit in raw}
        if "allowed" in raw:
            fields["allowed"] = self._list(raw["allowed"], f"{key}.allowed")
        if "size" in raw:
            fields["size"] = _size(raw["size"])
        if "forms" in raw:
            fields["forms"] = tuple(raw["forms"])
        if "item" in raw:
            fields["item"] = self._item(raw["item"], f"{key}.item")
        if "values" in raw:
            fields["values"] = self.parameter(name, raw["values"], source, endpoint, f"{key}.values")
        if "properties" in raw:
            fields["properties"] = {
                inner: self.parameter(inner, value, source, endpoint, f"{key}.properties.{inner}")
                for inner, value in raw["properties"].items()
            }
        source = raw.get("source", source)
        for limit, other in raw.get("soft", EMPTY).items():
            self._hold(None, other, f"{key}.soft.{limit}")
        if raw.get("tolerate"):
            fields["tolerate"] = self._tolerance(raw["tolerate"], table, f"{key}.tolerate")
        if raw.get("required"):
            fields["required"] = _required(raw["required"], raw.get("required_hold", "refuse"))
        types = raw["type"]
        return Parameter(
            name=name,
            types=(types,) if isinstance(types, str) else tuple(types),
            source=source,
            hold=self._hold(raw.get("hold"), source, f"{key}.source"),
            default=raw.get("default"),
            **fields,
        )

    def rule(self, raw: Any, source: str, key: str) -> Rule:
        """One rule, by name or in full.

        Raises:
            DataError: It leans on a name that is not there.
        """
        if isinstance(raw, str):
            shared = self._tables.section("rules")
            raw = shared[_word(raw, shared, key)]
        source = raw.get("source", source)
        hold = self._hold(raw.get("hold"), source, f"{key}.source")
        return Rule(
            kind=raw["rule"],
            message=raw["message"],
            source=source,
            hold="warn" if raw["rule"] in NOTES else hold,
            parameter=raw.get("for", ""),
            others=tuple(raw.get("of", ())),
            count=span(raw["count"]) if "count" in raw else None,
            allowed=self._list(raw.get("allowed", []), f"{key}.allowed"),
            range=span(raw["range"]) if "range" in raw else None,
            only=condition(raw.get("with", EMPTY)),
            when=condition(raw.get("when", EMPTY)),
            unless=condition(raw.get("unless", EMPTY)),
        )

    def _hold(self, hold: Hold | None, source: str, key: str) -> Hold:
        """How hard to hold what several sources say: one that refuses is enough."""
        holds = [self._holds[_word(one, self._holds, key)] for one in source.split(", ")]
        return hold or ("refuse" if "refuse" in holds else "warn")

    def _list(self, value: str | list[object], key: str) -> tuple[object, ...]:
        lists = self._tables.section("lists")
        return tuple(lists[_word(value, lists, key)] if isinstance(value, str) else value)

    def _flags(self, raw: Raw, key: str) -> Flags:
        lists = {name: self._list(value, f"{key}.{name}") for name, value in raw.items()}
        return Flags(**{name: tuple(map(str, flags)) for name, flags in lists.items()})

    def _item(self, raw: Raw, key: str) -> Mapping[str, object]:
        return raw | {"formats": self._list(raw["formats"], f"{key}.formats")} if "formats" in raw else raw

    def _tolerance(self, raw: Any, table: str, key: str) -> Tolerance:
        rows = cast(Raw, raw) if isinstance(raw, dict) else {"allowed": raw}
        return Tolerance(
            source=rows.get("source", table),
            allowed=self._list(rows.get("allowed", []), f"{key}.allowed"),
            **{limit: span(rows[limit]) for limit in ("range", "count", "length") if limit in rows},
        )


def spellings(raw: Raw) -> Mapping[str, Spelling]:
    """A table of friendly spellings."""
    return {
        name: Spelling(
            to=(row["to"],) if isinstance(row["to"], str) else tuple(row["to"]),
            shape=row.get("shape", "same"),
            values=row.get("values", EMPTY),
        )
        for name, row in raw.items()
    }


def _word(value: str, words: Any, key: str) -> Any:
    if value not in words:
        raise DataError(key, f"{value!r} is not one of: {', '.join(sorted(words))}")
    return value


def _required(raw: bool | Raw, hold: Hold) -> Required:
    rows = raw if isinstance(raw, dict) else {}
    return Required(hold, condition(rows.get("when", EMPTY)), condition(rows.get("unless", EMPTY)))


def _making(raw: Raw) -> Making:
    values = {name: value for name, value in raw.items() if name != "when"}
    return Making(values, condition(raw.get("when", EMPTY)))


def _size(raw: Raw) -> Size:
    spans = {name: span(raw[name]) for name in ("edge", "pixels") if name in raw}
    return Size(multiple=raw.get("multiple", 1), ratio=raw.get("ratio"), **spans)
