"""The demo's templates and providers: every channel works at once, through the sandbox."""

from typing import Any

from accounts.selectors import Tenant
from accounts.services.audit import Actor
from messaging.channels.registry import CHANNELS
from messaging.content import editing
from messaging.models import Provider, Template
from messaging.providers.editing import create_provider

TEMPLATES: list[dict[str, Any]] = [
    {
        "name": "login-code",
        "channel": "sms",
        "description": "One-time code",
        "body": "{{ code }} is your Posthaste code. It expires in {{ minutes | default: 10 }} minutes.",
        "variables": [{"name": "code", "required": True, "example": "493817"}, {"name": "minutes", "required": False, "example": 10}],
    },
    {
        "name": "order-shipped",
        "channel": "email",
        "description": "Order on its way",
        "subject": "Your order {{ order }} is on its way",
        "html": "<h1>Hello {{ name }}</h1><p>Your order <strong>{{ order }}</strong> has left our warehouse.</p>"
        '{% if link %}<p><a href="{{ link }}">Follow it</a></p>{% endif %}',
        "variables": [
            {"name": "name", "required": True, "example": "Ada"},
            {"name": "order", "required": True, "example": "A-1042"},
            {"name": "link", "required": False, "example": "https://example.com/track/A-1042"},
        ],
    },
    {
        "name": "outage-notice",
        "channel": "wecom",
        "description": "System failure, priority 10",
        "body": "[{{ level | upcase }}] {{ system }} is down since {{ since }}.",
        "variables": [
            {"name": "level", "required": False, "example": "critical"},
            {"name": "system", "required": True, "example": "Billing"},
            {"name": "since", "required": True, "example": "14:02"},
        ],
    },
]


def load_messaging(*, tenant: Tenant, by: Actor) -> None:
    """Make the demo's templates and stand-in providers where they are missing."""
    for channel in CHANNELS:
        if not Provider.objects.filter(tenant=tenant, channel=channel, is_stand_in=True).exists():
            provider = Provider(tenant=tenant, name=f"Sandbox {channel}", channel=channel, kind="sandbox", is_stand_in=True)
            create_provider(provider=provider, config={"receipts": "delivered"}, by=by)
    for wanted in TEMPLATES:
        if Template.objects.filter(tenant=tenant, name=wanted["name"]).exists():
            continue
        template = Template(tenant=tenant, name=wanted["name"], channel=wanted["channel"], description=wanted["description"])
        wording = {name: wanted.get(name, "") for name in ("subject", "body", "html")} | {"variables": wanted["variables"]}
        editing.create_template(template=template, wording=wording, publish=True, by=by)
