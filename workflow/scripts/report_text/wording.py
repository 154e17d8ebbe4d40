"""Numbers and foreign text as readers see them: rounded by their errors, and unable to act as markup."""

from __future__ import annotations

import math
import re
import unicodedata

__all__ = [
    "alongside",
    "escape",
    "grouped",
    "interval",
    "latex",
    "one_line",
    "pdg_decimals",
    "plain_number",
    "quantity",
]

_SPACE = "\u00a0"  # numbers do not break across lines
_SUPERSCRIPT = str.maketrans("-0123456789", "⁻⁰¹²³⁴⁵⁶⁷⁸⁹")
_DIGITS = str.maketrans("⁻⁰¹²³⁴⁵⁶⁷⁸⁹", "-0123456789")


def escape(text: str) -> str:
    """Text of a user or a file as Markdown that shows it literally, on one line."""
    return re.sub(r"([!-/:-@\[-`{-~])", r"\\\1", " ".join(str(text).split()))


def one_line(text: str) -> str:
    """Text of a user or a file for a terminal or a log: line breaks become spaces, control characters are written out."""
    joined = " ".join(str(text).splitlines())
    hidden = {
        "Cc",
        "Cf",
        "Cs",
    }  # controls, ANSI's escape among them; marks that turn or hide text; halves of characters
    return "".join(
        c.encode("unicode_escape").decode() if unicodedata.category(c) in hidden and c != "\t" else c for c in joined
    )


def pdg_decimals(error: float) -> tuple[float, int]:
    """Round an error by the rule of the Particle Data Group.

    Of the three leading digits, 100 to 354 keep two digits, 355 to 949 one, 950 to 999 become 1000 and keep two
    (Review of Particle Physics, introduction, section 5.3).

    Parameters
    ----------
    error : float
        Positive.

    Returns
    -------
    error : float
        Rounded.
    decimals : int
        Decimals to give, of error and value alike; negative for tens, hundreds, ...
    """
    exponent = math.floor(math.log10(error))
    leading = round(error / 10.0**exponent * 100)
    if leading > 949:
        return 10.0 ** (exponent + 1), -exponent
    decimals = int(leading <= 354) - exponent
    return round(error, decimals), decimals


def _minus(text: str) -> str:
    return text.replace("-", "−")


def _power(exponent: int) -> str:
    return f"{_SPACE}×{_SPACE}10{str(exponent).translate(_SUPERSCRIPT)}" if exponent else ""


def _unit(unit: str) -> str:
    return f"{_SPACE}{unit}" if unit else ""


def _digits(values, reference: float, decimals: int) -> tuple[list[str], str]:
    """Values to common decimals, and the power of ten to put behind them: that of ``reference`` if large or small."""
    exponent = math.floor(math.log10(reference))
    if -3 < exponent < 5:
        exponent = 0
    texts = [f"{round(value, decimals) / 10.0**exponent + 0.0:.{max(decimals + exponent, 0)}f}" for value in values]
    return [_minus(text) for text in texts], _power(exponent)


def plain_number(value: float, digits: int = 4, exact: bool = False) -> str:
    """Write a number without error to significant digits; without trailing zeros where it is exact."""
    mantissa, _, exponent = f"{value:{'' if exact else '#'}.{digits}g}".partition("e")
    return _minus(mantissa.removesuffix(".")) + _power(int(exponent or 0))


def as_given(value: float) -> str:
    """Write a number of the configuration with all its digits."""
    return plain_number(value, 10, exact=True)


def quantity(value: float, error: float | None, unit: str = "") -> str:
    """Value ± error with unit, rounded by :func:`pdg_decimals`; the value alone where there is no error."""
    if error is None or not 0 < error < math.inf:
        return plain_number(value) + _unit(unit)
    rounded, decimals = pdg_decimals(error)
    (value_text, error_text), power = _digits([value, rounded], max(abs(value), error), decimals)
    both = f"{value_text}{_SPACE}±{_SPACE}{error_text}"
    return (f"({both}){power}" if power or unit else both) + _unit(unit)


def interval(lower: float, upper: float, value: float, error: float, unit: str = "") -> str:
    """Write an interval to the decimals and on the power of ten of ``quantity(value, error)``; a dash without an error.

    Of a skewed distribution the interval may be narrower than the error; its decimals then follow from its own width.
    """
    if not 0 < error < math.inf:
        return "–"
    narrow = min(error, upper - lower) or error
    texts, power = _digits([lower, upper], max(abs(value), error), pdg_decimals(narrow)[1])
    both = f"{_SPACE}…{_SPACE}".join(texts)
    return (f"({both}){power}" if power or unit else both) + _unit(unit)


def alongside(number: float, value: float, error: float) -> str:
    """Write a number for comparison with ``quantity(value, error)``: to its decimals, on its power of ten."""
    if not 0 < error < math.inf:
        return plain_number(number)
    texts, power = _digits([number], max(abs(value), error), pdg_decimals(error)[1])
    return texts[0] + power


def grouped(number: int) -> str:
    """Write a whole number in groups of three digits."""
    return f"{number:,}".replace(",", "\u202f")


_LATEX = {"±": r"\pm", "×": r"\times", "…": r"\ldots", "−": "-", _SPACE: " "}


def latex(text: str) -> str:
    """Turn what the functions above write, without unit, into mathematics of LaTeX."""
    for sign, command in _LATEX.items():
        text = text.replace(sign, command)
    # Behind dots a bare minus would be set as that of a difference.
    text = text.replace(r"\ldots -", r"\ldots {-}")
    return "$" + re.sub("[⁻⁰¹²³⁴⁵⁶⁷⁸⁹]+", lambda m: f"^{{{m[0].translate(_DIGITS)}}}", text) + "$"
