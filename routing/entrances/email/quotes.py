"""The text of a message without what it quotes.

mail-parser-reply knows how mail programs introduce quotations, in many languages. Its patterns take time with the third power of what
could begin a quotation, so it gets only short texts: first, lines that are quotations beyond doubt are cut here, in one pass.
"""

import re

from mailparser_reply import EmailReplyParser

LANGUAGES = ["en", "zh"]
#: What is handed to the library: below this it answers within milliseconds, whatever stands there.
MAX_CHARACTERS, MAX_LINES, MAX_BEGINNINGS = 6_000, 150, 20
MAX_LINE = 300  # a longer line introduces nothing
_BEGINNING = re.compile(r"\b(on|from|sent|to|subject|date|cc)\b", re.IGNORECASE)
#: Introductions that stand in a line of their own.
_INTRODUCTION = re.compile(
    r"\s*(-{2,} ?(original message|forwarded message|原始邮件|转发的邮件|原始信息|回复的原邮件) ?-{2,}"
    r"|(在|于)?\s?\S.{0,200}(写道|寫道)\s?[：:]"
    r"|on \S.{0,200}\bwrote:"
    r"|_{20,})\s*",
    re.IGNORECASE,
)
_FIELD = re.compile(
    r"\s*\*?(发件人|寄件者|发送时间|日期|收件人|抄送|主题|主旨|from|sent|to|date|subject|cc)\s?[：:]\*?\s?\S",
    re.IGNORECASE,
)


def without_quotes(text: str) -> str:
    """Return the newest part of a text; the whole text if nothing else is left."""
    lines = text.replace("\r\n", "\n").replace("\r", "\n").split("\n")
    kept = "\n".join(lines[: _cut_at(lines)]).strip()
    if kept and len(kept) <= MAX_CHARACTERS and kept.count("\n") <= MAX_LINES and len(_BEGINNING.findall(kept)) <= MAX_BEGINNINGS:
        kept = (EmailReplyParser(languages=LANGUAGES).parse_reply(text=_without_blank_runs(kept)) or "").strip() or kept
    return kept or text.strip()


def _cut_at(lines: list[str]) -> int:
    """Return the index of the first line of the quotation that ends the text."""
    for index, line in enumerate(lines):
        if len(line) > MAX_LINE or not line.strip():
            continue
        if _INTRODUCTION.fullmatch(line) or (_FIELD.match(line) and index + 1 < len(lines) and _FIELD.match(lines[index + 1][:MAX_LINE])):
            return index
    # Without an introduction: quoted lines down to the end. Answers between quoted lines stay, with what they answer.
    end = len(lines)
    while end and (not lines[end - 1].strip() or lines[end - 1].lstrip().startswith(">")):
        end -= 1
    return end


def _without_blank_runs(text: str) -> str:
    return re.sub(r"\n[ \t]*(\n[ \t]*){2,}", "\n\n", text)
