"""`python -m benchmarks.faq`: how surely the search of the FAQ finds the right entry, at each threshold.

    python -m benchmarks.faq [--gap 7] [--without-intents] [--output FILE]

The entries are those of the demo and of `faq_texts.csv`, in English and Chinese. They are asked with texts that no entry has, each of
which has one right entry (`asked`), and with texts that no entry answers (`outside`): complaints, small talk, other questions to a shop.
The score is the product's own (`routing.faq.index`), with intents recognized by the starting model.

precision  of the texts that are answered, how many get the right entry
recall     of the texts that have an entry, how many are answered with it
coverage   of all texts, how many are answered
"""

import os
import sys

import django


def main() -> int:
    """Set Django up, which what is measured needs, and measure."""
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "posthaste.settings")
    django.setup()
    from benchmarks import faq_figures

    return faq_figures.main(sys.argv[1:])


if __name__ == "__main__":
    sys.exit(main())
