"""The official Nacos client over gRPC (package `v2.nacos`), doing what it is told.

    PYTHON nacos_grpc_client.py ADDRESS PASSWORD FOLDER [CERTIFICATE KEY]

It runs with the Python of the client's own environment, so it imports nothing of the project's. Each line that it reads is a call, such
as `["publish", {"data_id": "app", "content": "text"}]`; it writes `{"answer": …}` for each, or `{"error": code, "message": …}`, and at any
time `{"told": content, "data_id": …}` for a change that it was told of. The first answer is
its version, when it is connected.
"""

import asyncio
import json
import sys
from importlib.metadata import version
from typing import Any

from v2.nacos import ClientConfigBuilder, ConfigParam, NacosConfigService
from v2.nacos.common.client_config import TLSConfig
from v2.nacos.common.nacos_exception import NacosException

GROUP = "DEFAULT_GROUP"


def say(**said: Any) -> None:
    """Write one line."""
    print(json.dumps(said), flush=True)


async def told(tenant: str, group: str, data_id: str, content: str) -> None:
    """Pass on a change."""
    say(told=content, data_id=data_id)


async def call(client: Any, name: str, fields: dict[str, str]) -> Any:
    """Make one call of the client's and return its answer."""
    parameters = ConfigParam(group=GROUP, **fields)
    if name == "listen":
        return await client.add_listener(parameters.data_id, GROUP, told)
    calls = {"get": client.get_config, "publish": client.publish_config, "remove": client.remove_config}
    return await calls[name](parameters)


async def main(address: str, password: str, folder: str, *certificate: str) -> None:
    """Answer calls until the input ends."""
    builder = ClientConfigBuilder().server_address(address).username("shop").password(password).log_dir(f"{folder}/log")
    if certificate:
        path, key = certificate  # the client asks for one of its own, which the server does not look at
        builder = builder.tls_config(TLSConfig(enabled=True, ca_file=path, cert_file=path, key_file=key))
    client = await NacosConfigService.create_config_service(builder.cache_dir(f"{folder}/cache").build())
    say(answer=version("nacos-sdk-python"))
    while line := await asyncio.to_thread(sys.stdin.readline):
        try:
            say(answer=await call(client, *json.loads(line)))
        except NacosException as error:
            say(error=error.error_code, message=str(error.message))
        except (Exception, asyncio.CancelledError) as error:  # noqa: BLE001 - a call on a connection that the client itself closed
            say(error=type(error).__name__, message=str(error))
    await client.shutdown()


if __name__ == "__main__":
    asyncio.run(main(*sys.argv[1:]))
