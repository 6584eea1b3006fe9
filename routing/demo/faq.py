"""The demo's FAQ: twenty questions to a shop, in English and Chinese, published; and a bot that answers with them in the website chat."""

from collections.abc import Sequence
from datetime import datetime
from pathlib import Path

import orjson

from accounts.selectors import Tenant
from accounts.services.audit import Actor
from configcenter.services import items, releases
from routing.faq import csv_files, review
from routing.models import FaqEntry, FaqState

FILE = Path(__file__).parent / "faq.csv"
DETAILS = [
    {
        "intent": "delivery_missing",
        "name": "order_number",
        "question": "Which order is it? Its number begins with A-.",
        "question_zh": "请问订单号是多少？以 A- 开头。",
        "pattern": "A-?[0-9]{4}",
    }
]


def load_faq(*, tenant: Tenant, by: Actor, now: datetime) -> int:
    """Publish the demo's entries where the tenant has none, and return their number."""
    if FaqEntry.objects.filter(tenant=tenant).exists():
        return 0
    report = csv_files.check_file(tenant_id=tenant.pk, content=FILE.read_bytes())
    csv_files.import_file(tenant_id=tenant.pk, report=report, by=by, now=now)
    for entry in FaqEntry.objects.filter(tenant=tenant, state=FaqState.DRAFT).order_by("pk"):
        review.publish_entry(entry=entry, by=by, now=now)
    return len(report.new)


def publish_bot(*, tenant: Tenant, entrances: Sequence[str], by: Actor) -> None:
    """Switch the bot on at some entrances, unless the tenant has settings of its own."""
    item = items.module_item("bot", tenant=tenant)
    if item.current is None and item.draft is None:
        settings = {"is_enabled": True, "entrances": list(entrances), "details": DETAILS}
        releases.publish(item=item, content=orjson.dumps(settings).decode(), comment="Demo", by=by)
