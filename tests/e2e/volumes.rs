//! Volumes for the operator's replicas: folders of this machine, because the node has nothing that makes
//! volumes.

use std::fs::{self, Permissions};
use std::os::unix::fs::PermissionsExt;

use serde_json::json;
use tempfile::TempDir;

use crate::support::node::Node;

/// What the chart asks for by `persistence.storageClass`.
const CLASS: &str = "e2e";

/// As many as there are replicas at most.
const COUNT: usize = 3;

/// Folders for volumes; gone with this. Made before the node, so that the node ends before them.
pub struct Volumes {
    root: TempDir,
}

impl Volumes {
    /// Empty folders.
    pub fn new() -> Self {
        let root = TempDir::with_prefix("webhook-volumes-").expect("a temporary directory");
        let folder = |path: &std::path::Path| {
            fs::create_dir_all(path).expect("make a folder");
            // The operator's user is none of this machine's, and a folder of the host has no fsGroup.
            fs::set_permissions(path, Permissions::from_mode(0o777)).expect("open a folder");
        };
        (0..COUNT).for_each(|number| folder(&root.path().join(number.to_string())));
        folder(root.path());
        Self { root }
    }

    /// Tells the node of them.
    pub fn declare(&self, node: &Node) {
        let volume = |number: usize| {
            json!({
                "apiVersion": "v1", "kind": "PersistentVolume",
                "metadata": {"name": format!("volume-{number}")},
                "spec": {
                    "capacity": {"storage": "10Gi"}, "accessModes": ["ReadWriteOnce"],
                    "storageClassName": CLASS, "persistentVolumeReclaimPolicy": "Retain",
                    "hostPath": {"path": self.root.path().join(number.to_string()), "type": "Directory"},
                },
            })
        };
        let items: Vec<_> = (0..COUNT).map(volume).collect();
        node.apply(&json!({"apiVersion": "v1", "kind": "List", "items": items}).to_string());
    }
}
