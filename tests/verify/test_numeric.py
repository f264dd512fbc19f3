"""A number with a unit: values, units, policies, and what is no quantity at all."""

import pytest

from limo.core.records import Completion, Problem
from limo.verify.numeric import NumericVerifier, read_quantities


def outcome(answer, text, **settings):
    return NumericVerifier(**settings).verify(Problem("", "", answer), Completion(text)).outcome


@pytest.mark.parametrize(
    ("answer", "stated"),
    [
        ("10 m/s", "1000 cm/s"), ("9.8 m/s^2", "9.81 \\text{ m/s}^2"), ("12 N", "12 kg m/s^2"),
        ("12 N", "12 kg·m·s^{-2}"), ("6.02e23", "6.02 \\times 10^{23}"), ("50%", "0.5"), ("50%", "50\\%"),
        ("30°", "30^\\circ"), ("30 degrees", "30 deg"), ("5 m", "5"), ("5 m", "x = 5.0 m"), ("1200 J", "1.2 kJ"),
        ("1/2", "0.5"), ("\\frac{1}{2} m", "50 cm"), ("3 mA", "0.003 A"), ("10^3 kg", "1 t"), ("-4 °C", "-4 °C"),
        ("4.18 J/(g K)", "4180 J/(kg K)"), ("5 kilowatts", "5 kW"), ("1,200 m", "1.2 km"), ("5 foo", "5 foo"),
        ("2 µF", "2e-6 F"), ("2.5 hours", "2 h 30 min"), ("100 Pa", "100 N/m²"), ("2 Ω", "2 \\Omega"),
        ("3 mol/L", "3000 mol/m^3"), ("5 m", "about 5 m above ground"), ("0 m", "0 m"), ("1 W", "1 J per s"),
        ("€960", "960 EUR"), ("$5", "5"), ("2h 30min", "150 minutes"), ("0.5 M", "0.5 mol/L"),
        ("1.6e-19 C", "1.6 x 10^-19 C"), ("0", "0.0"), ("0 m", "0 mm"), ("60 km/h", "60 km per hour"),
        ("5 m", "5 m, not 6 m"), ("1e-5", "1×10⁻⁵"), ("300000 km/s", "3×10⁵ km/s"), ("100000", "10⁵"),
    ],
)  # fmt: skip
def test_the_same_quantity_is_correct(answer, stated):
    assert outcome(answer, f"Thus.\nAnswer: {stated}") == "correct"


@pytest.mark.parametrize(
    ("answer", "stated"),
    [
        ("10 m/s", "10 km/h"), ("9.8 m/s^2", "9.8 m/s"), ("12 N", "12 kg m/s"), ("6.02e23", "6.02e22"),
        ("50%", "5"), ("30°", "30 rad"), ("5 m", "5 kg"), ("5 m", "5 m or 6 m"), ("5 m", "-5 m"), ("1200 J", "1200 kJ"),
        ("1/2", "2"), ("\\frac{1}{2} m", "\\frac{1}{2} cm"), ("3 mA", "3 MA"), ("10^3 kg", "10 kg"), ("4 °C", "4 K"),
        ("4.18 J/(g K)", "4.18 J/g K^2"), ("1,200 m", "1.2 m"), ("5 foo", "5 bar m"), ("2 µF", "2 mF"),
        ("2 hours", "2 min"), ("2 hours", "120 min"),
        ("10 m/s", "36 km/h"), ("100 Pa", "100 N m^2"),
        ("0", "0.009"), ("0 m", "5 mm"), ("10", "10 not"), ("5", "5 dozen"), ("5", "1e309"), ("5", "5/0"),
        ("5 m", "seven"), ("5 m", "between 3 and 5 m"), ("0 m", "1 m"),
        ("€960", "$960"), ("¥100", "100 JPY"), ("2h 30min", "230 min"), ("5 V", "5 mV"), ("60 km", "60 km/h"),
        ("5", "5^2"), ("5", "5^{-1}"), ("52", "5²"), ("105", "10⁵"),
    ],
)  # fmt: skip
def test_another_quantity_is_not_correct(answer, stated):
    assert outcome(answer, f"Thus.\nAnswer: {stated}") in ("wrong", "undecided")


def test_each_policy_of_units_has_a_case_that_the_others_decide_otherwise():
    cases = [("5 m", "500 cm"), ("5 h", "300 min"), ("5 m", "5 kg"), ("5 m", "5 metres"), ("5 m", "5")]
    found = {
        policy: [outcome(answer, f"Answer: {stated}", unit=policy) for answer, stated in cases]
        for policy in ("same", "prefix", "convertible", "ignore")
    }
    assert found["same"] == ["wrong", "wrong", "wrong", "correct", "correct"]
    assert found["prefix"] == ["correct", "wrong", "wrong", "correct", "correct"]
    assert found["convertible"] == ["correct", "correct", "wrong", "correct", "correct"]
    assert found["ignore"] == ["wrong", "wrong", "correct", "correct", "correct"]
    assert outcome("5 m", "Answer: 5", missing_unit=False) == "wrong"


def test_the_unit_that_the_problem_asks_for_is_required():
    verifier = NumericVerifier()
    for statement, expected in (("Convert 3 km to m.", "wrong"), ("How long is the path?", "correct")):
        problem = Problem.make(statement, "3000 m")
        assert verifier.verify(problem, Completion("Answer: 3 km")).outcome == expected


def test_the_tolerance_is_relative():
    assert outcome("200 m", "Answer: 201.9 m") == "correct" and outcome("200 m", "Answer: 202.1 m") == "wrong"
    assert outcome("200 m", "Answer: 200.1 m", tolerance=0.0) == "wrong"


@pytest.mark.parametrize(
    ("text", "reason", "expected"),
    [
        ("no number is stated here", "stop", "no_answer"),
        ("It falls and then", "length", "truncated"),
        ("\\boxed{5\\,\\text{m}}", "stop", "correct"),
        ("The answer is 5 m.", "stop", "correct"),
        ("Answer: 7 m\nNo, again.\n**Answer:** 5 m", "stop", "correct"),
        ("Answer: 5 m\nNo, again.\nAnswer: 7 m", "stop", "wrong"),
    ],
)
def test_the_stated_answer_is_found_without_a_box_too(text, reason, expected):
    verifier = NumericVerifier()
    assert verifier.verify(Problem("", "", "5 m"), Completion(text, reason)).outcome == expected


def test_an_answer_that_is_no_number_is_said_to_be_none():
    verifier = NumericVerifier()
    assert verifier.why_not(Problem("", "", "a red ball")) and verifier.why_not(Problem("", "", "5 m")) == ""
    assert verifier.verify(Problem("", "", "red"), Completion("Answer: 5")).outcome == "undecided"
    assert read_quantities("") == []


def test_mixed_numbers_of_any_length_are_read():
    assert [one.value for one in read_quantities("1\\frac{1}{2}")] == [1.5]
    assert read_quantities(f"{'7' * 5000}\\frac{{1}}{{2}}") == []  # beyond what a float holds
