"""The bot: answers new conversations from the FAQ, asks, collects details, and hands over to agents. See docs/bot.md."""
