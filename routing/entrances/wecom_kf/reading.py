"""What an item of `kf/sync_msg` is here: a text of the customer, or one of the kinds that `events` takes in."""

from collections.abc import Mapping

from routing.contract import Incoming, IncomingFile, SenderName
from routing.models import IdentityKind
from routing.wecom import items

ENTERED, FAILED, RECALLED, SERVICER = "entered", "send_failed", "recalled", "servicer"
ENDINGS = {"image": "jpg", "voice": "amr", "video": "mp4", "file": "bin"}


def incoming_of(item: items.Item, *, names: Mapping[str, str], groups: Mapping[str, str]) -> Incoming | None:
    """Return an item as something incoming; None: it says nothing that is kept. `names` and `groups` are by customer."""
    user = item.external_user_id
    if not user:
        return None
    details = {"open_kfid": item.open_kfid, "wrote_at": item.at.isoformat()}
    kind = "text"
    text, files = _content(item)
    match item:
        case items.SessionEntered():
            kind, details = ENTERED, {"scene": item.scene[:100], "scene_param": item.scene_param[:200]}
        case items.SendFailed():
            kind, details = FAILED, {"message_id": item.failed_id, "why": item.fail_type.name.lower()}
        case items.Recalled():
            kind, details = RECALLED, {"line": f"{item.open_kfid}:{item.recalled_id}"}
        case items.ServicerStatusChanged() | items.SessionStatusChanged():
            return None
        case _ if item.origin == items.Origin.SERVICER:
            kind, details = SERVICER, {"servicer": item.servicer}
        case _ if not item.is_from_customer:
            return None
    return Incoming(
        external_id=item.external_id,
        sender=SenderName(IdentityKind.WECOM, user, verified=True, name=names.get(user, "")),
        text=text,
        files=files,
        thread=item.open_kfid,
        sent_at=item.at,
        kind=kind,
        details=details,
        group=groups.get(user, "") if kind == "text" else "",
    )


def _content(item: items.Item) -> tuple[str, tuple[IncomingFile, ...]]:
    match item:
        case items.Text():
            return item.text, ()
        case items.Media():
            return "", (IncomingFile(name=f"{item.kind}.{ENDINGS.get(item.kind, 'bin')}", reference={"media_id": item.media_id}),)
        case items.Location():
            return " ".join(filter(None, (item.name, item.address, f"({item.latitude}, {item.longitude})"))), ()
        case items.Link():
            return "\n".join(filter(None, (item.title, item.text, item.url))), ()
        case items.BusinessCard():
            return f"[business_card] {item.user_id}", ()
        case items.MiniProgram():
            return f"[miniprogram] {item.title}".strip(), ()
        case items.OtherItem():
            return f"[{item.kind}]", ()
    return "", ()
