"""What the demo's agents have in hand: conversations that they have taken, answered, marked and put off."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta

from django.db import transaction

from accounts.services.audit import Actor
from routing.assignment import holding
from routing.contract import Incoming, SenderName
from routing.conversations import lines, replies
from routing.customers import identities
from routing.desk import noting, snoozing, tagging
from routing.models import Agent, AuthorKind, Conversation, ConversationStatus, Entrance, IdentityKind, SkillGroup
from routing.processing.taking_in import new_conversation
from routing.service_levels import conversations

#: Their addresses; where a conversation of one is there already, none is made again.
MAIL_OF = "{name}@customers.example"
CONFIDENCE = 0.94


@dataclass(frozen=True, kw_only=True, slots=True)
class Talk:
    """A conversation that an agent has. `lines`: minutes ago, and what was written; what an agent wrote begins with `> `.

    What was written 0 minutes ago is a reply that is really sent, so that there is a trace to look at.
    """

    agent: str
    mail: str
    name: str
    subject: str = ""
    language: str
    intent: str
    group: str
    also: tuple[str, float] = ("", 0.0)
    priority: int = 5
    tags: tuple[str, ...] = ()
    note: str = ""
    snoozed_hours: int = 0
    lines: tuple[tuple[int, str], ...]


TALKS: tuple[Talk, ...] = (
    Talk(
        agent="Alex", mail="hanna.lindqvist", name="Hanna Lindqvist", subject="Order A-1061 arrived without the shade", language="en",
        intent="delivery_damaged", group="orders", also=("delivery_missing", 0.04), priority=7, tags=("vip",),
        lines=(
            (58, "Hello, order A-1061 came this morning. The floor lamp is there, but the shade is not in the box."),
            (49, "> Hello Hanna, I am sorry about that. Was there a second parcel number in the confirmation?"),
            (12, "No, only one. We have guests on Saturday, so it would be great to have it by then."),
        ),
    ),
    Talk(
        agent="Alex", mail="zhao.min", name="赵敏", subject="订单 A-1058 想换颜色", language="zh",
        intent="order_cancel", group="orders", also=("delivery_address_change", 0.08),
        lines=(
            (37, "你好，订单 A-1058 还没发货的话，可以把黑色换成米白色吗？"),
            (22, "> 您好，已经帮您查到订单，目前还在备货，可以更换。米白色同价，确认要换吗？"),
            (6, "确认，麻烦尽快，谢谢！"),
        ),
    ),
    Talk(
        agent="Alex", mail="peter.novak", name="Peter Novák", subject="Opening hours of the Berlin shop", language="en",
        intent="", group="general",
        lines=(
            (95, "Hi, are you open on the 24th of December?"),
            (80, "> Hello Peter, yes, until 14:00."),
            (2, "Great. And do you have the paper lanterns there?"),
            (0, "> We do, in three sizes. Shall I put some aside for you?"),
        ),
    ),
    Talk(
        agent="Alex", mail="isabel.costa", name="Isabel Costa", subject="Exchange of two wall lamps", language="en",
        intent="delivery_damaged", group="orders", tags=("return",), snoozed_hours=20,
        note="Waits for the parcel, it should be here tomorrow morning.",
        lines=(
            (340, "Two of the six wall lamps flicker. Can I exchange them?"),
            (325, "> Of course. Please use the label in this e-mail, and we send new ones as soon as they are scanned."),
            (290, "Sent today, thank you."),
            (280, "> Perfect, I will write when they are here."),
        ),
    ),
    Talk(
        agent="Mei", mail="sun.wei", name="孙伟", subject="发票抬头开错了", language="zh",
        intent="invoice", group="billing", also=("payment_methods", 0.05),
        lines=(
            (44, "发票抬头少了两个字，能重开吗？订单 A-1033"),
            (31, "> 可以的，请把正确的抬头和税号发给我。"),
            (15, "上海明远国际贸易有限公司，税号 91310000MA1K4B1X2T"),
        ),
    ),
    Talk(
        agent="Mei", mail="olga.petrenko", name="Olga Petrenko", subject="Where is order A-1049?", language="en",
        intent="order_status", group="orders", also=("delivery_time", 0.11),
        lines=(
            (72, "The tracking page has shown the same place for three days."),
            (61, "> I have asked the carrier, and write to you as soon as they answer."),
        ),
    ),
    Talk(
        agent="Mei", mail="ma.lili", name="马丽丽", language="zh", subject="预约上门安装", intent="delivery_time", group="orders",
        lines=((20, "周六上午可以送货并安装吗？"),),
    ),
    Talk(
        agent="Tom", mail="daniel.weber", name="Daniel Weber", subject="Dimmer does not pair with the app", language="en",
        intent="fault_report", group="technical", also=("account_login", 0.07), priority=7, tags=("warranty",),
        note="@Alex the new firmware may help, I try it on our test lamp first.",
        lines=(
            (130, "The dimmer blinks red and the app does not find it. I have tried two phones."),
            (118, "> Thank you, that helps. Which version does the app show under Settings?"),
            (97, "4.2.1"),
        ),
    ),
    Talk(
        agent="Tom", mail="grace.okafor", name="Grace Okafor", subject="Refund for A-0988", language="en",
        intent="refund_status", group="billing",
        lines=(
            (210, "I sent the lamp back two weeks ago and see no money."),
            (196, "> It was booked yesterday, your bank needs up to three working days."),
        ),
    ),
)  # fmt: skip


@transaction.atomic
def load_inbox(*, entrance: Entrance, agents: Mapping[str, Agent], groups: Mapping[str, SkillGroup], now: datetime) -> None:
    """Make the conversations that agents have in hand, where there are none of these customers."""
    for talk in TALKS:
        agent = agents.get(talk.agent)
        address = MAIL_OF.format(name=talk.mail)
        if agent is None or Conversation.objects.filter(entrance=entrance, identity__value=address).exists():
            continue
        _load(entrance, talk, agent, groups.get(talk.group), now)


def _load(entrance: Entrance, talk: Talk, agent: Agent, group: SkillGroup | None, now: datetime) -> None:
    sender = SenderName(IdentityKind.EMAIL, MAIL_OF.format(name=talk.mail), verified=True, name=talk.name)
    began = now - timedelta(minutes=talk.lines[0][0])
    identity = identities.resolve(sender, tenant_id=entrance.tenant_id, language=talk.language, now=began)
    conversation = new_conversation(entrance, identity, Incoming(external_id="", sender=sender, subject=talk.subject), now=began)
    conversation.status, conversation.group, conversation.priority = ConversationStatus.QUEUED, group, talk.priority
    conversation.language, conversation.intent = talk.language, talk.intent
    conversation.confidence = CONFIDENCE if talk.intent else None
    conversation.decision = {"basis": "intent" if talk.intent else "fallback", "intent": talk.intent, "group": talk.group}
    conversation.queued_at = conversation.group_since = began
    conversation.save(force_insert=True)
    own = Actor.of_user(agent.user)
    for number, (minutes, text) in enumerate(talk.lines):
        _write(conversation, talk, agent, text, now - timedelta(minutes=minutes), is_new=minutes == 0)
        if number == 0:
            holding.claim(conversation=conversation, agent=agent, by=own, now=began + timedelta(minutes=1))
    if talk.tags:
        tagging.tag(conversation=conversation, add=talk.tags, by=own, now=now)
    if talk.note:
        mentioned = Agent.objects.filter(tenant_id=entrance.tenant_id, name="Alex").exclude(pk=agent.pk) if "@Alex" in talk.note else ()
        noting.add_note(conversation=conversation, agent=agent, text=talk.note, mentions=[each.pk for each in mentioned], by=own, now=now)
    if talk.snoozed_hours:
        snoozing.snooze(conversation=conversation, until=now + timedelta(hours=talk.snoozed_hours), by=own, now=now)


def _write(conversation: Conversation, talk: Talk, agent: Agent, text: str, at: datetime, *, is_new: bool) -> None:
    """Write a line as it would have come in, or been sent. No message carries what is old: it would count as one that took an hour."""
    if text.startswith("> ") and is_new:
        author = replies.Author(agent=agent)
        replies.reply(conversation=conversation, author=author, text=text[2:], by=Actor.of_user(agent.user), now=at)
        return
    if text.startswith("> "):
        lines.append(conversation, author=AuthorKind.AGENT, agent=agent, text=text[2:], now=at)
        conversations.agent_replied(conversation.pk, now=at)
        return
    alternative, sure = talk.also
    recognition = {
        "intent": talk.intent,
        "confidence": CONFIDENCE if talk.intent else 0.2,
        "alternatives": [[alternative, sure]] if alternative else [],
        "language": talk.language,
    }
    lines.append(conversation, author=AuthorKind.CUSTOMER, text=text, recognition=recognition, now=at)
    conversations.customers_wrote([conversation.pk], now=at)
