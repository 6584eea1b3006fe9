"""From an arrival to a line in a conversation: claim, recognize, write, assign. See docs/conversations.md."""
