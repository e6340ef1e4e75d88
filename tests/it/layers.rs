//! The folders of `src` import each other in one direction: ARCHITECTURE.md says which.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

/// The folders and files directly below `src`, from the top layer to the bottom one. An import goes to a lower
/// layer, or to the same one.
const LAYERS: &[&[&str]] = &[
    &["main", "lib"],
    &["cli"],
    &["app_api", "admin", "trigger", "source"],
    &["delivery", "key_sets", "peers"],
    &["store"],
    &["app_token"],
    &["plan"],
    &["routes"],
    &["verify", "event", "expression", "retry", "guard"],
    &[
        "http",
        "traces",
        "resources",
        "coding",
        "moment",
        "histogram",
        "backoff",
        "shares",
        "trust",
        "doc_tables",
    ],
];

/// An import of one folder by another.
#[derive(Debug)]
struct Import {
    from: String,
    to: String,
    /// File and line.
    place: String,
}

fn sources(folder: &Path, found: &mut Vec<PathBuf>) {
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            sources(&path, found);
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            found.push(path);
        }
    }
}

/// The folders that a line names as `crate::folder`; `crate::{a, b}` is not written in this code.
fn named(line: &str) -> impl Iterator<Item = &str> {
    let code = line.split("//").next().unwrap_or_default();
    code.split("crate::").skip(1).filter_map(move |rest| {
        assert!(!rest.starts_with('{'), "one folder for each import: {line}");
        let end = rest.find(|c: char| !c.is_ascii_alphanumeric() && c != '_');
        let name = &rest[..end.unwrap_or(rest.len())];
        LAYERS.iter().any(|layer| layer.contains(&name)).then_some(name)
    })
}

fn imports() -> Vec<Import> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    let mut files = Vec::new();
    sources(&root, &mut files);
    let mut imports = Vec::new();
    for file in files {
        let path = file.strip_prefix(&root).unwrap();
        let first = path.components().next().unwrap().as_os_str().to_str().unwrap();
        let from = first.trim_end_matches(".rs");
        assert!(LAYERS.iter().any(|layer| layer.contains(&from)), "{from} belongs to no layer");
        for (number, line) in fs::read_to_string(&file).unwrap().lines().enumerate() {
            let place = format!("src/{}:{}: {}", path.display(), number + 1, line.trim());
            let import =
                |to: &str| Import { from: from.into(), to: to.into(), place: place.clone() };
            imports.extend(named(line).filter(|to| *to != from).map(import));
        }
    }
    imports
}

fn layer(folder: &str) -> usize {
    LAYERS.iter().position(|layer| layer.contains(&folder)).unwrap()
}

#[test]
fn no_folder_imports_one_of_a_layer_above_it() {
    let imports = imports();
    assert!(imports.len() > 300, "the imports are found: {}", imports.len());
    let upward: Vec<_> = imports
        .iter()
        .filter(|import| layer(&import.to) < layer(&import.from))
        .map(|import| &import.place)
        .collect();
    assert!(upward.is_empty(), "upward imports: {upward:#?}");
}

#[test]
fn no_folders_import_each_other_in_a_circle() {
    let imports = imports();
    let mut below = BTreeMap::<&str, BTreeMap<&str, &str>>::new();
    for Import { from, to, place } in &imports {
        below.entry(from).or_default().entry(to).or_insert(place);
    }
    // A folder that imports none of the others, or that none of them imports, is in no circle.
    loop {
        let left: Vec<&str> = below.keys().copied().collect();
        let imported: Vec<&str> = below.values().flat_map(|to| to.keys().copied()).collect();
        below.retain(|folder, to| {
            to.retain(|to, _| left.contains(to));
            !to.is_empty() && imported.contains(folder)
        });
        if below.len() == left.len() {
            break;
        }
    }
    assert!(below.is_empty(), "a circle is among these: {below:#?}");
}

/// The paths below the folders of code in a page, between backticks.
fn paths(page: &str) -> impl Iterator<Item = &str> {
    const FOLDERS: [&str; 7] = ["src/", "tests/", "fuzz/", "hack/", "crash/", "bench/", "attack/"];
    let quoted = page.split('`').skip(1).step_by(2);
    quoted.filter(|text| {
        let is_path = |c: char| c.is_ascii_alphanumeric() || "/._-".contains(c);
        FOLDERS.iter().any(|folder| text.starts_with(folder)) && text.chars().all(is_path)
    })
}

#[test]
fn the_files_that_the_docs_name_exist() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let folders = [root.to_owned(), root.join("docs")];
    let files = folders.iter().flat_map(|folder| fs::read_dir(folder).unwrap());
    let pages = files.map(|entry| entry.unwrap().path());
    let mut count = 0;
    for page in pages.filter(|path| path.extension().is_some_and(|extension| extension == "md")) {
        for path in paths(&fs::read_to_string(&page).unwrap()) {
            count += 1;
            assert!(root.join(path).exists(), "{}: {path}", page.display());
        }
    }
    assert!(count > 30, "{count}");
}
