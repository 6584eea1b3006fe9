"""Small sets of labelled texts, and models of them."""

from functools import cache

from routing.intents.artefact import Model, digest, pack
from routing.intents.fitting import Fitted, fit
from routing.intents.recognition import Recogniser

TEXTS: dict[str, list[str]] = {
    "refund": [
        "I want my money back", "please refund me", "when do I get my refund", "refund for order 20391844 please",
        "give me back what I paid", "我要退款", "请把钱退给我", "退款什么时候到账", "钱退了吗", "申请退款怎么还没处理",
    ],
    "invoice": [
        "please send me an invoice", "I need an invoice for my company", "where is my invoice", "the invoice is missing",
        "can I have a VAT invoice", "麻烦开个发票", "我需要公司抬头的发票", "发票怎么开", "电子发票在哪里下载", "能开增值税发票吗",
    ],
    "human": [
        "let me talk to a human", "I want to speak to a person", "connect me with an agent", "human please", "is there a real person here",
        "转人工", "我要找人工客服", "找个真人跟我说话", "请接人工服务", "人工",
    ],
    "oos": [
        "what is the capital of France", "tell me a joke", "who won the match last night", "how tall is the Eiffel tower",
        "write me a poem", "what is two plus two",
        "今天天气怎么样", "给我讲个笑话", "法国的首都是哪里", "谁赢了昨晚的比赛", "写一首诗", "怎么学弹钢琴",
    ],
}  # fmt: skip


def labelled(*intents: str) -> tuple[list[str], list[str]]:
    """Return texts of some intents, and their labels."""
    pairs = [(text, intent) for intent in intents or TEXTS for text in TEXTS[intent]]
    return [text for text, _intent in pairs], [intent for _text, intent in pairs]


@cache
def fitted() -> Fitted:
    """Return a model of all these texts."""
    texts, labels = labelled()
    return fit(texts=texts, labels=labels)


@cache
def packed() -> bytes:
    return pack(fitted().model)


def loaded(model: Model | None = None) -> Recogniser:
    content = pack(model) if model else packed()
    return Recogniser.load(content, expected=digest(content))
