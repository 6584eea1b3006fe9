"""The pages of the FAQ and of what the bot did."""

from django.urls import reverse
from django.utils import timezone

from routing.demo.faq import load_faq
from routing.faq import editing
from routing.models import BotTurn, FaqEntry
from tests.browser.scene import Scene
from tests.builders import TESTER
from tests.routing.bot.builders import make_with_bot


def faq_pages(scene: Scene) -> dict[str, str]:
    """Publish the demo's entries, change one of them, and let the bot answer and hand over."""
    now = timezone.now()
    load_faq(tenant=scene.tenant, by=TESTER, now=now)
    entry = FaqEntry.objects.get(tenant=scene.tenant, slug="track-parcel", language="en")
    FaqEntry.objects.filter(pk=entry.pk).update(shown=120, answered=48, helpful=31, unhelpful=5)
    editing.change_entry(entry=entry, changes={"answer": f"{entry.answer}\n\n- by e-mail\n- in the app"}, by=TESTER, now=now)
    talk = make_with_bot(scene.tenant, "Where is my parcel?", "No, I want to talk to a human")
    made = {"tenant": scene.tenant, "conversation": talk, "at": now}
    turn = BotTurn.objects.create(seq=1, action="answer", reason="sure", entry=entry, score=0.83, was_helpful=False, **made)
    BotTurn.objects.create(seq=2, action="hand_over", reason="request", data={"collected": {"order_number": "A-1042"}}, **made)
    return {
        "FAQ": reverse("admin:routing_faqentry_changelist"),
        "FAQ entry": reverse("admin:routing_faqentry_change", args=[entry.pk]),
        "new FAQ entry": reverse("admin:routing_faqentry_add"),
        "FAQ import": reverse("admin:routing_faqentry_import"),
        "turns of the bot": reverse("admin:routing_botturn_changelist"),
        "turn of the bot": reverse("admin:routing_botturn_change", args=[turn.pk]),
    }
