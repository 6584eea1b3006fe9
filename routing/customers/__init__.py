"""Who writes: customers, their identities, attributes, merges."""
