//! The API server takes every example as it is.

use std::fs;
use std::path::Path;

use crate::fixture::shared_cluster;

#[test]
fn the_api_server_takes_every_example_as_it_is() {
    let cluster = shared_cluster();
    cluster.apply("{apiVersion: v1, kind: Namespace, metadata: {name: team-a}}");
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("examples");
    let mut files = 0;
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.ends_with("README.md") {
            continue;
        }
        files += 1;
        let dry_run = ["apply", "--server-side", "--dry-run=server", "-f"];
        let output = cluster.kubectl(&[&dry_run[..], &[path.to_str().unwrap()]].concat());
        // Not even a warning.
        assert_eq!((output.ok, &*output.stderr), (true, ""), "{}", path.display());
        let taken = |kind: &str| output.stdout.contains(&format!("{kind}.lenra.io/"));
        assert!(taken("webhook") && taken("webhookapp"), "{}: {}", path.display(), output.stdout);
    }
    assert!(files > 1);
}
