"""The portal at /help/: chat, answers, tickets and ratings of customers."""
