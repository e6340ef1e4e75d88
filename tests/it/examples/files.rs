//! The files of `examples/`, and the webhooks in them.

use std::fs;
use std::path::{Path, PathBuf};
use std::rc::Rc;

use serde_json::Value;

/// A manifest as people find it.
pub struct File {
    pub name: String,
    pub text: String,
}

/// A webhook, and what its file has beside it.
pub struct Example {
    pub file: String,
    pub name: String,
    pub spec: Value,
    objects: Rc<Vec<Value>>,
}

/// A file of the project.
pub fn project(path: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join(path)
}

/// Every manifest, in the order of the names. There is nothing else but the README.
pub fn manifests() -> Vec<File> {
    let entries = fs::read_dir(project("examples")).unwrap().map(|entry| entry.unwrap());
    let read = |entry: fs::DirEntry| File {
        name: entry.file_name().into_string().unwrap(),
        text: fs::read_to_string(entry.path()).unwrap(),
    };
    let (mut manifests, others): (Vec<_>, Vec<_>) =
        entries.map(read).partition(|file| file.name.ends_with(".yaml"));
    assert_eq!(others.iter().map(|file| &*file.name).collect::<Vec<_>>(), ["README.md"]);
    manifests.sort_by(|one, other| one.name.cmp(&other.name));
    manifests
}

/// Every webhook of every manifest.
pub fn examples() -> Vec<Example> {
    manifests().iter().flat_map(examples_of).collect()
}

fn examples_of(file: &File) -> Vec<Example> {
    let objects: Vec<Value> = serde_saphyr::from_multiple(&file.text).unwrap();
    let objects = Rc::new(objects);
    let webhooks = objects.iter().filter(|object| object["kind"] == "Webhook");
    let found = webhooks.map(|webhook| Example {
        file: file.name.clone(),
        name: webhook["metadata"]["name"].as_str().unwrap().to_owned(),
        spec: webhook["spec"].clone(),
        objects: objects.clone(),
    });
    let found: Vec<_> = found.collect();
    assert!(!found.is_empty(), "{} has no webhook", file.name);
    found
}

impl Example {
    /// An object of the same file.
    pub fn beside(&self, kind: &str, name: &Value) -> Option<&Value> {
        let mut objects = self.objects.iter();
        objects.find(|object| object["kind"] == kind && object["metadata"]["name"] == *name)
    }

    /// The secret that its sender has: what the one entry of `verify` names. Empty where there is
    /// none.
    pub fn secret(&self) -> &str {
        let wanted = &self.spec["verify"][0]["secretRefs"][0];
        let Some(key) = wanted["key"].as_str() else { return "" };
        let secret = self.beside("Secret", &wanted["name"]);
        let value = secret.and_then(|secret| secret["stringData"][key].as_str());
        value.unwrap_or_else(|| panic!("{}: no secret {wanted}", self.file))
    }
}
