"""Numbers as readers see them: rounded by their errors, in text and in LaTeX."""

from __future__ import annotations

import pytest
from report_text.tables import agreement_text
from report_text.wording import alongside, grouped, interval, latex, one_line, pdg_decimals, plain_number, quantity

from homodyne_lib.model.plurals import plural
from homodyne_lib.results.fit_checks import PartFit
from homodyne_lib.results.parts_words import parts_agreement
from homodyne_lib.results.sampler_reports import Agreement


@pytest.mark.parametrize(
    ("error", "rounded", "decimals"),
    [
        (0.119, 0.12, 2),  # the three examples of the Review of Particle Physics, section 5.3
        (0.367, 0.4, 1),
        (0.0963, 0.10, 2),
        (0.354, 0.35, 2),
        (0.355, 0.4, 1),
        (0.949, 0.9, 1),
        (0.950, 1.0, 1),
        (43.52, 40.0, -1),
        (2.5e-6, 2.5e-6, 7),
    ],
)
def test_errors_are_rounded_by_the_rule_of_the_particle_data_group(error, rounded, decimals):
    found, places = pdg_decimals(error)
    assert found == pytest.approx(rounded, rel=1e-12)
    assert places == decimals


@pytest.mark.parametrize(
    ("value", "error", "unit", "text"),
    [
        (0.827, 0.119, "", "0.83 ± 0.12"),
        (0.827, 0.367, "", "0.8 ± 0.4"),
        (5611.4, 43.5, "Å²/s", "(5610 ± 40) Å²/s"),
        (0.0010211715, 9.71e-6, "1/s", "(1.021 ± 0.010) × 10⁻³ 1/s"),
        (223632.8, 50908.0, "", "(2.2 ± 0.5) × 10⁵"),
        (-0.00035, 0.0358, "", "0.00 ± 0.04"),
        (-0.5068, 0.00893, "", "−0.507 ± 0.009"),
        (203440.5, None, "Å²/s", "2.034 × 10⁵ Å²/s"),
        (0.0, 0.0, "", "0.000"),
    ],
)
def test_a_quantity_shows_no_more_digits_than_its_error_deserves(value, error, unit, text):
    assert quantity(value, error, unit).replace("\u00a0", " ") == text


def test_an_interval_and_an_exact_number_read_alike():
    assert interval(6.175e-5, 1.0148e-4, 8.219e-5, 1.055e-5).replace("\u00a0", " ") == "(6.2 … 10.1) × 10⁻⁵"
    assert plain_number(2e6, exact=True).replace("\u00a0", " ") == "2 × 10⁶"
    assert plain_number(5911.2) == "5911"


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (quantity(0.0010211715, 9.71e-6), r"$(1.021 \pm 0.010) \times 10^{-3}$"),
        (quantity(-0.5068, 0.00893), r"$-0.507 \pm 0.009$"),
        (interval(-0.524, -0.49, -0.5068, 0.00893), r"$-0.524 \ldots {-}0.490$"),
    ],
)
def test_latex_says_the_same(text, expected):
    assert latex(text) == expected


@pytest.mark.parametrize(
    ("number", "words"), [(0, "0 q of all quantities"), (1, "1 quantity"), (2, "2 q of all quantities")]
)
def test_one_of_a_thing_has_its_singular(number, words):
    assert plural(number, "quantity", "q of all quantities") == words
    assert plural(number, "angle") == f"{number} angle{'' if number == 1 else 's'}"


def test_tests_of_agreement_count_one_degree_of_freedom():
    assert " for 1 degree of freedom (p" in agreement_text(Agreement(chi2=1.0, dof=1, p_value=0.3))
    fits = [PartFit(None, k, {"D": 1e3}, {"D": 20.0}, ["D"] * (k < 2), 1.0, 0.0, 1.0, True) for k in range(4)]
    for n, words in ((3, "1 of them does not know every rate"), (4, "2 of them do not know every rate")):
        sentence = parts_agreement(fits[:n], 5.0, 2.0).sentence
        assert words in sentence and "for 1 degree of freedom, p" in sentence
    assert "for 2 degrees of freedom, p" in parts_agreement([*fits[:2], fits[0]], 5.0, 2.0).sentence


def test_large_counts_are_grouped():
    assert grouped(11488500) == "11\u202f488\u202f500"
    assert grouped(435) == "435"


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("D0 = 3 ± 1 Å²/s\u00a0at\u202f0.1 s", "D0 = 3 ± 1 Å²/s\u00a0at\u202f0.1 s"),
        ("\x1b[31mred\x1b[0m", r"\x1b[31mred\x1b[0m"),
        ("a note\nError: no status", "a note Error: no status"),
        ("bell\a and back\b", r"bell\x07 and back\x08"),
        ("one\r\ntwo\x0bthree\x85four\u2028five", "one two three four five"),
        ("\u202eturned\u200b", r"\u202eturned\u200b"),
        ("half \ud800", r"half \ud800"),
        ("\x9b1m", r"\x9b1m"),
    ],
)
def test_foreign_text_acts_neither_on_a_terminal_nor_on_a_log(text, shown):
    assert one_line(text) == shown
    one_line(text).encode("utf-8")


def test_an_interval_narrower_than_its_error_has_digits_of_its_own():
    """Of a distribution with a long tail: not 0 … 0."""
    assert interval(0.57, 302.0, 1000.0, 12000.0).replace("\u00a0", " ") == "0 … 300"
    assert interval(0.0123, 0.0456, 0.0, 4.0).replace("\u00a0", " ") == "0.012 … 0.046"


def test_what_has_no_error_has_no_interval():
    assert interval(5.0, 5.0, 5.0, 0.0, "deg") == "–"
    assert alongside(5.0, 5.0, 0.0) == quantity(5.0, 0.0) == "5.000"
