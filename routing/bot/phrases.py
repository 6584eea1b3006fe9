"""Short texts of customers that mean the same everywhere: yes, no, a number of a list, a wish for an agent."""

import re
import unicodedata
from collections.abc import Collection

_MARKS = re.compile(r"[\s!?.,;:~。！？，；：～、'’\"“”👍👎]+")
_HAN = re.compile(r"[\u3400-\u9fff]")
_NUMBERS = {"一": 1, "二": 2, "三": 3, "第一个": 1, "第二个": 2, "第三个": 3, "first": 1, "second": 2, "third": 3}
YES = frozenset({
    "yes", "yep", "yeah", "yes please", "thanks", "thank you", "thank you very much", "many thanks", "thx", "helpful", "that helped",
    "it helped", "great", "perfect", "ok", "okay", "got it", "solved",
    "是", "是的", "对", "好", "好的", "谢谢", "谢谢你", "多谢", "感谢", "有用", "有帮助", "解决了", "可以了", "明白了", "知道了",
})  # fmt: skip
NO = frozenset({
    "no", "nope", "not really", "not helpful", "no thanks", "that did not help", "did not help", "didnt help", "that didnt help",
    "does not help", "doesnt help", "wrong", "none", "none of these", "none of them", "neither",
    "不", "不是", "没", "没有", "没用", "没有用", "没帮助", "没有帮助", "不对", "没解决", "没有解决", "都不是", "不行",
})  # fmt: skip
#: Longer texts that have such a word are about something else, such as the opening hours of the agents.
MAX_WORDS, MAX_HAN = 8, 14


def folded(text: str) -> str:
    """Return a text in lower case without marks, so that "Yes!" is "yes"."""
    return _MARKS.sub(" ", unicodedata.normalize("NFKC", text).casefold().replace("'", "").replace("’", "")).strip()


def is_yes(text: str) -> bool:
    """Return whether a text says yes or thanks, and nothing else."""
    return folded(text) in YES or text.strip() == "👍"


def is_no(text: str) -> bool:
    """Return whether a text says no, and nothing else."""
    return folded(text) in NO or text.strip() == "👎"


def number_in(text: str) -> int | None:
    """Return the number that a text consists of, as a choice from a list; None: it is no number."""
    plain = folded(text).rstrip(")")
    return int(plain) if re.fullmatch(r"[1-9]", plain) else _NUMBERS.get(plain)


def asks_for(words: Collection[str], text: str) -> bool:
    """Return whether a short text has one of some words."""
    plain = folded(text)
    if len(_HAN.findall(plain)) > MAX_HAN or len(plain.split()) > MAX_WORDS:
        return False
    return any(_has(plain, folded(word)) for word in words)


def _has(text: str, word: str) -> bool:
    if not word:
        return False
    return word in text if _HAN.search(word) else re.search(rf"(?<!\w){re.escape(word)}(?!\w)", text) is not None
