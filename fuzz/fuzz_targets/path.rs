//! Any path is refused or names the two UUIDs that it spells out, with at most one slash behind them, and never a panic.
#![no_main]

use libfuzzer_sys::fuzz_target;
use webhook_operator::routes::path::parse;

fuzz_target!(|input: &[u8]| {
    let Ok(path) = std::str::from_utf8(input) else {
        return;
    };
    if let Ok(id) = parse(path) {
        let spelled = format!("/apps/{}/webhooks/{}", id.app, id.webhook);
        assert_eq!(spelled, path.strip_suffix('/').unwrap_or(path).to_ascii_lowercase());
    }
});
