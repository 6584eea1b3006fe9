#!/bin/sh
# Refuses to start a container whose secrets were not set: a forgotten .env must not become a platform that anyone can enter.
set -eu
for name in SECRET_KEY ENCRYPTION_KEYS DATABASE_URL BROKER_URL REDIS_URL; do
    eval "value=\${$name:-}"
    case "$value" in
        "" | *:@* | *change-me*)
            echo "Posthaste cannot start: $name, or the password in it, is not set; copy deploy/env.example to .env and fill it in." >&2
            exit 2
            ;;
    esac
done
exec "$@"
