"""N-grams weigh as much as scikit-learn's."""

import numpy as np
from scipy.sparse import csr_matrix, hstack
from sklearn.feature_extraction.text import TfidfVectorizer

from routing.intents.ngrams import TOKEN, Vectoriser, normalised
from tests.routing.intents.texts import labelled

TRICKY = [
    "",
    "   ",
    "a",
    "A  a\na",
    "ＦＵＬＬ　width",
    "it's £12.50, isn't it?",
    "我要退款我要退款 refund",
    "emoji 😀 and … dots",
    "x" * 300,
]


def test_rows_are_those_of_scikit_learn() -> None:
    texts = labelled()[0] + TRICKY
    ours = Vectoriser.fitted(texts[:20])
    rows = ours.rows(texts)
    found = csr_matrix((rows.weights, rows.columns, rows.starts), shape=(len(texts), ours.width))
    words = TfidfVectorizer(preprocessor=normalised, token_pattern=TOKEN.pattern, ngram_range=(1, 2), sublinear_tf=True)
    characters = TfidfVectorizer(preprocessor=normalised, analyzer="char_wb", ngram_range=(2, 5), min_df=2, sublinear_tf=True)
    theirs = hstack([part.fit(texts[:20]).transform(texts) for part in (words, characters)]).tocsr()
    assert ours.vocabularies == [part.get_feature_names_out().tolist() for part in (words, characters)]
    assert np.abs(found - theirs).max() < 1e-6


def test_numbers_of_orders_and_phones_never_enter_a_vocabulary() -> None:
    terms = Vectoriser.fitted(["order 20391844", "order 20391844", "call 13800138000", "call ١٣٨"]).vocabularies
    assert {character for part in terms for term in part for character in term if character.isdigit()} == {"0"}
    assert normalised("Order 20391844, 12.50") == "order 0000, 00.00"


def test_what_expands_when_it_is_normalised_stays_short() -> None:
    assert len(normalised("\ufdfa" * 100_000)) <= 1_000
