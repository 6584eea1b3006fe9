"""The kind of entrance `wecom_kf`: its settings and its adapter."""

from django.utils.translation import gettext, gettext_lazy
from django.utils.translation import gettext_noop as _

from configcenter.hot import setting
from routing.contract import EntranceRow, Parsed, Reply
from routing.entrances.registry import Kind, declare
from routing.entrances.wecom_callback import SUCCESS, WeComAdapter, WeComSecrets, WeComSettings, fetch, probed
from routing.entrances.wecom_kf import quota, sending, sessions, wanted
from routing.entrances.wecom_kf.events import HANDLERS
from routing.models import AttributeSource, EntranceKind
from routing.wecom import callbacks

#: Registered by their modules, which have to be imported for it.
HOOKS = (quota.keep, sessions.end_later)


class KfSettings(WeComSettings):
    """Which accounts, and what becomes of their sessions."""

    accounts: list[str] = setting(
        list, _("Accounts"), _("The open_kfid of each account that is served, one per line. Empty: all."), widget="lines", max_length=200
    )
    ends_sessions: bool = setting(True, _("End sessions"), _("Resolving a conversation ends its session in WeCom."))
    asks_rating: bool = setting(False, _("Ask for a rating"), _("The customer gets a link to rate with when a conversation is resolved."))


class KfAdapter(WeComAdapter):
    """A callback only says that there is something to fetch."""

    def read(self, entrance: EntranceRow, said: callbacks.Callback) -> Parsed:
        accounts = entrance.settings.get("accounts") or ()
        if not isinstance(said, callbacks.KfNews) or not said.open_kfid or (accounts and said.open_kfid not in accounts):
            return Parsed(answer=SUCCESS)
        return Parsed(answer=SUCCESS, wanted=[{"open_kfid": said.open_kfid[:64], "token": said.token}])

    def reply(self, entrance: EntranceRow, reply: Reply) -> str:
        return sending.send(entrance, reply)


def probe(entrance: EntranceRow) -> str:
    """Return which accounts the secret can see."""
    return probed(
        entrance,
        lambda client: gettext("Accounts: {names}.").format(
            names=", ".join(f"{one.name} ({one.open_kfid})" for one in client.accounts()) or gettext("none")
        ),
    )


declare(
    Kind(
        code=EntranceKind.WECOM_KF,
        title=gettext_lazy("WeCom customer service"),
        adapter=KfAdapter(),
        Settings=KfSettings,
        Secrets=WeComSecrets,
        handlers=HANDLERS,
        fetch=fetch,
        want=wanted.want,
        probe=probe,
        source=AttributeSource.WECOM,
    )
)
