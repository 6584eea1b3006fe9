"""How many threads of a worker may wait for the systems behind entrances at once.

The same threads assign, let the bot answer and feed what is to be sent. So that a system that hangs holds none of that up, half of the
eight are never lent to it, and what finds no place is done a little later. A tenant has half of the places; files of all tenants have too.
"""

from posthaste.lib.outgoing_calls import OutgoingCalls

#: Whose files are fetched is not one tenant: None.
places = OutgoingCalls(places=4, per_tenant=2)
