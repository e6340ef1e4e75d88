//! The files of the page and their entity tags.

use std::sync::LazyLock;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use ring::digest::{SHA256, digest};

/// A file of the page.
#[derive(Debug)]
pub struct Asset {
    /// Name under `/ui/`.
    name: &'static str,
    /// Value of `Content-Type`.
    pub content_type: &'static str,
    /// Content.
    pub bytes: &'static [u8],
    /// The quoted `ETag`: a hash of the content.
    pub tag: String,
}

macro_rules! assets {
    ($($name:literal),+ $(,)?) => {
        [$(($name, include_bytes!(concat!("static/", $name)).as_slice())),+]
    };
}

/// All files. The first one is the HTML page.
static ASSETS: LazyLock<Vec<Asset>> = LazyLock::new(|| {
    let files = assets![
        "index.html",
        "style.css",
        "icon.svg",
        "main.js",
        "api.js",
        "apps.js",
        "chart.js",
        "confirm.js",
        "deliveries.js",
        "delivery.js",
        "dom.js",
        "filters.js",
        "json.js",
        "live.js",
        "overview.js",
        "replay.js",
        "route.js",
        "table.js",
        "token.js",
        "webhooks.js",
        "words.js",
    ];
    files.into_iter().map(|(name, bytes)| Asset::new(name, bytes)).collect()
});

/// The HTML page.
pub fn index() -> &'static Asset {
    &ASSETS[0]
}

/// The file with this name.
pub fn find(name: &str) -> Option<&'static Asset> {
    ASSETS.iter().find(|asset| asset.name == name)
}

impl Asset {
    fn new(name: &'static str, bytes: &'static [u8]) -> Self {
        let hash = digest(&SHA256, bytes);
        let tag = format!("\"{}\"", URL_SAFE_NO_PAD.encode(&hash.as_ref()[..16]));
        Self { name, content_type: content_type(name), bytes, tag }
    }
}

fn content_type(name: &str) -> &'static str {
    match name.rsplit('.').next() {
        Some("html") => "text/html; charset=utf-8",
        Some("css") => "text/css; charset=utf-8",
        Some("js") => "text/javascript; charset=utf-8",
        Some("svg") => "image/svg+xml",
        _ => "application/octet-stream",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_file_of_the_folder_is_served_with_its_content_type() {
        let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/src/admin/page/static");
        let mut count = 0;
        for entry in std::fs::read_dir(folder).unwrap() {
            let name = entry.unwrap().file_name().into_string().unwrap();
            let asset = find(&name).unwrap_or_else(|| panic!("{name} is not served"));
            assert_ne!(asset.content_type, "application/octet-stream", "{name}");
            count += 1;
        }
        assert_eq!(count, ASSETS.len());
        assert!(index().content_type.starts_with("text/html"));
    }

    #[test]
    fn the_page_preloads_all_scripts_and_all_loaded_files_exist() {
        let page = str::from_utf8(index().bytes).unwrap();
        let loaded = page.split("\"/ui/").skip(1).filter_map(|rest| rest.split('"').next());
        let loaded: Vec<_> = loaded.collect();
        assert!(loaded.contains(&"main.js") && loaded.contains(&"style.css"));
        // The page loads all scripts in parallel, so no script waits for the one that imports it.
        for asset in ASSETS.iter().filter(|asset| asset.name.ends_with(".js")) {
            assert!(loaded.contains(&asset.name), "{}", asset.name);
        }
        assert!(loaded.iter().all(|name| find(name).is_some()));
    }
}
