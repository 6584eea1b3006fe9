"""A thread's own connection."""

import pytest

from posthaste.lib import redis
from tests import crowds
from tests.peers.mute import Mute

pytestmark = pytest.mark.both_stacks


def test_a_threads_own_connection_answers_like_the_shared_one() -> None:
    name = redis.key("test-call")
    redis.client().delete(name)
    assert redis.call("RPUSHX", name, b"x") == 0
    redis.client().rpush(name, "a")
    assert redis.call("RPUSHX", name, b"b") == 2
    assert redis.client().lrange(name, 0, -1) == [b"a", b"b"]
    redis.client().delete(name)


def test_a_connection_that_broke_while_idle_is_renewed_without_notice() -> None:
    redis.call("CLIENT", "SETNAME", "own")
    [mine] = [client for client in redis.client().client_list() if client["name"] == "own"]
    redis.client().client_kill_filter(_id=mine["id"])
    assert redis.call("PING") == b"PONG"


def test_a_refused_command_leaves_the_connection_usable() -> None:
    name = redis.key("test-call")
    redis.client().set(name, "text")
    with pytest.raises(redis.WrongType):
        redis.call("RPUSHX", name, b"x")
    assert redis.call("GET", name) == b"text"
    redis.client().delete(name)


def test_threads_do_not_share_it() -> None:
    def number() -> int:
        return int(redis.call("CLIENT", "ID"))

    with crowds.pool(1) as other:
        assert other.submit(number).result() != number()


def test_a_thread_that_waits_once_fails_at_once_afterwards(hanging_redis: Mute, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(redis, "SOCKET_SECONDS", 0.2)
    with redis.waiting_once():
        with pytest.raises(redis.Unavailable, match="Timeout"):
            redis.client().get("a")
        with pytest.raises(redis.Unavailable, match="a moment ago"):
            redis.client().get("a")
        with pytest.raises(redis.Unavailable, match="a moment ago"):
            redis.client().pipeline(transaction=False).execute_command("GET", "a").execute()
        with crowds.pool(1) as other, pytest.raises(redis.Unavailable, match="Timeout"):
            other.submit(redis.client().get, "a").result()  # another thread waits as ever
    with pytest.raises(redis.Unavailable, match="Timeout"):
        redis.client().get("a")


def test_what_redis_refuses_or_what_it_renews_does_not_end_the_patience() -> None:
    name = redis.key("test-call")
    redis.client().set(name, "text")
    with redis.waiting_once():
        with pytest.raises(redis.WrongType):
            redis.client().rpush(name, b"x")
        redis.client().client_setname("posthaste-once")
        for each in redis.client().client_list():
            if each["name"] == "posthaste-once":
                redis.call("CLIENT", "KILL", "ID", each["id"])
        assert redis.client().get(name) == b"text"
        assert redis.client().get(name) == b"text"
    redis.client().delete(name)


def test_the_next_that_waits_once_asks_anew(hanging_redis: Mute, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(redis, "SOCKET_SECONDS", 0.2)
    with redis.waiting_once(), pytest.raises(redis.Unavailable):
        redis.client().ping()
    hanging_redis.close()
    with redis.waiting_once(), pytest.raises(redis.Unavailable, match="refused"):
        redis.client().ping()
