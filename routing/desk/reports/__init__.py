"""Figures of the desk by day, agent, group, intent or entrance: read, shown, downloaded, and sent by e-mail."""
