"""Every operation of the API against generated requests: no fault of ours, and no answer that the OpenAPI document does not describe."""

import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from uuid import uuid4

import pytest

from tests.integration.customer import Customer
from tests.integration.stack import Stack
from tests.peers.gateway import Gateway

EXAMPLES = "8"  # of each operation, besides one for each rule of its schema
SEED = "20261129"
SECONDS = 600.0
#: A rule such as "this name is taken" or "a text or a template" stands in no schema.
NOT_CHECKED = "positive_data_acceptance"


@pytest.fixture
def gateway() -> Iterator[Gateway]:
    with Gateway() as running:
        yield running


def parameters_of(customer: Customer, gateway: Gateway) -> dict[str, dict[str, str]]:
    """Make something of each kind, and return the values of the parameters for the addresses that begin so."""
    http = customer.http
    provider = customer.gateway(gateway)
    assert http.post("/api/templates/", {"name": "fuzzed", "channel": "sms", "body": "Hi", "publish": True}).status == 201
    suppression = http.post("/api/suppressions/", {"recipient": "+8613812345678", "channel": "sms"})
    item = http.post("/api/config/items/", {"data_id": "fuzzed.yaml", "format": "yaml", "content": "a: 1"})
    key = http.post("/api/keys/", {"name": "another", "scopes": ["messages:send"]})
    assert (suppression.status, item.status, key.status) == (201, 201, 201), (suppression.data, item.data, key.data)
    return {
        "/api/messages/{id}/": {"id": customer.send()},
        "/api/batches/{id}/": {"id": customer.send_batch(3)},
        "/api/providers/{id}/": {"id": str(provider["id"])},
        "/api/templates/{name}/": {"name": "fuzzed"},
        "/api/suppressions/{id}/": {"id": str(suppression.json()["id"])},
        "/api/keys/{id}/": {"id": str(next(row["id"] for row in http.get("/api/keys/").json()["results"] if row["name"] == "another"))},
        "/api/breakers/{name}/": {"name": f"provider:{provider['id']}"},
        "/api/receipts/{provider_id}/": {"provider_id": str(provider["id"])},
        "/api/config/items/{namespace}/": {"namespace": "public", "group": "DEFAULT_GROUP", "data_id": "fuzzed.yaml"},
        "/api/config/modules/{name}/": {"name": "assignment"},
    }


def configuration(parameters: dict[str, dict[str, str]], key: str) -> str:
    """Return what the fuzzer reads: the key, and values of parameters that name something."""
    sections = [f'[headers]\nAuthorization = "Bearer {key}"']
    for prefix, values in parameters.items():
        given = ", ".join(f"{name} = {value if value.isdecimal() else repr(value)}" for name, value in values.items())
        pattern = prefix.replace("{", "\\\\{").replace("}", "\\\\}")
        sections.append(f'[[operations]]\ninclude-path-regex = "^{pattern}"\nparameters = {{ {given} }}')
    return "\n\n".join(sections) + "\n"


def test_no_generated_request_meets_a_fault_or_an_answer_that_is_not_described(stack: Stack, gateway: Gateway, tmp_path: Path) -> None:
    customer = Customer(stack)
    settings = tmp_path / "schemathesis.toml"
    settings.write_text(configuration(parameters_of(customer, gateway), customer.http.api_key))
    command = [
        *(str(Path(sys.executable).with_name("schemathesis")), "--config-file", str(settings), "run"),
        *(f"{stack.base_url}/api/schema/?format=json", "--phases", "examples,coverage,fuzzing", "--max-examples", EXAMPLES),
        *("--seed", SEED, "--exclude-checks", NOT_CHECKED, "--continue-on-failure", "--max-failures", "50", "--no-shrink"),
        *("--suppress-health-check", "all", "--request-timeout", "60", "--warnings", "off", "--generation-database", "none"),
    ]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False, timeout=SECONDS, env=stack.environment)
    assert done.returncode == 0, done.stdout[-8000:] + done.stderr[-2000:]
    assert "Tested: " in done.stdout
    one = customer.http.post("/api/messages/", {"channel": "sms", "recipient": "+8613812345679", "body": f"after it {uuid4().hex}"})
    assert one.status == 202, "and it works as before"
