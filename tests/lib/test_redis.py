"""A thread's own connection."""

import pytest

from posthaste.lib import redis
from tests import crowds

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
