"""Articles that a text asks for: by its words, and by what it means.

Words are compared first: what shares most of them is meant. Then comes what means the same in other words, or in another language, by the
sentence vectors that the bot answers with. What shares only some words is shown where there is nothing better.

The encoder of the sentences takes a second or two to load. No visitor waits for that: it loads in the background when one opens the portal,
and until then words alone answer. It runs in the web process, since a text takes it a few milliseconds, less than the way to a worker and
back, and since the desk's suggestions and the API load it there too. A process whose portal no one opens does not load it.
"""

import re
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache

from posthaste.lib.process_state import on_reset
from routing.configuration import bot
from routing.faq import published, search
from routing.intents import readiness
from routing.portal import articles
from routing.portal.articles import Article

MAX_QUERY = 200
#: Of tenants and languages, in the memory of a process.
MAX_PREPARED = 16
LATIN, HAN = re.compile(r"[^\W_\u3400-\u9fff]{2,}"), re.compile(r"[\u3400-\u9fff]+")
#: Words that say nothing about what is asked.
SMALL_WORDS = "the and for you your our are is it its to of in on at my me we do does did how what when where can could"
EMPTY = frozenset(SMALL_WORDS.split())
QUESTION, PHRASING, ANSWER = 4.0, 3.0, 1.0
#: From this score on, words are as sure as vectors: a question has most of them. The figures in docs/portal.md are with this one.
SURE = 2.5


@dataclass(frozen=True, slots=True)
class _Prepared:
    """An article and the words of its texts, each text as a line of words between spaces: looking into a line takes a microsecond."""

    article: Article
    question: str
    phrasings: tuple[str, ...]
    answer: str

    def score(self, wanted: Counter[str]) -> float:
        asked = max((QUESTION * _share(wanted, self.question), *(PHRASING * _share(wanted, one) for one in self.phrasings)))
        return asked + ANSWER * _share(wanted, self.answer)


@lru_cache(maxsize=MAX_PREPARED)
def _prepared(tenant_id: int, language: str, revision: int) -> Sequence[_Prepared]:
    """Return what is published, ready to be searched; kept until another revision is."""
    return [
        _Prepared(one, _line_of(one.question), tuple(map(_line_of, one.phrasings)), _line_of(one.answer))
        for one in articles.published(tenant_id, language)
    ]


on_reset(_prepared.cache_clear)


def find(tenant_id: int, language: str, text: str, *, limit: int = 10) -> list[Article]:
    """Return the articles that a text may ask for, the best first."""
    text = text[:MAX_QUERY]
    wanted = _words(text)
    if not wanted:
        return []
    revision = published.revision(tenant_id)  # before the articles, so that a change in between is seen next time
    every = _prepared(tenant_id, language, revision)
    own = {one.article.slug: one.article for one in every}
    by_meaning = [own[slug] for slug in _alike(tenant_id, text, limit) if slug in own] if revision else []
    scored = sorted((-one.score(wanted), place) for place, one in enumerate(every))
    best = -scored[0][0] if scored else 0.0
    # What shares one word of many with a question is no answer to it.
    by_words = [(-score, every[place].article) for score, place in scored if score < 0 and -score >= best / 3]
    sure = [article for score, article in by_words if score >= SURE]
    found = [*sure, *by_meaning] or [article for _score, article in by_words]
    return list({article.slug: article for article in found}.values())[:limit]


def prepare(tenant_id: int) -> None:
    """Begin to load what a search by meaning needs, where there is something to find: a visitor has come, and will search or write."""
    if published.revision(tenant_id):
        readiness.encoder.is_ready()


def _alike(tenant_id: int, text: str, limit: int) -> list[str]:
    """Return the addresses of the entries that mean what a text does, the likeliest first; none while the encoder is not loaded."""
    if not readiness.encoder.is_ready():
        return []
    least = bot.of(tenant_id).offer_percent / 100  # what is less alike the bot would not offer either
    return [one.entry.slug for one in search.find(tenant_id, text, limit=limit) if one.score >= least]


def _words(text: str) -> Counter[str]:
    """Return the words of a text that say something; of what is written without spaces, pairs of characters."""
    text = text.lower()
    found = Counter(word for word in LATIN.findall(text) if word not in EMPTY)
    for run in HAN.findall(text):
        found.update([run[place : place + 2] for place in range(len(run) - 1)] or [run])
    return found


def _line_of(text: str) -> str:
    return f" {' '.join(_words(text))} "


def _share(wanted: Counter[str], line: str) -> float:
    """Return which part of the wanted words a line has; a word also counts that only begins alike, such as in another number."""
    hits = sum(count for word, count in wanted.items() if f" {word} " in line or _begins_alike(word, line))
    return hits / wanted.total()


def _begins_alike(word: str, line: str) -> bool:
    return len(word) >= 4 and word.isascii() and f" {word[: max(4, len(word) - 2)]}" in line
