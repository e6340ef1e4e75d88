use std::collections::HashMap;
use std::time::Instant;

use ::cel::{Context, Program};
use proptest::prelude::*;
use serde_json::{Value as Json, json};

use super::*;

mod conformance;
mod language;
mod limits;

/// 2026-11-28T08:00:00.5Z.
const NOW: jiff::Timestamp = jiff::Timestamp::constant(1_795_852_800, 500_000_000);

fn compiled(source: &str) -> Expression {
    Expression::compile(source).unwrap_or_else(|error| panic!("{source}: {error}"))
}

fn inputs(event: &str) -> Inputs<'_> {
    Inputs {
        event: event.as_bytes(),
        headers: br#"{"x-github-event":"push","accept":"a, b"}"#,
        props: br#"{"userId":1}"#,
        query: br#"{"tenant":"a","tag":["x","y"]}"#,
        now: NOW,
    }
}

fn holds_over(source: &str, event: &str) -> Result<bool, EvaluationError> {
    compiled(source).holds(inputs(event)).map_err(|failure| failure.error)
}

fn text_over(source: &str, event: &str) -> Result<String, EvaluationError> {
    compiled(source).text(inputs(event)).map_err(|failure| failure.error)
}

const EVENT: &str = r#" { "type" : "paid", "amount": 120, "rate": 0.5, "ok": true, "none": null,
    "customer": {"id": 7, "tags": ["a", "é\n"], "name\u0041": "esc"},
    "items": [{"price": 3}, {"price": 12.5, "sold": true}],
    "twice": 1, "twice": 2, "empty": {}, "big": 18446744073709551615, "huge": 1e300,
    "lone": "\ud800", "beyond": 1e999, "long": 123456789012345678901234567890,
    "rounded": 0.1000000000000000055511151231257827, "sum": 12345678901234567e3,
    "unreadable": [1e999, "\ud800", 18446744073709551616] } "#;

#[test]
fn what_holds_holds() {
    for source in [
        "event.type == 'paid' && event.amount > 100",
        "event['type'] != \"refunded\"",
        "headers['x-github-event'] == 'push' && headers.accept.contains(', ')",
        "props.userId == 1 && query.tenant == 'a' && 'y' in query.tag",
        "has(event.customer.id) && !has(event.customer.missing) && has(event.none)",
        "event.none == null && event.ok && !(event.none == false)",
        "event.items.exists(i, i.price > 10)",
        "event.items.all(i, i.price > 2) && !event.items.all(i, i.price > 10)",
        "event.items.exists_one(i, has(i.sold)) && event.items.existsOne(i, i.price == 3)",
        "event.items.map(i, i.price) == [3, 12.5]",
        "event.items.map(i, i.price > 10, i.sold) == [true]",
        "event.items.filter(i, i.price < 10)[0].price == 3",
        "event.items.exists(i, event.customer.tags.exists(t, t == 'a' && i.price == 3))",
        "event.items.map(i, event.items.map(i, i.price)[0]) == [3, 3]",
        "event.customer.all(key, key.size() > 1) && 'id' in event.customer",
        "size(event.customer.tags) == 2 && event.customer.size() == 3 && size(event.empty) == 0",
        "event.customer.tags[1] == 'é\\n' && event.customer.tags[1].size() == 2",
        "event.customer.nameA == 'esc' && has(event.customer.nameA)",
        "event.customer == {'id': 7, 'tags': ['a', 'é\\n'], 'nameA': 'esc'}",
        "event.items == event.items && event.items != event.customer.tags",
        "{'a': 1, 'b': [1]} == {'b': [1.0], 'a': 1u} && {'a': 1} != {'a': 1, 'b': 2}",
        "event.twice == 2",
        "event.type.startsWith('pa') && event.type.endsWith('id') && event.type.contains('ai')",
        "event.type.matches('^p[a-z]+$') && !event.type.matches(r'\\d')",
        "event.type.upperAscii() == 'PAID' && 'ÄB'.lowerAscii() == 'Äb'",
        "event.type + '!' == 'paid!' && event.items + [1] == event.items + [1]",
        "event.type < 'q' && 'a' <= 'a' && true > false && event.amount >= 120",
        "event.ok ? event.amount == 120 : 1",
        "true ? true : false ? 1 : 2",
        // Integers and doubles can be mixed.
        "event.amount == 120.0 && event.rate * 2 == 1 && event.amount / 8 == 15",
        "7 / 2 == 3 && -7 / 2 == -3 && 7 % 4 == 3 && -7 % 4 == -3 && 7 / 2.0 == 3.5",
        "1 + 2 * 3 == 7 && (1 + 2) * 3 == 9 && 2 - 1 - 1 == 0 && -2 * 3 == -6",
        "!!true && !!!false && - -1 == 1 && 1 - -1 == 2",
        "event.big == 18446744073709551615u && event.big > 18446744073709551614u && event.big > 1",
        "event.big != 18446744073709551616.0 && event.big > 1.0 && event.big != -1",
        // Equality is exact; as in CEL, the order of an integer and a double is that of doubles.
        "9007199254740993 != 9007199254740992.0 && !(9007199254740993 > 9007199254740992.0)",
        "-1 > -1.5 && 1 < 1.5 && -2 == -2.0 && 0 == -0.0 && 1e300 > 1 && -1e300 < -1",
        // A rounded number has a size, but is equal to nothing that is rounded to the same double.
        "event.rounded > 0 && event.rounded <= 0.2 && event.rounded + 1 > 1.0 && -event.rounded < 0",
        "event.rounded != 7 && !(event.rounded in [1, 'a']) && event.rounded != '0.1'",
        "event.sum > 12345678901234560000u && event.sum != 7u",
        "double('NaN') != double('NaN') && !(double('NaN') < 1) && !(1 >= double('NaN'))",
        "int('-12') == -12 && int(3.9) == 3 && int(-3.9) == -3 && double('1.5') == 1.5",
        "string(12) == '12' && string(1.5) == '1.5' && string(true) == 'true' && string('a') == 'a'",
        "uint(3) == 3u && 0x1F == 31 && 1e3 == 1000 && .5 == 0.5",
        "-9223372036854775808 < 0 && 18446744073709551615u > 0 && 9223372036854775807 < 9223372036854775808u",
        "'\\x41\\101\\u0041\\U00000041\\t' == 'AAAA\\t' && r'\\n' == '\\\\n'",
        "'''it's\nlong''' == \"it's\\nlong\" && \"\"\"a\"b\"\"\" == 'a\"b' && '' == \"\"",
        "1 // a comment, to the end of its line\n == 1",
        "1 in [1, 2] && !(3 in [1, 2]) && 'a' in {'a': 1} && !(1 in {'a': 1}) && 2.0 in [2]",
        "[1, 2,] == [1, 2] && {1: 2,}[1] == 2 && {true: 1}[true] == 1 && [[1]][0][0] == 1",
        "[1, 2].exists(event, event == 2)",
        // One operand determines the result, even if another fails.
        "event.missing == 1 || true",
        "!(event.missing == 1 && false)",
        "[0, 1].exists(x, 1 / x == 1) && !([0, 2].all(x, 1 / x == 1))",
        // Invalid strings and out-of-range numbers are errors only where they are read.
        "has(event.lone) && has(event.beyond) && has(event.long) && size(event.unreadable) == 3",
    ] {
        assert_eq!(holds_over(source, EVENT), Ok(true), "{source}");
    }
}

#[test]
fn what_cannot_be_evaluated_is_an_error_and_never_false() {
    use EvaluationError::*;
    let field = |name: &str| NoSuchField(name.into());
    for (source, error) in [
        ("event.missing == 1", field("missing")),
        ("event.customer.missing.deeper", field("missing")),
        ("has(event.missing.deeper)", field("missing")),
        ("false || event.missing", field("missing")),
        ("true && event.missing", field("missing")),
        ("[1].all(x, event.missing)", field("missing")),
        ("event.items[2] == 1", NoSuchIndex),
        ("event.items[-1] == 1", NoSuchIndex),
        ("[1][1] == 1", NoSuchIndex),
        ("event['missing'] == 1", NoSuchIndex),
        ("{'a': 1}['b'] == 1", NoSuchIndex),
        ("event.type", NotBool),
        ("1", NotBool),
        ("1 / 0 == 1", DivisionByZero),
        ("1 % 0 == 1", DivisionByZero),
        ("9223372036854775807 + 1 == 0", Overflow),
        ("18446744073709551615u + 1u == 0u", Overflow),
        ("-9223372036854775808 - 1 == 0", Overflow),
        ("-9223372036854775808 / -1 == 0", Overflow),
        ("-(-9223372036854775808) == 0", Overflow),
        ("0u - 1u == 0u", Overflow),
        ("18446744073709551615u * 18446744073709551615u == 0u", Overflow),
        ("int(event.big) == 0", OutOfRange),
        ("int(9223372036854775807.0) == 0", OutOfRange),
        ("int('9223372036854775808') == 0", OutOfRange),
        ("uint(-1) == 0", OutOfRange),
        ("int(1e300) == 0", OutOfRange),
        ("int(double('NaN')) == 0", OutOfRange),
        ("event.beyond == 1", OutOfRange),
        ("event.long > 1", OutOfRange),
        ("event.long == event.long", OutOfRange),
        ("1 in event.unreadable", OutOfRange),
        ("string(event.huge * event.huge) == ''", OutOfRange),
        ("double('1e400') > 1", OutOfRange),
        ("event.rounded == 0.1", Rounded),
        ("event.rounded != 0.1", Rounded),
        ("[event.rounded] == [event.rounded]", Rounded),
        ("event.rounded in [1, 0.1]", Rounded),
        ("string(event.rounded) == '0.1'", Rounded),
        ("string(-event.rounded * 2) == '-0.2'", Rounded),
        ("int(event.rounded) == 0", Rounded),
        ("string(double(9007199254740993)) == ''", Rounded),
        ("string(9007199254740993 / 1.0) == ''", Rounded),
        ("string(double('9007199254740993')) == ''", Rounded),
        ("event.sum == 12345678901234567000u", Rounded),
        ("event.sum == 12345678901234567168u", Rounded),
        ("uint(event.sum) == 12345678901234567168u", Rounded),
        ("int('12a') == 12", NotANumber),
        ("double('') == 1", NotANumber),
        ("event.lone == 'a'", InvalidText),
    ] {
        assert_eq!(holds_over(source, EVENT), Err(error), "{source}");
    }
    for source in [
        "event.type.deeper == 1",
        "has(event.type.deeper)",
        "event.none.deeper == 1",
        "event.type[0] == 'p'",
        "event.items['a'] == 1",
        "!event.type",
        "-event.type == 1",
        "event.type && true",
        "event.type ? true : false",
        "event.type > 1",
        "event.items < event.items",
        "event.type + 1 == 1",
        "event.amount + '1' == '1'",
        "1.5 % 1.0 == 0.5",
        "size(event.amount) == 1",
        "event.amount.contains('1')",
        "event.amount.matches('1')",
        "string(event.items) == ''",
        "int(event.none) == 0",
        "1 in 1",
        "event.type.all(x, true)",
        "[1].filter(x, 1) == []",
        "{null: 1} == {}",
        "-(42u) == 0",
        "1u + 1 == 2",
    ] {
        let result = holds_over(source, EVENT);
        assert!(matches!(result, Err(WrongType(_))), "{source}: {result:?}");
    }
}

#[test]
fn a_text_is_given_as_it_is_and_nothing_else_is_one() {
    use EvaluationError::*;
    for (source, text) in [
        ("event.type", Ok("paid")),
        ("event.customer.tags[1]", Ok("é\n")),
        ("event.type + '/' + string(event.customer.id)", Ok("paid/7")),
        ("headers['x-github-event']", Ok("push")),
        ("has(event.missing) ? event.missing : ''", Ok("")),
        ("event.amount", Err(NotText)),
        ("event.ok", Err(NotText)),
        ("event.none", Err(NotText)),
        ("event.customer", Err(NotText)),
        ("event.lone", Err(InvalidText)),
        ("event.missing", Err(NoSuchField("missing".into()))),
    ] {
        assert_eq!(text_over(source, EVENT), text.map(String::from), "{source}");
    }
    let costly = "event.a.all(x, event.a.all(y, event.a.all(z, x == y))) ? 'a' : 'b'";
    assert_eq!(text_over(costly, &ones(100_000)), Err(TooCostly));
}

#[test]
fn a_mistake_is_reported_with_its_position() {
    for (source, place, what) in [
        ("", "1:1", "expected a value, found the end"),
        ("event.type ==", "1:14", "expected a value, found the end"),
        ("event.type = 'a'", "1:12", "unexpected character '='"),
        ("evnt.type == 'a'", "1:1", "undeclared reference to 'evnt'"),
        ("event.ok &&\n  évent", "2:3", "unexpected character 'é'"),
        ("event.ok &&\n  x == 1", "2:3", "undeclared reference to 'x'"),
        ("[1].all(x, x > 0) && x", "1:22", "undeclared reference to 'x'"),
        ("'é' == evnt", "1:8", "undeclared reference to 'evnt'"),
        ("event.type.foo('a')", "1:12", "undeclared reference to 'foo'"),
        ("startsWith('a', 'b')", "1:1", "undeclared reference to 'startsWith'"),
        ("event.int()", "1:7", "undeclared reference to 'int'"),
        ("event.type.startsWith()", "1:12", "wrong number of arguments"),
        ("size()", "1:1", "wrong number of arguments"),
        ("event.type.matches('(')", "1:12", "does not compile: unclosed group"),
        ("event.type.matches('\\\\w{1,1000}')", "1:12", "exceeds size limit"),
        ("regex.replace('a', '(', 'b')", "1:1", "regex.replace() does not compile: unclosed group"),
        ("9223372036854775808", "1:1", "number out of range"),
        ("-9223372036854775809", "1:2", "number out of range"),
        ("math.foo(1)", "1:1", "undeclared reference to 'math.foo'"),
        ("evnt.math(1)", "1:1", "undeclared reference to 'evnt'"),
        ("math", "1:1", "undeclared reference to 'math'"),
        ("dyn", "1:1", "undeclared reference to 'dyn'"),
        ("[1].all(x, x, true)", "1:12", "duplicate variable \"x\""),
        ("[1].transformList(x, 1)", "1:22", "expected a variable name, found a number"),
        ("cel.bind(x, 1)", "1:14", "expected \",\", found \")\""),
        ("event.`a", "1:7", "invalid field name in backticks"),
        ("`a`", "1:1", "expected a value, found \"a\""),
        ("has(event)", "1:1", "has() takes one argument"),
        ("has(event.a, event.b)", "1:1", "has() takes one argument"),
        ("[1].all(x)", "1:10", "expected \",\", found \")\""),
        ("[1].all(1, x)", "1:9", "expected a variable name, found a number"),
        ("[1].all(true, x)", "1:9", "expected a variable name, found \"true\""),
        ("[1].all(x, true, true)", "1:16", "expected the end of all(variable, expression)"),
        ("(event.ok", "1:10", "expected \")\", found the end"),
        ("event.ok)", "1:9", "expected an operator or the end"),
        ("event.ok event.ok", "1:10", "expected an operator or the end"),
        ("[1 2]", "1:4", "expected \"]\""),
        ("{'a'}", "1:5", "expected \":\""),
        ("true ? 1", "1:9", "expected \":\""),
        ("'abc", "1:1", "unterminated string"),
        ("b'\\u0041'", "1:3", "invalid escape sequence"),
        ("'a\nb'", "1:1", "unterminated string"),
        ("'a\\q'", "1:3", "invalid escape sequence"),
        ("'\\ud800'", "1:2", "invalid escape sequence"),
        ("'\\x4'", "1:2", "invalid escape sequence"),
        ("'\\x+4'", "1:2", "invalid escape sequence"),
        ("18446744073709551616", "1:1", "invalid number"),
        ("1e999", "1:1", "invalid number"),
        ("0x", "1:1", "invalid number"),
        ("12ab", "1:1", "invalid number"),
        ("event.?a()", "1:9", "expected an operator or the end"),
        ("for == 1", "1:1", "\"for\" is a reserved word"),
        ("A{b: 1}", "1:1", "undeclared reference to 'A'"),
        ("event{b: 1}", "1:6", "expected an operator or the end"),
    ] {
        let error = Expression::compile(source).expect_err(source);
        assert!(error.to_string().starts_with(&format!("{place}: ")), "{source}: {error}");
        assert!(error.message.contains(what), "{source}: {error}");
    }
}

#[test]
fn an_expression_is_bounded_in_length_and_depth_but_not_in_alternatives() {
    let terms = |n: usize| vec!["event.a == 'x'"; n].join(" || ");
    let nested = |open: &str, n: usize, close: &str| open.repeat(n) + "true" + &close.repeat(n);
    assert!(Expression::compile(&terms(200)).is_ok());
    assert!(Expression::compile(&terms(300)).unwrap_err().message.contains("longer than 4096"));
    for source in [
        nested("(", 1000, ")"),
        nested("!", 1000, ""),
        nested("!!(", 500, ")"),
        nested("-", 1000, ""),
        nested("[", 1000, "]"),
        nested("{1:", 1000, "}"),
        nested("size(", 500, ")"),
        nested("event[", 500, "]"),
        nested("true ? true : ", 200, ""),
        nested("[1].all(x, ", 250, ")"),
        nested("event.a", 1, &".a".repeat(1000)),
        "1+".repeat(1000) + "1",
    ] {
        let error = Expression::compile(&source).expect_err(&source);
        let is_told = error.message.contains("nested deeper than 64 levels");
        assert!(is_told || source.starts_with("event.a"), "{source}: {error}");
    }
    assert!(Expression::compile(&nested("(", 60, ")")).is_ok());
    assert!(Expression::compile(&nested("!!(", 20, ")")).is_ok());
}

#[test]
fn values_that_are_nested_too_deep_cannot_be_compared_but_passed_over() {
    let deep = format!("{{\"a\":{}1{},\"b\":1}}", "[".repeat(1000), "]".repeat(1000));
    assert_eq!(holds_over("event.a == event.a", &deep), Err(EvaluationError::TooDeep));
    assert_eq!(holds_over("event.b == 1 && size(event.a) == 1", &deep), Ok(true));
}

/// An object with a list of `count` ones.
fn ones(count: usize) -> String {
    format!("{{\"a\":[{}1]}}", "1,".repeat(count - 1))
}

#[test]
fn what_would_cost_too_much_ends_early() {
    let (list, text) = (ones(100_000), format!("{{\"a\":[\"{}\"]}}", "ab".repeat(20_000)));
    let costly = [
        (&list, "event.a.all(x, event.a.all(y, event.a.all(z, x == y)))"),
        (&list, "event.a.all(x, event.a[99999] == x)"),
        (&list, "event.a.all(x, x in event.a && event.a == event.a)"),
        (&list, "event.a.map(x, event.a.map(y, [x, y])) == []"),
        (&list, "event.a.map(x, event.a) == event.a.map(x, event.a)"),
        (
            &text,
            "event.a.map(x,x+x).map(x,x+x).map(x,x+x).map(x,x+x).map(x,x+x).map(x,x+x).map(x,x+x).map(x,x+x) == []",
        ),
        (&text, "event.a[0].matches('(?:a|b)*a(?:a|b){1000}[cd][ce]')"),
        (
            &text,
            "[1,2,3,4,5,6,7,8].all(a, [1,2,3,4,5,6,7,8].all(b, [1,2,3,4,5,6,7,8].all(c, [1,2,3,4,5,6,7,8].all(d, event.a[0].lowerAscii() != ''))))",
        ),
        // This error is final, even next to an operand that determines the result.
        (&list, "true || event.a.all(x, event.a.all(y, event.a.all(z, true)))"),
        (&list, "event.a.all(x, event.a.all(y, event.a.all(z, true))) || true"),
    ];
    for (event, source) in costly {
        let expected =
            if source.starts_with("true ||") { Ok(true) } else { Err(EvaluationError::TooCostly) };
        assert_eq!(holds_over(source, event), expected, "{source}");
    }
}

#[test]
fn an_event_of_eight_megabytes_is_looked_through_some_times() {
    let event = format!("{{\"pad\":\"{}\",\"type\":\"paid\",\"n\":1}}", "x".repeat(8_000_000));
    let source = "event.type == 'paid' && event.n == 1 && has(event.pad) && !has(event.none)";
    assert_eq!(holds_over(source, &event), Ok(true));
    let began = Instant::now();
    let many = vec!["event['n'] == 2"; 100].join(" || ");
    assert_eq!(holds_over(&many, &event), Err(EvaluationError::TooCostly));
    // Two hundred times the optimized duration: this detects a hang and measures nothing.
    assert!(began.elapsed().as_secs() < 20);
}

#[test]
fn only_what_an_expression_names_is_used() {
    let expression = Expression::compile("event.a == headers.b").unwrap();
    let used = [Variable::Event, Variable::Headers, Variable::Props, Variable::Query]
        .map(|variable| expression.uses(variable));
    assert_eq!(used, [true, true, false, false]);
}

#[test]
fn debug_output_and_equality_are_those_of_the_source() {
    let compile = |source| Expression::compile(source).unwrap();
    assert_eq!(compile("1 == 1"), compile("1 == 1"));
    assert_ne!(compile("1 == 1"), compile("1==1"));
    assert_eq!(format!("{:?}", compile("1 == 1")), "Expression(\"1 == 1\")");
}

/// Expressions of what the `cel` crate and this module have in common.
fn expression() -> impl Strategy<Value = String> {
    let leaf = prop_oneof![
        (-3..4_i64).prop_map(|number| format!("({number})")),
        prop::sample::select(vec![
            "true", "false", "null", "'a'", "'b'", "''", "[]", "[1, 2]", "{'a': 1}"
        ])
        .prop_map(String::from),
        prop::sample::select(vec![
            "event",
            "event.a",
            "event.l",
            "event.m.a",
            "event.s",
            "event.missing",
            "event.l[0]"
        ])
        .prop_map(String::from),
    ];
    leaf.prop_recursive(4, 24, 3, |inner| {
        let operator = prop::sample::select(vec![
            "==", "!=", "<", "<=", ">", ">=", "-", "*", "/", "%", "&&", "||", "in",
        ]);
        let method = prop::sample::select(vec!["contains", "startsWith", "endsWith"]);
        let run = prop::sample::select(vec!["all", "exists", "exists_one", "filter"]);
        prop_oneof![
            6 => (inner.clone(), operator.clone(), inner.clone())
                .prop_map(|(a, operator, b)| format!("({a} {operator} {b})")),
            1 => (inner.clone(), inner.clone()).prop_map(|(a, b)| format!("(1 + {a} + {b})")),
            1 => (inner.clone(), inner.clone()).prop_map(|(a, b)| format!("([{a}] + [{b}])")),
            1 => inner.clone().prop_map(|a| format!("(!({a} == 1))")),
            1 => inner.clone().prop_map(|a| format!("(!!({a} == 1.0))")),
            1 => inner.clone().prop_map(|a| format!("('é' + {a}).size()")),
            1 => inner.clone().prop_map(|a| format!("(type({a}) == int)")),
            1 => (any::<i64>(), operator.clone(), any::<i64>())
                .prop_map(|(a, operator, b)| format!("(({a}) {operator} ({b}))")),
            1 => inner.clone().prop_map(|a| format!("(-(1 + {a}))")),
            1 => (inner.clone(), inner.clone(), inner.clone())
                .prop_map(|(a, b, c)| format!("({a} == 1 ? {b} : {c})")),
            1 => (inner.clone(), inner.clone()).prop_map(|(a, b)| format!("[{a}, {b}]")),
            1 => (inner.clone(), inner.clone()).prop_map(|(a, b)| format!("{{'a': {a}, 'b': {b}}}")),
            1 => (inner.clone(), method, inner.clone())
                .prop_map(|(a, method, b)| format!("('' + {a}).{method}('' + {b})")),
            1 => (run, inner.clone())
                .prop_map(|(run, a)| format!("event.l.{run}(x, x == {a} || x > 1)")),
            1 => inner.clone().prop_map(|a| format!("event.l.map(x, x + {a})")),
        ]
    })
}

/// The crate's own conversion makes every non-negative integer unsigned.
fn cel_value(json: &Json) -> ::cel::Value {
    match json {
        Json::Number(number) => number.as_i64().unwrap().into(),
        Json::String(text) => text.as_str().into(),
        Json::Array(items) => items.iter().map(cel_value).collect::<Vec<_>>().into(),
        Json::Object(members) => {
            let members = members.iter().map(|(name, value)| (name.clone(), cel_value(value)));
            members.collect::<HashMap<_, _>>().into()
        }
        Json::Null | Json::Bool(_) => unreachable!("not in these tests"),
    }
}

/// The result of the `cel` crate: the value as JSON, or an error.
fn result_of_cel(source: &str, event: &Json) -> Result<Json, ()> {
    let program = Program::compile(source).map_err(|_| ())?;
    let mut context = Context::default();
    context.add_variable_from_value("event", cel_value(event));
    program.execute(&context).map(|value| json_of(&value)).map_err(|_| ())
}

fn json_of(value: &::cel::Value) -> Json {
    use ::cel::Value::{Bool, Float, Int, List, Map, Null, String, UInt};
    match value {
        Null => Json::Null,
        Bool(bool) => json!(bool),
        Int(number) => json!(number),
        UInt(number) => json!(number),
        Float(number) => json!(number),
        String(text) => json!(**text),
        List(items) => items.iter().map(json_of).collect(),
        Map(map) => map.map.iter().map(|(key, value)| (key.to_string(), json_of(value))).collect(),
        _ => panic!("not in these tests: {value:?}"),
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(1000))]

    #[test]
    fn what_the_cel_crate_says_is_said_here_too(source in expression()) {
        let event = json!({"a": 1, "l": [1, 2, 3], "m": {"a": -1}, "s": "ab"});
        let expected = result_of_cel(&source, &event);
        let text = event.to_string();
        let expression = Expression::compile(&source).unwrap();
        let inputs = Inputs { event: text.as_bytes(), headers: b"{}", props: b"{}", query: b"{}", now: NOW };
        let actual = expression.evaluate(inputs, |value, _| Ok(value));
        match expected {
            // Compared as values of this module, as the crate has other number types.
            Ok(expected) => {
                let shown = expected.to_string();
                let budget = &mut budget::CostBudget::new();
                let expected = json::value(shown.as_bytes(), budget).unwrap();
                let actual =
                    actual.map_err(|error| TestCaseError::fail(format!("{source}: {error}")))?;
                let budget = &mut budget::CostBudget::new();
                let is_equal = compare::equal(&actual, &expected, budget).unwrap();
                prop_assert!(is_equal, "{}: {:?}, not {}", source, actual, shown);
            }
            // For all() and exists() the crate returns the first error.
            Err(()) if source.contains(".all(") || source.contains(".exists(") => {}
            Err(()) => prop_assert!(actual.is_err(), "{}: {:?}", source, actual),
        }
    }

    #[test]
    fn no_text_is_too_strange_to_be_refused(source in "[a-z0-9'\"\\\\.,()\\[\\]{}?:!&|=<>+*/ \n\u{e9}-]{0,60}") {
        if let Err(error) = Expression::compile(&source) {
            let lines: Vec<_> = source.split('\n').collect();
            prop_assert!(error.position.line <= lines.len());
            prop_assert!(error.position.column <= lines[error.position.line - 1].chars().count() + 1);
        }
    }
}

fn arbitrary_json() -> impl Strategy<Value = Json> {
    let leaf = prop_oneof![
        Just(Json::Null),
        any::<bool>().prop_map(Json::from),
        any::<i64>().prop_map(Json::from),
        any::<u64>().prop_map(Json::from),
        any::<f64>().prop_map(Json::from),
        any::<String>().prop_map(Json::from),
    ];
    leaf.prop_recursive(4, 40, 5, |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..5).prop_map(Json::from),
            prop::collection::hash_map(".{0,3}", inner, 0..5)
                .prop_map(|map| Json::Object(map.into_iter().collect())),
        ]
    })
}

/// A value as JSON, read through lookups.
fn looked_up(value: &Value<'_>) -> Json {
    let budget = &mut budget::CostBudget::new();
    match value {
        Value::Null => Json::Null,
        Value::Bool(bool) => json!(bool),
        Value::Int(number) => json!(number),
        Value::Uint(number) => json!(number),
        Value::Double(number) | Value::Rounded(number, _) => json!(number),
        Value::Text(text) => json!(**text),
        Value::JsonList(_) => {
            let mut elements = value::Elements::of(value).unwrap();
            std::iter::from_fn(|| elements.next(budget).unwrap()).map(|v| looked_up(&v)).collect()
        }
        Value::JsonMap(_) => {
            let mut keys = value::Elements::of(value).unwrap();
            let mut members = serde_json::Map::new();
            while let Some(key) = keys.next(budget).unwrap() {
                let Value::Text(name) = &key else { panic!("{key:?}") };
                members.insert(
                    name.to_string(),
                    looked_up(&value.get(&key, budget).unwrap().unwrap()),
                );
            }
            Json::Object(members)
        }
        _ => panic!("not in a JSON text: {value:?}"),
    }
}

proptest! {
    #[test]
    fn what_is_looked_up_in_a_text_is_what_serde_json_reads(
        json in arbitrary_json(),
        pretty in any::<bool>(),
    ) {
        let text = if pretty { serde_json::to_string_pretty(&json) } else { serde_json::to_string(&json) };
        let text = text.unwrap();
        let value = json::value(text.as_bytes(), &mut budget::CostBudget::new()).unwrap();
        prop_assert_eq!(looked_up(&value), serde_json::from_str::<Json>(&text).unwrap());
        // A large double may stand for several integers.
        let itself = compare::equal(&value, &value, &mut budget::CostBudget::new());
        prop_assert!(matches!(itself, Ok(true) | Err(EvaluationError::Rounded)));
    }
}

/// Texts of numbers, many of which are close to each other.
fn number_text() -> impl Strategy<Value = String> {
    let whole = prop_oneof![
        Just("0".to_owned()),
        Just("9007199254740992".to_owned()),
        Just("18446744073709551615".to_owned()),
        "[1-9][0-9]{0,21}",
    ];
    let end = prop_oneof![
        4 => Just(String::new()),
        2 => "[.][0-9]{1,3}",
        1 => "[.][0-9]{15,22}",
        2 => "e[0-4]",
        1 => "[.][0-9]e-?[0-9]{1,3}",
    ];
    ("-?", whole, end).prop_map(|(sign, whole, end)| format!("{sign}{whole}{end}"))
}

/// The same number with another last digit, or written in another way.
fn neighbour(text: &str, change: u8) -> String {
    let has_end = text.contains(['.', 'e']);
    match change {
        0 => text.to_owned(),
        1 if !has_end => format!("{text}.0"),
        2 if !has_end => format!("{text}0e-1"),
        3 if !has_end => format!("{text}.00000000000000000000001"),
        _ => {
            let at = text.find(['.', 'e']).unwrap_or(text.len()) - 1;
            let digit = (text.as_bytes()[at] - b'0' + change % 9 + 1) % 10;
            format!("{}{digit}{}", &text[..at], &text[at + 1..])
        }
    }
}

/// Sign, digits without zeros at either end, and the exponent of the last one.
fn decimal_value(text: &str) -> (bool, String, i64) {
    let (mantissa, exponent) = text.split_once('e').unwrap_or((text, "0"));
    let (whole, fraction) = mantissa.split_once('.').unwrap_or((mantissa, ""));
    let digits = format!("{}{fraction}", whole.trim_start_matches('-'));
    let kept = digits.trim_end_matches('0');
    let dropped = (digits.len() - kept.len()) as i64;
    let exponent = exponent.parse::<i64>().unwrap() - fraction.len() as i64 + dropped;
    match kept.trim_start_matches('0') {
        "" => (false, String::new(), 0),
        kept => (text.starts_with('-'), kept.to_owned(), exponent),
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(1000))]

    /// Two numbers that differ never give one key, and are never equal; a number is never unequal to itself.
    #[test]
    fn different_numbers_stay_different_or_are_an_error(
        a in number_text(),
        other in number_text(),
        change in proptest::option::weighted(0.8, 0..16_u8),
    ) {
        let b = change.map_or(other, |change| neighbour(&a, change));
        let event = format!(r#"{{"a": {a}, "b": {b}}}"#);
        let is_same = decimal_value(&a) == decimal_value(&b);
        let equal = holds_over("event.a == event.b", &event);
        prop_assert!(equal.is_err() || equal == Ok(is_same), "{} {} {:?}", a, b, equal);
        for key in ["string(event.X)", "string(double(event.X))", "string(event.X / 1.0)"] {
            let [a, b] = ["a", "b"].map(|name| text_over(&key.replace('X', name), &event));
            if let (Ok(a), Ok(b)) = (a, b) && !is_same {
                prop_assert_ne!(a, b, "{}", event);
            }
        }
    }
}

fn object_over(source: &str, event: &str) -> Result<String, EvaluationError> {
    let expression = compiled(source);
    let object = expression.object(inputs(event), 1000).map_err(|failure| failure.error)?;
    let text = object.to_vec();
    assert_eq!(text.len(), object.len(), "{source}");
    Ok(String::from_utf8(text).unwrap())
}

#[test]
fn fields_of_an_event_are_found_in_one_pass_as_one_by_one() {
    let filter = "event.twice == 2 && event.?nothing.orValue(1) == 1 && !has(event.nope)
        && event.name == 'a'";
    assert_eq!(holds_over(filter, r#"{"twice":1,"n\u0061me":"a","twice":2}"#), Ok(true));
    let error = EvaluationError::WrongType("field selection requires a map");
    assert_eq!(holds_over("event.a == 1", "[1]"), Err(error));
    // Other than the list of fields, the length of the event is paid once: 60 passes over 8 MB would
    // exceed the budget.
    let event = format!("{{\"pad\":\"{}\",\"a\":1}}", "x".repeat(8_000_000));
    let many = vec!["event.a == 1"; 60].join(" && ");
    assert_eq!(holds_over(&many, &event), Ok(true));
}

#[test]
fn an_object_is_json_and_what_the_sender_wrote_stays_as_it_is() {
    for (source, json) in [
        ("event.customer", r#"{"id": 7, "tags": ["a", "é\n"], "name\u0041": "esc"}"#),
        (
            "{'a': event.customer.tags, 'b': [event.big, event.huge]}",
            r#"{"a":["a", "é\n"],"b":[18446744073709551615,1e300]}"#,
        ),
        (
            "{'a': event.rounded, 'b': event.sum}",
            r#"{"a":0.1000000000000000055511151231257827,"b":12345678901234567e3}"#,
        ),
        (
            "{'a': -9223372036854775808, 'b': 9007199254740993, 'c': 1u}",
            r#"{"a":-9223372036854775808,"b":9007199254740993,"c":1}"#,
        ),
        (
            "{'a': 1.0, 'b': 1e21, 'c': 1e-7, 'd': -0.5, 'e': 120.0 * 1000.0, 'f': -0.0}",
            r#"{"a":1,"b":1e21,"c":1e-7,"d":-0.5,"e":120000,"f":-0}"#,
        ),
        ("{'a': b'\\xff\\x00', 'b': b''}", r#"{"a":"/wA=","b":""}"#),
        (
            "{'a': now, 'b': duration('1h1.5s'), 'c': timestamp('2026-01-01T00:00:00Z')}",
            r#"{"a":"2026-11-28T08:00:00.5Z","b":"3601.5s","c":"2026-01-01T00:00:00Z"}"#,
        ),
        (
            "{'a\\n\"': 'b\\u0001é\\x7f', 'c': [null, true, []], 'd': {}}",
            "{\"a\\n\\\"\":\"b\\u0001é\u{7f}\",\"c\":[null,true,[]],\"d\":{}}",
        ),
        (
            "{'a': optional.of(1), ?'b': optional.none(), ?'c': event.?type}",
            r#"{"a":1,"c":"paid"}"#,
        ),
        ("event.items.transformMapEntry(i, x, {string(x.price): i})", r#"{"3":0,"12.5":1}"#),
    ] {
        assert_eq!(object_over(source, EVENT).as_deref(), Ok(json), "{source}");
    }
}

#[test]
fn what_is_no_object_or_has_no_json_is_an_error() {
    use EvaluationError::*;
    for (source, error) in [
        ("event.items", NotObject("list")),
        ("'a'", NotObject("string")),
        ("null", NotObject("null_type")),
        ("optional.of({})", NotObject("optional_type")),
        ("{1: 2}", WrongType("a name in a JSON object must be a string")),
        ("{'a': {true: 2}}", WrongType("a name in a JSON object must be a string")),
        ("{'a': int}", NotJson("type")),
        ("{'a': [ip('::1')]}", NotJson("net.IP")),
        ("{'a': quantity('1k')}", NotJson("kubernetes.Quantity")),
        ("{'a': double('NaN')}", OutOfRange),
        ("{'a': double('inf')}", OutOfRange),
        ("{'a': event.?nothing}", Invalid("optional.none() dereference")),
        ("{'a': event.long}", OutOfRange),
        ("{'a': lists.range(400)}", TooLong(1000)),
        ("{'a': lists.range(1000).map(i, lists.range(1000))}", TooCostly),
    ] {
        assert_eq!(object_over(source, EVENT), Err(error), "{source}");
    }
}

#[test]
fn an_evaluation_error_is_at_the_part_that_failed() {
    for (source, place) in [
        ("event.customer.missing.deeper == 1", (1, 16)),
        ("event.ok &&\n event.amount + 'a' == 1", (2, 15)),
        ("event.items.exists(i, i.nothing == 1)", (1, 25)),
        ("event.missing == 1 || event.absent == 2", (1, 7)),
        ("event.items[0][event.type] == 1", (1, 15)),
        ("size(1) == 1", (1, 1)),
        ("event.type.startsWith(1)", (1, 12)),
        ("-event.type == 1", (1, 1)),
        ("event.amount ? true : false", (1, 7)),
        ("{'a': 1, 'a': 2} == {}", (1, 1)),
        ("'é' == event.nope", (1, 14)),
    ] {
        let Err(failure) = compiled(source).holds(inputs(EVENT)) else { panic!("{source}") };
        assert_eq!((failure.position.line, failure.position.column), place, "{source}: {failure}");
    }
    let place = compiled("true &&\n\tevent.nope").holds(inputs(EVENT)).unwrap_err().position;
    assert_eq!(place.marked("true &&\n\tevent.nope"), " |  event.nope\n | .......^");
    assert_eq!(place.excerpt("true &&\n\tevent.nope", 2), "no");
}
