"""Django settings; everything that differs between installations comes from `posthaste.env`."""

import base64
import hashlib
from datetime import timedelta
from typing import Any

import dj_database_url
import django_stubs_ext
from csp.constants import NONE, SELF
from django.utils.translation import gettext_lazy as _

from posthaste import env as environment
from posthaste.env import ROOT
from posthaste.lib import logs

django_stubs_ext.monkeypatch()  # Django's generic classes can be written with their types: ModelAdmin[Message]

env = environment.load_for_django()

DEBUG = env.debug
SECRET_KEY = env.secret_key.get_secret_value()
ALLOWED_HOSTS = env.allowed_hosts
ROOT_URLCONF = "posthaste.urls"
WSGI_APPLICATION = "posthaste.wsgi.alone"
ASGI_APPLICATION = "posthaste.asgi.application"

INSTALLED_APPS = [
    "posthaste.apps.PosthasteAdminConfig",
    "django.contrib.auth",
    "django.contrib.contenttypes",
    "django.contrib.sessions",
    "django.contrib.messages",
    "whitenoise.runserver_nostatic",
    "django.contrib.staticfiles",
    "csp",
    "channels",
    "rest_framework",
    "django_filters",
    "drf_spectacular",
    "drf_spectacular_sidecar",
    "django_celery_beat",
    "posthaste.ui",
    "accounts",
    "configcenter",
    "jobs",
    "tracing",
    "messaging",
    "routing",
    "monitor",
]

MIDDLEWARE = [
    "posthaste.lib.hosts.HostMiddleware",
    "django.middleware.security.SecurityMiddleware",
    "whitenoise.middleware.WhiteNoiseMiddleware",
    "posthaste.lib.caching.CacheMiddleware",
    "csp.middleware.CSPMiddleware",
    "posthaste.lib.slashes.OptionalSlashMiddleware",
    "django.contrib.sessions.middleware.SessionMiddleware",
    "django.middleware.locale.LocaleMiddleware",
    "django.middleware.csrf.CsrfViewMiddleware",
    "django.contrib.auth.middleware.AuthenticationMiddleware",
    "posthaste.lib.flow.views.PublicPagesMiddleware",
    "django.contrib.messages.middleware.MessageMiddleware",
    "django.middleware.clickjacking.XFrameOptionsMiddleware",
    "posthaste.lib.problem_responses.ProblemPages",
]

TEMPLATES = [
    {
        "BACKEND": "django.template.backends.django.DjangoTemplates",
        "DIRS": [ROOT / "templates"],
        "APP_DIRS": True,
        "OPTIONS": {
            "context_processors": [
                "django.template.context_processors.request",
                "django.contrib.auth.context_processors.auth",
                "django.contrib.messages.context_processors.messages",
            ],
        },
    },
]

# --- database -------------------------------------------------------------------------------------------------


def database() -> dict[str, Any]:
    """Return Django's database settings for either stack."""
    config: dict[str, Any] = dict(dj_database_url.parse(env.database_url))
    if env.is_postgresql:
        # Threads borrow a connection for the length of a statement or two and give it back: a hundred sending
        # threads share a handful of connections. CONN_MAX_AGE must be 0 for that. The pool doubles its pauses between attempts
        # until reconnect_timeout; after that the next borrower tries at once. So back is noticed within seconds of any outage.
        config["CONN_MAX_AGE"] = 0
        config["OPTIONS"] = {
            **config.get("OPTIONS", {}),
            "pool": {"min_size": 1, "max_size": env.database_pool_size, "timeout": 3, "max_idle": 300, "reconnect_timeout": 4},
            "connect_timeout": 5,
        }
    else:
        config["CONN_MAX_AGE"] = None
        config["OPTIONS"] = {
            "transaction_mode": "IMMEDIATE",
            "timeout": 20,
            "init_command": "PRAGMA journal_mode=WAL; PRAGMA synchronous=NORMAL; PRAGMA cache_size=-32000; PRAGMA mmap_size=134217728",
        }
    return config


DATABASES = {"default": database()}
DEFAULT_AUTO_FIELD = "django.db.models.BigAutoField"

# --- Redis ----------------------------------------------------------------------------------------------------

CACHES = {
    "default": {
        "BACKEND": "django_redis.cache.RedisCache",
        "LOCATION": env.redis_url,
        "KEY_PREFIX": f"{env.redis_prefix}:cache",
        "OPTIONS": {"CLIENT_CLASS": "django_redis.client.DefaultClient", "SOCKET_CONNECT_TIMEOUT": 2, "SOCKET_TIMEOUT": 2},
    },
}
CHANNEL_LAYERS = {
    "default": {
        "BACKEND": "channels_redis.pubsub.RedisPubSubChannelLayer",
        "CONFIG": {"hosts": [env.redis_url], "prefix": f"{env.redis_prefix}:layer"},
    },
}

# --- who may do what ------------------------------------------------------------------------------------------

AUTH_USER_MODEL = "accounts.User"
AUTHENTICATION_BACKENDS = ["accounts.permissions.RoleBackend"]
PASSWORD_HASHERS = ["django.contrib.auth.hashers.ScryptPasswordHasher", "django.contrib.auth.hashers.PBKDF2PasswordHasher"]
AUTH_PASSWORD_VALIDATORS = [
    {"NAME": "django.contrib.auth.password_validation.UserAttributeSimilarityValidator"},
    {"NAME": "django.contrib.auth.password_validation.MinimumLengthValidator", "OPTIONS": {"min_length": 10}},
    {"NAME": "django.contrib.auth.password_validation.CommonPasswordValidator"},
]
LOGIN_URL = "admin:login"
LOGIN_REDIRECT_URL = "admin:index"  # also for a `?next=` that leads elsewhere
# Not in the cache: staff must get to the pages while Redis is away, and a session that ended then must not come back with it.
SESSION_ENGINE = "django.contrib.sessions.backends.db"
SESSION_COOKIE_AGE = int(timedelta(hours=12).total_seconds())
SESSION_COOKIE_HTTPONLY = True
SESSION_COOKIE_SAMESITE = "Lax"
CSRF_COOKIE_SAMESITE = "Lax"
CSRF_FAILURE_VIEW = "posthaste.lib.problem_responses.csrf_failure"

# --- transport security ---------------------------------------------------------------------------------------

SESSION_COOKIE_SECURE = CSRF_COOKIE_SECURE = env.https
SECURE_SSL_REDIRECT = env.https
SECURE_HSTS_SECONDS = int(timedelta(days=365).total_seconds()) if env.https else 0
# The other names below this host's are not ours to bind, nor is the browsers' list.
SECURE_HSTS_INCLUDE_SUBDOMAINS = SECURE_HSTS_PRELOAD = False
SECURE_REDIRECT_EXEMPT = [r"^health/?$", r"^health/ready/?$", r"^metrics/?$"]  # load balancers and scrapers ask without TLS
if env.https:
    SECURE_PROXY_SSL_HEADER = ("HTTP_X_FORWARDED_PROTO", "https")
    CSRF_TRUSTED_ORIGINS = [f"https://{host.lstrip('.')}" for host in env.allowed_hosts if host != "*"]
SECURE_REFERRER_POLICY = "same-origin"
X_FRAME_OPTIONS = "DENY"
CONTENT_SECURITY_POLICY = {
    "DIRECTIVES": {
        "default-src": [SELF],
        "base-uri": [NONE],
        "connect-src": [SELF, f"ws://localhost:{env.ws_port}", f"ws://127.0.0.1:{env.ws_port}"],
        "font-src": [SELF],
        "form-action": [SELF],
        "frame-ancestors": [NONE],
        "img-src": [SELF, "data:"],
        "object-src": [NONE],
        "script-src": [SELF],
        "style-src": [SELF],
    },
}
DATA_UPLOAD_MAX_MEMORY_SIZE = 20 * 1024 * 1024  # a batch of 10,000 recipients with variables
FILE_UPLOAD_MAX_MEMORY_SIZE = 20 * 1024 * 1024

# Provider credentials: the first key encrypts, every key decrypts, so that keys can be rotated.
FIELD_ENCRYPTION_KEYS = [
    base64.urlsafe_b64encode(hashlib.sha256(secret.encode()).digest()) for secret in (env.encryption_keys or [f"fields:{SECRET_KEY}"])
]

# --- language, time, static files -----------------------------------------------------------------------------

LANGUAGE_CODE = "en"
LANGUAGES = [("en", _("English")), ("zh-hans", _("Simplified Chinese"))]
LOCALE_PATHS = [ROOT / "locale"]
FORMAT_MODULE_PATH = ["posthaste.formats"]
TIME_ZONE = "UTC"
USE_TZ = True
STATIC_URL = "/static/"
STATIC_ROOT = env.data_dir / "static"
STATICFILES_DIRS = [ROOT / "static"] + (
    [("vendor/echarts", ROOT / "node_modules/echarts/dist")] if (ROOT / "node_modules/echarts/dist").is_dir() else []
)
WHITENOISE_USE_FINDERS = True  # served straight from the packages: no collectstatic step to forget
WHITENOISE_MANIFEST_STRICT = False

# --- REST API -------------------------------------------------------------------------------------------------

APPEND_SLASH = False  # posthaste.lib.slashes answers both forms without a redirect
REST_FRAMEWORK = {
    "DEFAULT_AUTHENTICATION_CLASSES": ["accounts.api.authentication.ApiKeyAuthentication"],
    "DEFAULT_PERMISSION_CLASSES": ["accounts.api.authentication.HasScope"],
    "DEFAULT_RENDERER_CLASSES": ["posthaste.lib.jsonbodies.OrjsonRenderer"],
    "DEFAULT_PARSER_CLASSES": ["posthaste.lib.jsonbodies.OrjsonParser"],
    "DEFAULT_CONTENT_NEGOTIATION_CLASS": "posthaste.lib.jsonbodies.Negotiation",
    "DEFAULT_FILTER_BACKENDS": ["posthaste.lib.filters.Backend"],
    "DEFAULT_SCHEMA_CLASS": "drf_spectacular.openapi.AutoSchema",
    "EXCEPTION_HANDLER": "posthaste.lib.problem_responses.exception_handler",
    "UNAUTHENTICATED_USER": None,
    "DEFAULT_METADATA_CLASS": None,  # OPTIONS is not offered: the schema says it all
}
SPECTACULAR_SETTINGS = {
    "OAS_VERSION": "3.1.0",  # nullable fields of msgspec's schemas need it
    "TITLE": "Posthaste API",
    "DESCRIPTION": "Hand over messages, follow each one, manage templates and providers.",
    "VERSION": "1.0.0",
    "SERVE_INCLUDE_SCHEMA": False,
    "SERVE_PERMISSIONS": ["rest_framework.permissions.AllowAny"],
    "SERVE_AUTHENTICATION": [],
    "SWAGGER_UI_DIST": "SIDECAR",
    "SWAGGER_UI_FAVICON_HREF": "SIDECAR",
    "REDOC_DIST": "SIDECAR",
    "SCHEMA_PATH_PREFIX": "/api/",
    "COMPONENT_SPLIT_REQUEST": True,
    "POSTPROCESSING_HOOKS": [
        "drf_spectacular.hooks.postprocess_schema_enums",
        "posthaste.lib.problem_responses.document_problems",
    ],
    "ENUM_NAME_OVERRIDES": {
        "MessageStatus": "messaging.models.Status.choices",
        "BatchStatus": "messaging.models.BatchStatus.choices",
        "Channel": "messaging.channels.registry.CHANNEL_CHOICES",
        "OpenChannel": "messaging.channels.registry.OPEN_CHANNELS",
        "SuppressionReason": "messaging.models.SuppressionReason.choices",
        "KeyKind": "accounts.models.KeyKind.choices",
        "ProviderKind": "messaging.channels.registry.KINDS",
        "RecipientKind": "messaging.channels.recipients.KINDS",
        "EndpointState": "messaging.models.EndpointState.choices",
        "DeliveryKind": "messaging.models.DeliveryKind.choices",
        "DeliveryStatus": "messaging.models.DeliveryStatus.choices",
        "RunState": "jobs.models.RunState.choices",
        "RunTrigger": "jobs.models.Trigger.choices",
        "AssignmentCause": "routing.models.AssignmentCause.choices",
        "Blocking": "jobs.policies.Blocking.choices",
        "Misfire": "jobs.policies.Misfire.choices",
        "EntranceKind": "routing.models.EntranceKind.choices",
        "AlarmState": "monitor.alarms.states.AlarmState.choices",
        "AlarmSeverity": "monitor.alarms.rules.Severity.choices",
        "AlarmNoticeState": "monitor.models.NoticeState.choices",
        "IdentityKind": "routing.models.IdentityKind.choices",
        "CustomerMergeState": "routing.api.customers.shapes.MERGE_STATES",
        "AttributeSource": "routing.models.AttributeSource.choices",
        "LinkPurpose": "routing.models.LinkPurpose.choices",
        "LinkState": "routing.links.using.STATES",
        "UtteranceState": "routing.models.UtteranceState.choices",
        "UtteranceDecision": "routing.intents.utterances.DECISIONS",
        "UtteranceSource": "routing.models.UtteranceSource.choices",
        "IntentModelState": "routing.models.ModelState.choices",
        "ConversationStatus": "routing.models.ConversationStatus.choices",
        "ReportBy": "routing.desk.reports.report.By.values",
        "ActionEnum": "configcenter.models.ReleaseAction.choices",
        "TicketStatus": "routing.models.TicketStatus.choices",
        "TicketPriority": "routing.models.TicketPriority.choices",
        "TicketKind": "routing.models.TicketKind.choices",
        "TicketFieldKind": "routing.tickets.field_values.FieldKind.choices",
        "TicketAction": "routing.api.tickets.shapes.ACTION_CHOICES",
        "TicketLinkKind": "routing.api.tickets.shapes.LINK_CHOICES",
        "ArrivalState": "routing.models.ArrivalState.choices",
        "LineAuthor": "routing.models.AuthorKind.choices",
        "DayKind": "routing.models.DayKind.choices",
        "ClockState": "routing.models.ClockState.choices",
        "ClockMetric": "routing.models.ClockMetric.choices",
    },
}

# --- Celery ---------------------------------------------------------------------------------------------------

CELERY_BEAT_SCHEDULER = "jobs.scheduler:LeaderScheduler"
# The local stack speaks plain HTTP on the loopback interface; HTTPS=true turns these on.
SILENCED_SYSTEM_CHECKS = [
    "security.W005",  # HSTS is for this host alone
    "security.W021",
    *([] if env.https else ["security.W004", "security.W008", "security.W012", "security.W016"]),
]
RATELIMIT_USE_CACHE = "default"
RATELIMIT_FAIL_OPEN = True  # a login must stay possible while Redis is away

LOGGING = logs.configure(log_format=env.log_format, level=env.log_level)
