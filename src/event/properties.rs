//! Properties of all bodies and content types, tested with random ones.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use encoding_rs::*;
use proptest::collection::vec;
use proptest::prelude::*;
use proptest::sample::select;
use serde::de::IgnoredAny;
use serde_json::{Map, Value, json};

use super::{BodyRule, Event, FormField, convert, from_body};

fn any_bytes() -> impl Strategy<Value = Bytes> {
    vec(any::<u8>(), 0..200).prop_map(Bytes::from)
}

/// Fragments of the formats.
const PIECES: &[&[u8]] = &[
    b"--x",
    b"--x--",
    b"\r\n",
    b"\r\n\r\n",
    b"Content-Disposition: form-data; name=\"a",
    b"; filename=b",
    b"{\"a\":",
    b"[",
    b"]",
    b"}",
    b",",
    b"\"",
    b"\\ud800",
    b"1e9",
    b"&",
    b"=",
    b"%f",
    b"\xff",
    b"\xef\xbb\xbf",
    "é".as_bytes(),
];

/// Fragments in random order: nearly valid bodies, which random bytes rarely are.
fn near_misses() -> impl Strategy<Value = Bytes> {
    vec(select(PIECES), 0..20).prop_map(|pieces| Bytes::from(pieces.concat()))
}

fn any_content_type() -> impl Strategy<Value = Option<Vec<u8>>> {
    let known = prop_oneof![
        Just("application/json"),
        Just("a/b+json"),
        Just("application/x-www-form-urlencoded"),
        Just("multipart/form-data; boundary=x"),
        Just("text/plain"),
        Just("application/octet-stream"),
    ]
    .prop_map(|known| Some(known.into()));
    prop_oneof![
        Just(None),
        known,
        vec(any::<u8>(), 0..40).prop_map(Some),
        vec(any::<u8>(), 0..9).prop_map(|tail| Some([b"multipart/form-data;", &tail[..]].concat())),
    ]
}

fn any_json() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        any::<f64>().prop_map(Value::from),
        any::<String>().prop_map(Value::from),
    ];
    leaf.prop_recursive(4, 32, 6, |inner| {
        prop_oneof![
            vec(inner.clone(), 0..6).prop_map(Value::from),
            vec((any::<String>(), inner), 0..6)
                .prop_map(|entries| Value::Object(entries.into_iter().collect::<Map<_, _>>())),
        ]
    })
}

proptest! {
    #[test]
    fn every_event_is_one_json_object_and_only_a_named_format_is_refused(
        content_type in any_content_type(),
        body in prop_oneof![any_bytes(), near_misses()],
    ) {
        match from_body(content_type.as_deref(), body) {
            Ok(event) => {
                let text = event.to_vec();
                prop_assert_eq!(event.len(), text.len());
                prop_assert_eq!(text.trim_ascii_start().first(), Some(&b'{'));
                let text = String::from_utf8(text).unwrap();
                prop_assert!(serde_json::from_str::<IgnoredAny>(&text).is_ok());
            }
            Err(_) => prop_assert!(content_type.is_some()),
        }
    }

    #[test]
    fn json_is_spliced_without_a_copy_and_means_the_same(json in any_json()) {
        let body = Bytes::from(serde_json::to_vec_pretty(&json).unwrap());
        let event = from_body(Some(b"application/json"), body.clone()).unwrap();
        prop_assert_eq!(event.body.as_ptr(), body.as_ptr());
        prop_assert_eq!(&event.body, &body);
        let parsed: Value = serde_json::from_slice(&event.to_vec()).unwrap();
        let original: Value = serde_json::from_slice(&body).unwrap();
        prop_assert_eq!(if json.is_object() { &parsed } else { &parsed["_json"] }, &original);
    }

    #[test]
    fn text_comes_back_as_it_was(text in ".+|[\\x00-\\x7f]+") {
        let event = from_body(Some(b"text/plain"), Bytes::from(text.clone())).unwrap();
        let parsed: Value = serde_json::from_slice(&event.to_vec()).unwrap();
        prop_assert_eq!(&parsed["_text"], &Value::from(text));
    }

    #[test]
    fn a_body_of_a_binary_type_is_always_base64(body in any_bytes()) {
        prop_assume!(!body.is_empty());
        let event = from_body(Some(b"application/octet-stream"), body.clone()).unwrap();
        prop_assert_eq!(parsed(&event), json!({ "_base64": STANDARD.encode(&body) }));
    }

    #[test]
    fn an_urlencoded_form_keeps_every_pair(pairs in vec(("[ab]?", any::<String>()), 1..20)) {
        let body = form_urlencoded::Serializer::new(String::new()).extend_pairs(&pairs).finish();
        let event = from_body(Some(b"application/x-www-form-urlencoded"), body.into()).unwrap();
        prop_assert_eq!(pairs_of(&event.to_vec()), sorted(pairs));
    }

    #[test]
    fn a_multipart_form_keeps_every_part(parts in vec(("[ab]?", "[^-]*"), 1..20)) {
        let mut body: String = parts
            .iter()
            .map(|(name, value)| {
                format!("--x\r\nContent-Disposition: form-data; name=\"{name}\"\r\n\r\n{value}\r\n")
            })
            .collect();
        body += "--x--";
        let event = from_body(Some(b"multipart/form-data; boundary=x"), body.into()).unwrap();
        prop_assert_eq!(pairs_of(&event.to_vec()), sorted(parts));
    }
}

/// All charsets of the Encoding Standard that text can be encoded in.
const CHARSETS: [&Encoding; 37] = [
    BIG5,
    EUC_JP,
    EUC_KR,
    GB18030,
    GBK,
    IBM866,
    ISO_2022_JP,
    ISO_8859_2,
    ISO_8859_3,
    ISO_8859_4,
    ISO_8859_5,
    ISO_8859_6,
    ISO_8859_7,
    ISO_8859_8,
    ISO_8859_10,
    ISO_8859_13,
    ISO_8859_14,
    ISO_8859_15,
    ISO_8859_16,
    KOI8_R,
    KOI8_U,
    MACINTOSH,
    SHIFT_JIS,
    UTF_8,
    WINDOWS_1250,
    WINDOWS_1251,
    WINDOWS_1252,
    WINDOWS_1253,
    WINDOWS_1254,
    WINDOWS_1255,
    WINDOWS_1256,
    WINDOWS_1257,
    WINDOWS_1258,
    WINDOWS_874,
    X_MAC_CYRILLIC,
    ISO_8859_8_I,
    X_USER_DEFINED,
];

/// Texts that fit into most of the charsets, or into some.
fn samples() -> impl Strategy<Value = String> {
    select(vec![
        "plain",
        "\u{e9}\u{fc}",
        "\u{436}\u{44f}",
        "\u{3b1}\u{3c9}",
        "\u{5e9}\u{5dc}",
        "\u{65e5}\u{672c}",
        "\u{d55c}",
        "\u{e01}\u{e2b}",
        "\u{20ac}",
    ])
    .prop_map(str::to_owned)
}

proptest! {
    #[test]
    fn text_of_every_charset_comes_back_as_text_in_each_kind_of_body(
        charset in select(&CHARSETS[..]),
        text in samples(),
    ) {
        let encoded = |text: &str| {
            let (bytes, _, lossy) = charset.encode(text);
            (!lossy).then(|| Bytes::from(bytes.into_owned()))
        };
        prop_assume!(encoded(&text).is_some());
        let content_type = |kind: &str| format!("{kind}; charset={}", charset.name());
        let event = |kind: &str, body: Bytes| -> Value {
            let event = from_body(Some(content_type(kind).as_bytes()), body).unwrap();
            serde_json::from_slice(&event.to_vec()).unwrap()
        };
        let json = format!("{{\"text\":\"{text}\"}}");
        let value = json!({ "text": text });
        prop_assert_eq!(&event("application/json", encoded(&json).unwrap()), &value);
        prop_assert_eq!(&event("text/plain", encoded(&text).unwrap()), &json!({ "_text": text }));
        let hex: String = encoded(&text).unwrap().iter().map(|byte| format!("%{byte:02X}")).collect();
        let form = format!("text={hex}");
        prop_assert_eq!(&event("application/x-www-form-urlencoded", form.into()), &value);
        let head = format!("--x\r\nContent-Disposition: form-data; name=text\r\nContent-Type: {}\r\n\r\n", content_type("text/plain"));
        let part = [head.as_bytes(), &encoded(&text).unwrap(), b"\r\n--x--"].concat();
        let multipart = from_body(Some(b"multipart/form-data; boundary=x"), part.into()).unwrap();
        prop_assert_eq!(&serde_json::from_slice::<Value>(&multipart.to_vec()).unwrap(), &value);

        // The same by rules.
        let by_rule = |rule: &BodyRule, kind: &str, body: Bytes| {
            parsed(&convert(rule, Some(content_type(kind).as_bytes()), body).unwrap())
        };
        let bytes = encoded(&json).unwrap();
        prop_assert_eq!(&by_rule(&BodyRule::Json, "text/plain", bytes.clone()), &value);
        let base64 = json!({ "_base64": STANDARD.encode(&bytes) });
        prop_assert_eq!(&by_rule(&BodyRule::Binary, "application/json", bytes.clone()), &base64);
        let as_text = json!({ "_text": json });
        prop_assert_eq!(&by_rule(&BodyRule::Text, "application/json", bytes.clone()), &as_text);
        let field = FormField { name: "payload".into(), is_required: true };
        let rule = BodyRule::FormField(field);
        let hex: String = bytes.iter().map(|byte| format!("%{byte:02X}")).collect();
        let form = format!("other=1&payload={hex}");
        prop_assert_eq!(&by_rule(&rule, "application/x-www-form-urlencoded", form.into()), &value);
        let head = "--x\r\nContent-Disposition: form-data; name=payload\r\n\r\n";
        let part = [head.as_bytes(), &bytes, b"\r\n--x--"].concat();
        prop_assert_eq!(&by_rule(&rule, "multipart/form-data; boundary=x", part.into()), &value);
    }

    /// Bytes that are not of the charset are kept in base64, or rejected in JSON.
    #[test]
    fn nothing_is_ever_replaced(
        charset in select(&CHARSETS[..]),
        body in vec(any::<u8>(), 1..32),
        kind in select(vec!["text/plain", "application/json", "application/x-www-form-urlencoded"]),
    ) {
        let content_type = format!("{kind}; charset={}", charset.name());
        if let Ok(event) = from_body(Some(content_type.as_bytes()), body.into()) {
            let is_replaced = String::from_utf8(event.to_vec()).unwrap().contains('\u{fffd}');
            prop_assert!(!is_replaced);
        }
    }

    #[test]
    fn utf_16_comes_back_with_and_without_its_mark(text in "[^\\x00]{1,20}", mark in 0..3) {
        let units = |to: fn(u16) -> [u8; 2]| text.encode_utf16().flat_map(to).collect::<Vec<u8>>();
        let (label, body) = match mark {
            0 => ("utf-16", [&b"\xff\xfe"[..], &units(u16::to_le_bytes)].concat()),
            1 => ("utf-16", [&b"\xfe\xff"[..], &units(u16::to_be_bytes)].concat()),
            _ => ("utf-16be", units(u16::to_be_bytes)),
        };
        prop_assume!(!text.starts_with(['\u{feff}', '\u{fffe}']));
        let content_type = format!("text/plain; charset={label}");
        let event = from_body(Some(content_type.as_bytes()), body.into()).unwrap();
        let value: Value = serde_json::from_slice(&event.to_vec()).unwrap();
        prop_assert_eq!(value, json!({ "_text": text }));
    }
}

fn parsed(event: &Event) -> Value {
    serde_json::from_slice(&event.to_vec()).unwrap()
}

/// Sorts by name; the values of one name keep their order, as in an event.
fn sorted(mut pairs: Vec<(String, String)>) -> Vec<(String, String)> {
    pairs.sort_by(|(a, _), (b, _)| a.cmp(b));
    pairs
}

fn pairs_of(event: &[u8]) -> Vec<(String, String)> {
    let event: Map<String, Value> = serde_json::from_slice(event).unwrap();
    let pairs = event.iter().flat_map(|(name, value)| {
        let values = match value {
            Value::Array(values) => values.clone(),
            value => vec![value.clone()],
        };
        values
            .into_iter()
            .map(|value| (name.clone(), value.as_str().unwrap().to_owned()))
            .collect::<Vec<_>>()
    });
    sorted(pairs.collect())
}
