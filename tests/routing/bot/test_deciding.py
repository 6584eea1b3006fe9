"""What the bot does, from what is known alone."""

from typing import Any
from uuid import UUID

import pytest

from routing.bot import phrases
from routing.bot.deciding import Before, Candidate, Decision, Situation, decide, value_in
from routing.configuration.bot import Bot
from tests.routing.bot.builders import DETAILS

TRACK, RETURN, REFUND, HOURS = (UUID(int=number) for number in range(1, 5))


def entry(identifier: UUID, score: float) -> Candidate:
    return Candidate(identifier, f"Question {identifier.int}?", score)


def offered(*ids: UUID, misses: int = 0) -> Before:
    rows = [{"faq": str(each), "question": f"Question {each.int}?", "score": 0.5} for each in ids]
    return Before("offer", "unsure", data={"offered": rows, "misses": misses})


def collecting(name: str, *, misses: int = 0, **collected: str) -> Before:
    data = {"intent": "order_status", "detail": name, "collected": collected, "misses": misses}
    return Before("collect", "needed", data=data)


ANSWERED = Before("answer", "sure", TRACK, {"misses": 2})
ASKED_TWICE = Before("ask", "again", data={"misses": 2})
SURE = (entry(TRACK, 0.8), entry(RETURN, 0.3))
CLOSE = (entry(TRACK, 0.8), entry(RETURN, 0.76), entry(REFUND, 0.5), entry(HOURS, 0.45))
WEAK = (entry(TRACK, 0.2),)


def decided(*texts: str, **known: Any) -> Decision:
    settings = Bot.model_validate({"is_enabled": True, "details": DETAILS, **known.pop("settings", {})})
    return decide(Situation(texts, **known), settings)


@pytest.mark.parametrize(
    ("texts", "known", "action", "reason"),
    [
        (("Where is my parcel?",), {"candidates": SURE}, "answer", "sure"),
        (("Where is my parcel?",), {"candidates": (entry(TRACK, 0.58),)}, "answer", "sure"),
        (("Where is my parcel?",), {"candidates": CLOSE}, "offer", "unsure"),  # two are alike
        (("parcel",), {"candidates": (entry(TRACK, 0.45),)}, "offer", "unsure"),
        # requests
        (("I want a human",), {"candidates": SURE}, "hand_over", "request"),
        (("转人工",), {"candidates": SURE}, "hand_over", "request"),
        (("somebody please",), {"intent": "human_please"}, "hand_over", "request"),
        (("first this", "no, agent please", "and that"), {"candidates": SURE}, "hand_over", "request"),
        (("At which hours can I reach one of your agents by phone, also on Sundays?",), {"candidates": SURE}, "answer", "sure"),
        # not sure enough
        (("Is the table oak?",), {"candidates": WEAK, "intent": "product_question"}, "hand_over", "no_answer"),
        (("xyz",), {"candidates": WEAK}, "ask", "again"),
        (("xyz",), {}, "ask", "again"),
        (("xyz",), {"before": ASKED_TWICE}, "hand_over", "misses"),
        (("xyz",), {"before": ASKED_TWICE, "settings": {"misses": 5}}, "ask", "again"),
        (("maybe the other",), {"candidates": CLOSE, "before": offered(TRACK, RETURN)}, "offer", "unsure"),
        (("maybe the other",), {"candidates": CLOSE, "before": offered(TRACK, RETURN, misses=2)}, "hand_over", "misses"),
        # small talk
        (("hello",), {"intent": "greeting"}, "ask", "greeting"),
        (("hello?",), {"intent": "greeting", "before": Before("ask", "greeting")}, "ask", "again"),
        (("bye",), {"intent": "thanks_goodbye"}, "ask", "thanks"),
        (("Thank you for your message",), {"intent": "thanks_goodbye", "before": Before("ask", "thanks")}, "silent", "thanks"),
        (("Thank you for your message",), {"intent": "thanks_goodbye", "before": Before("silent", "thanks")}, "silent", "thanks"),
        # after an answer
        (("Yes!",), {"before": ANSWERED}, "ask", "thanks"),
        (("谢谢。",), {"before": ANSWERED, "candidates": CLOSE}, "ask", "thanks"),
        (("no",), {"before": ANSWERED, "candidates": SURE}, "hand_over", "misses"),
        (("没用",), {"before": Before("answer", "sure", TRACK)}, "ask", "unhelpful"),
        (("Where is my parcel?",), {"before": ANSWERED, "candidates": SURE}, "hand_over", "repeated"),
        (("And how do I return it?",), {"before": ANSWERED, "candidates": (entry(RETURN, 0.7),)}, "answer", "sure"),
        # from an offer
        (("2",), {"before": offered(TRACK, RETURN)}, "answer", "chosen"),
        (("第二个",), {"before": offered(TRACK, RETURN)}, "answer", "chosen"),
        (("question 2?",), {"before": offered(TRACK, RETURN)}, "answer", "chosen"),
        (("4",), {"before": offered(TRACK, RETURN)}, "ask", "again"),
        (("none of these",), {"before": offered(TRACK, RETURN)}, "ask", "unhelpful"),
        # details
        (("Where is it?",), {"intent": "order_status", "candidates": SURE}, "collect", "needed"),
        (("Where is order A-1042?",), {"intent": "order_status"}, "collect", "needed"),
        (("hm",), {"before": collecting("order_number")}, "collect", "again"),
        (("hm",), {"before": collecting("order_number", misses=2)}, "hand_over", "misses"),
        (("I'd rather return it",), {"before": collecting("order_number"), "candidates": (entry(RETURN, 0.7),)}, "answer", "sure"),
        (("Paris",), {"before": collecting("city", order_number="A-1042")}, "hand_over", "collected"),
        (("agent",), {"before": collecting("city", order_number="A-1042")}, "hand_over", "request"),
        # what the bot is not for
        ((), {}, "hand_over", "no_text"),
        (("Où est mon colis ?",), {"speaks": False, "candidates": SURE}, "hand_over", "language"),
        (("Where is my parcel?",), {"candidates": SURE, "settings": {"is_enabled": False}}, "hand_over", "switched_off"),
    ],
)  # fmt: skip
def test_the_bot_answers_offers_asks_or_hands_over(texts: tuple[str, ...], known: dict[str, Any], action: str, reason: str) -> None:
    decision = decided(*texts, **known)
    assert (decision.action, decision.reason) == (action, reason)


def test_three_entries_are_offered_at_most_and_the_chosen_one_answers() -> None:
    assert [each.id for each in decided("parcel", candidates=CLOSE).offered] == [TRACK, RETURN, REFUND]
    chosen = decided("2", before=offered(TRACK, RETURN)).entry
    assert chosen is not None
    assert chosen.id == RETURN


def test_details_are_asked_for_one_by_one_and_those_in_the_text_are_taken() -> None:
    first = decided("Where is order a-1042?", intent="order_status")
    assert (first.detail and first.detail.name, first.collected) == ("city", {"order_number": "a-1042"})
    last = decided("to  Paris", before=collecting("city", order_number="A-1042"))
    assert last.collected == {"order_number": "A-1042", "city": "to Paris"}


def test_an_opinion_is_kept_and_a_miss_is_counted() -> None:
    assert [decided(text, before=Before("answer", "sure", TRACK)).opinion for text in ("yes", "no", "but why?")] == [True, False, None]
    assert decided("no", before=Before("answer", "sure", TRACK)).misses == 1
    assert decided("yes", before=ANSWERED).misses == 0


def test_a_pattern_that_would_run_for_ever_finds_nothing() -> None:
    assert value_in("a" * 60 + "!", r"(a|aa|aaa)+$") == ""
    assert value_in("order no. 4711", r"no\. (\d+)") == "4711"


def test_a_word_for_an_agent_counts_in_a_short_text_only() -> None:
    words = ["agent", "人工"]
    assert phrases.asks_for(words, "Agent!")
    assert phrases.asks_for(words, "我要人工")
    assert not phrases.asks_for(words, "reagents")
    assert not phrases.asks_for(words, "人工智能客服每天几点到几点可以回答我的问题")
