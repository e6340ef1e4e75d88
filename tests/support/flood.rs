//! The flood of the report: a webhook whose listener is down, in an operator with `--max-store-bytes 20Mi`.

use super::http::post;

/// Posts 140 bodies of 200 kB. All are stored or refused for the share of the app.
pub fn flood(url: &str) {
    let body = format!("\"{}\"", "x".repeat(200_000));
    let mut refused = 0;
    for _ in 0..140 {
        let answer = post(url, &body);
        if answer.status != 202 {
            assert_eq!((answer.status, &*answer.reason()), (503, "app_store_full"));
            assert!(answer.header("retry-after").is_some());
            refused += 1;
        }
    }
    assert!((90..=110).contains(&refused), "{refused}");
}
