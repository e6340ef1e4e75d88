//! Entries that cannot be used are refused before any request, and told without their secrets.

use std::time::Duration;

use webhook_operator::verify::{
    Entry, EntryError, Layout, Metadata, Secret, Signature, Source, TemplateError, Timestamp,
    TimestampFormat, Verifier,
};

use super::request::{Request, row, secrets, try_verifier};
use super::sign::hex;

#[test]
fn an_empty_secret_is_refused_everywhere() {
    for text in ["", " ", "\n"] {
        assert!(Secret::new(text.into()).is_err());
    }
    for row in webhook_operator::verify::PROVIDERS {
        assert_eq!(try_verifier(row.name, &[]).unwrap_err(), EntryError::NoSecret);
    }
    for name in ["StandardWebhooks", "Discord"] {
        assert!(matches!(try_verifier(name, &["whsec_"]), Err(EntryError::SecretForm { .. })));
    }
}

#[test]
fn a_secret_that_no_request_could_match_is_refused_by_its_place_and_not_its_text() {
    let hex_key = "3b6a27bcceb6a42d62a3a8d02a6f0d73653215771de243a63ac048a18b59da29";
    for (name, good, bad, message) in [
        (
            "StandardWebhooks",
            "whsec_AQIDBA==",
            "whsec_ not base64",
            "secret 2 does not have the form that StandardWebhooks requires: base64 after whsec_, or the base64 of 32 bytes after whpk_",
        ),
        (
            "StandardWebhooks",
            "AQIDBA==",
            "whpk_AQIDBA==",
            "secret 2 does not have the form that StandardWebhooks requires: base64 after whsec_, or the base64 of 32 bytes after whpk_",
        ),
        (
            "Discord",
            hex_key,
            &hex_key[2..],
            "secret 2 does not have the form that Discord requires: the 64 hexadecimal digits of an Ed25519 public key",
        ),
        (
            "Basic",
            "user:password",
            "user:",
            "secret 2 does not have the form that Basic requires: user:password",
        ),
        (
            "Basic",
            "user:password",
            "no-colon",
            "secret 2 does not have the form that Basic requires: user:password",
        ),
    ] {
        assert!(try_verifier(name, &[good]).is_ok());
        let error = try_verifier(name, &[good, bad]).unwrap_err();
        assert_eq!(error.to_string(), message);
    }
}

fn hmac(scheme: Signature<'_>) -> Result<Verifier, EntryError> {
    Verifier::new(Entry::Hmac(scheme, Metadata::default()), &secrets(&["s"]))
}

const PLAIN: Signature<'static> = Signature { header: "X-Signature", ..Signature::HMAC };

const TIMESTAMP: Option<Timestamp<'static>> = Some(Timestamp {
    source: Source::Header("X-Time"),
    format: TimestampFormat::Unix,
    tolerance: Duration::from_secs(300),
});

#[test]
fn a_generic_signature_must_be_complete() {
    for (scheme, error) in [
        (Signature { header: "a b", ..PLAIN }, EntryError::HeaderName("a b".into())),
        (Signature { header: "", ..PLAIN }, EntryError::HeaderName("".into())),
        (Signature { signed: "{timestamp}{body}", ..PLAIN }, EntryError::TimestampHeaderMissing),
        (Signature { timestamp: TIMESTAMP, ..PLAIN }, EntryError::TimestampNotSigned),
        (Signature { signed: "{id}{body}", ..PLAIN }, EntryError::IdHeaderMissing),
        (Signature { id: Some("X-Id"), ..PLAIN }, EntryError::IdNotSigned),
        (Signature { signed: "{url}", ..PLAIN }, TemplateError::WithoutBody.into()),
        (
            Signature { signed: "{url}{form}", ..PLAIN },
            TemplateError::UnknownPlaceholder("form".into()).into(),
        ),
    ] {
        assert_eq!(hmac(scheme).unwrap_err(), error);
    }
    assert!(hmac(PLAIN).is_ok());
}

#[test]
fn a_generic_timestamp_may_be_in_milliseconds() {
    let scheme = Signature {
        signed: "{timestamp}.{body}",
        timestamp: TIMESTAMP,
        layout: Layout::Prefixed("sig:"),
        ..PLAIN
    };
    let verifier = hmac(scheme).unwrap();
    for time in ["1700000000", "1700000000123"] {
        let digits = hex(b"s", &format!("{time}.{{}}")).to_uppercase();
        let request =
            Request::of("{}").with("X-Time", time).with("X-Signature", format!("sig:{digits}"));
        assert_eq!(request.denied(&verifier), None, "{time}");
    }
}

#[test]
fn a_verify_token_is_refused_where_nothing_asks_for_it() {
    let with_token = |name: &str| Entry::Provider {
        provider: row(name),
        legacy: false,
        verify_token: Some(Secret::new(b"t".into()).unwrap()),
    };
    assert!(Verifier::new(with_token("Meta"), &secrets(&["s"])).is_ok());
    let error = Verifier::new(with_token("GitHub"), &secrets(&["s"])).unwrap_err();
    assert_eq!(error, EntryError::VerifyTokenUnused("GitHub"));
}

#[test]
fn nothing_of_an_entry_shows_a_secret() {
    let entry = Entry::Provider {
        provider: row("Meta"),
        legacy: false,
        verify_token: Some(Secret::new(b"verify-me".into()).unwrap()),
    };
    assert!(!format!("{entry:?}").contains("verify-me"));
    let verifier = Verifier::new(entry, &secrets(&["hush-hush"])).unwrap();
    let shown = format!("{verifier:#?}");
    assert!(!shown.contains("verify-me") && !shown.contains("hush-hush"));
}
