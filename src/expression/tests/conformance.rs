//! The conformance suite of the CEL specification (google/cel-spec, Apache-2.0): the cases that need
//! no protobuf messages.

use serde::Deserialize;

use super::*;

/// A case: an expression, and its value as a literal; without one, an error.
#[derive(Deserialize)]
struct Case {
    expr: String,
    expected: Option<String>,
}

#[derive(Debug, PartialEq, Eq)]
enum CaseOutcome {
    Right,
    /// It does not compile, although it has a value.
    Unsupported,
    Wrong,
}

/// Cases that do not compile, and why.
fn reason(expression: &str) -> Option<&'static str> {
    if expression.starts_with("a.") && expression.ends_with("() || true") {
        return Some("all names are checked when an expression is compiled");
    }
    None
}

fn evaluated(expression: &Expression) -> Result<Value<'_>, EvaluationFailure> {
    expression.evaluate(inputs("{}"), |value, _| Ok(value))
}

fn outcome(case: &Case) -> CaseOutcome {
    let compiled = Expression::compile(&case.expr);
    let actual = match &compiled {
        Ok(expression) => evaluated(expression).map_err(|_| ()),
        Err(_) if case.expected.is_some() => return CaseOutcome::Unsupported,
        Err(_) => Err(()),
    };
    let expected = case.expected.as_ref().map(|expected| Expression::compile(expected).unwrap());
    let is_right = match (actual, expected.as_ref().map(|value| evaluated(value).unwrap())) {
        (Ok(actual), Some(expected)) => {
            let budget = &mut budget::CostBudget::new();
            actual.type_name() == expected.type_name()
                && compare::equal(&actual, &expected, budget).unwrap()
        }
        (actual, expected) => actual.is_err() && expected.is_none(),
    };
    if is_right { CaseOutcome::Right } else { CaseOutcome::Wrong }
}

#[test]
fn the_cases_of_the_specification_are_right_or_do_not_compile() {
    let cases: Vec<Case> =
        serde_json::from_str(include_str!("../../../tests/cases/cel.json")).unwrap();
    let (mut right, mut mistakes) = (0, Vec::new());
    for case in &cases {
        match outcome(case) {
            CaseOutcome::Right => right += 1,
            CaseOutcome::Unsupported if reason(&case.expr).is_some() => {}
            other => mistakes.push(format!("{other:?}: {} => {:?}", case.expr, case.expected)),
        }
    }
    let counts = format!("{right} of {} cases are right", cases.len());
    assert!(mistakes.is_empty(), "{counts}; mistakes:\n{}", mistakes.join("\n"));
    assert!(right * 100 >= cases.len() * 95, "{counts}");
}
