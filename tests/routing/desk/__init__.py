"""The desk: its data, its actions, its socket."""
