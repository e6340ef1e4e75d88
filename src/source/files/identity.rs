//! The identity key of a data directory. It is created once and never replaced.

use std::fs;
use std::io;
use std::path::Path;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;

use super::FilesError;
use super::atomic::{self, Durability};
use crate::plan::identity::IdentityKey;

const FILE: &str = "identity.key";

/// Reads the identity key from `<data-dir>/identity.key`. Creates the key and the directory on
/// first use. Two processes that do this concurrently get the same key.
///
/// # Errors
/// [`FilesError::IdentityKey`] if the key cannot be read or created, or is too short.
pub fn identity_key(data_dir: &Path) -> Result<IdentityKey, FilesError> {
    let path = data_dir.join(FILE);
    read_or_create(&path).map_err(|why| FilesError::IdentityKey { path, why })
}

fn read_or_create(path: &Path) -> Result<IdentityKey, String> {
    let text = match read(path)? {
        Some(text) => text,
        None => {
            create(path)?;
            read(path)?.ok_or("it was removed while it was being created")?
        }
    };
    let bytes = decode(text.trim()).ok_or("it is neither hexadecimal nor base64 text")?;
    let len = IdentityKey::LEN;
    IdentityKey::new(&bytes).ok_or_else(|| format!("it is shorter than {len} bytes"))
}

fn read(path: &Path) -> Result<Option<String>, String> {
    match fs::read_to_string(path) {
        Ok(text) => Ok(Some(text)),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(error.to_string()),
    }
}

fn create(path: &Path) -> Result<(), String> {
    let bytes =
        IdentityKey::generate().map_err(|_| "the operating system returned no random bytes")?;
    let text = format!("{}\n", STANDARD.encode(bytes));
    let directory =
        path.parent().map_or(Ok(()), |parent| atomic::make_directory(parent, Durability::Power));
    let created = directory.and_then(|()| atomic::create_private(path, text.as_bytes()));
    created.map_err(|error| error.to_string())
}

fn decode(text: &str) -> Option<Vec<u8>> {
    // Hexadecimal first: hex digits are valid base64 too, but 64 of them are meant as 32 bytes.
    decode_hex(text).or_else(|| STANDARD.decode(text).ok())
}

fn decode_hex(text: &str) -> Option<Vec<u8>> {
    let digits: Option<Vec<u32>> = text.chars().map(|c| c.to_digit(16)).collect();
    let digits = digits.filter(|digits| digits.len() % 2 == 0)?;
    digits.chunks(2).map(|pair| u8::try_from(pair[0] * 16 + pair[1]).ok()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::plan::{Key, Kind};

    fn uuid(data_dir: &Path) -> String {
        let key = identity_key(data_dir).unwrap();
        key.uuid(Kind::Webhook, &Key::new("a", "b")).to_string()
    }

    #[test]
    fn a_key_is_made_once_and_read_ever_after() {
        let directory = tempfile::tempdir().unwrap();
        let data = directory.path().join("not/there/yet");
        assert_eq!(uuid(&data), uuid(&data));
        assert_ne!(uuid(&data), uuid(directory.path()));
    }

    #[test]
    fn those_who_race_for_the_first_key_get_the_same() {
        let directory = tempfile::tempdir().unwrap();
        let uuids: Vec<String> = std::thread::scope(|scope| {
            let racer = || scope.spawn(|| uuid(directory.path()));
            let racers: Vec<_> = (0..8).map(|_| racer()).collect();
            racers.into_iter().map(|racer| racer.join().unwrap()).collect()
        });
        assert!(uuids.iter().all(|uuid| *uuid == uuids[0]));
    }

    #[test]
    fn hexadecimal_and_base64_text_of_one_key_are_the_same_key() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join(FILE);
        fs::write(&path, "0f".repeat(32)).unwrap();
        let hexadecimal = uuid(directory.path());
        fs::write(&path, format!("{}\n", STANDARD.encode([0x0f; 32]))).unwrap();
        assert_eq!(uuid(directory.path()), hexadecimal);
    }

    #[test]
    fn a_key_that_is_no_key_is_refused_in_one_line_without_telling_it() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join(FILE);
        for (text, why) in [
            ("", "shorter than 32 bytes"),
            ("abcd", "shorter than 32 bytes"),
            ("sesame, open!", "neither hexadecimal nor base64"),
        ] {
            fs::write(&path, text).unwrap();
            let refused = identity_key(directory.path()).unwrap_err().to_string();
            assert!(refused.contains(why) && refused.contains(FILE), "{refused}");
            assert!(text.is_empty() || !refused.contains(text), "{refused}");
        }
        fs::remove_file(&path).unwrap();
        fs::create_dir(&path).unwrap();
        assert!(identity_key(directory.path()).is_err());
    }
}
