//! The status files, which contain each object with its status. They also store the previous state
//! of an object.

use std::ffi::OsStr;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use super::atomic::{self, Durability};
use crate::plan::{Key, Kind, ObjectRef};

/// Start of the status in a file. No other line begins with this text, because everything below the
/// top level is indented.
const STATUS: &str = "status:";

/// The directory of the status files: `<kind>/<namespace>/<name>.yaml`.
#[derive(Debug)]
pub struct StatusFiles {
    root: PathBuf,
}

impl StatusFiles {
    /// The files below a directory.
    pub fn new(root: PathBuf) -> Self {
        Self { root }
    }

    /// The text of an object's file; `None` if it cannot be read.
    pub fn read(&self, kind: Kind, key: &Key) -> Option<String> {
        fs::read_to_string(self.path(kind, key)).ok()
    }

    /// Writes an object's file.
    ///
    /// # Errors
    /// I/O errors.
    pub fn write(&self, object: &ObjectRef, text: &str) -> io::Result<()> {
        atomic::write(&self.path(object.kind, &object.key), text.as_bytes(), Durability::Process)
    }

    /// Removes an object's file, if it exists.
    ///
    /// # Errors
    /// I/O errors.
    pub fn remove(&self, kind: Kind, key: &Key) -> io::Result<bool> {
        atomic::remove(&self.path(kind, key), Durability::Process)
    }

    /// Removes temporary files and the files of all objects that `kept` rejects. Its arguments are
    /// a kind, a namespace and a file name.
    ///
    /// # Errors
    /// I/O errors.
    pub fn retain(&self, kept: impl Fn(Kind, &str, &str) -> bool) -> io::Result<()> {
        for kind in [Kind::WebhookApp, Kind::Webhook] {
            for folder in entries(&self.root.join(directory(kind)))? {
                let namespace = folder.file_name().and_then(OsStr::to_str).unwrap_or_default();
                for file in fs::read_dir(&folder)? {
                    let file = file?;
                    if !file.file_name().to_str().is_some_and(|name| kept(kind, namespace, name)) {
                        fs::remove_file(file.path())?;
                    }
                }
            }
        }
        Ok(())
    }

    fn path(&self, kind: Kind, key: &Key) -> PathBuf {
        let namespace = self.root.join(directory(kind)).join(&*key.namespace);
        namespace.join(file_name(&key.name))
    }
}

/// The entries of a directory; empty if it does not exist.
///
/// # Errors
/// I/O errors.
pub fn entries(directory: &Path) -> io::Result<Vec<PathBuf>> {
    match fs::read_dir(directory) {
        Ok(entries) => entries.map(|entry| entry.map(|entry| entry.path())).collect(),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(Vec::new()),
        Err(error) => Err(error),
    }
}

/// The file name of an object. An object name may be as long as a file name without an extension.
/// Very long names are shortened, and made unique by a digest.
pub fn file_name(name: &str) -> String {
    const MAX_NAME: usize = 240;
    const KEPT_PREFIX: usize = 190;
    if name.len() <= MAX_NAME {
        return format!("{name}.yaml");
    }
    let digest = ring::digest::digest(&ring::digest::SHA256, name.as_bytes());
    let digest: String = digest.as_ref()[..16].iter().map(|byte| format!("{byte:02x}")).collect();
    // Object names contain no `_`, so this cannot collide with another name.
    format!("{}_{digest}.yaml", &name[..KEPT_PREFIX])
}

/// The object name of a file; `None` if it was shortened, or is not the file of an object.
pub fn object_name(file: &str) -> Option<&str> {
    file.strip_suffix(".yaml").filter(|name| !name.contains('_'))
}

/// Whether a file name is that of an object.
pub fn is_object_file(path: &Path) -> bool {
    path.extension() == Some(OsStr::new("yaml"))
        && !path.file_name().is_some_and(atomic::is_temporary)
}

/// The directory name of a kind.
pub fn directory(kind: Kind) -> &'static str {
    match kind {
        Kind::WebhookApp => "webhookapp",
        Kind::Webhook => "webhook",
    }
}

/// Splits the text of a file before its status.
pub fn split_status(text: &str) -> (&str, &str) {
    let marker = |at: &usize| text[*at..].starts_with(STATUS);
    let lines = text.match_indices('\n').map(|(at, _)| at + 1);
    let at = std::iter::once(0).chain(lines).find(marker).unwrap_or(text.len());
    text.split_at(at)
}

/// The text of a status file. Parts that are not new are taken from the previous file.
pub fn compose(text: Option<&str>, status: Option<&str>, before: &str) -> String {
    let (head_before, status_before) = split_status(before);
    let (head, status) = (text.unwrap_or(head_before), status.unwrap_or(status_before));
    let newline = if head.ends_with('\n') { "" } else { "\n" };
    format!("{head}{newline}{status}")
}

/// Serializes a value as YAML in which each line is one value.
///
/// # Panics
/// Never: the values come from YAML or JSON, or are statuses.
pub fn to_yaml(value: &impl serde::Serialize) -> String {
    // A URL in a folded block could be neither searched nor copied.
    let options = serde_saphyr::ser_options! { prefer_block_scalars: false };
    let mut text = String::new();
    serde_saphyr::to_fmt_writer_with_options(&mut text, value, options)
        .expect("a resource serializes");
    text
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::{Value, json};

    use super::super::manifest::from_yaml;
    use super::*;

    fn any_json() -> impl Strategy<Value = Value> {
        let leaf = prop_oneof![
            Just(Value::Null),
            any::<bool>().prop_map(Value::from),
            any::<i64>().prop_map(Value::from),
            any::<u64>().prop_map(Value::from),
            any::<f64>().prop_filter("JSON has no other", |f| f.is_finite()).prop_map(Value::from),
            any::<String>().prop_map(Value::from),
            "(?s)[-: #\n'\"\\[\\]{}&*!|>%@`,.0-9eEyYnNoxtTfalse~\t]{0,12}".prop_map(Value::from),
        ];
        leaf.prop_recursive(3, 24, 4, |inner| {
            prop_oneof![
                prop::collection::vec(inner.clone(), 0..4).prop_map(Value::from),
                prop::collection::vec((any::<String>(), inner.clone()), 0..4)
                    .prop_map(|fields| fields.into_iter().collect()),
                prop::collection::vec(("[a-z:\n# -]{0,6}", inner), 0..4)
                    .prop_map(|fields| fields.into_iter().collect()),
            ]
        })
    }

    proptest! {
        #[test]
        fn what_is_written_is_read_back_the_same(props in any_json()) {
            let object = json!({"kind": "Webhook", "spec": {"props": props}});
            let text = format!("{}status:\n  uuid: x\n", to_yaml(&object));
            let (head, status) = split_status(&text);
            prop_assert_eq!(from_yaml::<Value>(head).map_err(|why| why.1), Ok(object));
            prop_assert_eq!(status, "status:\n  uuid: x\n");
        }
    }

    #[test]
    fn a_long_url_stays_on_its_line() {
        let url = format!("https://hooks.example.com/apps/{}", "x".repeat(200));
        assert_eq!(to_yaml(&json!({"url": url})).trim_end(), format!("url: {url}"));
    }

    #[test]
    fn the_longest_name_has_a_file_of_its_own() {
        let names =
            ["a".repeat(240), "a".repeat(241), format!("{}b", "a".repeat(252)), "a".repeat(253)];
        let files: std::collections::HashSet<String> =
            names.iter().map(|name| file_name(name)).collect();
        assert_eq!(files.len(), names.len());
        assert!(files.iter().all(|file| file.len() <= 245));
        assert_eq!(file_name("a.b"), "a.b.yaml");
        assert_eq!(object_name("a.b.yaml"), Some("a.b"));
        assert_eq!(object_name(&file_name(&names[1])), None);
        assert_eq!(object_name(".tmp-1-2"), None);
    }

    #[test]
    fn what_is_not_kept_is_swept_away() {
        let directory = tempfile::tempdir().unwrap();
        let files = StatusFiles::new(directory.path().to_path_buf());
        files.retain(|_, _, _| false).unwrap();
        let object = |kind, name: &str| ObjectRef { kind, key: Key::new("ns", name) };
        let kept = object(Kind::Webhook, "a");
        for object in [&kept, &object(Kind::Webhook, "b"), &object(Kind::WebhookApp, "a")] {
            files.write(object, "x").unwrap();
        }
        let leftover = directory.path().join("webhook/ns/.tmp-1-2");
        fs::write(&leftover, "").unwrap();
        files
            .retain(|kind, namespace, file| {
                kind == Kind::Webhook && namespace == "ns" && file == "a.yaml"
            })
            .unwrap();
        assert_eq!(files.read(Kind::Webhook, &kept.key).as_deref(), Some("x"));
        assert_eq!(files.read(Kind::Webhook, &Key::new("ns", "b")), None);
        assert_eq!(files.read(Kind::WebhookApp, &kept.key), None);
        assert!(!leftover.exists());
        assert!(files.remove(Kind::Webhook, &kept.key).unwrap());
    }

    #[test]
    fn what_is_not_new_stays_as_it_was() {
        let before = "kind: A\nspec:\n  status: no\nstatus:\n  uuid: x\n";
        assert_eq!(compose(None, None, before), before);
        assert_eq!(compose(Some("kind: B\n"), None, before), "kind: B\nstatus:\n  uuid: x\n");
        assert_eq!(
            compose(None, Some("status:\n  uuid: y\n"), before),
            "kind: A\nspec:\n  status: no\nstatus:\n  uuid: y\n"
        );
        assert_eq!(compose(Some("kind: B"), None, ""), "kind: B\n");
    }
}
