//! Bodies of a given size: JSON as senders of webhooks write it.

use std::io::Write as _;

use flate2::Compression;
use flate2::write::GzEncoder;

/// A JSON object of `size` bytes, at least 64: many small members rather than one long string,
/// so that a subject that checks the JSON pays what it would pay for a real event.
#[must_use]
pub fn json_of(size: usize) -> Vec<u8> {
    const HEAD: &str = r#"{"type":"paid","items":["#;
    const TAIL: &str = r#"],"pad":""}"#;
    let mut text = String::with_capacity(size);
    text.push_str(HEAD);
    for index in 0.. {
        let item = item(index);
        if text.len() + item.len() + TAIL.len() > size {
            break;
        }
        text.push_str(&item);
    }
    text.push_str(TAIL.trim_end_matches("\"}"));
    let pad = size.saturating_sub(text.len() + 2);
    text.extend(std::iter::repeat_n('x', pad));
    text.push_str("\"}");
    text.into_bytes()
}

fn item(index: usize) -> String {
    let comma = if index == 0 { "" } else { "," };
    let (product, variant, price) = (index % 100, 1000 + index, 10 + index % 90);
    format!(
        concat!(
            r#"{comma}{{"id":{variant},"title":"Item {product}, blue, medium","url":"#,
            r#""https://shop.example.com/products/{product}/variants/{variant}?ref=webhook","#,
            r#""gift":false,"price":"{price}.25","created_at":"2026-11-23T09:30:00+01:00","#,
            r#""note":null}}"#,
        ),
        comma = comma,
        product = product,
        variant = variant,
        price = price,
    )
}

/// A body as gzip, at the level that most senders use.
///
/// # Panics
/// Never: writing to memory has no errors.
#[must_use]
pub fn gzip(body: &[u8]) -> Vec<u8> {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::default());
    encoder.write_all(body).expect("memory has no errors");
    encoder.finish().expect("memory has no errors")
}

#[cfg(test)]
mod tests {
    use super::json_of;

    #[test]
    fn a_body_is_json_of_exactly_the_size_asked_for() {
        for size in [64, 100, 1024, 10_240, 100_000] {
            let body = json_of(size);
            assert_eq!(body.len(), size);
            serde_json::from_slice::<serde_json::Value>(&body).unwrap();
        }
    }
}
