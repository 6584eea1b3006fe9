"""What customers see at `/help/`, the pages of its links, and the ratings in the admin."""

from django.urls import reverse

from routing.models import LinkPurpose
from tests.browser.scene import Scene
from tests.routing.builders import make_customer, make_entrance, make_identity
from tests.routing.links.builders import make_link, path_of
from tests.routing.portal.builders import make_article, make_form
from tests.routing.satisfaction.builders import make_agent, make_answered, make_asked_for, make_rating

ANSWER = "# 这样做\n\n1. 打开 *我的订单*\n2. **选择** 订单\n\n> 通常两天内送达。\n\n| 方式 | 天数 |\n|---|---|\n| 标准 | 2 |\n\n`A-1042`"
TEXTS = {"title": "Lamps", "title_zh": "灯具店", "greeting_zh": "您好！需要什么帮助？", "slug": "lamps", "accent": "teal"}


def portal_pages(scene: Scene) -> dict[str, str]:
    """Make a portal with articles, forms and ratings, and return the addresses of the pages by name."""
    tenant = scene.tenant
    entrance = make_entrance(tenant, name="Lamps", settings=TEXTS)
    for language in ("en", "zh"):
        make_article(tenant, "late", "包裹迟到了怎么办", ANSWER, language=language, category="配送")
    make_form(tenant, name="money_back", title_zh="退款")
    make_form(tenant, name="other", title="Something else", title_zh="其他")
    agent = make_agent(tenant, "Lin")
    make_rating(make_answered(entrance, agent=agent), score=2, comment="等了太久", agent=agent)
    asked = make_asked_for(entrance, agent=agent)
    goes = {"entrance": str(entrance.pk), "identity": str(make_identity(make_customer(tenant)).pk)}
    here = reverse("help-home", args=["lamps"])
    return {
        "portal": here,
        "chat": f"{here}chat/",
        "chat in the widget": f"{here}chat/?embedded=1",
        "articles": f"{here}articles/",
        "articles found": f"{here}articles/?q=包裹",
        "no article found": f"{here}articles/?q=xyzzy",
        "article": f"{here}a/late/",
        "forms of requests": f"{here}request/",
        "form of a request": f"{here}request/?type=money_back",
        "my requests": f"{here}requests/",
        "a request of another": f"{here}requests/1/",
        "nothing in the portal": f"{here}a/nothing/",
        "shop with the widget": f"{here}demo/",
        "rating by a link": path_of(make_link(tenant, LinkPurpose.SATISFACTION, data={"rating": str(asked.pk)})),
        "going on elsewhere": path_of(make_link(tenant, LinkPurpose.SIGN_IN, data=goes, max_uses=1)),
        "ratings": reverse("admin:routing_satisfaction_changelist"),
        "rating": reverse("admin:routing_satisfaction_change", args=[asked.pk]),
    }
