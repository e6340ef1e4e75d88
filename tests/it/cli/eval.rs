//! `eval`: what an expression gives, or where it fails.

use std::io::Write as _;
use std::process::Stdio;

use crate::support::ended::Ended;
use crate::support::operator::command;

const EVENT: &str =
    r#"{"id": 12345678901234567890, "type": "paid", "price": 1.50, "items": [1, 2]}"#;

/// Runs `eval` with this body on stdin.
fn eval_of(event: &str, words: &[&str]) -> Ended {
    let words = [&["eval", "--event", "-"], words].concat();
    let mut command = command(&words);
    command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = command.spawn().unwrap();
    // A wrong flag ends the process before it reads.
    let _ = child.stdin.take().unwrap().write_all(event.as_bytes());
    child.wait_with_output().unwrap().into()
}

fn eval(words: &[&str]) -> Ended {
    eval_of(EVENT, words)
}

#[test]
fn the_value_is_printed_as_json() {
    for (words, value) in [
        (&["--filter", "event.type == 'paid'"][..], "true"),
        (&["--dedup-key", "string(event.id) + '\"'"], r#""12345678901234567890\"""#),
        (
            &["--transform", "{'id': event.id, 'all': event.items, 'half': event.price / 3.0}"],
            r#"{"id":12345678901234567890,"all":[1, 2],"half":0.5}"#,
        ),
        (&["--filter", "headers['x-a'] == '1, 2'", "-H", "X-A: 1", "--header", "X-A: 2"], "true"),
        (
            &[
                "--filter",
                "props.user == 1 && query.a == ['1', '2']",
                "--props",
                r#"{"user": 1}"#,
                "--query",
                "a=1&a=2",
            ],
            "true",
        ),
        (
            &["--dedup-key", "string(now)", "--now", "2026-11-28T08:00:00.5Z"],
            "\"2026-11-28T08:00:00.5Z\"",
        ),
        (&["--filter", "props == null && now > timestamp(0)"], "true"),
        // As in the operator, a transform gets no credentials.
        (
            &["--transform", "headers", "-H", "X-A: 1", "-H", "Authorization: Basic Og=="],
            r#"{"x-a":"1"}"#,
        ),
    ] {
        assert_eq!(eval(words).with(0).trim_end(), value, "{words:?}");
    }
    let form = eval_of(
        "a=1",
        &["--transform", "event", "-H", "Content-Type: application/x-www-form-urlencoded"],
    );
    assert_eq!(form.with(0).trim_end(), r#"{"a":"1"}"#);
}

#[test]
fn an_error_has_its_place_and_exit_code_1() {
    for (words, says) in [
        (
            ["--filter", "event.a ==\n  evnt.b"],
            "error: 2:3: undeclared reference to 'evnt'\n |   evnt.b\n | ..^\n",
        ),
        (
            ["--filter", "event.type == 'paid' && event.nope"],
            "error: 1:31: no such key: \"nope\"\n | event.type == 'paid' && event.nope\n | ..............................^\n",
        ),
        (["--filter", "event.type > 1"], "error: 1:12: no such overload"),
        (["--filter", "event.items[7] == 1"], "error: 1:12: no such key, or index out of range"),
        (["--filter", "event.items.size(1) == 1"], "error: 1:13: no such overload"),
        (["--filter", "event.type"], "error: 1:7: the result is not a boolean"),
        (["--transform", "[event]"], "error: 1:1: transform must give an object, not list"),
        (
            ["--transform", "{'a': quantity('1')}"],
            "error: 1:1: no such overload: a value of type kubernetes.Quantity",
        ),
        (["--dedup-key", "event.id"], "error: 1:7: the result is not a string"),
    ] {
        let ended = eval(&words);
        assert_eq!(ended.code, Some(1), "{words:?}: {}", ended.stderr);
        assert!(ended.stderr.starts_with(says), "{words:?}: {}", ended.stderr);
        assert_eq!(ended.stdout, "");
    }
}

#[test]
fn a_call_that_is_wrong_has_exit_code_2() {
    for (words, says) in [
        (&["--filter", "true", "--transform", "{}"][..], "cannot be used with"),
        (&[], "required"),
        (&["--filter", "true", "--props", "[]"], "must be a JSON object"),
        (&["--filter", "true", "--now", "noon"], "noon"),
        (&["--filter", "true", "-H", "none"], "Name: value"),
    ] {
        let ended = eval(words);
        assert_eq!(ended.code, Some(2), "{words:?}");
        assert!(ended.stderr.contains(says), "{words:?}: {}", ended.stderr);
    }
    let ended = eval_of("{", &["--filter", "true"]);
    assert_eq!(ended.code, Some(2));
    assert!(ended.stderr.contains("not valid JSON (line 1, column"), "{}", ended.stderr);
    let missing: Ended =
        command(&["eval", "--filter", "true", "--event", "missing.json"]).output().unwrap().into();
    assert!(missing.code == Some(2) && missing.stderr.contains("cannot read missing.json"));
}
