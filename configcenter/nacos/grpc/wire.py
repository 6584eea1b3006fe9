"""The message that goes both ways: a type, headers, and a body of JSON.

The fields and their numbers are the protocol's (Nacos' `nacos_grpc_service.proto`). The descriptor is built here, so there is no generated
code.
"""

from collections.abc import Mapping
from typing import Any

import orjson
from google.protobuf import any_pb2, descriptor_pb2, descriptor_pool, message_factory

from posthaste.lib.problems import Malformed

TEXT, MESSAGE = descriptor_pb2.FieldDescriptorProto.TYPE_STRING, descriptor_pb2.FieldDescriptorProto.TYPE_MESSAGE
ONE, MANY = descriptor_pb2.FieldDescriptorProto.LABEL_OPTIONAL, descriptor_pb2.FieldDescriptorProto.LABEL_REPEATED


def _payload() -> Any:
    file = descriptor_pb2.FileDescriptorProto(name="posthaste/nacos.proto", syntax="proto3", dependency=["google/protobuf/any.proto"])
    metadata = file.message_type.add(name="Metadata")
    metadata.field.add(name="type", number=3, type=TEXT, label=ONE)
    metadata.field.add(name="headers", number=7, type=MESSAGE, label=MANY, type_name=".Metadata.HeadersEntry")
    metadata.field.add(name="clientIp", number=8, type=TEXT, label=ONE)
    entry = metadata.nested_type.add(name="HeadersEntry")
    entry.options.map_entry = True
    entry.field.add(name="key", number=1, type=TEXT, label=ONE)
    entry.field.add(name="value", number=2, type=TEXT, label=ONE)
    payload = file.message_type.add(name="Payload")
    payload.field.add(name="metadata", number=2, type=MESSAGE, label=ONE, type_name=".Metadata")
    payload.field.add(name="body", number=3, type=MESSAGE, label=ONE, type_name=".google.protobuf.Any")
    pool = descriptor_pool.DescriptorPool()  # our own, as a client in this process has the same names in the default one
    pool.AddSerializedFile(any_pb2.DESCRIPTOR.serialized_pb)
    pool.AddSerializedFile(file.SerializeToString())
    return message_factory.GetMessageClass(pool.FindMessageTypeByName("Payload"))


Payload: Any = _payload()


def write(kind: str, body: Mapping[str, Any]) -> Any:
    """Return a message of a type such as `ConfigQueryResponse`."""
    payload = Payload()
    payload.metadata.type = kind
    payload.body.value = orjson.dumps(body)
    return payload


def body_of(payload: Any) -> dict[str, Any]:
    """Return the JSON object inside a message.

    Raises:
        Malformed: it is none.
    """
    try:
        found = orjson.loads(payload.body.value or b"{}")
    except orjson.JSONDecodeError:
        found = None
    if not isinstance(found, dict):
        raise Malformed
    return found
