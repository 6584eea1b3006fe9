"""Known answers are those of wechatpy (tests/test_crypto.py, MIT), which is also asked about texts of our own."""

import base64

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from wechatpy.enterprise.crypto import WeChatCrypto

from routing.wecom import documents
from routing.wecom.crypto import BadSignature, CryptError, MessageCrypt, Unreadable, WrongReceiver

TOKEN = "123456"
AES_KEY = "kWxPEV2UEDyxWpmPdKC3F4dgPDmOvfKX1HGnEUDS1aR"
CORP_ID = "wx49f0ab532d5d035a"
CRYPT = MessageCrypt(token=TOKEN, encoding_aes_key=AES_KEY, receive_ids=(CORP_ID,))
ECHO = "4ByGGj+sVCYcvGeQYhaKIk1o0pQRNbRjxybjTGblXrBaXlTXeOo1+bXFXDQQb1o6co6Yh9Bv41n7hOchLF6p+Q=="
ECHO_SIGNED = {"signature": "dd6b9c95b495b3f7e2901bfbc76c664930ffdb96", "timestamp": "1411443780", "nonce": "437374425"}
BODY = b"""<xml><ToUserName><![CDATA[wx49f0ab532d5d035a]]></ToUserName>
<Encrypt><![CDATA[RgqEoJj5A4EMYlLvWO1F86ioRjZfaex/gePD0gOXTxpsq5Yj4GNglrBb8I2BAJVODGajiFnXBu7mCPatfjsu6IHCrsTyeDXzF6Bv283dGymzxh6ydJRvZsryDyZbLTE7rhnus50qGPMfp2wASFlzEgMW9z1ef/RD8XzaFYgm7iTdaXpXaG4+BiYyolBug/gYNx410cvkKR2/nPwBiT+P4hIiOAQqGp/TywZBtDh1yCF2KOd0gpiMZ5jSw3e29mTvmUHzkVQiMS6td7vXUaWOMZnYZlF3So2SjHnwh4jYFxdgpkHHqIrH/54SNdshoQgWYEvccTKe7FS709/5t6NMxuGhcUGAPOQipvWTT4dShyqio7mlsl5noTrb++x6En749zCpQVhDpbV6GDnTbcX2e8K9QaNWHp91eBdCRxthuL0=]]></Encrypt>
<AgentID><![CDATA[1]]></AgentID>
</xml>"""
BODY_SIGNED = {"signature": "74d92dfeb87ba7c714f89d98870ae5eb62dff26d", "timestamp": "1411525903", "nonce": "461056294"}
REPLY = b"""<xml>
<MsgType><![CDATA[text]]></MsgType>
<Content><![CDATA[test]]></Content>
<FromUserName><![CDATA[wx49f0ab532d5d035a]]></FromUserName>
<ToUserName><![CDATA[messense]]></ToUserName>
<AgentID>1</AgentID>
<CreateTime>1411525903</CreateTime>
</xml>"""
REPLY_SEALED = "9s4gMv99m88kKTh/H8IdkOiMg6bisoy3ypwy9H4hvSPe9nsGaqyw5hhSjdYbcrKk+j3nba4HMOTzHrluLBYqxgNcBqGsL8GqxlhZgURnAtObvesEl5nZ+uBE8bviY0LWke8Zy9V/QYKxNV2FqllNXcfmstttyIkMKCCmVbCFM2JTF5wY0nFhHZSjPUL2Q1qvSUCUld+/WIXrx0oyKQmpB6o8NRrrNrsDf03oxI1p9FxUgMnwKKZeOA/uu+2IEvEBtb7muXsVbwbgX05UPPJvFurDXafG0RQyPR+mf1nDnAtQmmNOuiR5MIkdQ39xn1vWwi1O5oazPoQJz0nTYjxxEE8kv3kFxtAGVRe3ypD3WeK2XeFYFMNMpatF9XiKzHo3"  # noqa: E501


def signed(encrypted: str, crypt: MessageCrypt = CRYPT) -> dict[str, str]:
    return {"signature": crypt.sign("1", "2", encrypted), "timestamp": "1", "nonce": "2"}


def test_known_answers_are_read_and_written() -> None:
    assert CRYPT.decrypt_signed(ECHO, **ECHO_SIGNED).decode() == WeChatCrypto(TOKEN, AES_KEY, CORP_ID).check_signature(
        *ECHO_SIGNED.values(), ECHO
    )
    said = documents.read(CRYPT.open_body(BODY, **BODY_SIGNED))
    assert (said["Content"], said["FromUserName"]) == ("test", "messense")
    sealed = CRYPT.seal(REPLY, timestamp="1411525903", nonce="461056294", random=b"1234567890123456")
    assert (sealed.encrypted, sealed.signature) == (REPLY_SEALED, "407518b7649e86ef23978113f92d27afa9296533")


@given(st.text(min_size=1, max_size=80))
@settings(max_examples=25)
def test_what_one_library_encrypts_the_other_reads(text: str) -> None:
    other = WeChatCrypto(TOKEN, AES_KEY, CORP_ID)
    sealed = CRYPT.seal(text.encode(), timestamp="1", nonce="2")
    read = other.check_signature(sealed.signature, "1", "2", sealed.encrypted)
    assert (read.encode() if isinstance(read, str) else read) == text.encode()
    written = documents.read(other.encrypt_message(text, "2", "1").encode())
    assert CRYPT.decrypt_signed(written["Encrypt"], signature=written["MsgSignature"], timestamp="1", nonce="2") == text.encode()


def test_a_body_in_json_is_read_and_an_answer_written_in_both_forms() -> None:
    sealed = CRYPT.seal(b'{"msgtype": "text"}', timestamp="1", nonce="2")
    assert CRYPT.open_body(sealed.as_json(), signature=sealed.signature, timestamp="1", nonce="2") == b'{"msgtype": "text"}'
    assert CRYPT.open_body(sealed.as_xml().encode(), signature=sealed.signature, timestamp="1", nonce="2") == b'{"msgtype": "text"}'


@pytest.mark.parametrize("changed", [{"nonce": "437374424"}, {"timestamp": "1411443781"}, {"signature": "0" * 40}, {"signature": "é"}])
def test_a_wrong_signature_is_refused(changed: dict[str, str]) -> None:
    with pytest.raises(BadSignature):
        CRYPT.decrypt_signed(ECHO, **{**ECHO_SIGNED, **changed})


def test_a_callback_for_another_company_is_refused_and_for_the_suite_taken() -> None:
    other = MessageCrypt(token=TOKEN, encoding_aes_key=AES_KEY, receive_ids=("wx-another",))
    sealed = other.seal(b"x", timestamp="1", nonce="2").encrypted
    with pytest.raises(WrongReceiver):
        CRYPT.decrypt_signed(sealed, **signed(sealed))
    both = MessageCrypt(token=TOKEN, encoding_aes_key=AES_KEY, receive_ids=(CORP_ID, "wx-another"))
    assert both.decrypt_signed(sealed, **signed(sealed)) == b"x"


def test_another_key_or_a_length_beyond_the_end_is_unreadable() -> None:
    other = MessageCrypt(token=TOKEN, encoding_aes_key=AES_KEY[::-1].replace("R", "A", 1), receive_ids=(CORP_ID,))
    sealed = other.seal(b"x" * 40, timestamp="1", nonce="2").encrypted
    with pytest.raises(Unreadable):
        CRYPT.decrypt_signed(sealed, **signed(sealed))
    encryptor = CRYPT._cipher().encryptor()
    plain = b"r" * 16 + (2**31).to_bytes(4, "big") + b"short" + CORP_ID.encode()
    missing = 32 - len(plain) % 32
    long = base64.b64encode(encryptor.update(plain + bytes([missing]) * missing) + encryptor.finalize()).decode()
    with pytest.raises(Unreadable, match="length"):
        CRYPT.decrypt_signed(long, **signed(long))


@pytest.mark.parametrize("encrypted", ["", "not base64!", "QUJD", ECHO[:-4]])
def test_a_signed_ciphertext_that_is_none_is_unreadable(encrypted: str) -> None:
    with pytest.raises(Unreadable):
        CRYPT.decrypt_signed(encrypted, **signed(encrypted))


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"<xml><Encrypt>a",
        b"[1]",
        b"{}",
        b"<xml><Encrypt/></xml>",
        b'<!DOCTYPE x [<!ENTITY a "aaaa">]><xml><Encrypt>&a;</Encrypt></xml>',
        b'<!DOCTYPE x SYSTEM "file:///etc/passwd"><xml><Encrypt>a</Encrypt></xml>',
        b"<xml>" + b"<a>" * 40 + b"</a>" * 40 + b"</xml>",
        b"<xml>" + b"<a/>" * 6_000 + b"</xml>",
        b"<xml>\xff</xml>",
    ],
)
def test_a_body_that_is_no_callback_is_refused(body: bytes) -> None:
    with pytest.raises((documents.BadDocument, CryptError)):
        CRYPT.open_body(body, **BODY_SIGNED)


@pytest.mark.parametrize("key", ["", "a" * 42, "a" * 44, "a" * 42 + "!", "é" * 43])
def test_a_key_of_another_form_is_refused_with_what_to_do(key: str) -> None:
    with pytest.raises(ValueError, match="43"):
        MessageCrypt(token=TOKEN, encoding_aes_key=key, receive_ids=(CORP_ID,))


def test_neither_token_nor_key_is_in_what_is_printed() -> None:
    assert TOKEN not in repr(CRYPT)
    assert AES_KEY not in repr(CRYPT)
    assert "key=" not in repr(CRYPT)
