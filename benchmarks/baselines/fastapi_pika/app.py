"""The API of baseline (b). A thread has its own pika connection: they are not safe to share, and opening one costs more than the work."""

import hmac
import os
import threading
import uuid
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from typing import Annotated

import anyio.to_thread
import pika
from fastapi import FastAPI, Header, HTTPException
from pydantic import BaseModel, Field
from sqlalchemy import DateTime, String, Text, create_engine
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column, sessionmaker

QUEUE = "fastapi.send"
# Two processes share the cores: more threads only wait for each other (tried: 4, 8, 16, 32).
THREADS = int(os.environ.get("THREADS", "16"))


class Base(DeclarativeBase):
    """The tables."""


class Message(Base):
    """One text to one recipient."""

    __tablename__ = "message"
    id: Mapped[uuid.UUID] = mapped_column(primary_key=True, default=uuid.uuid4)
    channel: Mapped[str] = mapped_column(String(10))
    recipient: Mapped[str] = mapped_column(String(200))
    subject: Mapped[str] = mapped_column(String(200), default="")
    body: Mapped[str] = mapped_column(Text)
    priority: Mapped[int] = mapped_column(default=5)
    status: Mapped[str] = mapped_column(String(10), default="pending", index=True)
    attempts: Mapped[int] = mapped_column(default=0)
    created_at: Mapped[datetime] = mapped_column(DateTime(timezone=True), default=lambda: datetime.now(UTC), index=True)
    sent_at: Mapped[datetime | None] = mapped_column(DateTime(timezone=True))


engine = create_engine(os.environ["DATABASE_URL"].replace("postgresql://", "postgresql+psycopg://"), pool_size=THREADS, max_overflow=0)
Session = sessionmaker(engine, expire_on_commit=False)
_local = threading.local()
PERSISTENT = pika.BasicProperties(delivery_mode=2)


def connect() -> pika.BlockingConnection:
    """Open a connection; without heartbeats, as the process is frozen while others are measured."""
    parameters = pika.URLParameters(os.environ["BROKER_URL"])
    parameters.virtual_host = parameters.virtual_host or "/"
    parameters.heartbeat = 0
    return pika.BlockingConnection(parameters)


def publish(body: bytes) -> None:
    """Publish one message and return when the broker has confirmed it."""
    if not hasattr(_local, "channel"):
        _local.channel = connect().channel()
        _local.channel.confirm_delivery()
    _local.channel.basic_publish("", QUEUE, body, PERSISTENT, mandatory=True)


class MessageIn(BaseModel):
    """One message in."""

    channel: Annotated[str, Field(max_length=10)]
    recipient: Annotated[str, Field(pattern=r"^\+[1-9]\d{6,14}$")]
    subject: Annotated[str, Field(max_length=200)] = ""
    body: str
    priority: Annotated[int, Field(ge=0, le=10)] = 5


@asynccontextmanager
async def lifespan(_app: FastAPI) -> AsyncIterator[None]:
    """Size the thread pool that plain functions run in."""
    anyio.to_thread.current_default_thread_limiter().total_tokens = THREADS
    yield


app = FastAPI(lifespan=lifespan)


@app.post("/api/messages/", status_code=202)
def create_message(message: MessageIn, authorization: Annotated[str, Header()] = "") -> dict[str, str]:
    """Store and publish one message."""
    if not hmac.compare_digest(authorization, "Bearer key"):
        raise HTTPException(401)
    with Session() as session:
        row = Message(**message.model_dump())
        session.add(row)
        session.commit()
    publish(row.id.bytes)
    return {"id": str(row.id), "status": row.status}
