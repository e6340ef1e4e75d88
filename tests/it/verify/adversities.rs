//! What a forger would try, on every vector.

use http::header::{CONTENT_TYPE, HeaderName, HeaderValue};
use webhook_operator::verify::Denied;

use super::request::Request;
use super::vectors::Vector;

/// Applies a change to every small vector, and expects it to be refused.
fn refused(what: &str, change: impl Fn(&Vector, Request) -> Option<Request>) {
    let mut applied = 0;
    for vector in Vector::small() {
        let Some(changed) = change(&vector, vector.request()) else { continue };
        let denied = changed.denied(&vector.verifier());
        assert!(denied.is_some(), "{what}: {}: {changed:?}", vector.name());
        applied += 1;
    }
    assert!(applied > 0, "{what} was tried on nothing");
}

/// Applies a change to each header of the proof of every small vector, and expects it to be refused.
fn refused_header(what: &str, change: impl Fn(&[u8]) -> Vec<Vec<u8>>) {
    for vector in Vector::small() {
        let verifier = vector.verifier();
        let request = vector.request();
        for name in proof_headers(&request) {
            let mut changed = request.clone();
            let value = changed.headers.remove(&name).unwrap();
            for value in change(value.as_bytes()) {
                changed.headers.append(&name, HeaderValue::from_bytes(&value).unwrap());
            }
            let denied = changed.denied(&verifier);
            assert!(denied.is_some(), "{what} {name}: {}", vector.name());
        }
    }
}

fn proof_headers(request: &Request) -> Vec<HeaderName> {
    request.headers.keys().filter(|name| **name != CONTENT_TYPE).cloned().collect()
}

#[test]
fn a_forged_body_is_refused() {
    refused("another byte at the end", |_, mut request| {
        request.body.push(b'x');
        Some(request)
    });
    refused("the last byte less", |_, mut request| request.body.pop().map(|_| request));
    refused("another first byte", |_, mut request| {
        *request.body.first_mut()? ^= 1;
        Some(request)
    });
    refused("no body", |_, request| {
        (!request.body.is_empty()).then(|| Request { body: Vec::new(), ..request })
    });
}

#[test]
fn a_forged_timestamp_is_refused_though_it_is_fresh() {
    refused("a second later", |vector, mut request| {
        let spelled = |seconds: u64| {
            let time = jiff::Timestamp::from_second(seconds.try_into().unwrap()).unwrap();
            [seconds.to_string(), time.to_string().replace('Z', "")]
        };
        let later = |text: &str| {
            let pairs =
                spelled(vector.now.unwrap()).into_iter().zip(spelled(vector.now.unwrap() + 1));
            pairs.fold(text.to_owned(), |text, (now, later)| text.replace(&now, &later))
        };
        vector.now?;
        request.body = later(str::from_utf8(&request.body).unwrap()).into();
        for value in request.headers.values_mut() {
            *value = later(value.to_str().unwrap()).parse().unwrap();
        }
        Some(request)
    });
}

#[test]
fn a_request_is_refused_from_the_first_second_beyond_its_tolerance_before_and_after() {
    for vector in Vector::all() {
        let Some(signed) = vector.now else { continue };
        let tolerance = vector.tolerance.unwrap_or(300);
        let verifier = vector.verifier();
        let at = |now| vector.request().at(now).denied(&verifier);
        assert_eq!(at(signed + tolerance), None, "{}", vector.name());
        assert_eq!(at(signed - tolerance), None, "{}", vector.name());
        assert_eq!(at(signed + tolerance + 1), Some(Denied::Stale), "{}", vector.name());
        assert_eq!(at(signed - tolerance - 1), Some(Denied::Future), "{}", vector.name());
        assert_eq!(at(0), Some(Denied::Future), "{}", vector.name());
        assert_eq!(at(u64::MAX), Some(Denied::Stale), "{}", vector.name());
    }
}

#[test]
fn a_missing_header_is_refused() {
    refused_header("no", |_| vec![]);
}

#[test]
fn an_empty_header_is_refused() {
    refused_header("an empty", |_| vec![vec![]]);
}

#[test]
fn a_header_that_is_there_twice_is_refused_even_if_both_are_right() {
    refused_header("twice the right", |value| vec![value.into(), value.into()]);
    refused_header("a right and a wrong", |value| vec![value.into(), b"x".into()]);
    refused_header("a wrong and a right", |value| vec![b"x".into(), value.into()]);
    refused_header("an empty and a right", |value| vec![vec![], value.into()]);
}

#[test]
fn a_truncated_header_is_refused_at_every_length() {
    for vector in Vector::small() {
        let verifier = vector.verifier();
        let request = vector.request();
        for name in proof_headers(&request) {
            let whole = request.headers[&name].clone();
            for len in 0..whole.len() {
                let mut changed = request.clone();
                let value = HeaderValue::from_bytes(&whole.as_bytes()[..len]).unwrap();
                changed.headers.insert(&name, value);
                assert!(changed.denied(&verifier).is_some(), "{name} {len}: {}", vector.name());
            }
        }
    }
}

#[test]
fn a_header_with_any_one_letter_changed_is_refused() {
    for vector in Vector::small() {
        let verifier = vector.verifier();
        let request = vector.request();
        for name in proof_headers(&request) {
            let mut value = request.headers[&name].as_bytes().to_vec();
            for at in 0..value.len() {
                let letter = value[at];
                value[at] = if letter == b'0' { b'1' } else { b'0' };
                let mut changed = request.clone();
                changed.headers.insert(&name, HeaderValue::from_bytes(&value).unwrap());
                assert!(changed.denied(&verifier).is_some(), "{name} {at}: {}", vector.name());
                value[at] = letter;
            }
        }
    }
}

#[test]
fn a_header_that_goes_on_is_refused() {
    for more in [&b"0"[..], b"00", b"=", b"==", b",", b" x", b"\t", b"A==="] {
        refused_header("a longer", |value| vec![[value, more].concat()]);
    }
}

#[test]
fn a_header_that_is_not_ascii_is_refused() {
    refused_header("a non-ASCII end of", |value| vec![[value, "é".as_bytes()].concat()]);
    refused_header("a non-ASCII", |_| vec!["ünïcödé".into()]);
    refused_header("a non-UTF-8", |_| vec![b"\xff\xfe\x80".into()]);
    refused_header("a full-width", |value| {
        let wide = |byte: &u8| char::from_u32(u32::from(*byte) + 0xfee0).unwrap();
        vec![value.iter().map(wide).collect::<String>().into_bytes()]
    });
}

#[test]
fn a_header_of_noise_is_refused() {
    for noise in
        ["x", "=", ",", " ", "t=", "v1", "v1=", "v1,", "t=,v1", "0", "-1", "null", "sha256="]
    {
        refused_header("noise as", |_| vec![noise.into()]);
    }
    let long = "v1=00,".repeat(5000);
    refused_header("a long", |_| vec![long.clone().into()]);
}

#[test]
fn a_signature_of_one_vector_is_refused_for_another() {
    let vectors: Vec<_> = Vector::small().collect();
    for (one, other) in vectors.iter().zip(vectors.iter().skip(1)) {
        let mut mixed = one.request();
        let donor = other.request();
        if mixed.body == donor.body || mixed.headers.keys().ne(donor.headers.keys()) {
            continue;
        }
        mixed.headers = donor.headers;
        assert!(mixed.denied(&one.verifier()).is_some(), "{}", one.name());
    }
}

#[test]
fn what_is_wrong_is_told_without_a_word_of_the_request_or_the_secret() {
    for vector in Vector::small() {
        let verifier = vector.verifier();
        let mut shown = format!("{verifier:?}");
        // The name of a header may contain what a secret of a test is.
        for name in vector.request().headers.keys() {
            shown = shown.replace(name.as_str(), "");
        }
        assert!(!shown.contains(&*vector.secret), "{}", vector.name());
        let mut forged = vector.request();
        forged.body.push(b'x');
        let denied = forged.denied(&verifier).unwrap();
        assert!(!denied.to_string().contains(char::is_numeric));
        assert!(denied.reason().bytes().all(|byte| byte == b'_' || byte.is_ascii_lowercase()));
    }
}
