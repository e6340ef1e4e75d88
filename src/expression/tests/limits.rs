//! Functions that make more than they read are charged for it before they make it.

use super::EvaluationError::TooCostly;
use super::*;

/// An object with a string of 200,000 bytes and a list of 1,000 strings.
fn large() -> String {
    let list = vec![r#""abcdefghij""#; 1000].join(",");
    format!(r#"{{"s":"{}","l":[{list}]}}"#, "a,".repeat(100_000))
}

fn cost_too_much(sources: &[&str]) {
    let event = large();
    for source in sources {
        assert_eq!(holds_over(source, &event), Err(TooCostly), "{source}");
    }
}

#[test]
fn what_string_functions_make_is_limited() {
    cost_too_much(&[
        "event.s.replace('', event.s) == ''",
        "event.s.replace(',', event.s) == ''",
        "event.l.join(event.s) == ''",
        "event.l.map(x, event.s.split('')) == []",
        "event.l.map(x, event.s.reverse()) == []",
        "event.l.map(x, base64.encode(bytes(event.s))) == []",
        "event.l.map(x, strings.quote(event.s)) == []",
        "event.l.map(x, url('/?' + event.s).getQuery()) == []",
    ]);
}

#[test]
fn what_is_formatted_is_limited() {
    cost_too_much(&["event.l.map(x, '%s %.1000f'.format([event.l, 1.5])).size() == 0"]);
}

#[test]
fn what_list_functions_make_is_limited() {
    cost_too_much(&[
        "lists.range(9223372036854775807) == []",
        "event.l.map(x, lists.range(1000)) == []",
        "event.l.transformMap(i, x, event.l.transformMap(j, y, y)) == {}",
        "event.l.map(x, event.l.sort()).flatten() == []",
        "event.l.map(x, sets.equivalent(event.l.map(y, y + x), event.l)) == []",
    ]);
}

#[test]
fn what_patterns_find_and_cost_is_limited() {
    cost_too_much(&[
        "event.s.findAll(',').size() == 0",
        "event.l.map(x, regex.replace(event.s, ',', event.s)) == []",
        "regex.extractAll(event.s, '((?:a|,){1,30})').size() == 0",
    ]);
}

#[test]
fn a_computed_pattern_is_compiled_once_while_it_stays_the_same() {
    let event = large();
    assert_eq!(holds_over("event.l.all(x, x.matches('^' + 'a'))", &event), Ok(true));
    assert_eq!(holds_over("event.l.exists(i, x, x.matches(string(i)))", &event), Err(TooCostly));
}
