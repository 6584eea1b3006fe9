"""The ways in: one folder a kind, each an adapter as `contract` describes."""
