"""Find published entries by what a text means."""

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, NamedTuple

from posthaste.lib.blank import is_blank

if TYPE_CHECKING:
    from routing.faq.index import Entry

MAX_TEXTS = 10


class Found(NamedTuple):
    """An entry, and how alike it and the text are, 0 to 1."""

    entry: "Entry"
    score: float


def find(
    tenant_id: int,
    text: str | Sequence[str],
    language: str = "",
    limit: int = 3,
    *,
    intents: Mapping[str, float] | None = None,
    is_for_bot: bool = False,
) -> list[Found]:
    """Return the published entries that a text, or one of several, asks for, the likeliest first.

    They are of the given language; without one, of any. `intents` are those that were
    recognized, with their confidence. The first call in a process loads the sentence encoder, which takes 1.5 s and 150 MB.

    Raises:
        UnknownEncoder: the encoder's files are missing.
    """
    texts = [one for one in ([text] if isinstance(text, str) else text) if not is_blank(one)][-MAX_TEXTS:]
    if not texts or limit < 1:
        return []
    from routing.faq.index import indexes  # loads numpy, which only processes that search need

    index = indexes.of(tenant_id)
    if index is None:
        return []
    scores = index.scores(texts, intents)
    found: list[Found] = []
    for place in scores.argsort()[::-1]:
        entry = in_language(index.groups[place], language)
        if entry is not None and (entry.is_for_bot or not is_for_bot):
            found.append(Found(entry, round(min(max(float(scores[place]), 0.0), 1.0), 4)))
            if len(found) == limit:
                break
    return found


def in_language(group: "Mapping[str, Entry]", language: str) -> "Entry | None":
    """Return the entry of a language among those of one address: `zh-hans` finds `zh` too. Any, if the language is not known."""
    wanted = language.lower()
    if not wanted or wanted == "und":
        return next(iter(group.values()))
    return group.get(wanted) or group.get(wanted.partition("-")[0])
