"""The language of a text is told by its script and its most frequent words."""

import pytest

from routing.intents.language import language_of


@pytest.mark.parametrize(
    ("text", "language"),
    [
        ("Where is my order?", "en"),
        ("refund please", "en"),
        ("我的快递咋还没到啊", "zh"),
        ("帮我查一下 order 20391844", "zh"),
        ("iPhone 15 Pro Max 壳有货吗", "zh"),
        ("ご注文の返品について", "ja"),
        ("주문 취소해 주세요", "ko"),
        ("Wo ist meine Bestellung?", "de"),
        ("Où est ma commande ?", "fr"),
        ("¿Dónde está mi pedido?", "es"),
        ("", "und"),
        ("123 456", "und"),
        ("😀", "und"),
        ("Xyzzy", "und"),
        ("Где мой заказ", "und"),
        ("\ud800 is my order late", "en"),
    ],
)
def test_a_language_is_told(text: str, language: str) -> None:
    assert language_of(text) == language
