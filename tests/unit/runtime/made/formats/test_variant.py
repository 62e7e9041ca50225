"""GVariant: texts, the bytes they come to, and what is refused."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from builder.runtime.made.formats.variant import Variant, is_type, serialise
from builder.runtime.made.formats.varianttext import parse

VALUES: dict[str, tuple[str, str, str]] = {
    "a boolean": ("true", "b", "01"),
    "a byte in octal": ("017", "y", "0f"),
    "a negative number in hexadecimal": ("-0x10", "n", "f0ff"),
    "the least number": ("-2147483648", "i", "00000080"),
    "a number where a double is wanted": ("5", "d", "0000000000001440"),
    "a double with an exponent": ("-1.5e1", "d", "0000000000002ec0"),
    "infinity": ("inf", "d", "000000000000f07f"),
    "a text": ("'h\\u00e9\\n'", "s", "68c3a90a00"),
    "a text in the other quotes": ('"it\'s"', "s", "69742773" + "00"),
    "a byte string": ("b'a\\101'", "ay", "614100"),
    "bytes": ("[1, 0x2]", "ay", "0102"),
    "an empty list": ("[]", "as", ""),
    "a typed empty list": ("@as []", "as", ""),
    "a list of texts": ("['a', 'bc']", "as", "6100" + "626300" + "0205"),
    "a list of numbers": ("[1, 2]", "ai", "0100000002000000"),
    "a tuple of one size": ("(1, 2)", "(ii)", "0100000002000000"),
    "a tuple that is padded": ("(1, byte 2)", "(iy)", "0100000002000000"),
    "a tuple of texts": ("('a', 'b')", "(ss)", "6100" + "6200" + "02"),
    "a tuple of one": ("(1,)", "(i)", "01000000"),
    "an empty tuple": ("()", "()", "00"),
    "a list of tuples": ("[('xkb', 'us')]", "a(ss)", "786b6200" + "757300" + "04" + "08"),
    "nothing": ("nothing", "mi", ""),
    "just a number": ("just 5", "mi", "05000000"),
    "a number that is wanted as maybe": ("5", "mi", "05000000"),
    "just a text": ("'a'", "ms", "610000"),
    "a variant": ("<'a'>", "v", "61000073"),
    "a variant of a typed number": ("<uint32 1>", "v", "010000000075"),
    "a dictionary": ("{'a': <1>}", "a{sv}", "6100" + "00" * 6 + "010000000069" + "02" + "0f"),
    "an empty dictionary": ("{}", "a{sv}", ""),
    "an entry by itself": ("{'a', 1}", "{si}", "6100" + "0000" + "01000000" + "02"),
    "an object path": ("'/a/b'", "o", "2f612f6200"),
    "a type before a closing bracket": ("(@s 'a', @as [])", "(sas)", "610002"),
}


@pytest.mark.parametrize("case", VALUES.values(), ids=VALUES)
def test_a_text_comes_to_these_bytes(case: tuple[str, str, str]) -> None:
    text, kind, expected = case
    assert serialise(kind, parse(text, kind)).hex() == expected


@pytest.mark.parametrize(
    ("text", "inferred"),
    [
        pytest.param("1", "i", id="a number"),
        pytest.param("1.0", "d", id="a number with a point"),
        pytest.param("[1, 2.0]", "ad", id="numbers of which one has a point"),
        pytest.param("['a']", "as", id="texts"),
        pytest.param("[@o '/', '/a']", "ao", id="a type that holds for what follows"),
        pytest.param("[nothing, 1]", "ami", id="a maybe among numbers"),
        pytest.param("(1, 'a')", "(is)", id="a tuple"),
        pytest.param("{'a': 1}", "a{si}", id="a dictionary"),
        pytest.param("<true>", "v", id="a variant"),
        pytest.param("[[], [1]]", "aai", id="a list that another explains"),
        pytest.param("b'x'", "ay", id="bytes"),
    ],
)
def test_the_type_of_a_variants_value_is_inferred(text: str, inferred: str) -> None:
    value = parse(f"<{text}>", "v")
    assert isinstance(value, Variant)
    assert value.type == inferred


@pytest.mark.parametrize(
    ("text", "kind"),
    [
        pytest.param("", "s", id="nothing at all"),
        pytest.param("'a", "s", id="a text without an end"),
        pytest.param("'a' 'b'", "s", id="two values"),
        pytest.param("1", "s", id="a number for a text"),
        pytest.param("256", "y", id="a number that is too large"),
        pytest.param("-1", "u", id="a negative number where none is"),
        pytest.param("1.5", "i", id="a fraction for a whole number"),
        pytest.param("1_0", "i", id="a number that only Python reads"),
        pytest.param("09", "i", id="an octal number that is none"),
        pytest.param("[1, 'a']", "ai", id="a list of this and that"),
        pytest.param("<[1, 'a']>", "v", id="elements without a type in common"),
        pytest.param("<[]>", "v", id="an empty list of unknown type"),
        pytest.param("(1, 2)", "(i)", id="a tuple that is too long"),
        pytest.param("(1)", "(i)", id="a tuple of one without its comma"),
        pytest.param("'a/'", "o", id="no object path"),
        pytest.param("maybe", "s", id="an unknown word"),
        pytest.param("'\\u12'", "s", id="a broken escape"),
        pytest.param("[" * 100 + "]" * 100, "a" * 100 + "i", id="nesting without end"),
        pytest.param("{[1]: 2}", "v", id="a list as a key"),
        pytest.param("nothing", "i", id="nothing where something must be"),
        pytest.param("~", "s", id="a sign of no meaning"),
    ],
)
def test_a_text_that_is_no_value_is_refused(text: str, kind: str) -> None:
    with pytest.raises(ValueError, match=r"."):
        parse(text, kind)


@given(
    st.text("[]{}()<>'\"\\,:@bdfsitruvnjm0159.-+ xe", max_size=40),
    st.sampled_from(["v", "as", "a{sv}", "d", "i"]),
)
def test_any_text_is_a_value_or_refused(text: str, kind: str) -> None:
    try:
        value = parse(text, kind)
    except ValueError:
        return
    assert isinstance(serialise(kind, value), bytes)


@pytest.mark.parametrize("kind", ["a{sv}", "(ii)", "()", "mas", "v"])
def test_what_is_a_type(kind: str) -> None:
    assert is_type(kind)


@pytest.mark.parametrize("kind", ["a", "{vs}", "ii", "", "(i", "a{s}", "z", "a" * 100 + "i"])
def test_what_is_no_type(kind: str) -> None:
    assert not is_type(kind)


@pytest.mark.parametrize("count", [100, 40_000])
def test_framing_grows_with_the_value(count: int) -> None:
    width = 2 if count == 100 else 4
    data = serialise("as", ["ab"] * count)
    assert len(data) == count * (3 + width)
    assert data[-width:] == (3 * count).to_bytes(width, "little")
