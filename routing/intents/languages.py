"""The language of a text. What recognizes it loads numpy, so that is imported when the first text is looked at."""


def language_of(text: str) -> str:
    """Return the language of a text as a BCP 47 code of two letters, `und` when unsure."""
    from routing.intents import language

    return language.language_of(text)
