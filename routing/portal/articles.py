"""Published FAQ entries for visitors: listed, found, drawn, judged.

`search` compares words, and pairs of characters where there are no spaces. What finds by meaning can take its place.
"""

import re
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import lru_cache
from hashlib import sha256
from html import unescape
from uuid import UUID

import markdown
import nh3
from django.db.models import F, Q
from django.utils.safestring import SafeString, mark_safe
from markdown.extensions.toc import TocExtension

from posthaste.lib import redis
from routing.faq.rendering import bounded
from routing.models import FaqEntry, FaqState

#: Entries of a tenant that are looked at.
MAX_ENTRIES = 1_000
MAX_QUERY = 200
LATIN, HAN = re.compile(r"[^\W_\u3400-\u9fff]{2,}"), re.compile(r"[\u3400-\u9fff]+")
#: Words that say nothing about what is asked.
SMALL_WORDS = "the and for you your our are is it its to of in on at my me we do does did how what when where can could"
EMPTY = frozenset(SMALL_WORDS.split())
TAGS = {
    *("p", "br", "h2", "h3", "h4", "ul", "ol", "li", "a", "strong", "em", "code", "pre", "blockquote", "hr"),
    *("table", "thead", "tbody", "tr", "th", "td"),
}
QUESTION, PHRASING, ANSWER = 4.0, 3.0, 1.0
VOTE_SECONDS = 30 * 86_400


@dataclass(frozen=True, slots=True)
class Article:
    """An entry as it is published, which may be older than what is being edited."""

    id: UUID
    slug: str
    language: str
    category: str
    question: str
    answer: str
    phrasings: tuple[str, ...] = ()
    helpful: int = 0


def published(tenant_id: int, language: str) -> list[Article]:
    """Return what is published, by category: in the reader's language, and where an entry does not exist in it, in another."""
    rows = FaqEntry.objects.filter(~Q(published={}), tenant_id=tenant_id).exclude(state=FaqState.ARCHIVED)
    best: dict[str, Article] = {}
    for row in rows.order_by("category", "question", "pk")[:MAX_ENTRIES]:
        article = _article(row)
        known = best.get(article.slug)
        if known is None or (_fits(article, language) and not _fits(known, language)):
            best[article.slug] = article
    # Those in the reader's language first; a category that has none of them comes last.
    return sorted(best.values(), key=lambda one: (not _fits(one, language), one.category, -one.helpful, one.question))


def categories(articles: Iterable[Article]) -> dict[str, list[Article]]:
    """Return articles by category, in their order."""
    found: dict[str, list[Article]] = {}
    for article in articles:
        found.setdefault(article.category, []).append(article)
    return found


def find(tenant_id: int, language: str, slug: str) -> Article | None:
    """Return the article at an address, in the reader's language or else in another."""
    rows = FaqEntry.objects.filter(~Q(published={}), tenant_id=tenant_id, slug=slug).exclude(state=FaqState.ARCHIVED)
    found = sorted((_article(row) for row in rows), key=lambda one: not _fits(one, language))
    return found[0] if found else None


def search(tenant_id: int, language: str, text: str, *, limit: int = 10) -> list[Article]:
    """Return the articles that a text may ask for, the best first."""
    wanted = _words(text[:MAX_QUERY])
    if not wanted:
        return []
    scored = [(_score(article, wanted), place, article) for place, article in enumerate(published(tenant_id, language))]
    best = max((score for score, _place, _article in scored), default=0.0)
    # What shares one word of many with a question is no answer to it.
    good = [entry for entry in scored if entry[0] > 0 and entry[0] >= best / 3]
    return [article for _score, _place, article in sorted(good, key=lambda entry: (-entry[0], entry[1]))[:limit]]


def drawn(answer: str) -> SafeString:
    """Return an answer, which is Markdown, as HTML that can do nothing."""
    return mark_safe(_drawn(answer))  # cleaned below  # noqa: S308


@lru_cache(maxsize=512)
def _drawn(answer: str) -> str:
    html = markdown.markdown(bounded(answer), extensions=["sane_lists", "tables", "fenced_code", TocExtension(baselevel=2)])
    attributes = {"a": {"href", "title"}, "th": {"align"}, "td": {"align"}}
    return nh3.clean(html, tags=TAGS, attributes=attributes, url_schemes={"http", "https", "mailto", "tel"}, link_rel="noopener noreferrer")


def excerpt(answer: str, *, characters: int = 140) -> str:
    """Return how an answer begins, without its marks."""
    text = " ".join(unescape(nh3.clean(_drawn(answer), tags=set())).split())
    return text if len(text) <= characters else f"{text[:characters].rsplit(' ', 1)[0]}…"


def vote(article: Article, *, voter: str, is_helpful: bool) -> bool:
    """Count whether an article helped; False: this visitor has said so before, or it can't be counted now."""
    who = sha256(voter.encode()).hexdigest()[:32]
    try:
        is_first = redis.client().set(redis.key("help", "vote", article.id.hex, who), 1, nx=True, ex=VOTE_SECONDS)
    except redis.Unavailable:
        return False
    if not is_first:
        return False
    column = "helpful" if is_helpful else "unhelpful"
    return bool(FaqEntry.objects.filter(pk=article.id).update(**{column: F(column) + 1}))


def _article(row: FaqEntry) -> Article:
    said = row.published
    return Article(
        id=row.pk,
        slug=row.slug,
        language=row.language,
        category=row.category,
        question=str(said.get("question") or row.question),
        answer=str(said.get("answer") or row.answer),
        phrasings=tuple(map(str, said.get("phrasings") or ())),
        helpful=row.helpful,
    )


def _fits(article: Article, language: str) -> bool:
    return article.language.partition("-")[0] == language.partition("-")[0]


def _words(text: str) -> Counter[str]:
    """Return the words of a text that say something; of what is written without spaces, pairs of characters."""
    text = text.lower()
    found = Counter(word for word in LATIN.findall(text) if word not in EMPTY)
    for run in HAN.findall(text):
        found.update([run[place : place + 2] for place in range(len(run) - 1)] or [run])
    return found


def _share(wanted: Counter[str], text: str) -> float:
    """Return which part of the wanted words a text has; a word also counts that only begins alike, such as in another number."""
    there = _words(text)
    hits = sum(count for word, count in wanted.items() if word in there or _begins_alike(word, there))
    return hits / wanted.total()


def _begins_alike(word: str, there: Iterable[str]) -> bool:
    return len(word) >= 4 and word.isascii() and any(other.startswith(word[: max(4, len(word) - 2)]) for other in there)


def _score(article: Article, wanted: Counter[str]) -> float:
    phrasings: Sequence[str] = article.phrasings
    asked = max((QUESTION * _share(wanted, article.question), *(PHRASING * _share(wanted, one) for one in phrasings)))
    return asked + ANSWER * _share(wanted, article.answer)
