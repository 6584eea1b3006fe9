"""Answers to frequent questions: written, reviewed, published, found by what they mean, counted. See docs/bot.md."""
