//! Names of webhooks that apps create: they start with the app's name and sort by creation time.

use std::sync::atomic::{AtomicU64, Ordering};

/// The longest name of an object (RFC 1123), in characters.
const MAX_NAME: usize = 253;

/// Suffix characters that encode the creation time, so that names sort by age.
const ORDER: usize = 4;

/// Random suffix characters, so that replicas do not choose the same name.
const RANDOM: usize = 6;

const DIGITS: &[u8; 36] = b"0123456789abcdefghijklmnopqrstuvwxyz";

/// Generates names. Creation timestamps have whole seconds only: among webhooks of the same second,
/// the name determines the listing order.
#[derive(Debug, Default)]
pub struct Names {
    last: AtomicU64,
}

impl Names {
    /// `<app>-<10 characters of a-z and 0-9>`, with the app's name truncated to fit. `now` is in
    /// seconds since 1970.
    pub fn next(&self, app: &str, now: u64) -> String {
        // Only the last digits are used, which wrap every 28 minutes. The order matters within one
        // second only.
        let second = now.wrapping_mul(1000);
        let after = |last: u64| last.wrapping_add(1).max(second);
        let last = self.last.fetch_update(Ordering::Relaxed, Ordering::Relaxed, |l| Some(after(l)));
        let mut name = prefix(app);
        name.push('-');
        name.push_str(&base36(last.map_or(second, after)));
        name.extend((0..RANDOM).map(|_| char::from(DIGITS[fastrand::usize(..DIGITS.len())])));
        name
    }
}

/// The app's name, truncated to fit and to end in a letter or a digit.
fn prefix(app: &str) -> String {
    let cut: String = app.chars().take(MAX_NAME - 1 - ORDER - RANDOM).collect();
    cut.trim_end_matches(['-', '.']).into()
}

/// The last [`ORDER`] digits of a number.
fn base36(number: u64) -> String {
    let digit = |place: u32| char::from(DIGITS[(number / 36_u64.pow(place) % 36) as usize]);
    (0..ORDER as u32).rev().map(digit).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: u64 = 1_790_000_000;

    #[test]
    fn names_of_one_second_sort_by_when_they_were_chosen() {
        let names = Names::default();
        let chosen: Vec<_> = (0..500).map(|_| names.next("shop", NOW)).collect();
        let mut sorted = chosen.clone();
        sorted.sort();
        sorted.dedup();
        assert_eq!(chosen, sorted);
    }

    #[test]
    fn a_name_is_the_app_s_and_ten_characters() {
        let name = Names::default().next("shop", NOW);
        let suffix = name.strip_prefix("shop-").unwrap();
        assert_eq!(suffix.len(), 10);
        assert!(suffix.bytes().all(|byte| DIGITS.contains(&byte)), "{suffix}");
    }

    #[test]
    fn a_long_app_name_is_cut_where_a_label_may_end() {
        let name = Names::default().next(&"a".repeat(253), NOW);
        assert_eq!(name.len(), 253);
        let dotted = format!("{}.-.{}", "a".repeat(239), "b".repeat(11));
        let name = Names::default().next(&dotted, NOW);
        assert!(name.starts_with(&format!("{}-", "a".repeat(239))), "{name}");
        assert_eq!(name.len(), 250);
    }
}
