"""The two sides of a service desk in real browsers: a visitor of another site, and staff at their desks, before the running product."""

from typing import Any
from uuid import uuid4

from django.conf import settings

from tests.integration.customer import Customer, asked
from tests.integration.stack import Http, Stack
from tests.integration.waiting import poll
from tests.peers.shop import Shop

MS = 90_000
PHONE, WIDE = {"width": 390, "height": 844}, {"width": 1440, "height": 900}
SITE = "https://shop.example.com"
#: Agents, who see their groups only, and one who leads them.
STAFF = {"Lin": "viewer", "Mei": "viewer", "Lea": "operator"}
GROUPS = {"returns": "Returns", "general": "General"}
#: What the first group answers; all else goes to the other one.
ROUTES = [{"intent": intent, "skill_group": "returns"} for intent in ("return_request", "refund_status")]
SKILLS = {"Lin": ("returns",), "Mei": ("returns", "general")}
NEW_STAFF = """
from django.conf import settings
from django.test import Client
from accounts.models import ApiKey, Member, User
tenant = ApiKey.objects.get(prefix="%s").tenant
for name, role in %r.items():
    user = User.objects.create(username=f"{name}-{tenant.pk}", is_staff=True)
    Member.objects.create(tenant=tenant, user=user, role=role)
    client = Client()
    client.force_login(user)
    print(name, user.username, client.cookies[settings.SESSION_COOKIE_NAME].value)
"""


def made(answer: Any) -> dict[str, Any]:
    """Return what a call has made."""
    assert answer.status == 201, answer.data
    found: dict[str, Any] = answer.json()
    return found


class Service:
    """A tenant whose desk was set up as the docs tell: intents, a group, a rule, two agents who are not there yet, and their lead."""

    def __init__(self, stack: Stack) -> None:
        self.stack = stack
        self.http: Http = Customer(stack).http
        self.sessions: dict[str, str] = {}
        self.agents: dict[str, str] = {}
        self._set_up()

    def _set_up(self) -> None:
        staff: dict[str, str] = {}
        for line in asked(self.stack, NEW_STAFF % (self.http.api_key.split("_")[2], STAFF)).splitlines():
            name, staff[name], self.sessions[name] = line.split()
        assert self.http.post("/api/intents/starting-set/").status in (200, 201)
        for name, title in GROUPS.items():
            made(self.http.post("/api/skill-groups/", {"name": name, "title": title}))
        rules = {"comment": "test", "content": {"routes": ROUTES, "fallback_group": "general"}}
        published = made(self.http.post("/api/config/modules/assignment/override/publish/", rules))
        for name, groups in SKILLS.items():
            body = {"user": staff[name], "name": name, "languages": ["zh", "en"], "skills": [{"group": group} for group in groups]}
            self.agents[name] = made(self.http.post("/api/agents/", body))["id"]
        poll(lambda: all(each["revision"] >= published["revision"] for each in self.stack.http.get("/api/config/instances/").json()))

    def entrance(self, kind: str, settings: dict[str, Any], secrets: dict[str, str] | None = None) -> str:
        """Make an entrance and return its id."""
        body = {"name": f"{kind} {uuid4().hex[:8]}", "kind": kind, "settings": settings, "secrets": secrets or {}}
        return str(made(self.http.post("/api/entrances/", body))["id"])

    def portal(self, *sites: str, slug: str = "") -> str:
        """Make a portal entrance that sites may show, and return its id."""
        return self.entrance("portal", {"slug": slug, "sites": list(sites), "asks_email": False, "greeting_zh": "您好！"})

    def write(self, entrance: str, text: str) -> None:
        """Write as a new visitor of a portal whose browser has no WebSocket."""
        headers, chat = {"Origin": SITE}, f"/chat/{entrance}"
        token = made(self.http.post(f"{chat}/session/", key="", headers=headers))["token"]
        sent = self.http.post(f"{chat}/lines/", {"client_id": uuid4().hex, "text": text}, key=token, headers=headers)
        assert sent.status == 202, sent.data

    def conversation(self, text: str) -> dict[str, Any]:
        """Return the conversation that begins with a text; empty: there is none."""
        found = self.http.get("/api/conversations/").json()["results"]
        return next((each for each in found if each["last_seq"] and self.lines(each["id"])[0]["text"] == text), {})

    def lines(self, conversation: str) -> list[dict[str, Any]]:
        """Return what was written in a conversation."""
        lines: list[dict[str, Any]] = self.http.get(f"/api/conversations/{conversation}/lines/").json()["results"]
        return lines

    def listed(self, path: str, **query: str) -> list[dict[str, Any]]:
        """Return the first page of a list of the API."""
        rows: list[dict[str, Any]] = self.http.get(path, **query).json()["results"]
        return rows


def complaints(page: Any) -> list[str]:
    """Collect what a page's console complains of, but for sockets, which may be cut."""
    said: list[str] = []
    page.on("console", lambda line: said.append(line.text) if line.type in ("error", "warning") and "/ws/" not in line.text else None)
    page.on("pageerror", lambda error: said.append(str(error)))
    return said


class Visitor:
    """Someone with a phone on the page of a shop, which embeds the chat."""

    def __init__(self, browser: Any, shop: Shop) -> None:
        self.context = browser.new_context(viewport=PHONE, has_touch=True, locale="zh-CN")
        self.context.set_default_timeout(MS)
        self.page = self.context.new_page()
        self.said = complaints(self.page)
        self.page.goto(shop.origin)
        self.page.locator("posthaste-chat").wait_for(state="attached")

    def open(self) -> Any:
        """Open the chat and return its frame, once its script listens."""
        with self.page.expect_event("framenavigated", lambda frame: "/chat/" in frame.url) as opened:
            self.page.locator("posthaste-chat").tap()
        self.chat = opened.value
        self.chat.locator(".greeting", has_text="您好").wait_for()
        self.chat.wait_for_load_state("load")
        return self.chat

    def write(self, text: str) -> None:
        """Write a line."""
        self.chat.locator("#text").fill(text)
        self.chat.locator("#text").press("Enter")

    def sees(self, text: str) -> None:
        """Wait until a line stands in the conversation."""
        self.chat.locator(".line:not([data-pending])", has_text=text).wait_for()

    def lines(self) -> list[str]:
        """Return what the chat shows, in its order."""
        texts: list[str] = self.chat.locator(".line:not(.system) .bubble > p").all_inner_texts()
        return texts

    def is_live(self) -> None:
        """Wait until the chat says that it is connected, which it does for some seconds."""
        self.chat.locator("#connection[data-state=live]").get_by_text("已连接").wait_for(state="attached")


class AtDesk:
    """A member of staff in a browser of their own."""

    def __init__(self, browser: Any, service: Service, name: str) -> None:
        self.base_url = service.stack.base_url
        self.context = browser.new_context(viewport=WIDE, locale="en-GB")
        self.context.set_default_timeout(MS)
        cookie = {"name": settings.SESSION_COOKIE_NAME, "value": service.sessions[name]}
        self.context.add_cookies([{**cookie, "url": self.base_url}])
        self.page = self.context.new_page()
        self.said = complaints(self.page)

    def open(self, path: str = "/desk/") -> Any:
        """Open a page."""
        self.page.goto(f"{self.base_url}{path}")
        return self.page

    def come_online(self) -> None:
        """Open the desk, and say that one is there."""
        self.open()
        self.is_live()
        self.page.locator("#presence").click()
        self.page.locator("#desk-menu [role=option]").get_by_text("Online", exact=True).click()
        self.page.locator("#presence").get_by_text("Online", exact=True).wait_for()

    def row(self, text: str) -> Any:
        """Return the row of the list whose conversation ends with a text, once it is there."""
        row = self.page.locator(".item:not(.loading):not([hidden])", has_text=text)
        row.wait_for()
        return row

    def take_up(self, text: str) -> None:
        """Open the one conversation of the list by keyboard, which ends with a text."""
        self.row(text)
        self.page.keyboard.press("j")
        self.page.locator(".item.active", has_text=text).wait_for()
        self.page.keyboard.press("Enter")
        self.sees(text)

    def begin(self, text: str) -> None:
        """Begin to answer in the conversation that is open."""
        self.page.keyboard.press("r")
        self.page.locator("#composer-text:focus").wait_for()
        self.page.keyboard.type(text)

    def goes_on_writing(self) -> bool:
        """Change the answer and change it back: others are told of that, but not of each, and not again if it is lost."""
        self.page.keyboard.press("x")
        self.page.keyboard.press("Backspace")
        return True

    def send(self) -> None:
        """Send what was begun, and leave the field."""
        self.page.keyboard.press("Control+Enter")
        self.page.keyboard.press("Escape")

    def answer(self, text: str) -> None:
        """Answer, and wait until the line is stored."""
        self.begin(text)
        self.send()
        self.sees(text, author="agent")

    def sees(self, text: str, author: str = "customer") -> None:
        """Wait until a line stands in the conversation."""
        self.page.locator(f"#lines .from-{author}:not(.pending)", has_text=text).wait_for()

    def lines(self) -> list[str]:
        """Return what the conversation shows, in its order."""
        texts: list[str] = self.page.locator("#lines .line:not(.pending) .text").all_inner_texts()
        return texts

    def resolve(self) -> None:
        """Resolve the conversation that is open."""
        self.page.keyboard.press("e")
        self.page.locator("#toasts").get_by_text("Resolved").first.wait_for()

    def is_live(self) -> None:
        """Wait until the page is connected and knows who sits at it."""
        self.page.locator("#live-state[data-state=live]").wait_for()
        self.page.locator("#presence").wait_for()
