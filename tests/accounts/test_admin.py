"""The admin's access side: roles, tenants kept apart, keys shown once, translations and tokens complete."""

import ast
import re
from pathlib import Path

import pytest
from django.contrib import admin
from django.test import Client
from django.urls import reverse
from django.utils import timezone, translation
from django.utils.functional import Promise

from accounts.models import ApiKey, AuditEntry, Member, Tenant, User
from accounts.roles import Role
from accounts.services.api_keys import issue_api_key, recognise
from posthaste.env import ROOT
from posthaste.ui import badges
from tests.builders import TESTER

pytestmark = pytest.mark.django_db


def tenant(slug: str) -> Tenant:
    return Tenant.objects.get_or_create(slug=slug, defaults={"name": slug.title()})[0]


def staff(name: str, role: str | None = None, owner: Tenant | None = None, *, superuser: bool = False) -> Client:
    user = User.objects.create(username=name, is_staff=True, is_superuser=superuser)
    if role and owner:
        Member.objects.create(user=user, tenant=owner, role=role)
    client = Client()
    client.force_login(user)
    return client


@pytest.mark.parametrize(
    ("role", "seen", "unseen"),
    [
        (
            Role.VIEWER,
            ["messaging_message", "messaging_batch", "messaging_template", "messaging_provider", "accounts_tenant"],
            ["accounts_apikey", "accounts_member", "accounts_auditentry", "accounts_user"],
        ),
        (
            Role.OPERATOR,
            ["messaging_message", "messaging_receiptentry"],
            ["accounts_apikey", "accounts_auditentry"],
        ),
        (
            Role.OWNER,
            ["accounts_apikey", "accounts_member", "accounts_auditentry"],
            ["accounts_user"],
        ),
    ],
)
def test_a_role_opens_its_pages_and_no_others(role: str, seen: list[str], unseen: list[str]) -> None:
    client = staff("someone", role, tenant("mine"))
    for name in seen:
        assert client.get(reverse(f"admin:{name}_changelist")).status_code == 200, name
    for name in unseen:
        assert client.get(reverse(f"admin:{name}_changelist")).status_code == 403, name


def test_the_admin_has_pages_for_rows_of_this_project_only() -> None:
    assert {model.__module__.partition(".")[0] for model in admin.site._registry} == {"accounts", "messaging", "routing"}


def test_adding_needs_the_role_for_it() -> None:
    owner = tenant("mine")
    viewer, author, operator = staff("v", Role.VIEWER, owner), staff("a", Role.AUTHOR, owner), staff("o", Role.OPERATOR, owner)
    assert viewer.get(reverse("admin:messaging_template_add")).status_code == 403
    assert author.get(reverse("admin:messaging_template_add")).status_code == 200
    assert author.get(reverse("admin:messaging_provider_add")).status_code == 403
    assert operator.get(reverse("admin:messaging_provider_add")).status_code == 200
    assert operator.get(reverse("admin:accounts_apikey_add")).status_code == 403


def test_a_member_sees_only_the_own_tenants_keys_members_and_trail() -> None:
    mine, other = tenant("mine"), tenant("other")
    client = staff("owner", Role.OWNER, mine)
    staff("stranger", Role.OWNER, other)
    issue_api_key(tenant=mine, name="Key of mine", scopes=["messages:send"], by=TESTER)
    foreign, _clear = issue_api_key(tenant=other, name="Key of the other", scopes=["messages:send"], by=TESTER)
    AuditEntry.objects.create(tenant=other, actor="user:stranger", action="secret.thing")
    for name in ("apikey", "member", "auditentry", "tenant"):
        page = client.get(reverse(f"admin:accounts_{name}_changelist")).content.decode()
        assert "Key of the other" not in page
        assert "stranger" not in page
        assert ">Other<" not in page
    assert client.get(reverse("admin:accounts_apikey_change", args=[foreign.pk])).status_code in (302, 404)
    assert client.post(reverse("admin:accounts_apikey_revoke", args=[foreign.pk])).status_code == 404
    assert "Key of the other" not in client.get(reverse("admin:accounts_apikey_changelist"), {"tenant": other.pk}).content.decode()
    foreign.refresh_from_db()
    assert foreign.revoked_at is None


def test_only_a_superuser_lets_a_tenant_operate_the_installation_and_a_person_configure_it() -> None:
    mine = tenant("mine")
    page = reverse("admin:accounts_tenant_change", args=[mine.pk])
    form = {"name": "Mine", "slug": "mine", "weight": "1", "is_active": "on", "is_operator": "on"}
    staff("owner", Role.OWNER, mine).post(page, form)
    mine.refresh_from_db()
    assert not mine.is_operator
    boss = staff("boss", superuser=True)
    assert boss.post(page, form).status_code == 302
    mine.refresh_from_db()
    assert mine.is_operator
    person = User.objects.get(username="owner")
    form = {"username": "owner", "is_active": "on", "is_staff": "on", "config_right": "publish", "memberships-TOTAL_FORMS": "0"}
    form |= {"memberships-INITIAL_FORMS": "0", "date_joined_0": "2026-01-01", "date_joined_1": "00:00"}
    assert boss.post(reverse("admin:accounts_user_change", args=[person.pk]), form).status_code == 302
    person.refresh_from_db()
    assert person.config_right == "publish"


def test_an_owner_in_one_tenant_who_looks_on_in_another_changes_nothing_there() -> None:
    mine, other = tenant("mine"), tenant("other")
    client = staff("owner", Role.OWNER, mine)
    Member.objects.create(user=User.objects.get(username="owner"), tenant=other, role=Role.VIEWER)
    foreign, _clear = issue_api_key(tenant=other, name="Key of the other", scopes=["messages:send"], by=TESTER)
    assert client.post(reverse("admin:accounts_apikey_revoke", args=[foreign.pk])).status_code in (403, 404)
    page = client.get(reverse("admin:accounts_apikey_add")).content.decode()
    assert f'value="{mine.pk}"' in page
    assert f'value="{other.pk}"' not in page


def test_a_key_is_shown_once_works_and_is_audited() -> None:
    owner = tenant("mine")
    client = staff("owner", Role.OWNER, owner)
    form = {"tenant": owner.pk, "name": "Shop", "kind": "live", "scopes": ["messages:send"], "ip_ranges": "10.0.0.0/8", "expires_at": ""}
    answer = client.post(reverse("admin:accounts_apikey_add"), form)
    clear = re.search(r"ph_live_[A-Za-z0-9]{8}_[A-Za-z0-9_-]{43}", answer.content.decode())
    assert clear
    assert "no-store" in answer["Cache-Control"]
    assert recognise(f"Bearer {clear[0]}", ip="10.1.2.3", now=timezone.now()).tenant_id == owner.pk
    key = ApiKey.objects.get()
    assert clear[0] not in client.get(reverse("admin:accounts_apikey_change", args=[key.pk])).content.decode()
    assert list(AuditEntry.objects.values_list("action", "tenant_id")) == [("key.issue", owner.pk)]
    assert client.post(reverse("admin:accounts_apikey_add"), form | {"ip_ranges": "nonsense"}).status_code == 422


def test_revoking_keys_asks_first() -> None:
    owner = tenant("mine")
    client = staff("owner", Role.OWNER, owner)
    key, _clear = issue_api_key(tenant=owner, name="Shop", scopes=["messages:send"], by=TESTER)
    listing, chosen = reverse("admin:accounts_apikey_changelist"), {"action": "revoke", "_selected_action": [key.pk]}
    assert "Revoke these keys?" in client.post(listing, chosen).content.decode()
    key.refresh_from_db()
    assert key.revoked_at is None
    client.post(listing, chosen | {"confirmed": "1"})
    key.refresh_from_db()
    assert key.revoked_at
    assert AuditEntry.objects.filter(action="key.revoke", target=key.prefix).exists()


def test_a_member_is_added_by_name_and_nobody_is_listed() -> None:
    owner = tenant("mine")
    client = staff("owner", Role.OWNER, owner)
    User.objects.create(username="colleague", is_staff=True)
    page = client.get(reverse("admin:accounts_member_add")).content.decode()
    assert "colleague" not in page
    client.post(reverse("admin:accounts_member_add"), {"tenant": owner.pk, "username": "colleague", "role": "viewer"})
    assert Member.objects.get(user__username="colleague").tenant == owner
    assert (
        "There is no active account"
        in client.post(reverse("admin:accounts_member_add"), {"tenant": owner.pk, "username": "nobody", "role": "viewer"}).content.decode()
    )


def test_a_change_by_a_superuser_is_in_the_trail() -> None:
    client = staff("root", superuser=True)
    row = tenant("acme")
    values = {"name": "Renamed", "slug": row.slug, "weight": row.weight, "is_active": "on"}
    assert client.post(reverse("admin:accounts_tenant_change", args=[row.pk]), values).status_code == 302
    row.refresh_from_db()
    assert row.name == "Renamed"
    assert AuditEntry.objects.get(action="tenant.change").actor == "user:root"


def test_a_new_account_may_sign_in_at_once() -> None:
    form = {"username": "lin", "usable_password": "true", "password1": "Correct-Horse-42", "password2": "Correct-Horse-42"}
    form |= {"memberships-TOTAL_FORMS": "0", "memberships-INITIAL_FORMS": "0"}
    assert staff("root", superuser=True).post(reverse("admin:accounts_user_add"), form).status_code == 302
    signed_in = Client().post(reverse("admin:login"), {"username": "lin", "password": "Correct-Horse-42"})
    assert signed_in.status_code == 302


def test_the_trail_can_not_be_changed() -> None:
    client = staff("root", superuser=True)
    entry = AuditEntry.objects.create(actor="user:x", action="y")
    assert client.post(reverse("admin:accounts_auditentry_change", args=[entry.pk]), {"actor": "z"}).status_code == 403
    assert client.get(reverse("admin:accounts_auditentry_add")).status_code == 403
    assert client.post(reverse("admin:accounts_auditentry_delete", args=[entry.pk]), {"post": "yes"}).status_code == 403


def test_someone_without_a_tenant_gets_an_overview_that_says_so() -> None:
    client = staff("new")
    page = client.get(reverse("admin:index"))
    assert page.status_code == 200
    assert "not a member of any tenant" in page.content.decode()


# --- what pages are made of -----------------------------------------------------------------------------------


def catalogue(*, with_context: bool = True) -> dict[str, str]:
    """Msgid → msgstr of the Chinese catalogue; a fuzzy one counts as missing. `with_context`: also those that a context tells apart."""
    text = (ROOT / "locale/zh_Hans/LC_MESSAGES/django.po").read_text("utf-8")
    found = {}
    for block in text.split("\n\n"):
        parts: dict[str, str] = {}
        name = ""
        for line in block.splitlines():
            if match := re.match(r'(msgid_plural|msgid|msgstr(?:\[0\])?|msgctxt) (".*")$', line):
                name = match[1]
                parts[name] = ast.literal_eval(match[2])
            elif line.startswith('"') and name:
                parts[name] += ast.literal_eval(line)
        if parts.get("msgid") and (with_context or "msgctxt" not in parts):
            found[parts["msgid"]] = "" if "#, fuzzy" in block else parts.get("msgstr", parts.get("msgstr[0]", ""))
    return found


def used_texts() -> set[str]:
    """Every text in the sources that goes through gettext."""
    names = {"_", "gettext", "gettext_lazy", "gettext_noop", "ngettext"}
    found = set()
    folders = ("accounts", "configcenter", "jobs", "messaging", "monitor", "routing", "tracing", "posthaste")
    for path in [p for folder in folders for p in (ROOT / folder).rglob("*.py")]:
        for node in ast.walk(ast.parse(path.read_text("utf-8"))):
            if (
                isinstance(node, ast.Call)
                and getattr(node.func, "id", "") in names
                and node.args
                and isinstance(node.args[0], ast.Constant)
            ):
                found.add(str(node.args[0].value))
    for path in Path(ROOT / "templates").rglob("*.html"):
        found |= {match[1] or match[2] for match in re.finditer(r"""{% translate (?:"([^"]+)"|'([^']+)')""", path.read_text("utf-8"))}
    return {text.replace("%%", "%") for text in found}


def test_every_text_has_a_chinese_translation() -> None:
    known = {msgid.replace("%%", "%"): msgstr for msgid, msgstr in catalogue().items()}
    assert [text for text, translated in known.items() if not translated] == []
    assert sorted(used_texts() - set(known)) == [], "run makemessages, translate, compilemessages"


def test_the_compiled_catalogue_is_that_of_the_source() -> None:
    with translation.override("zh-hans"):
        wrong = [
            msgid
            for msgid, msgstr in catalogue(with_context=False).items()
            if "{n}" not in msgid and "%(" not in msgid and translation.gettext(msgid) != msgstr
        ]
    assert wrong == []


def test_states_have_the_words_of_the_vocabulary() -> None:
    words = ["待处理", "排队中", "发送中", "已发送", "已送达", "结果未知", "失败", "已拦截", "已取消", "已过期"]
    with translation.override("zh-hans"):
        assert [badges.shown(state, "message").label for state in badges.in_order("message")] == words


def test_every_error_code_is_explained_in_both_languages(client: Client) -> None:
    page = client.get("/docs/errors/").content.decode()
    assert 'id="validation"' in page
    assert "The request has invalid fields" in page
    assert "请求中有无效字段" in client.get("/docs/errors/", headers={"accept-language": "zh-hans"}).content.decode()


def test_every_problem_is_translated() -> None:
    from monitor.reference import every_problem

    with translation.override("en"):
        texts = {text for kind in every_problem() for text in (str(kind.title), " ".join((kind.__doc__ or "").split())) if text}
    assert all(isinstance(kind.title, Promise) for kind in every_problem()), "translated when it is told, not when it is imported"
    assert sorted(texts - set(catalogue())) == [], "name it in templates/monitor/errors.html, then as above"


def test_raw_values_stand_in_the_tokens_alone() -> None:
    raw = re.compile(r"#[0-9a-fA-F]{3,8}\b(?![^{]*\{)|\brgba?\(|\b[1-9][0-9]*px\b")
    for path in sorted((ROOT / "static/css").glob("*.css")):
        if path.name == "tokens.css":
            continue
        for number, line in enumerate(path.read_text().splitlines(), 1):
            body = "".join(re.findall(r"\{([^{}]*)\}", line)) if "@media" not in line else ""
            assert not raw.search(body), f"{path.name}:{number}: {line.strip()[:80]}"


def test_no_template_holds_inline_script_or_style() -> None:
    for path in Path(ROOT / "templates").rglob("*.html"):
        text = path.read_text("utf-8")
        assert "style=" not in text, path
        assert "<style" not in text, path
        assert re.search(r"<script(?![^>]*\bsrc=)", text) is None, path
        assert re.search(r"\son[a-z]+=", text) is None, path


def untranslated_texts() -> list[str]:
    """Every text that a caller could be told in English only, with its place; commands and the start of a process speak English."""
    from monitor.reference import every_problem

    problems = {kind.__name__ for kind in every_problem()} | {"Problem", "ReceiptError", "TemplateProblem"}

    def is_plain(node: ast.expr) -> bool:
        return isinstance(node, ast.JoinedStr) or (isinstance(node, ast.Constant) and bool(node.value))

    found = []
    folders = ("accounts", "configcenter", "jobs", "messaging", "monitor", "routing", "tracing", "posthaste")
    for path in [p for folder in folders for p in (ROOT / folder).rglob("*.py") if "management" not in p.parts and p.name != "env.py"]:
        for node in ast.walk(ast.parse(path.read_text("utf-8"))):
            told: list[ast.expr] = []
            match node:
                case ast.Call(func=ast.Name(id=name), args=[text, *_]) if name in problems:
                    told = [text]
                case ast.Call(func=ast.Attribute(value=ast.Name(id="Invalid"), attr="field"), args=[_, text, *_]):
                    told = [text]
                case ast.Dict(keys=keys, values=values):
                    told = [v for k, v in zip(keys, values, strict=True) if isinstance(k, ast.Constant) and k.value == "message"]
                case ast.FunctionDef() if any("validator" in ast.unparse(decorator) for decorator in node.decorator_list):
                    told = [n.args[0] for n in ast.walk(node) if isinstance(n, ast.Call) and ast.unparse(n.func) == "ValueError" and n.args]
            found += [f"{path.relative_to(ROOT)}:{text.lineno}: {ast.unparse(text)}" for text in told if is_plain(text)]
    return found


def test_every_text_that_a_caller_is_told_goes_through_gettext() -> None:
    assert untranslated_texts() == []
