//! The parts of the language that other libraries than the standard one define, and what the
//! conformance suite does not have.

use super::EvaluationError::*;
use super::*;

const EVENT: &str = r#"{"id": "ab-12", "n": 5, "price": 2.5, "at": "2026-11-28T07:58:00Z",
    "tags": ["b", "a", "b"], "nested": [[1, [2]], [3]], "o": {"a": 1, "b": 2, "a": 3},
    "x-y": {"z.w": true}, "big": 9223372036854775808, "none": null}"#;

fn hold(sources: &[&str]) {
    for source in sources {
        assert_eq!(holds_over(source, EVENT), Ok(true), "{source}");
    }
}

fn fail(sources: &[(&str, EvaluationError)]) {
    for (source, error) in sources {
        assert_eq!(holds_over(source, EVENT), Err(error.clone()), "{source}");
    }
}

#[test]
fn every_value_has_a_type() {
    hold(&[
        "type(event.n) == int && type(event.price) == double && type(event.big) == uint",
        "type(event) == map && type(event.tags) == list && type(event.id) == string",
        "type(event.none) == null_type && type(true) == bool && type(b'') == bytes",
        "type(now) == google.protobuf.Timestamp && type(now - now) == google.protobuf.Duration",
        "type(type(1)) == type && type(optional.none()) == optional_type",
        "type(ip('::1')) == net.IP && type(1) != type(1u) && string(type(1)) == 'int'",
        "dyn(1) == 1.0 && bool('true') && !bool('f') && bytes('é').size() == 2",
        "b'\\xff\\101' == b'\\377A' && string(b'ab') + 'c' == 'abc' && b'a' + b'b' == b'ab'",
    ]);
    fail(&[
        ("bool('yes')", Invalid("a string is not a boolean")),
        ("string(b'\\xff') == ''", Invalid("bytes are not valid UTF-8")),
        ("bool(1)", WrongType("bool")),
        ("'a'.charAt('b') == ''", WrongType("charAt")),
    ]);
}

#[test]
fn time_has_arithmetic_and_zones() {
    hold(&[
        "timestamp(event.at) > now - duration('5m') && timestamp(event.at) < now",
        "now - timestamp(event.at) == duration('2m0.5s') && string(now) == '2026-11-28T08:00:00.5Z'",
        "now.getFullYear() == 2026 && now.getMonth() == 10 && now.getDayOfWeek() == 6",
        "now.getHours('Europe/Paris') == 9 && timestamp('2026-07-01T08:00:00Z').getHours('Europe/Paris') == 10",
        "now.getHours('-09:30') == 22 && now.getDate('-09:30') == 27 && now.getMinutes('05:45') == 45",
        "now.getMilliseconds() == 500 && duration('-1.5s').getMilliseconds() == -500",
        "duration('1h1m').getMinutes() == 61 && duration('-90s').getMinutes() == -1",
        "string(duration('-0.5s')) == '-0.5s' && duration('1.5h') == duration('90m')",
        "duration('1us') == duration('1000ns') && duration('0') == duration('0s')",
        "timestamp('2024-02-29T23:59:59+01:00') == timestamp('2024-02-29T22:59:59Z')",
        "timestamp('0001-01-01T00:00:00Z').getDayOfYear() == 0 && timestamp(0).getFullYear() == 1970",
        "timestamp('9999-12-31T23:59:59Z').getHours('Asia/Tokyo') == 8",
        "timestamp('2024-12-31T00:00:00Z').getDayOfYear() == 365 && int(timestamp('1970-01-02T00:00:00Z')) == 86400",
        "string(timestamp('0001-01-01T00:00:00Z')) == '0001-01-01T00:00:00Z'",
    ]);
    let not_a_timestamp = Invalid("not a timestamp (RFC 3339)");
    fail(&[
        ("now.getHours('Mars/Olympus') == 1", Invalid("unknown time zone")),
        ("now.getHours('../../etc/passwd') == 1", Invalid("unknown time zone")),
        ("timestamp('2023-02-29T00:00:00Z') == now", not_a_timestamp.clone()),
        ("timestamp('2026-11-28') == now", not_a_timestamp.clone()),
        ("timestamp('2026-11-28T08:00:00') == now", not_a_timestamp.clone()),
        ("timestamp('2026-11-28T08:00:00é') == now", not_a_timestamp),
        ("duration('5') == now - now", Invalid("not a duration, such as 1h30m or 1.5s")),
        ("duration('1y') == now - now", Invalid("not a duration, such as 1h30m or 1.5s")),
        ("timestamp(253402300800) == now", Invalid("timestamp out of range")),
        ("duration('2562048h') == now - now", Invalid("duration out of range")),
    ]);
}

#[test]
fn strings_have_their_functions() {
    hold(&[
        "event.id.split('-') == ['ab', '12'] && event.id.split('') == ['a', 'b', '-', '1', '2']",
        "event.id.split('', 2) == ['a', 'b-12'] && ''.split('') == [] && ''.split(',') == ['']",
        "'a,b,c'.split(',', 2) == ['a', 'b,c'] && event.tags.join('+') == 'b+a+b'",
        "event.id.replace('-', '--') == 'ab--12' && 'ab'.replace('', '.') == '.a.b.'",
        "'aaa'.replace('a', 'b', 2) == 'bba' && 'aaa'.replace('a', 'b', 0) == 'aaa'",
        "'aéa'.lastIndexOf('a') == 2 && 'aéa'.indexOf('a', 1) == 2 && 'aéa'.lastIndexOf('éa', 2) == 1",
        "'aéa'.substring(1) == 'éa' && 'aéa'.substring(1, 2) == 'é' && 'a'.charAt(1) == ''",
        "' é '.trim() == 'é' && 'aé'.reverse() == 'éa' && event.tags.reverse() == ['b', 'a', 'b']",
        "'%s %d %.2f %x %5'.replace('%5', '%%').format([event.o, event.n, event.price, 'k']) == '{a: 3, b: 2} 5 2.50 6b %'",
        "'%e|%b|%o|%X|%s'.format([1000.0, -5, 8, 255, event.tags]) == '1.000000e+03|-101|10|FF|[b, a, b]'",
        "strings.quote('a\"\\n') == '\"a\\\\\"\\\\n\"'",
    ]);
    fail(&[
        ("'%d'.format(['a']) == ''", WrongType("format")),
        ("'%s'.format([double(event.big)]) == ''", Rounded),
        ("'%s'.format([[double(event.big)]]) == ''", Rounded),
        ("'%f'.format([double('0.1000000000000000055511151231257827')]) == ''", Rounded),
        ("'%d'.format([]) == ''", Invalid("format() has too few arguments")),
        ("'a'.format([1]) == ''", Invalid("format() has too many arguments")),
        ("'%'.format([1]) == ''", Invalid("unfinished format")),
        ("'%.99999f'.format([1]) == ''", Invalid("invalid precision of a format")),
        ("'a'.substring(2) == ''", Invalid("index out of range")),
        ("'a'.split('', 'b') == []", WrongType("split")),
    ]);
}

#[test]
fn optional_values_replace_what_is_missing() {
    hold(&[
        "event.?id.orValue('') == 'ab-12' && event.?missing.orValue('none') == 'none'",
        "event.?missing.?deeper.hasValue() == false && event[?'o'].a.value() == 3",
        "event.tags[?7].orValue('last') == 'last' && event.?o.b.value() == 2",
        "event.?n.optMap(n, n + 1).value() == 6 && !event.?m.optMap(n, n + 1).hasValue()",
        "event.?o.optFlatMap(o, o.?b).value() == 2 && has(event.?o.a) && !has(event.?o.z)",
        "[?event.?missing, ?event.?n] == [5] && {?'m': event.?missing, ?'n': event.?n} == {'n': 5}",
        "event.?missing.or(optional.of(2)).value() == 2",
        // The argument is evaluated only without a value.
        "event.?n.orValue(1 / 0) == 5 && event.?n.or(event.missing).value() == 5",
        "optional.ofNonZeroValue([]) == optional.none() && optional.of(1) == optional.of(1.0)",
        "[optional.of(1), optional.none()].unwrapOpt() == [1]",
    ]);
    fail(&[
        ("event.?missing.value() == 1", Invalid("an optional value has no value")),
        ("event.n.?a.hasValue()", WrongType("an index requires a map or a list")),
        ("[?1] == [1]", WrongType("an optional entry requires an optional value")),
        ("event.n.orValue(1) == 1", WrongType("or() and orValue() require an optional value")),
    ]);
}

#[test]
fn macros_have_one_or_two_variables() {
    hold(&[
        "cel.bind(n, event.n, n * n) == 25 && cel.bind(event, 1, event + 1) == 2",
        "event.tags.exists(i, t, i == 1 && t == 'a') && event.o.all(k, v, k != '' && v > 1)",
        // Of repeated names the last one counts.
        "event.o.transformList(k, v, k + string(v)) == ['a3', 'b2']",
        "event.o.transformMap(k, v, v > 2, v * 2) == {'a': 6}",
        "event.tags.transformMap(i, t, i < 2, t) == {0: 'b', 1: 'a'}",
        "event.o.transformMapEntry(k, v, {string(v): k}) == {'3': 'a', '2': 'b'}",
        "event.o.existsOne(k, v, v == 2) && [[1, 2]].all(l, l.all(i, n, n == i + 1))",
        "event.tags.sortBy(t, -event.tags.indexOf(t)) == ['a', 'b', 'b']",
        "event.`x-y`.`z.w` && has(event.`x-y`.`z.w`)",
        "[1].all(math, math == 1) && [{'greatest': 1}].all(math, math.greatest == 1)",
    ]);
    fail(&[
        ("event.tags.transformMapEntry(i, t, {t: i}) == {}", Invalid("a map has a duplicate key")),
        ("{'a': 1, 'a': 2} == {}", Invalid("a map has a duplicate key")),
    ]);
}

#[test]
fn numbers_and_lists_have_their_functions() {
    hold(&[
        "math.greatest(event.n, event.price) == 5 && math.least([3, 1u, 2.0]) == 1u",
        "math.round(event.price) == 3.0 && math.abs(-2) == 2 && math.sqrt(9) == 3.0",
        "math.bitShiftRight(-1, 63) == 1 && math.bitShiftLeft(1, 64) == 0",
        "event.tags.distinct() == ['b', 'a'] && event.tags.sort() == ['a', 'b', 'b']",
        "event.nested.flatten() == [1, [2], 3] && event.nested.flatten(2) == [1, 2, 3]",
        "event.tags.slice(1, 3) == ['a', 'b'] && lists.range(3) == [0, 1, 2]",
        "event.tags.first().value() == 'b' && ![].last().hasValue() && !event.tags.isSorted()",
        "[1, 2].sum() == 3 && [].sum() == 0 && [duration('1s'), duration('2s')].sum() == duration('3s')",
        "event.tags.min() == 'a' && [1, 3, 2].max() == 3 && event.tags.lastIndexOf('b') == 2",
        "sets.contains([1, 2], [2.0]) && sets.equivalent([1, 1], [1]) && !sets.intersects([1], [2])",
        "base64.encode(b'hello') == 'aGVsbG8=' && base64.decode('aGVsbG8') == b'hello'",
    ]);
    fail(&[
        ("math.abs(-9223372036854775808) == 0", Overflow),
        ("[1, 'a'].sort() == []", WrongType("sort")),
        ("event.tags.slice(2, 1) == []", NoSuchIndex),
        ("base64.decode('!') == b''", Invalid("a string is not base64")),
    ]);
}

#[test]
fn patterns_can_be_computed() {
    hold(&[
        "event.id.matches('^' + event.id.substring(0, 2)) && !event.id.matches(event.at)",
        "matches(event.id, '[0-9]+') && event.id.find('[0-9]+') == '12' && event.id.find('x') == ''",
        "event.id.findAll('[a-z0-9]') == ['a', 'b', '1', '2'] && event.id.findAll('.', 1) == ['a']",
        "regex.extract(event.id, '-(.*)').value() == '12' && !regex.extract(event.id, 'x').hasValue()",
        "regex.extractAll('a1b2', '[a-z]([0-9])') == ['1', '2']",
        "regex.replace('ab', '(.)', '<\\\\1>') == '<a><b>' && regex.replace('aé', '', '.') == '.a.é.'",
        "regex.replace('aaa', 'a', 'b', 2) == 'bba'",
    ]);
    fail(&[
        ("event.id.matches('(' + event.id)", Invalid("a pattern is invalid or too large")),
        (
            "event.id.matches(r'(?:\\w' + event.id + '){1000}')",
            Invalid("a pattern is invalid or too large"),
        ),
        ("event.id.matches(event.n)", WrongType("matches")),
        ("regex.replace('a', 'a', '\\\\2') == ''", Invalid("invalid replacement")),
        ("regex.extract('a', '(a)(b)?').hasValue()", Invalid("a pattern has more than one group")),
    ]);
}

#[test]
fn kubernetes_types_are_known() {
    hold(&[
        "cidr('10.0.0.0/8').containsIP('10.1.2.3') && !isIP('10.0.0.256') && isCIDR('::/0')",
        "cidr('10.1.2.3/8').masked() == cidr('10.0.0.0/8') && string(cidr('10.0.0.0/8').ip()) == '10.0.0.0'",
        "cidr('0.0.0.0/0').containsIP('1.2.3.4') && cidr('::/0').prefixLength() == 0",
        "ip('169.254.1.1').isLinkLocalUnicast() && !ip('10.0.0.1').isLoopback()",
        "url('https://u@Example.com:8443/a%20b?x=1&x=2&y=').getHost() == 'Example.com:8443'",
        "url('https://example.com:8443/a b').getPort() == '8443' && url('/a').getScheme() == ''",
        "url('https://[::1]:80/').getHostname() == '::1' && url('https://a/b c').getEscapedPath() == '/b%20c'",
        "url('https://a/?x=1&x=2&y=').getQuery() == {'x': ['1', '2'], 'y': ['']}",
        "isURL('/a') && !isURL('a') && !isURL('https://a b/') && !isURL('https://a:b/')",
        "quantity('1.5Gi').compareTo(quantity('1536Mi')) == 0 && quantity('100m').isLessThan(quantity('1'))",
        "quantity('1k').asInteger() == 1000 && !quantity('1m').isInteger() && quantity('1').add(1) == quantity('2')",
        "quantity('-1e3').sign() == -1 && quantity('0.5').asApproximateFloat() == 0.5 && !isQuantity('1Kb')",
        "semver('1.10.0').isGreaterThan(semver('1.9.0')) && semver('1.0.0-rc.2').isLessThan(semver('1.0.0-rc.10'))",
        "semver('1.0.0-rc').compareTo(semver('1.0.0')) == -1 && semver('v1.02', true).minor() == 2",
        "!isSemver('1.0') && !isSemver('01.0.0') && semver('1.0.0+a') == semver('1.0.0+b')",
    ]);
    fail(&[
        ("ip('::ffff:1.2.3.4') == ip('1.2.3.4')", Invalid("not an IP address")),
        ("cidr('10.0.0.0/08') == cidr('10.0.0.0/8')", Invalid("not a network in CIDR notation")),
        ("quantity('1m').asInteger() == 0", Invalid("a quantity is not an integer")),
        ("url('a b').getHost() == ''", Invalid("not a URL")),
    ]);
}

#[test]
fn messages_have_the_words_of_cel() {
    for (source, message) in [
        ("event.missing", "no such key: \"missing\""),
        (
            "event.n + 'a' == ''",
            "no such overload: an operator does not support the types of its operands",
        ),
        ("event.n.contains('a')", "no such overload: contains"),
        ("event.n / 0 == 1", "division by zero"),
        ("9223372036854775807 + event.n == 0", "integer overflow"),
        ("event.tags[9] == ''", "no such key, or index out of range"),
    ] {
        let error = holds_over(source, EVENT).unwrap_err();
        assert_eq!(error.to_string(), message, "{source}");
    }
}
