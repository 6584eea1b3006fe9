"""A small frame every few seconds on each connection, whatever else is sent.

A browser is not told that a connection is dead where its network has changed, a proxy has dropped it, or the server hangs: it looks open
and says nothing. So pages take one as lost that has had no frame for some time. Beats also keep proxies from closing what is idle.
"""

#: Below the minute after which many proxies close a connection; pages wait for more than two of them.
SECONDS = 15.0
BEAT = {"type": "beat"}
