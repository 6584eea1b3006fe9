"""Published FAQ entries for visitors: listed, drawn, judged. `finding` searches them."""

from collections.abc import Iterable
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
TAGS = {
    *("p", "br", "h2", "h3", "h4", "ul", "ol", "li", "a", "strong", "em", "code", "pre", "blockquote", "hr"),
    *("table", "thead", "tbody", "tr", "th", "td"),
}
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
