"""How Posthaste is run: the local stack, the container set-up, the reverse proxy."""
