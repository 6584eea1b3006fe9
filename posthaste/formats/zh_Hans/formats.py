"""Figures in groups of three, as everywhere else in the product: Django's format for Chinese has no separator at all."""

THOUSAND_SEPARATOR = ","
NUMBER_GROUPING = 3
