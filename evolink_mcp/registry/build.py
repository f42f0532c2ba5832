"""From plain tables to models. The vocabulary is closed: a key or word it does not know is an error that names it."""

from collections.abc import Mapping
from difflib import get_close_matches
from typing import Any, cast

from .conditions import condition, numbers, span
from .reading import DataError, Tables, as_table
from .rules import KINDS
from .spec import EMPTY, Hold, Model, Parameter, Raw, Required, Rule, Size, Spelling, Tolerance

TYPES = frozenset(
    {"string", "integer", "number", "boolean", "url", "url-list", "string-list", "object", "object-list"}
)
STATUSES = frozenset({"active", "legacy", "placeholder", "name-only"})
FORMS = frozenset({"url", "data", "base64"})
LIMITS = frozenset({"value", "step", "length", "bytes", "count"})

MODEL_KEYS = frozenset(
    "kind endpoint provider description capabilities beta status aliases replacements parameters rules example notes "
    "sources source open spellings".split()
)
PARAMETER_KEYS = frozenset(
    "type required required_hold allowed range size step length bytes count any_case unit forms callback default source "
    "hold soft tolerate caution note item properties keys values open".split()
)
ITEM_KEYS = frozenset(
    "max_mb formats edge edge_min max_edge aspect pixels max_pixels seconds min_seconds max_seconds total_seconds fps "
    "pages codecs".split()
)
SIZE_KEYS = frozenset({"multiple", "edge", "pixels", "ratio"})
TOLERATE_KEYS = frozenset({"source", "allowed", "range", "count", "length"})
RULE_KEYS = frozenset("rule for of count allowed range with when unless source hold message".split())
SPELLING_KEYS = frozenset({"to", "shape", "values"})
SHAPES = frozenset({"same", "list", "single", "spread"})


class Builder:
    """Builds models from tables, sharing what the tables share."""

    def __init__(self, tables: Tables) -> None:
        self._tables = tables
        self._lists = tables.section("lists")
        self._capabilities = tables.section("capabilities")
        self._built: dict[tuple[int, str, str], Parameter] = {}
        self._holds: dict[str, Hold] = {}
        for name, (hold, _) in tables.section("sources").items():
            self._holds[name] = _word(hold, ("refuse", "warn"), f"sources.{name}")

    def model(self, name: str) -> Model:
        """One model by its id. Raises: DataError."""
        raw = self._tables.models[name]
        key = f"model.{name}"
        _known(raw, MODEL_KEYS, key)
        kind = _word(raw.get("kind"), ("image", "video", "asset"), f"{key}.kind")
        endpoint = _word(raw.get("endpoint", kind), ("image", "video"), f"{key}.endpoint")
        source = raw.get("source", "docs")
        table = {"image": "S1-table", "video": "S2-table"}[endpoint]
        parameters = {**self._tables.section("common"), **raw["parameters"]}
        capabilities = _texts(raw.get("capabilities", []), f"{key}.capabilities")
        for capability in capabilities:
            _word(capability, self._capabilities, f"{key}.capabilities")
        rules = raw.get("rules", [])
        return Model(
            id=name,
            kind=kind,
            endpoint=endpoint,
            provider=_text(raw, "provider", key),
            description=_text(raw, "description", key),
            capabilities=capabilities,
            beta=_flag(raw, "beta", key),
            status=_word(raw.get("status", "active"), STATUSES, f"{key}.status"),
            aliases=_texts(raw.get("aliases", []), f"{key}.aliases"),
            replacements=_texts(raw.get("replacements", []), f"{key}.replacements"),
            parameters={
                parameter: self.parameter(parameter, value, source, table, f"{key}.parameters.{parameter}")
                for parameter, value in parameters.items()
            },
            rules=tuple(self.rule(rule, source, f"{key}.rules.{index}") for index, rule in enumerate(rules)),
            example=as_table(raw.get("example", {}), f"{key}.example"),
            notes=_texts(raw.get("notes", []), f"{key}.notes"),
            sources=_texts(raw.get("sources", []), f"{key}.sources"),
            open=_flag(raw, "open", key),
            spellings=spellings(raw.get("spellings", {}), f"{key}.spellings"),
        )

    def parameter(self, name: str, raw: Raw, source: str, table: str, key: str) -> Parameter:
        """One parameter; the same table is built once. Raises: DataError."""
        seen = (id(raw), source, name)
        if seen not in self._built:
            self._built[seen] = self._parameter(name, raw, source, table, key)
        return self._built[seen]

    def _parameter(self, name: str, raw: Raw, source: str, table: str, key: str) -> Parameter:
        _known(raw, PARAMETER_KEYS, key)
        types = raw["type"]
        given: dict[str, Any] = {}
        for limit in ("range", "length", "bytes", "count"):
            if limit in raw:
                given[limit] = span(raw[limit], f"{key}.{limit}")
        for text in ("unit", "caution", "note", "keys"):
            if text in raw:
                given[text] = _text(raw, text, key)
        for flag in ("any_case", "callback", "open"):
            if flag in raw:
                given[flag] = _flag(raw, flag, key)
        if "allowed" in raw:
            given["allowed"] = self._list(raw["allowed"], f"{key}.allowed")
        if "size" in raw:
            given["size"] = _size(raw["size"], f"{key}.size")
        if "step" in raw:
            given["step"] = numbers([raw["step"]], f"{key}.step")[0]
        if "forms" in raw:
            given["forms"] = tuple(_word(form, FORMS, f"{key}.forms") for form in raw["forms"])
        if "item" in raw:
            given["item"] = self._item(raw["item"], f"{key}.item")
        if "values" in raw:
            given["values"] = self.parameter(name, raw["values"], source, table, f"{key}.values")
        if "properties" in raw:
            given["properties"] = {
                inner: self.parameter(inner, value, source, table, f"{key}.properties.{inner}")
                for inner, value in raw["properties"].items()
            }
        source = raw.get("source", source)
        hold = self._held(raw.get("hold"), source, key)
        if raw.get("soft"):
            given["soft"] = self._soft(raw["soft"], f"{key}.soft")
        if raw.get("tolerate"):
            given["tolerate"] = self._tolerance(raw["tolerate"], table, f"{key}.tolerate")
        if "required" in raw:
            given["required"] = _required(raw, key)
        return Parameter(
            name=name,
            types=tuple(_word(one, TYPES, f"{key}.type") for one in ([types] if isinstance(types, str) else types)),
            source=source,
            hold=hold,
            default=raw.get("default"),
            **given,
        )

    def rule(self, raw: Any, source: str, key: str) -> Rule:
        """One rule, by name or in full. Raises: DataError."""
        if isinstance(raw, str):
            shared = self._tables.section("rules")
            raw = shared[_word(raw, shared, key)]
        raw = as_table(raw, key)
        _known(raw, RULE_KEYS, key)
        kind = _word(raw.get("rule"), KINDS, f"{key}.rule")
        for field in KINDS[kind]:
            if field not in raw:
                raise DataError(key, f"a rule {kind!r} needs {field!r}")
        source = raw.get("source", source)
        return Rule(
            kind=kind,
            message=_text(raw, "message", key),
            source=source,
            hold=self._held(raw.get("hold"), source, key),
            parameter=_text(raw, "for", key) if "for" in raw else "",
            others=_texts(raw.get("of", []), f"{key}.of"),
            count=span(raw["count"], f"{key}.count") if "count" in raw else None,
            allowed=self._list(raw.get("allowed", []), f"{key}.allowed"),
            range=span(raw["range"], f"{key}.range") if "range" in raw else None,
            only=condition(raw.get("with", {}), f"{key}.with"),
            when=condition(raw.get("when", {}), f"{key}.when"),
            unless=condition(raw.get("unless", {}), f"{key}.unless"),
        )

    def _held(self, hold: Any, source: Any, key: str) -> Hold:
        """The hold of a source: several sources refuse together when one of them would."""
        if hold is not None:
            return _word(hold, ("refuse", "warn"), f"{key}.hold")
        holds = [self._holds[_word(one, self._holds, f"{key}.source")] for one in str(source).split(", ")]
        return "refuse" if "refuse" in holds else "warn"

    def _list(self, value: Any, key: str) -> tuple[object, ...]:
        if isinstance(value, str):
            value = self._lists[_word(value, self._lists, key)]
        if not isinstance(value, list):
            raise DataError(key, "must be a list, or the name of one")
        return tuple(cast(list[object], value))

    def _item(self, raw: Any, key: str) -> Mapping[str, object]:
        item = dict(_known(as_table(raw, key), ITEM_KEYS, key))
        if "formats" in item:
            item["formats"] = self._list(item["formats"], f"{key}.formats")
        return item

    def _soft(self, raw: Any, key: str) -> Mapping[str, str]:
        for limit, source in _known(as_table(raw, key), LIMITS, key).items():
            self._held(None, source, f"{key}.{limit}")
        return raw

    def _tolerance(self, raw: Any, table: str, key: str) -> Tolerance:
        if not isinstance(raw, dict):
            return Tolerance(source=table, allowed=self._list(raw, key))
        rows = _known(as_table(raw, key), TOLERATE_KEYS, key)
        spans = {limit: span(rows[limit], f"{key}.{limit}") for limit in ("range", "count", "length") if limit in rows}
        return Tolerance(
            source=str(rows.get("source", table)), allowed=self._list(rows.get("allowed", []), f"{key}.allowed"), **spans
        )


def spellings(raw: Any, key: str) -> Mapping[str, Spelling]:
    """A table of friendly spellings. Raises: DataError."""
    if not raw:
        return EMPTY
    built: dict[str, Spelling] = {}
    for name, value in as_table(raw, key).items():
        row = _known(as_table(value, f"{key}.{name}"), SPELLING_KEYS, f"{key}.{name}")
        to: Any = row.get("to", [])
        shape = _word(row.get("shape", "same"), SHAPES, f"{key}.{name}.shape")
        targets = _texts([to] if isinstance(to, str) else to, f"{key}.{name}.to")
        built[name] = Spelling(targets, cast(Any, shape), as_table(row.get("values", {}), f"{key}.{name}.values"))
    return built


def _required(raw: Raw, key: str) -> Required | None:
    hold: Hold = _word(raw.get("required_hold", "refuse"), ("refuse", "warn"), f"{key}.required_hold")
    required = raw["required"]
    if isinstance(required, bool):
        return Required(hold) if required else None
    rows = _known(as_table(required, f"{key}.required"), frozenset({"when", "unless"}), f"{key}.required")
    when, unless = (condition(rows.get(word, {}), f"{key}.required.{word}") for word in ("when", "unless"))
    return Required(hold, when, unless)


def _size(raw: Any, key: str) -> Size:
    rows = _known(as_table(raw, key), SIZE_KEYS, key)
    spans = {name: span(rows[name], f"{key}.{name}") for name in ("edge", "pixels") if name in rows}
    multiple, ratio = (numbers([rows[name]], f"{key}.{name}")[0] if name in rows else None for name in ("multiple", "ratio"))
    return Size(multiple=int(multiple or 1), ratio=ratio, **spans)


def _known(raw: Raw, keys: frozenset[str], key: str) -> Raw:
    for name in raw.keys() - keys:
        near = get_close_matches(name, keys, 1)
        raise DataError(f"{key}.{name}", f"unknown key{f'; did you mean {near[0]}?' if near else ''}")
    return raw


def _word(value: Any, words: Any, key: str) -> Any:
    """The value itself when it is one of the words."""
    if not isinstance(value, str) or value not in words:
        raise DataError(key, f"{value!r} is not one of: {', '.join(sorted(words))}")
    return value


def _text(raw: Raw, name: str, key: str) -> str:
    value = raw.get(name)
    if not isinstance(value, str) or not value:
        raise DataError(f"{key}.{name}", "must be a text")
    return value


def _texts(value: Any, key: str) -> tuple[str, ...]:
    items = cast(list[object], value) if isinstance(value, list) else None
    if items is None or not all(isinstance(item, str) for item in items):
        raise DataError(key, "must be a list of texts")
    return tuple(cast(list[str], items))


def _flag(raw: Raw, name: str, key: str) -> bool:
    value = raw.get(name, False)
    if not isinstance(value, bool):
        raise DataError(f"{key}.{name}", "must be true or false")
    return value
