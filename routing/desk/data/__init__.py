"""What the desk's pages read and send, as JSON: the protocol is described in docs/desk-data.md. Entrances only: the rules are services."""
