"""When two utterances are the same text, which of them measure a model, and what of a customer's text is kept."""

import hashlib
import re
import unicodedata

MAX_CHARACTERS = 1_000
#: One in so many texts measures the model instead of training it.
HELD_OUT_ONE_IN = 4
FINAL_MARKS = " .!?…,;:~。！？，；：～"
ADDRESS = re.compile(r"[\w.+-]+@[\w-]+(\.[\w-]+)+")
LINK = re.compile(r"https?://\S+", re.IGNORECASE)
#: Five digits or more, also in groups: numbers of orders, phones, cards. Shorter ones are amounts, times and sizes.
NUMBER = re.compile(r"\d(?:[ -]?\d){4,}")
DIGIT = re.compile(r"\d")


def text_key(text: str) -> str:
    """Return a hash that texts share if they differ only in capitals, width, spaces and final marks."""
    folded = " ".join(unicodedata.normalize("NFKC", text).casefold().split()).rstrip(FINAL_MARKS)
    return hashlib.blake2b((folded or text).encode(), digest_size=16).hexdigest()


def is_held_out(key: str) -> bool:
    """Return whether the text of a key measures models. The text alone decides, so it is the same on each import."""
    return int(key[:8], 16) % HELD_OUT_ONE_IN == 0


def anonymized(text: str) -> str:
    """Return a customer's text without what tells who wrote it: links and addresses are replaced, digits of long numbers become 0."""
    text = ADDRESS.sub("name@example.com", LINK.sub("https://example.com", text))
    return NUMBER.sub(lambda found: DIGIT.sub("0", found[0]), text)[:MAX_CHARACTERS]
