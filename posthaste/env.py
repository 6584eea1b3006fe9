"""The typed environment: the only place that reads environment variables.

A wrong or missing value stops the process at start with one clear line. Every field is described in
`docs/configuration.md`; a test fails when one is missing there.
"""

import ipaddress
import os
import re
import sys
from functools import cache
from pathlib import Path
from typing import Annotated, Literal, Self

from pydantic import Field, SecretStr, ValidationError, field_validator, model_validator
from pydantic_settings import BaseSettings, NoDecode, SettingsConfigDict

ROOT = Path(__file__).resolve().parent.parent
INSECURE_SECRET = "insecure-development-secret-0123456789-0123456789-0123456789"

#: Read by the libraries of numpy and scikit-learn when they are loaded: otherwise each process starts a thread for each core.
NUMERIC_THREADS = ("OPENBLAS_NUM_THREADS", "OMP_NUM_THREADS")

Listed = Annotated[list[str], NoDecode]


class Environment(BaseSettings):
    """All settings that differ between installations."""

    model_config = SettingsConfigDict(extra="ignore", env_ignore_empty=True)

    data_dir: Path = Field(ROOT / ".local", description="Folder for SQLite, Valkey's files and logs of the local stack.")
    debug: bool = Field(False, description="Django's debug pages. Never in production.")
    secret_key: SecretStr = Field(SecretStr(INSECURE_SECRET), description="Signs sessions and tokens; at least 50 random characters.")
    encryption_keys: Listed = Field(
        default_factory=list,
        description="Comma-separated secrets that encrypt provider credentials; the first encrypts, all decrypt. "
        "Empty: derived from SECRET_KEY.",
    )
    allowed_hosts: Listed = Field(
        default_factory=lambda: ["localhost", "127.0.0.1", "[::1]"], description="Host names that are answered, comma-separated."
    )
    public_url: str = Field("", description="Address under which integrators reach the platform, for links. Empty: http://localhost:PORT.")
    https: bool = Field(False, description="The platform is reached over TLS: secure cookies, HSTS, X-Forwarded-Proto trusted.")
    trusted_proxies: int = Field(0, ge=0, le=5, description="Number of reverse proxies in front whose X-Forwarded-For entry is believed.")

    host: str = Field("127.0.0.1", description="Address that the servers listen on. 0.0.0.0: all of the machine, as containers need it.")
    port: int = Field(8000, ge=1, le=65535, description="Port of the web process.")
    ws_port: int = Field(8001, ge=1, le=65535, description="Port of the WebSocket process.")
    nacos_grpc: bool = Field(True, description="Let clients of Nacos 2 and 3 connect, on the port WS_PORT + 1000.")
    nacos_grpc_certificate: str = Field("", description="PEM file of the certificate for that port. Empty: it is not encrypted.")
    nacos_grpc_key: str = Field("", description="PEM file of its private key, without a password.")
    web_workers: int = Field(2, ge=1, le=64, description="Processes of the web server.")
    web_threads: int = Field(32, ge=1, le=512, description="Threads of each web process, for all but single messages.")

    live_connections: int = Field(
        50, ge=1, le=100_000, description="WebSockets of live figures that one API key, or one session of staff, may hold open at once."
    )

    database_url: str = Field("", description="postgresql://… or sqlite:///path. Empty: SQLite in DATA_DIR.")
    database_pool_size: int = Field(8, ge=2, le=100, description="Database connections of one process (PostgreSQL).")
    broker_url: str = Field("", description="amqp://… (RabbitMQ) or redis://… Empty: REDIS_URL.")
    redis_url: str = Field("redis://127.0.0.1:6390/0", description="Redis 6+ or Valkey: cache, traces, limits, locks, channel layer.")
    redis_prefix: str = Field("ph", pattern=r"^[a-z0-9_-]{1,16}$", description="First part of every key in Redis.")

    message_retention_days: int = Field(
        365, ge=0, le=3650, description="Days that messages are kept after they were accepted. 0: for ever."
    )
    job_history_days: int = Field(30, ge=1, le=3650, description="Days that runs of jobs are kept with their logs.")
    outbound_allowed_networks: Listed = Field(
        default_factory=list,
        description="Private networks (CIDR, comma-separated) that providers and webhooks may reach. Nothing else that is not public is.",
    )
    alarm_smtp_url: SecretStr = Field(
        SecretStr(""),
        description="smtp://user:password@host:587/?from=address (smtps:// for TLS): sends notices of alarms that the platform can't send.",
    )
    alarm_webhook_secret: SecretStr = Field(
        SecretStr(""), description="Standard Webhooks secret (whsec_…) that signs notices of alarms sent straight to a webhook."
    )
    instance_labels: Listed = Field(
        default_factory=list, description="Labels of this process for gray releases: name=value, comma-separated."
    )
    otlp_endpoint: str = Field("", description="OTLP/HTTP address that takes traces: http://collector:4318/v1/traces. Empty: none.")
    otlp_headers: Listed = Field(default_factory=list, description="Header fields sent with traces: name=value, comma-separated.")
    metrics_token: SecretStr = Field(
        SecretStr(""), description="Lets who sends it as a bearer token read /metrics; at least 20 characters. Empty: no such token."
    )
    metrics_networks: Listed = Field(
        default_factory=list, description="Networks (CIDR, comma-separated) that may read /metrics without a token or key."
    )
    metrics_detail: bool = Field(False, description="Metrics of single providers, breakers and hosts. Their number is not bounded.")
    server_metrics_port: int = Field(
        0, ge=0, le=65534, description="Port of granian's own metrics of the web process; ws has the next one. 0: none."
    )
    server_metrics_host: str = Field("127.0.0.1", description="Address that these two ports listen on.")
    log_format: Literal["json", "console"] = Field("json", description="Log lines as JSON or for people.")
    log_level: Literal["debug", "info", "warning", "error"] = Field("info", description="Least severe level that is logged.")

    @field_validator(
        "encryption_keys",
        "allowed_hosts",
        "outbound_allowed_networks",
        "instance_labels",
        "metrics_networks",
        "otlp_headers",
        mode="before",
    )
    @classmethod
    def split_commas(cls, value: object) -> object:
        if isinstance(value, str):
            return [part.strip() for part in value.split(",") if part.strip()]
        return value

    @field_validator("outbound_allowed_networks", "metrics_networks")
    @classmethod
    def networks_parse(cls, value: list[str]) -> list[str]:
        for network in value:
            ipaddress.ip_network(network)
        return value

    @field_validator("metrics_token")
    @classmethod
    def token_is_long(cls, value: SecretStr) -> SecretStr:
        if 0 < len(value.get_secret_value()) < 20:
            raise ValueError("must have at least 20 characters")
        return value

    @field_validator("instance_labels")
    @classmethod
    def labels_parse(cls, value: list[str]) -> list[str]:
        for label in value:
            if not re.fullmatch(r"[A-Za-z0-9_.\-]{1,60}=[A-Za-z0-9_.:/\-]{1,100}", label):
                raise ValueError(f"{label} is not of the form name=value")
        return value

    @field_validator("otlp_endpoint")
    @classmethod
    def otlp_endpoint_is_an_address(cls, value: str) -> str:
        if value and not value.startswith(("http://", "https://")):
            raise ValueError("must begin with http:// or https://")
        return value

    @field_validator("otlp_headers")
    @classmethod
    def otlp_headers_parse(cls, value: list[str]) -> list[str]:
        for header in value:
            if not re.fullmatch(r"[A-Za-z0-9_-]{1,60}=[\x21-\x7e ]{1,1000}", header):
                raise ValueError("must be of the form name=value, comma-separated")
        return value

    @field_validator("database_url")
    @classmethod
    def database_is_known(cls, value: str) -> str:
        if value and not value.startswith(("postgresql://", "postgres://", "sqlite:///")):
            raise ValueError("must begin with postgresql:// or sqlite:///")
        return value

    @field_validator("broker_url")
    @classmethod
    def broker_is_known(cls, value: str) -> str:
        if value and not value.startswith(("amqp://", "amqps://", "redis://", "rediss://", "redis+socket://")):
            raise ValueError("must begin with amqp://, amqps://, redis:// or rediss://")
        return value

    @field_validator("redis_url")
    @classmethod
    def redis_is_known(cls, value: str) -> str:
        if not value.startswith(("redis://", "rediss://", "unix://")):
            raise ValueError("must begin with redis://, rediss:// or unix://")
        return value

    @field_validator("host", "server_metrics_host")
    @classmethod
    def host_is_an_address(cls, value: str) -> str:
        try:
            return str(ipaddress.ip_address(value.strip("[]")))
        except ValueError:
            raise ValueError("must be an IP address, such as 127.0.0.1 or 0.0.0.0") from None

    @model_validator(mode="after")
    def fill_what_follows(self) -> Self:
        if bool(self.nacos_grpc_certificate) != bool(self.nacos_grpc_key):
            raise ValueError("NACOS_GRPC_CERTIFICATE and NACOS_GRPC_KEY belong together: set both or neither")
        if not self.database_url:
            self.database_url = f"sqlite:///{self.data_dir}/posthaste.sqlite3"
        if not self.broker_url:
            self.broker_url = self.redis_url
        if not self.public_url:
            self.public_url = f"http://localhost:{self.port}"
        return self

    @property
    def needs_own_secret(self) -> bool:
        """Whether the published key would be used where others can reach the installation."""
        is_public = self.https or not all(map(is_loopback, self.allowed_hosts)) or not ipaddress.ip_address(self.host).is_loopback
        return is_public and self.secret_key.get_secret_value() == INSECURE_SECRET

    @property
    def is_postgresql(self) -> bool:
        return self.database_url.startswith("postgres")

    @property
    def is_rabbitmq(self) -> bool:
        return self.broker_url.startswith("amqp")


def is_loopback(host: str) -> bool:
    """Return whether a name in ALLOWED_HOSTS can only mean this machine."""
    name = host.strip("[]").lower()
    if name == "localhost" or name.endswith(".localhost"):
        return True
    try:
        return ipaddress.ip_address(name).is_loopback
    except ValueError:
        return False


def explain(error: ValidationError) -> str:
    """Turn a validation error into one line a person can act on."""
    problems = (
        f"{str(e['loc'][0]).upper() if e['loc'] else 'environment'}: {e['msg'].removeprefix('Value error, ')}" for e in error.errors()
    )
    return "Posthaste cannot start: " + "; ".join(problems)


@cache
def load() -> Environment:
    """Read the environment once, or end the process with a clear message and exit status 2."""
    try:
        return Environment()
    except ValidationError as error:
        print(explain(error), file=sys.stderr)
        raise SystemExit(2) from None


def load_for_django() -> Environment:
    """Return the environment, or end the process when it would sign and encrypt with the published key for others to reach.

    `make run` reads the environment before it gives its processes a key of their own, so only these are asked. Every process with settings
    comes here before it can load numpy, so this is where that gets one thread, unless the environment says otherwise.
    """
    for name in NUMERIC_THREADS:
        os.environ.setdefault(name, "1")
    found = load()
    if found.needs_own_secret:
        print(
            "Posthaste cannot start: SECRET_KEY: missing. Set it to 50 random characters or more: HTTPS, ALLOWED_HOSTS or HOST let "
            "others reach this installation, and the built-in key is public.",
            file=sys.stderr,
        )
        raise SystemExit(2)
    return found
