"""Word and character n-grams of a text, weighted by TF-IDF.

The weights are those of scikit-learn's `TfidfVectorizer` with `sublinear_tf=True`: tf = 1 + ln(count),
idf = ln((1 + n) / (1 + df)) + 1, the words and the characters of a text each of unit length. Its own code is not used
because a process that only classifies would load 100 MB for it.
"""

import math
import re
import unicodedata
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float32]
Integers = npt.NDArray[np.int32]

#: What is read of a text. A customer who pastes a contract has said what it is about before this.
MAX_CHARACTERS = 1_000
IDEOGRAPHS = "\u3400-\u4dbf\u4e00-\u9fff\uf900-\ufaff"
#: Chinese has no spaces, so each character is a word; word pairs are then pairs of characters.
TOKEN = re.compile(rf"[{IDEOGRAPHS}]|[^\W{IDEOGRAPHS}]+")
DIGIT = re.compile(r"\d")
LONG_NUMBER = re.compile("0{5,}")
SHORTEST, LONGEST = 2, 5  # characters of an n-gram


def normalised(text: str) -> str:
    """Return a text as it is compared: NFKC, lower case, single spaces, every digit 0, long numbers cut.

    Order and phone numbers say nothing about the intent, and must not end in the vocabulary of a model.
    """
    folded = unicodedata.normalize("NFKC", text[:MAX_CHARACTERS]).lower()[:MAX_CHARACTERS]
    return " ".join(LONG_NUMBER.sub("0000", DIGIT.sub("0", folded)).split())


def word_ngrams(text: str) -> list[str]:
    """Return the words of a normalised text and its pairs of neighbours."""
    tokens = TOKEN.findall(text)
    return tokens + [f"{first} {second}" for first, second in pairwise(tokens)]


def character_ngrams(text: str) -> list[str]:
    """Return the character n-grams inside the words of a normalised text, with a space at both ends of each word."""
    found: list[str] = []
    for word in text.split():
        padded = f" {word} "
        length = len(padded)
        for n in range(SHORTEST, LONGEST + 1):
            found.append(padded[:n])
            found.extend(padded[start : start + n] for start in range(1, length - n + 1))
            if length <= n:  # a short word counts once
                break
    return found


ANALYSERS: tuple[Callable[[str], list[str]], ...] = (word_ngrams, character_ngrams)


@dataclass(frozen=True, slots=True)
class Rows:
    """Sparse rows: of row i, columns and weights lie between `starts[i]` and `starts[i + 1]`."""

    starts: Integers
    columns: Integers
    weights: Floats


class Vectoriser:
    """Turns texts into rows of TF-IDF weights: the columns of the words first, then those of the characters."""

    def __init__(self, vocabularies: Sequence[Sequence[str]], idf: Floats) -> None:
        self.vocabularies = [list(terms) for terms in vocabularies]
        self.idf = idf
        self._indices: list[dict[str, int]] = []
        first = 0
        for terms in self.vocabularies:
            self._indices.append({term: column for column, term in enumerate(terms, first)})
            first += len(terms)
        if first != len(idf):
            raise ValueError(f"There are {first} n-grams and {len(idf)} weights.")

    @property
    def width(self) -> int:
        return len(self.idf)

    @classmethod
    def fitted(cls, texts: Sequence[str], *, min_texts: Sequence[int] = (1, 2)) -> "Vectoriser":
        """Return one whose columns are the n-grams that are in at least so many texts (words, characters)."""
        seen: list[Counter[str]] = [Counter() for _analyser in ANALYSERS]
        for text in map(normalised, texts):
            for counter, analyser in zip(seen, ANALYSERS, strict=True):
                counter.update(set(analyser(text)))
        vocabularies = [
            sorted(term for term, number in counter.items() if number >= least) for counter, least in zip(seen, min_texts, strict=True)
        ]
        frequencies = [counter[term] for counter, terms in zip(seen, vocabularies, strict=True) for term in terms]
        idf = np.log((1 + len(texts)) / (1 + np.array(frequencies, dtype=np.float64))) + 1
        return cls(vocabularies, idf.astype(np.float32))

    def rows(self, texts: Iterable[str]) -> Rows:
        """Return a row for each text."""
        idf = self.idf
        starts: list[int] = [0]
        columns: list[int] = []
        weights: list[float] = []
        for text in map(normalised, texts):
            for index, analyser in zip(self._indices, ANALYSERS, strict=True):
                counts = Counter(index[term] for term in analyser(text) if term in index)
                part = [(column, (1 + math.log(count)) * float(idf[column])) for column, count in sorted(counts.items())]
                length = math.sqrt(sum(weight * weight for _column, weight in part))
                columns.extend(column for column, _weight in part)
                weights.extend(weight / length for _column, weight in part)
            starts.append(len(columns))
        return Rows(np.array(starts, np.int32), np.array(columns, np.int32), np.array(weights, np.float32))
