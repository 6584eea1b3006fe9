"""A client as gray releases and the page of listeners see it: its address, its credentials, its program."""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Literal

from configcenter.services.instances import Identity

#: The name of the gray label that an address takes part by; Nacos' `betaIps` are such labels.
ADDRESS_LABEL = "ip"
KIND = "nacos"  # of an instance, when a percentage of them is drawn
MAX_AGENT = 100


@dataclass(frozen=True, slots=True)
class Client:
    """One client. `addresses` are where the request came from and, over gRPC, what the client says its address is."""

    address: str
    caller: str = ""
    agent: str = ""
    transport: Literal["http", "grpc"] = "http"
    addresses: tuple[str, ...] = ()

    def takes_part(self, *, item: str, labels: Iterable[str], percent: int) -> bool:
        """Return whether the gray release of an item is for this client."""
        own = tuple(label_of(address) for address in {self.address, *self.addresses})
        return Identity(self.address, KIND, own).takes_part(item=item, labels=labels, percent=percent)


def label_of(address: str) -> str:
    """Return the gray label of an address."""
    return f"{ADDRESS_LABEL}={address}"


def addresses_in(labels: Iterable[str]) -> list[str]:
    """Return the addresses that a gray release's labels name."""
    return [value for name, _sep, value in (label.partition("=") for label in labels) if name == ADDRESS_LABEL]
