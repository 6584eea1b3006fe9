"""客户联系 and applications: customers, follow-ups and tags stay in step, a welcome is sent once and in time, employees are answered."""

import re
from datetime import timedelta
from typing import Any

import pytest
from django.utils import timezone

from messaging.channels.base import CannotCompose
from messaging.delivery.deliver import deliver
from messaging.models import Message, Status
from routing.contract import Incoming, Reply
from routing.conversations import attachments, replies
from routing.conversations.replies import Author
from routing.entrances import registry
from routing.entrances.wecom_app.kind import AppAdapter
from routing.entrances.wecom_contact import asking
from routing.entrances.wecom_kf import pulling
from routing.links import using
from routing.models import Arrival, Conversation, Entrance, EntranceKind, Follow, Identity, SkillGroup, Welcome
from tests.builders import TESTER
from tests.peers.wecom import AGENT, CUSTOMER, KF, WeCom
from tests.routing.builders import make_way
from tests.routing.entrances.builders import call_back, lines_of, make_wecom

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.both_stacks]


@pytest.fixture
def contacts(wecom: WeCom) -> Entrance:
    return make_wecom(EntranceKind.WECOM_CONTACT, wecom)


def event(entrance: Entrance, wecom: WeCom, change: str, *, times: int = 1, **more: Any) -> None:
    """Let something happen at WeCom, and call back about it."""
    wecom.caller.address = ""
    fields: dict[str, Any] = {}
    wecom.caller.send = lambda said, **_: fields.update(said) or []  # type: ignore[method-assign]
    wecom.contact_event(change, **more)
    assert {call_back(entrance, wecom, fields).content for _ in range(times)} == {b"success"}


def test_a_customer_who_is_added_five_times_said_is_kept_once_and_welcomed_once(contacts: Entrance, wecom: WeCom) -> None:
    make_way(contacts, state="shop-7")
    event(contacts, wecom, "add_external_contact", state="shop-7", times=5)
    assert wecom.calls.total() == 0  # nothing is asked for in the callback

    lines_of(contacts)

    follow = Follow.objects.select_related("identity__customer").get()
    assert (follow.identity.value, follow.user_id, follow.state) == (CUSTOMER, AGENT, "shop-7")
    assert [(said.call, said.body["text"]["content"]) for said in wecom.sent] == [("externalcontact/send_welcome_msg", "您好,欢迎!")]
    assert Welcome.objects.get().state == "sent"


def test_a_welcome_that_is_late_is_not_sent_and_says_so(contacts: Entrance, wecom: WeCom) -> None:
    make_way(contacts, state="shop-7")
    event(contacts, wecom, "add_external_contact", state="shop-7")
    arrival = Arrival.objects.get()
    arrival.body["sent_at"] = (timezone.now() - timedelta(seconds=21)).isoformat()
    arrival.save()
    lines_of(contacts)
    assert (Welcome.objects.get().state, wecom.sent) == ("late", [])


def test_a_welcome_whose_worker_was_killed_is_not_sent_again(contacts: Entrance, wecom: WeCom, monkeypatch: pytest.MonkeyPatch) -> None:
    make_way(contacts, state="shop-7")
    event(contacts, wecom, "add_external_contact", state="shop-7")
    enrich = asking.enrich

    def dies(entrance: Any, incoming: Incoming) -> Incoming:
        enrich(entrance, incoming)
        raise RuntimeError("killed behind the welcome")

    kind = registry.KINDS["wecom_contact"]
    object.__setattr__(kind, "enrich", dies)
    try:
        with pytest.raises(AssertionError):
            lines_of(contacts)
    finally:
        object.__setattr__(kind, "enrich", enrich)
    Arrival.objects.update(lease_until=None)
    lines_of(contacts)
    assert (len(wecom.sent), Welcome.objects.count(), Follow.objects.count()) == (1, 1, 1)


def test_tags_are_kept_changed_and_renamed(contacts: Entrance, wecom: WeCom) -> None:
    event(contacts, wecom, "add_external_contact")
    wecom.follow(tags=("VIP",))
    event(contacts, wecom, "edit_external_contact")
    lines_of(contacts)
    assert [tag["name"] for tag in Follow.objects.get().tags] == ["VIP"]

    wecom.tag_groups[0]["tag"][0]["name"] = "Gold"
    call_back(contacts, wecom, wecom._event("change_external_tag", ChangeType="update", Id="etVIP", TagType="tag"))
    lines_of(contacts)
    assert [tag["name"] for tag in Follow.objects.get().tags] == ["Gold"]


@pytest.mark.parametrize(("change", "reason"), [("del_external_contact", "employee"), ("del_follow_user", "customer")])
def test_a_follow_up_ends_with_its_reason(contacts: Entrance, wecom: WeCom, change: str, reason: str) -> None:
    event(contacts, wecom, "add_external_contact")
    lines_of(contacts)
    event(contacts, wecom, change)
    lines_of(contacts)
    follow = Follow.objects.get()
    assert (follow.end_reason, follow.ended_at is not None) == (reason, True)


def test_a_failed_transfer_is_noted_and_ends_nothing(contacts: Entrance, wecom: WeCom) -> None:
    event(contacts, wecom, "add_external_contact")
    event(contacts, wecom, "transfer_fail", FailReason="customer_refused")
    lines_of(contacts)
    follow = Follow.objects.get()
    assert follow.ended_at is None


def test_an_event_that_wecom_can_not_explain_yet_is_tried_again(contacts: Entrance, wecom: WeCom) -> None:
    event(contacts, wecom, "add_external_contact")
    wecom.answer_error(call="externalcontact/get", code=-1)
    with pytest.raises(AssertionError):
        lines_of(contacts)
    Arrival.objects.update(lease_until=None)
    lines_of(contacts)
    assert Identity.objects.get().name == "李四"


def test_later_texts_of_a_customer_go_to_the_group_of_the_contact_way(contacts: Entrance, wecom: WeCom) -> None:
    group = SkillGroup.objects.create(tenant_id=contacts.tenant_id, name="shop-7", title="Shop 7", created_at=timezone.now())
    make_way(contacts, state="shop-7", group=group, welcome="")
    event(contacts, wecom, "add_external_contact", state="shop-7")
    lines_of(contacts)
    kf = make_wecom(EntranceKind.WECOM_KF, wecom)
    Entrance.objects.filter(pk=kf.pk).update(tenant_id=contacts.tenant_id)
    wecom.customer_writes("还有货吗")
    call_back(kf, wecom, wecom.kf_event())
    pulling.pull(kf.pk, KF)
    assert Arrival.objects.get(entrance=kf).body["group"] == "shop-7"


def test_an_employee_writes_to_an_application_and_is_answered(wecom: WeCom) -> None:
    app = make_wecom(EntranceKind.WECOM_APP, wecom, agent_id=1000002)
    fields: dict[str, Any] = {}
    wecom.caller.send = lambda said, **_: fields.update(said) or []  # type: ignore[method-assign]
    wecom.employee_writes("打印机坏了")
    for _ in range(5):
        call_back(app, wecom, fields)
    call_back(app, wecom, {**fields, "MsgId": "9", "AgentID": "7"})  # another application's
    (line,) = lines_of(app)
    assert (line.text, line.conversation.identity.kind, line.conversation.identity.value) == ("打印机坏了", "employee", AGENT)

    row = Conversation.objects.select_related("entrance").get()
    reply = replies.reply(conversation=row, author=Author(owner="key:x"), text="马上来" * 900, by=TESTER, now=timezone.now())
    assert reply.message_id
    deliver([reply.message_id])
    assert Message.objects.get(pk=reply.message_id).status == Status.SENT
    assert "".join(said.text for said in wecom.sent) == "马上来" * 900
    assert {(said.to, len(said.text.encode()) <= 2048) for said in wecom.sent} == {(AGENT, True)}


@pytest.mark.parametrize("by_channel", [False, True])
def test_files_for_an_employee_are_links_that_no_message_cuts(wecom: WeCom, by_channel: bool) -> None:
    app = make_wecom(EntranceKind.WECOM_APP, wecom, agent_id=1000002, by_channel=by_channel)
    fields: dict[str, Any] = {}
    wecom.caller.send = lambda said, **_: fields.update(said) or []  # type: ignore[method-assign]
    wecom.employee_writes("说明书")
    call_back(app, wecom, fields)
    lines_of(app)
    row, now = Conversation.objects.select_related("entrance").get(), timezone.now()
    owned: dict[str, Any] = {"tenant_id": app.tenant_id, "owner": "key:x", "now": now}
    files = [attachments.upload(name=f"{number}{'说明' * 50}.txt", content=b"hi", **owned).pk for number in range(10)]
    reply = replies.reply(conversation=row, author=Author(owner="key:x"), text="请看", file_ids=files, by=TESTER, now=now)
    body = Message.objects.get().body
    assert reply.message_id
    if not by_channel:
        deliver([reply.message_id])
        assert "".join(said.text for said in wecom.sent) == body
        assert len(wecom.sent) > 1
    pieces = [body] if by_channel else [said.text for said in wecom.sent]
    links = [word for piece in pieces for word in re.findall(r"/l/(\w+)/", piece)]
    assert [bool(using.find(link)) for link in links] == [True] * 10


def test_a_text_too_long_for_an_employee_is_not_sent_cut_off(wecom: WeCom) -> None:
    app = make_wecom(EntranceKind.WECOM_APP, wecom, agent_id=1000002)
    with pytest.raises(CannotCompose):
        AppAdapter().reply(registry.row_of(app), Reply("m", AGENT, "长" * 10_000, {}))
    assert not wecom.sent


def test_by_the_channel_wecom_if_it_is_set_so(wecom: WeCom) -> None:
    app = make_wecom(EntranceKind.WECOM_APP, wecom, agent_id=1000002, by_channel=True)
    fields: dict[str, Any] = {}
    wecom.caller.send = lambda said, **_: fields.update(said) or []  # type: ignore[method-assign]
    wecom.employee_writes("hallo")
    call_back(app, wecom, fields)
    lines_of(app)
    row = Conversation.objects.select_related("entrance").get()
    replies.reply(conversation=row, author=Author(owner="key:x"), text="ja", by=TESTER, now=timezone.now())
    assert (Message.objects.get().channel, Message.objects.get().recipient) == ("wecom", AGENT)
