"""The real Nacos client, listening: `python -m tests.peers.nacos_listener ADDRESS PASSWORD NAMESPACE FOLDER DATA_ID…`.

A process of its own, as the client forks one and leaves threads behind. It writes a line `ready`, then one for each change it is told of:
`{"at": seconds since the epoch, "data_id": …, "content": …}`.
"""

import json
import sys
import threading
import time
from typing import Any

import nacos


def main(address: str, password: str, namespace: str, folder: str, *data_ids: str) -> None:
    """Listen until it is ended."""

    def told(parameters: dict[str, Any]) -> None:
        print(json.dumps({"at": time.time(), "data_id": parameters["data_id"], "content": parameters["content"]}), flush=True)

    client = nacos.NacosClient(address, namespace=namespace, username="a-system", password=password, logDir=folder)
    client.set_options(snapshot_base=f"{folder}/snapshot", failover_base=f"{folder}/failover")
    for data_id in data_ids:
        client.add_config_watcher(data_id, "DEFAULT_GROUP", told)
    print("ready", flush=True)
    threading.Event().wait()


if __name__ == "__main__":
    main(*sys.argv[1:])
