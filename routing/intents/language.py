"""The language that a text is written in, by its script and, for the Latin one, by its most frequent words.

Texts of customers are short: "refund please" is too little for a statistical model, and such a model takes 100 MB. Only
what is sure is told; everything else is `und`, as BCP 47 has it.
"""

import re
import unicodedata
from collections import Counter

from routing.intents.ngrams import MAX_CHARACTERS

UNDETERMINED = "und"

#: The share of letters from which on a script decides.
MIN_SHARE = 0.2
HAN = re.compile(r"[\u3400-\u4dbf\u4e00-\u9fff\uf900-\ufaff\U00020000-\U0003134f]")
KANA = re.compile(r"[\u3041-\u3096\u30a1-\u30fa\uff66-\uff9d]")
HANGUL = re.compile(r"[\u1100-\u11ff\u3131-\u318e\uac00-\ud7a3]")
LATIN_WORD = re.compile(r"[a-z\u00df-\u00f6\u00f8-\u024f]+")
#: Scripts of one large language each. Cyrillic and Arabic are written by many.
SCRIPTS = {"th": re.compile(r"[\u0e01-\u0e3a\u0e40-\u0e4e]"), "el": re.compile(r"[\u0370-\u03ff]"), "he": re.compile(r"[\u05d0-\u05ea]")}

#: Words without apostrophes that hold sentences together, and of English those that customers use most.
WORDS: dict[str, str] = {
    "en": (
        "about account address after again agent and any app appointment are ask at awful bad be because been before best bill "
        "book booking broken but button by call camera can cancel cant card change chat close closed code complaint contract cost "
        "could customer damaged delivered delivery did didnt discount do does doesnt dont email evening excellent faulty for from "
        "get give good got great greetings guarantee had happy has have hello help here hey hi hiya hours how howdy human i if im "
        "invoice is it item items its ive just keeps know late live login lost love lovely made make mine missing money morning "
        "my need never not now number of off on only open operator or order ordered orders package paid parcel password pay "
        "payment perfect person phone please points price product really receipt refund renewal repair representative reschedule "
        "return said say says screen see send sent service shipped shipping shop should size some someone speak status still stop "
        "store support take talk tell terrible thank thanks that the them there these they think this those to today tomorrow "
        "track tracking turn unregister us very want warranty was we website were what when where which who why will with wont "
        "work working works worst would wrong yes yesterday you your yours"
    ),
    "de": (
        "auf bei bestellung bitte danke das dem den der die ein eine einen für guten habe haben hallo ich im ist kann können "
        "lieferung mein meine meinen meiner mit möchte nicht noch paket rechnung sie tag und von wann warum wie wir wird wo wurde "
        "zu"
    ),
    "fr": (
        "au avec avez bonjour ce cest cette colis commande comment dans des du est facture jai je la le les livraison ma merci "
        "mes mon nest où pas pour pourquoi quand que qui suis sur une vos votre vous"
    ),
    "es": (
        "con cuándo cómo del donde dónde el envío estoy está factura favor gracias ha han hola las los mi mis necesito paquete "
        "para pedido por puedo quiero qué sin tengo una usted y"
    ),
    "pt": (
        "as com da do encomenda está eu fatura foi meu minha não obrigada obrigado olá onde os para pedido preciso quero são uma você vocês"
    ),
    "it": ("che ciao con della di dove fattura gli grazie ho il lo mia mio non ordine pacco perché posso quando sono una vorrei è"),
    "nl": (
        "alstublieft ben bestelling dank een factuur graag heb het hoe ik kan met mijn niet op pakket van voor waar waarom wanneer zijn"
    ),
}
KNOWN = {language: frozenset(words.split()) for language, words in WORDS.items()}


def language_of(text: str) -> str:
    """Return the language as a BCP 47 code of two letters, `und` when unsure."""
    text = unicodedata.normalize("NFKC", text[:MAX_CHARACTERS]).lower()
    letters = sum(map(str.isalpha, text))
    if not letters:
        return UNDETERMINED
    kana, hangul, han = (len(script.findall(text)) for script in (KANA, HANGUL, HAN))
    # A character is about a word, so a few among Latin product names make the sentence theirs.
    if kana + hangul + han >= MIN_SHARE * letters:
        return "ko" if hangul > kana + han else "ja" if kana > MIN_SHARE * (kana + han) else "zh" if han > hangul else UNDETERMINED
    for language, script in SCRIPTS.items():
        if 2 * len(script.findall(text)) > letters:
            return language
    return _by_its_words(text)


def _by_its_words(text: str) -> str:
    words = LATIN_WORD.findall(text.replace("'", "").replace("\u2019", ""))
    counts = Counter(language for word in words for language, known in KNOWN.items() if word in known)
    ranked = [*counts.most_common(2), (UNDETERMINED, 0), (UNDETERMINED, 0)]
    return ranked[0][0] if ranked[0][1] > ranked[1][1] else UNDETERMINED
