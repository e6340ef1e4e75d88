//! Secrets that are shown: `Bearer`, `Basic`, `ApiKey`.

use webhook_operator::verify::{Denied, Entry, Position, Verifier};

use super::request::{Request, secrets, verifier};

fn authorized(value: impl AsRef<[u8]>) -> Request {
    Request::of("any body").with("Authorization", value)
}

#[test]
fn a_bearer_token_is_accepted_under_any_case_of_the_scheme() {
    let bearer = verifier("Bearer", &["old", "new token"]);
    for value in ["Bearer old", "bearer new token", "BEARER  old"] {
        assert_eq!(authorized(value).denied(&bearer), None, "{value}");
    }
    for (value, why) in [
        ("Bearer Old", Denied::Mismatch),
        ("Bearer old2", Denied::Mismatch),
        ("Bearer ol", Denied::Mismatch),
        ("Bearer", Denied::Malformed),
        ("Bearer ", Denied::Malformed),
        ("Bearerold", Denied::Malformed),
        ("old", Denied::OtherScheme),
        ("Basic b2xk", Denied::OtherScheme),
    ] {
        assert_eq!(authorized(value).denied(&bearer), Some(why), "{value}");
    }
    let doubled = authorized("Bearer old").with("Authorization", "Bearer old");
    assert_eq!(doubled.denied(&bearer), Some(Denied::DoubledHeader));
    assert_eq!(Request::of("").denied(&bearer), Some(Denied::MissingHeader));
}

#[test]
fn basic_credentials_are_user_and_password_in_base64() {
    // RFC 7617, section 2 and section 2.1.
    let basic = verifier("Basic", &["Aladdin:open sesame", "test:123£", "u:p:with:colons"]);
    for value in [
        "Basic QWxhZGRpbjpvcGVuIHNlc2FtZQ==",
        "basic  QWxhZGRpbjpvcGVuIHNlc2FtZQ==",
        "Basic dGVzdDoxMjPCow==",
        "Basic dTpwOndpdGg6Y29sb25z",
    ] {
        assert_eq!(authorized(value).denied(&basic), None, "{value}");
    }
    for (value, why) in [
        ("Basic QWxhZGRpbjpvcGVuIHNlc2FtZQ", Denied::Mismatch),
        ("Basic Aladdin:open sesame", Denied::Mismatch),
        ("Basic Og==", Denied::Mismatch),
        ("Basic !", Denied::Mismatch),
        ("Bearer QWxhZGRpbjpvcGVuIHNlc2FtZQ==", Denied::OtherScheme),
    ] {
        assert_eq!(authorized(value).denied(&basic), Some(why), "{value}");
    }
}

#[test]
fn an_api_key_is_the_whole_of_its_header() {
    let entry = Entry::ApiKey(Position::Header("X-Api-Key"));
    let verifier = Verifier::new(entry, &secrets(&["kéy", "other"])).unwrap();
    let with = |value: &[u8]| Request::of("").with("x-api-key", value);
    assert_eq!(with("kéy".as_bytes()).denied(&verifier), None);
    assert_eq!(with(b"other").denied(&verifier), None);
    assert_eq!(with(b"other").check(&verifier).unwrap().provider(), "ApiKey");
    for value in [&b"othe"[..], b"others", b"Other", b"k\xe9y", b"x"] {
        assert_eq!(with(value).denied(&verifier), Some(Denied::Mismatch));
    }
    assert_eq!(with(b"").denied(&verifier), Some(Denied::Malformed));
    assert_eq!(
        with(b"other").with("x-api-key", "other").denied(&verifier),
        Some(Denied::DoubledHeader)
    );
}
