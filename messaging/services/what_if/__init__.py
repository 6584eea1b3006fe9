"""What would it have done? Rules that are not published yet, replayed over the traffic that was recorded.

One module a kind of rules; each sets `what_if` of its handle, and the console and the API call that:

    delivery_rules.what_if(value, since=…, until=…, tenant_id=…) -> a report

A replay reads, counts and writes nothing; its time and memory are bounded, and the report says so when a bound was met.
"""

from messaging.services.what_if import delivery, providers

__all__ = ["delivery", "providers"]
