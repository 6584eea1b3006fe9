"""What would it have done? Rules that are not published yet, replayed over the traffic that was recorded.

One module a kind of rules; each sets `what_if` of its handle, and the console and the API have it called:

    flow_rules.what_if(Applied(value, by_tenant=…), since=…, until=…, tenant_id=…) -> a report

Each message is judged by the value of its tenant; which those are is `configcenter.services.what_if`'s business.

A replay reads, counts and writes nothing; its time and memory are bounded, and the report says so when a bound was met.
"""

from messaging.what_if import delivery, flow, providers

__all__ = ["delivery", "flow", "providers"]
