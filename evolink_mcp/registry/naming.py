"""Models by their whole name in other letters and signs, or with their maker's: ``Maker model V2`` for ``model-v2``."""

import unicodedata
from collections.abc import Iterable, Mapping, Sequence

from evolink_mcp.registry.bounds import MAX_NAME_CHARACTERS
from evolink_mcp.registry.spec import Model
from evolink_mcp.registry.wishes import tokens, words


class Naming:
    """The names of models in words, with people's words for their makers."""

    def __init__(self, models: Iterable[Model]) -> None:
        brands: Mapping[str, Sequence[str]] = words()["brands"]
        models = [*models]
        self._makers = {tuple(tokens(model.provider)) for model in models}
        self._models: dict[tuple[str, ...], dict[str, None]] = {}
        for model in models:
            for first, *rest in (tokens(name) for name in (model.id, *model.aliases)):
                for maker in (first, *brands.get(first, ())):
                    self._makers.add(tuple(tokens(maker)))
                    self._models.setdefault((*tokens(maker), *rest), {})[model.id] = None

    def resolve(self, name: str) -> str:
        """The one model of this name, also behind known makers and a slash (``openai/…``); empty where there is
        none, or several."""
        if len(name) > MAX_NAME_CHARACTERS:
            return ""
        plain = unicodedata.normalize("NFKC", name)  # of unusual hyphens and full-width letters the usual ones
        *makers, last = plain.split("/")
        behind_makers = all(tuple(tokens(maker)) in self._makers for maker in makers)
        for each in (plain, last) if behind_makers else ():
            ids = [*self._models.get(tuple(tokens(each)), ())]
            if len(ids) == 1:
                return ids[0]
        return ""
