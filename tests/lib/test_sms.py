import pytest
from hypothesis import given
from hypothesis import strategies as st

from posthaste.lib.sms import BASIC, EXTENSION, Segments, count_segments


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("", Segments("GSM-7", 0, 0)),
        ("a", Segments("GSM-7", 1, 1)),
        ("a" * 160, Segments("GSM-7", 160, 1)),
        ("a" * 161, Segments("GSM-7", 161, 2)),
        ("a" * 306, Segments("GSM-7", 306, 2)),
        ("a" * 307, Segments("GSM-7", 307, 3)),
        ("€" * 80, Segments("GSM-7", 160, 1)),
        ("€" * 80 + "a", Segments("GSM-7", 161, 2)),
        ("\n\r@Δ£", Segments("GSM-7", 5, 1)),
        ("中" * 70, Segments("UCS-2", 70, 1)),
        ("中" * 71, Segments("UCS-2", 71, 2)),
        ("中" * 134, Segments("UCS-2", 134, 2)),
        ("中" * 135, Segments("UCS-2", 135, 3)),
        ("😀" * 35, Segments("UCS-2", 70, 1)),
        ("a" * 69 + "😀", Segments("UCS-2", 71, 2)),
        ("ç", Segments("UCS-2", 1, 1)),  # only the capital is in the table
        ("`", Segments("UCS-2", 1, 1)),
    ],
)
def test_segments_at_the_boundaries(text: str, expected: Segments) -> None:
    assert count_segments(text) == expected


def test_an_escape_sequence_is_never_split() -> None:
    # 152 + 2 would fill 154 septets of 153: the sequence moves on, and the last segment overflows into a third.
    text = "a" * 152 + "€" + "a" * 152
    assert count_segments(text) == Segments("GSM-7", 306, 3)


def test_a_surrogate_pair_is_never_split() -> None:
    assert count_segments("中" * 66 + "😀" + "中" * 66) == Segments("UCS-2", 134, 3)


def test_a_lone_surrogate_does_not_stop_the_count() -> None:
    assert count_segments("\ud83d").encoding == "UCS-2"


def test_the_tables_have_the_sizes_of_the_standard() -> None:
    assert (len(BASIC), len(EXTENSION)) == (127, 10)


@given(st.text(st.sampled_from("aé€中😀~"), max_size=500))
def test_segments_hold_all_units_and_waste_less_than_one_unit_each(text: str) -> None:
    result = count_segments(text)
    single, part = (160, 153) if result.encoding == "GSM-7" else (70, 67)
    assert result.units <= (single if result.segments <= 1 else part * result.segments)
    if result.segments > 1:
        assert result.units > (part - 1) * (result.segments - 1)
