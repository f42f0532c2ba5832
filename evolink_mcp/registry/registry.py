"""The registry: models by name, and a call checked against one of them."""

from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from functools import cached_property
from itertools import islice, takewhile
from time import monotonic
from typing import TYPE_CHECKING, cast

from evolink_mcp.registry import checking, search
from evolink_mcp.registry.bounds import MAX_NAME_CHARACTERS
from evolink_mcp.registry.build import Builder, spellings
from evolink_mcp.registry.outcome import Outcomes
from evolink_mcp.registry.reading import Tables
from evolink_mcp.registry.spec import EMPTY, ENDPOINTS, Checked, Endpoint, FileFacts, Model, Parameter

if TYPE_CHECKING:
    from evolink_mcp.registry.matching import Finder, Matches, Prices
    from evolink_mcp.registry.naming import Naming

SEEDS = frozenset({"S0", "S1", "S2", "S3", "S4"})
"""The documents this project was written from, as sources of models."""


class Registry:
    """What every model takes. Immutable; ``load`` makes it."""

    def __init__(
        self,
        tables: Tables,
        models: Mapping[str, Model],
        *,
        allow_unlisted: bool = False,
        overlay_problems: list[str] | None = None,
    ) -> None:
        self.models = models
        """Every model by id, images before videos, each in the order of the reference tables."""
        self.allow_unlisted = allow_unlisted
        self.overlay_problems: list[str] = overlay_problems or []
        """What is wrong with the overlay, one line each, naming file and key."""
        self.defaults: Mapping[str, str] = {**dict.fromkeys(ENDPOINTS, ""), **tables.section("default_models")}
        """The model of a call that names none, by endpoint; empty where there is none."""
        self.hints = cast(Mapping[str, list[str]], tables.section("hints"))
        self.synonyms = cast(Mapping[str, list[str]], tables.section("synonyms"))
        """Other words for values with one meaning, in lower case, each with the values it may stand for."""
        self.closed: frozenset[str] = frozenset(tables.section("closed"))
        """Parameters S1 to S4 give to named models only: refused elsewhere even where a page is not fully known."""
        self.spellings = spellings(tables.section("spellings"))
        self.sources = {name: str(row[1]) for name, row in tables.section("sources").items()}
        """What each source name in notes and tables stands for."""
        self._short_forms = cast(Mapping[str, list[str]], tables.section("capabilities"))
        self.outcomes = Outcomes(tables.section("outcomes"))
        """How a result is held against its request."""
        builder = Builder(tables)
        self.common: Mapping[str, Parameter] = {
            name: builder.parameter(name, raw, "docs", "image", f"common.{name}")
            for name, raw in tables.section("common").items()
        }

    @cached_property
    def _aliases(self) -> Mapping[str, str]:
        return {alias: model.id for model in self.models.values() for alias in model.aliases}

    @cached_property
    def _naming(self) -> "Naming":
        from evolink_mcp.registry.naming import Naming  # what most calls do without

        return Naming(model for model in self.models.values() if model.status != "placeholder")

    @cached_property
    def _takers(self) -> Mapping[tuple[str, str], list[str]]:
        takers: dict[tuple[str, str], list[str]] = {}
        for model in self.models.values():
            inside = (inner for one in model.parameters.values() for inner in one.properties)
            for name in {*model.parameters, *inside}:
                takers.setdefault((model.endpoint, name), []).append(model.id)
        return takers

    def takers(self, endpoint: str, parameter: str) -> Sequence[str]:
        """The models of an endpoint that take a parameter, at the top or inside another."""
        return self._takers.get((endpoint, parameter), ())

    def compare(self, ids: Collection[str]) -> tuple[list[str], list[str]]:
        """Against a list of ids: the callable models that it lacks, by id, and the ids that are not known here."""
        absent = [
            model.id
            for model in self.models.values()
            if model.status != "placeholder" and not {model.id, *model.aliases} & {*ids}
        ]
        return absent, sorted(each for each in ids if self.get(each) is None)

    def link_names(self, name: str) -> frozenset[str]:
        """Every parameter of a model that holds links to files, nested ones and friendly spellings included.

        For a model that is not listed: those of all models.
        """
        model = self.get(name)
        models = self.models.values() if model is None else (model,)
        names = {name for one in models for name in _link_names(one.parameters)}
        friendly = {**self.spellings, **(model.spellings if model else {})}
        return frozenset(names | {name for name, spelling in friendly.items() if names & {*spelling.to}})

    def get(self, name: str) -> Model | None:
        """A model by its exact id or alias."""
        return self.models.get(name) or self.models.get(self._aliases.get(name, ""))

    def spelled(self, name: str) -> str:
        """The id that ``name`` is in any case; ``name`` itself where there is none."""
        return next((id for id in self.models if id.lower() == name.lower()), name)

    def meant(self, name: str) -> str:
        """The id of the one callable model whose whole name this is in other letters, signs, or words for its maker:
        ``Midjourney v7``. ``name`` itself where there is none, or several."""
        if self.get(name) is not None or self.allow_unlisted:
            return name
        return self._naming.resolve(name) or name

    def prominent(self) -> list[Model]:
        """What a list shows without being asked for more: the models of the seeds, the present one of each family, and
        the user's own."""
        return [
            model
            for model in self.models.values()
            if model.head or not model.sources or not SEEDS.isdisjoint(model.sources)
        ]

    def names(self, kind: str | None = None) -> list[str]:
        """Ids in order. ``image``, ``video`` and ``audio`` take in all behind that endpoint, ``asset`` what
        makes no media."""
        return [model.id for model in self.models.values() if search.of_kind(model, kind)]

    def nearest(self, name: str, *, kind: str | None = None, count: int = 3) -> list[str]:
        """The callable models with the most similar names or descriptions; the default and other active models where
        none is similar; for a placeholder, the models it stands for."""
        name = name[:MAX_NAME_CHARACTERS]  # each name there is is compared with it
        known = self.get(name)
        if known is not None and known.status == "placeholder":
            return list(known.replacements[:count])
        models = [model for model in self.models.values() if search.of_kind(model, kind)]
        known_as = [each for each in self._finder.resolve_nickname(name) if search.of_kind(self.models[each], kind)]
        alike = search.nearest(models, name, count, self.defaults.values())
        return list(dict.fromkeys([*known_as, *alike]))[:count]

    def search(
        self,
        *,
        kind: str | None = None,
        capability: str | Sequence[str] | None = None,
        query: str | None = None,
        prices: "Prices" = EMPTY,
    ) -> "Matches":
        """The models that fit, best first, each with the reason.

        Without a query they are all that have the kind and every capability, in the order of the registry. A query in
        plain words finds at most ten; what nobody fits is said, and the nearest shown. Capabilities may be given in
        short (``t2v``). ``prices`` order what a query wants cheap.
        """
        from evolink_mcp.registry.matching import Match, Matches  # what most calls do without

        capabilities = [capability] if isinstance(capability, str) else capability or ()
        models = [model for model in self.models.values() if search.of_kind(model, kind)]
        models = search.able(models, capabilities, self._short_forms)
        if not query or not query.strip():
            return Matches([Match(model) for model in models])
        return self._finder.find(query, [model.id for model in models], prices)

    def wants_price(self, query: str) -> bool:
        """Whether a query in plain words asks for a low price."""
        return self._finder.wants_price(query)

    def facts(self, name: str) -> str:
        """What one chooses a model by, in one line: seconds, tiers, sound, inputs, quick or careful."""
        return self._finder.facts(name)

    @cached_property
    def _finder(self) -> "Finder":
        from evolink_mcp.registry.matching import Finder

        return Finder(self.models.values(), self.defaults.values())

    def alternatives(
        self,
        name: str,
        count: int = 3,
        params: Mapping[str, object] | None = None,
        files: Mapping[str, FileFacts] = EMPTY,
        seconds: float = float("inf"),
    ) -> list[str]:
        """Other models that can do the same, what replaces it first; empty for a name that is not listed.

        With ``params`` those that take this very call, with nothing in it that their pages do not list. The search for
        them ends after ``seconds``.
        """
        model = self.get(name)
        if model is None:
            return []
        names: Iterable[str] = model.replacements
        if model.status != "placeholder":
            names = search.alternatives(self.models.values(), model, any_ability=params is not None)
        if params is not None:
            end = monotonic() + seconds
            names = takewhile(lambda _: monotonic() < end, names)
            names = (other for other in names if self._takes(other, model.endpoint, params, files))
        return list(islice(names, count))

    def _takes(
        self, name: str, endpoint: Endpoint, params: Mapping[str, object], files: Mapping[str, FileFacts]
    ) -> bool:
        checked = self.check(endpoint, name, params, files)
        return not checked.problems and not checked.doubts

    def check(
        self,
        endpoint: Endpoint,
        name: str,
        params: Mapping[str, object],
        files: Mapping[str, FileFacts] = EMPTY,
    ) -> Checked:
        """A call held against the model of that id or alias, before it is sent.

        ``files`` holds, by link, what is known of local files that will be uploaded in its place.

        Answers with every problem at once, and with the parameters to send: those given, normalised where the
        document says so, None left out, nothing added.
        """
        return checking.check(self, endpoint, name, params, files)


def _link_names(parameters: Mapping[str, Parameter]) -> Iterator[str]:
    for name, parameter in parameters.items():
        if not parameter.callback and {"url", "url-list"} & {*parameter.types}:
            yield name
        yield from _link_names(parameter.properties)
        if parameter.values is not None:
            yield from _link_names({name: parameter.values})
