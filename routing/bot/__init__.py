"""The bot: answers from the FAQ while no agent has a conversation, and hands over."""
