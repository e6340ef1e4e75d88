use std::fs;
use std::io::Write;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use proptest::prelude::*;
use serde_json::{Value, json};
use tempfile::TempDir;
use tracing::subscriber::DefaultGuard;

use super::manifest::from_yaml;
use super::{Files, FilesError};
use crate::plan::address::AddressPolicy;
use crate::plan::decide::ListenerPolicy;
use crate::plan::identity::IdentityKey;
use crate::plan::{Key, Reach, Settings};
use crate::resources::Webhook;
use crate::routes::{RouteState, Table};
use crate::source::{PlanRunner, StoreError, WebhookStore};

const APP: &str = "
apiVersion: lenra.io/v1alpha1
kind: WebhookApp
metadata: {name: shop}
spec:
  listener: {url: http://192.0.2.1}
";

const UUID: &str = "c14990db-96a1-44c6-b13a-8ab12db96f61";

fn webhook(name: &str, spec: &str) -> String {
    format!(
        "---\napiVersion: lenra.io/v1alpha1\nkind: Webhook\nmetadata: {{name: {name}}}\n\
         spec: {{app: shop, {spec}}}\n"
    )
}

/// A folder and a data directory; the source may be started and stopped.
struct TestFolder {
    directory: TempDir,
    log: Log,
    _guard: DefaultGuard,
}

#[derive(Clone, Default)]
struct Log(Arc<Mutex<Vec<u8>>>);

impl Write for Log {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.0.lock().unwrap().write(bytes)
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

impl TestFolder {
    fn new() -> Self {
        let (directory, log) = (tempfile::tempdir().unwrap(), Log::default());
        fs::create_dir(directory.path().join("manifests")).unwrap();
        let written = log.clone();
        let subscriber = tracing_subscriber::fmt()
            .with_writer(move || written.clone())
            .with_ansi(false)
            .without_time()
            .with_target(false)
            .with_env_filter("warn,webhook_operator::events=off")
            .finish();
        Self { directory, log, _guard: tracing::subscriber::set_default(subscriber) }
    }

    fn manifests(&self) -> PathBuf {
        self.directory.path().join("manifests")
    }

    fn data(&self) -> PathBuf {
        self.directory.path().join("data")
    }

    fn put(&self, file: &str, text: &str) {
        let path = self.manifests().join(file);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, text).unwrap();
    }

    fn remove(&self, file: &str) {
        fs::remove_file(self.manifests().join(file)).unwrap();
    }

    fn open(&self) -> Result<Running, FilesError> {
        let runner = Arc::new(PlanRunner::new(
            Settings {
                external_url: "http://hooks".into(),
                listeners: ListenerPolicy {
                    allow_url: true,
                    addresses: AddressPolicy::default(),
                    reach: Reach::Address,
                    ..ListenerPolicy::default()
                },
                identity: IdentityKey::new(&[7; 32]).unwrap(),
                key_sets: Arc::default(),
            },
            Arc::new(Table::default()),
        ));
        let files = Arc::new(Files::open(self.manifests(), self.data(), runner.clone())?);
        Ok(Running { files, runner, data: self.data() })
    }

    fn start(&self) -> Running {
        let running = self.open().unwrap();
        running.files.load().unwrap();
        running
    }

    /// The warnings since the last call, line by line, without the folder's path.
    fn warnings(&self) -> Vec<String> {
        let text = String::from_utf8(std::mem::take(&mut *self.log.0.lock().unwrap())).unwrap();
        let text = text.replace(&format!("{}/", self.directory.path().display()), "");
        text.lines().map(|line| line.trim_start().trim_start_matches("WARN ").into()).collect()
    }

    fn expect_warning(&self, parts: &[&str]) {
        let warnings = self.warnings();
        assert_eq!(warnings.len(), 1, "{warnings:#?}");
        for part in parts {
            assert!(warnings[0].contains(part), "{part}: {warnings:#?}");
        }
    }

    fn expect_silence(&self) {
        assert_eq!(self.warnings(), Vec::<String>::new());
    }
}

struct Running {
    files: Arc<Files>,
    runner: Arc<PlanRunner>,
    data: PathBuf,
}

impl Running {
    /// Does the work of `run` until two polls in a row leave nothing pending. How many it takes depends on the age of
    /// the files: those of the last second are read again.
    fn turn(&self) {
        let mut quiet = 0;
        while quiet < 2 {
            self.files.core.poll();
            let pending = self.runner.pending().take_all();
            quiet = if pending.is_empty() { quiet + 1 } else { 0 };
            assert!(self.files.core.publish(&pending).is_empty());
        }
    }

    fn status_path(&self, kind: &str, name: &str) -> PathBuf {
        self.data.join(format!("status/{kind}/default/{name}.yaml"))
    }

    fn shown(&self, kind: &str, name: &str) -> Option<Value> {
        let text = fs::read_to_string(self.status_path(kind, name)).ok()?;
        Some(from_yaml(&text).unwrap())
    }

    /// The action, the generation, and the reason of a webhook's `Ready` condition, as shown.
    fn summary(&self, name: &str) -> (String, i64, String) {
        let shown = self.shown("webhook", name).expect(name);
        let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
        let generation = shown["metadata"]["generation"].as_i64().unwrap();
        assert_eq!(shown["status"]["observedGeneration"], json!(generation));
        let reason = text(&shown["status"]["conditions"][0]["reason"]);
        (text(&shown["spec"]["action"]), generation, reason)
    }

    /// The action and the state of a webhook's route.
    fn route(&self, name: &str) -> Option<(String, RouteState)> {
        let planner = self.runner.planner();
        let mut routes = planner.routes().map(|(_, route)| route);
        let route = routes.find(|route| &*route.name == name)?;
        Some((route.binding.action.as_ref().into(), route.state))
    }

    fn serves(&self, name: &str, action: &str) -> bool {
        self.route(name) == Some((action.into(), RouteState::Serving))
    }
}

fn ready(action: &str, generation: i64) -> (String, i64, String) {
    (action.into(), generation, "Succeeded".into())
}

// ---- reading ----

#[test]
fn a_folder_is_loaded_and_each_object_is_shown_with_its_status() {
    let place = TestFolder::new();
    place.put(
        "b/webhooks.yaml",
        &format!("{}{}", webhook("a", "action: x"), webhook("b", "action: v")),
    );
    place.put("c.yaml", APP);
    let running = place.start();
    place.expect_silence();
    assert!(running.serves("a", "x") && running.serves("b", "v"));
    assert_eq!(running.summary("a"), ready("x", 1));
    let app = running.shown("webhookapp", "shop").unwrap();
    assert_eq!(app["status"]["webhooks"], json!(2));
    assert_eq!(app["spec"]["listener"]["timeout"], json!("10s"), "defaults are shown");
    let url = running.shown("webhook", "a").unwrap()["status"]["url"].clone();
    assert!(url.as_str().unwrap().starts_with("http://hooks/apps/"));
}

#[test]
fn what_cannot_be_read_is_reported_and_disturbs_nothing_else() {
    let place = TestFolder::new();
    place.put("a.yaml", &format!("{APP}---\na: [\n{}", webhook("a", "action: x")));
    let running = place.start();
    assert!(running.serves("a", "x"));
    place.expect_warning(&["manifests/a.yaml:", "this is not YAML"]);
    place.put("b.yaml", "\n\napiVersion: v1\nkind: Pod\nmetadata: {name: x}\n");
    running.turn();
    place.expect_warning(&[
        "manifests/b.yaml:3: kind \"Pod\" of apiVersion \"v1\" is not supported",
    ]);
    running.turn();
    place.expect_silence();
}

#[test]
fn a_service_is_what_a_listener_is_found_by() {
    let place = TestFolder::new();
    place.put("a.yaml", &APP.replace("url: http://192.0.2.1", "service: {name: shop, port: http}"));
    place.put("b.yaml", &webhook("a", "action: x"));
    let running = place.start();
    assert_eq!(running.route("a"), Some(("x".into(), RouteState::NotReady)));
    assert_eq!(running.summary("a").2, "AppNotReady");
    let service = "apiVersion: v1\nkind: Service\nmetadata: {name: shop}\n\
        spec: {clusterIP: 192.0.2.7, ports: [{name: http, port: 80}]}\n";
    place.put("c.yaml", service);
    running.turn();
    assert!(running.serves("a", "x"));
    place.put("c.yaml", &service.replace("80", "x"));
    running.turn();
    place.expect_warning(&["manifests/c.yaml:1: Service default/shop: cannot be read: "]);
    assert!(running.serves("a", "x"), "the last good Service stays");
    place.remove("c.yaml");
    running.turn();
    assert_eq!(running.summary("a").2, "AppNotReady");
}

#[test]
fn a_secret_is_accepted_and_never_reported() {
    let place = TestFolder::new();
    let secret = "apiVersion: v1\nkind: Secret\nmetadata: {name: s}\nstringData: {key: sesame}\n";
    place.put("a.yaml", secret);
    let running = place.start();
    place.expect_silence();
    place.put("a.yaml", &secret.replace("kind: Secret", "kind: Secre"));
    running.turn();
    let warnings = place.warnings().join("\n");
    assert!(warnings.contains("\"Secre\"") && !warnings.contains("sesame"), "{warnings}");
}

#[test]
fn no_trigger_url_is_reported() {
    let place = TestFolder::new();
    place.put("a.yaml", &format!("{APP}{}", webhook("a", &format!("action: x, uuid: {UUID}"))));
    let running = place.start();
    let other = UUID.replace('c', "d");
    place.put("a.yaml", &format!("{APP}{}", webhook("a", &format!("action: x, uuid: {other}"))));
    running.turn();
    let warnings = place.warnings().join("\n");
    assert!(warnings.contains("uuid is immutable"), "{warnings}");
    assert!(!warnings.contains(UUID) && !warnings.contains(&other), "{warnings}");
}

#[test]
fn a_uid_in_a_file_is_ignored() {
    let input = |running: &Running| {
        let app = running.runner.planner().app(&Key::new("default", "shop")).cloned().unwrap();
        assert!(app.spec.is_ok());
        (app.uid, app.instance)
    };
    let place = TestFolder::new();
    place.put("a.yaml", &APP.replace("{name: shop}", "{name: shop, uid: of-another-cluster}"));
    let running = place.start();
    running.turn();
    assert_eq!(input(&running), (None, "".into()));
    // The last valid object comes from the status file.
    let path = running.status_path("webhookapp", "shop");
    drop(running);
    let text = fs::read_to_string(&path).unwrap();
    fs::write(&path, text.replacen("metadata:", "metadata:\n  uid: of-another-cluster", 1))
        .unwrap();
    place.put("a.yaml", &APP.replace("http://192.0.2.1", "invalid"));
    assert_eq!(input(&place.start()), (None, "".into()));
}

#[test]
fn names_that_would_lead_elsewhere_never_reach_the_file_system() {
    let place = TestFolder::new();
    let bad = webhook("../../x", "action: x");
    let worse = webhook("a", "action: x").replace("{name: a}", "{name: a, namespace: ../../y}");
    place.put("a.yaml", &format!("{bad}{worse}"));
    place.start();
    let warnings = place.warnings();
    assert!(
        warnings[0].contains("a.yaml:2: Webhook: metadata.name: Invalid value"),
        "{warnings:?}"
    );
    assert!(warnings[1].contains("Webhook: metadata.namespace: Invalid value"), "{warnings:?}");
    let mut names: Vec<_> = fs::read_dir(place.directory.path())
        .unwrap()
        .map(|entry| entry.unwrap().file_name())
        .collect();
    names.sort();
    assert_eq!(names, ["data", "manifests"]);
    assert!(!place.data().join("status").exists());
}

#[test]
fn a_data_directory_in_the_folder_is_not_read_as_manifests() {
    let place = TestFolder::new();
    place.put("a.yaml", &format!("{APP}{}", webhook("a", "action: x")));
    let (manifests, data) = (place.manifests(), place.manifests().join("data"));
    let runner = place.start().runner;
    let files = Files::open(manifests, data, runner).unwrap();
    files.load().unwrap();
    files.core.poll();
    files.core.poll();
    place.expect_silence();
}

// ---- changes ----

#[test]
fn a_change_a_new_file_and_a_removed_one_are_followed() {
    let place = TestFolder::new();
    place.put("app.yaml", APP);
    place.put("a.yaml", &webhook("a", "action: x"));
    let running = place.start();
    place.put("a.yaml", &webhook("a", "action: v"));
    place.put("b.yaml", &webhook("b", "action: z"));
    running.turn();
    assert!(running.serves("a", "v") && running.serves("b", "z"));
    assert_eq!(running.summary("a"), ready("v", 2));
    place.remove("a.yaml");
    running.turn();
    assert_eq!(running.route("a"), None);
    assert_eq!(running.shown("webhook", "a"), None);
    assert!(running.serves("b", "z"));
    place.expect_silence();
}

#[test]
fn a_file_that_is_gone_for_a_moment_is_not_gone() {
    let place = TestFolder::new();
    place.put("a.yaml", &format!("{APP}{}", webhook("a", "action: x")));
    let running = place.start();
    place.remove("a.yaml");
    running.files.core.poll();
    assert!(running.serves("a", "x"), "an editor may be about to put it back");
    place.put("a.yaml", &format!("{APP}{}", webhook("a", "action: v")));
    running.turn();
    assert!(running.serves("a", "v"));
}

#[test]
fn an_object_may_move_from_file_to_file() {
    let place = TestFolder::new();
    place.put("a.yaml", &format!("{APP}{}", webhook("a", &format!("action: x, uuid: {UUID}"))));
    let running = place.start();
    place.put("a.yaml", APP);
    place.put("b.yaml", &webhook("a", &format!("action: x, uuid: {UUID}")));
    running.turn();
    assert!(running.serves("a", "x"));
    assert_eq!(running.summary("a"), ready("x", 1));
    place.expect_silence();
}

#[test]
fn an_invalid_change_leaves_the_last_good_state_in_force() {
    let place = TestFolder::new();
    place.put("a.yaml", &format!("{APP}{}", webhook("a", "action: x")));
    let running = place.start();
    for bad in ["action: ''", "action: v, colour: red", &format!("action: v, uuid: {UUID}")] {
        place.put("a.yaml", &format!("{APP}{}", webhook("a", bad)));
        running.turn();
        place.expect_warning(&["manifests/a.yaml:8: Webhook default/a: "]);
        assert!(running.serves("a", "x"), "{bad}");
        assert_eq!(running.summary("a"), ready("x", 1));
    }
    place.put("a.yaml", &format!("{APP}{}", webhook("a", "action: v")));
    running.turn();
    assert_eq!(running.summary("a"), ready("v", 2));
    place.expect_silence();
}

#[test]
fn a_new_object_that_is_invalid_is_shown_as_stalled_until_it_is_repaired() {
    let place = TestFolder::new();
    for bad in [
        "action: ''",
        "action: x, colour: red",
        "action: 7, props: [1]",
        "action: x, userId: 18446744073709551615",
    ] {
        place.put("a.yaml", &format!("{APP}{}", webhook("a", bad)));
        let running = place.start();
        place.expect_warning(&["manifests/a.yaml:8: Webhook default/a: "]);
        assert_eq!(running.route("a"), None);
        let shown = running.shown("webhook", "a").unwrap();
        assert_eq!(shown["status"]["conditions"][0]["reason"], json!("Invalid"), "{bad}");
        assert_eq!(shown["status"]["conditions"][2]["status"], json!("True"), "{bad}");
        drop(running);
        let running = place.start();
        assert_eq!(running.route("a"), None, "nor is it in force after a restart: {bad}");
        place.warnings();
        place.put("a.yaml", &format!("{APP}{}", webhook("a", "action: x")));
        running.turn();
        assert!(running.serves("a", "x"), "{bad}");
        assert_eq!(running.summary("a"), ready("x", 2));
        place.remove("a.yaml");
        running.turn();
        place.expect_silence();
    }
}

#[test]
fn a_spec_that_is_no_object_is_shown_too() {
    let place = TestFolder::new();
    place.put(
        "a.yaml",
        &webhook("a", "action: x").replace("spec: {app: shop, action: x}", "spec: x"),
    );
    let running = place.start();
    place.expect_warning(&["spec: Invalid value: must be of type object"]);
    assert_eq!(running.shown("webhook", "a").unwrap()["spec"], json!("x"));
}

#[test]
fn a_document_that_does_not_parse_leaves_in_force_what_its_file_gave() {
    let place = TestFolder::new();
    place
        .put("a.yaml", &format!("{APP}{}{}", webhook("a", "action: x"), webhook("b", "action: x")));
    let running = place.start();
    place.put("a.yaml", &format!("{APP}{}---\nkind: [\n", webhook("a", "action: v")));
    running.turn();
    place.expect_warning(&["this is not YAML"]);
    assert!(running.serves("a", "v"), "what can be read is in force");
    assert!(running.serves("b", "x"), "it may be the one that cannot");
    place.put("a.yaml", &format!("{APP}{}", webhook("a", "action: v")));
    running.turn();
    assert_eq!(running.route("b"), None);
}

#[test]
fn a_file_that_cannot_be_read_leaves_in_force_what_it_gave() {
    let place = TestFolder::new();
    place.put("app.yaml", APP);
    place.put("a.yaml", &webhook("a", "action: x"));
    let running = place.start();
    place.put("a.yaml", "");
    fs::write(place.manifests().join("a.yaml"), b"\xff\xfe\xfd").unwrap();
    running.turn();
    place.expect_warning(&["manifests/a.yaml:1: this is not UTF-8 text"]);
    assert!(running.serves("a", "x"));
}

#[test]
fn a_folder_that_vanishes_leaves_everything_in_force() {
    let place = TestFolder::new();
    place.put("a.yaml", &format!("{APP}{}", webhook("a", "action: x")));
    let running = place.start();
    let away = place.directory.path().join("away");
    fs::rename(place.manifests(), &away).unwrap();
    running.turn();
    running.turn();
    place.expect_warning(&["manifests: cannot be read: "]);
    assert!(running.serves("a", "x"));
    fs::rename(&away, place.manifests()).unwrap();
    place.put("a.yaml", APP);
    running.turn();
    assert_eq!(running.route("a"), None);
}

// ---- duplicates ----

#[test]
fn of_two_declarations_the_first_counts_and_the_second_is_reported_with_both_places() {
    let place = TestFolder::new();
    place.put("app.yaml", APP);
    place.put("b.yaml", &format!("{}{}", webhook("a", "action: x"), webhook("a", "action: v")));
    let running = place.start();
    place.expect_warning(&[
        "manifests/b.yaml:7: Webhook default/a: is already declared",
        "manifests/b.yaml:2",
    ]);
    assert!(running.serves("a", "x"));
    place.put("c.yaml", &webhook("a", "action: z"));
    running.turn();
    place.expect_warning(&["manifests/c.yaml:2: Webhook default/a", "manifests/b.yaml:2"]);
    assert!(running.serves("a", "x"));
    place.put("a.yaml", &webhook("a", "action: first"));
    running.turn();
    let warnings = place.warnings();
    assert!(
        warnings
            .iter()
            .any(|line| line.contains("manifests/b.yaml:2") && line.contains("a.yaml:2")),
        "{warnings:#?}"
    );
    assert!(running.serves("a", "first"));
}

#[test]
fn when_the_first_declaration_goes_the_next_one_counts() {
    let place = TestFolder::new();
    place.put("app.yaml", APP);
    place.put("a.yaml", &webhook("a", "action: x"));
    place.put("b.yaml", &webhook("a", "action: v"));
    let running = place.start();
    place.warnings();
    place.remove("a.yaml");
    running.turn();
    assert_eq!(running.summary("a"), ready("v", 2), "it is the same object, and changed");
    place.expect_silence();
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(12))]

    #[test]
    fn the_order_in_which_files_come_does_not_matter(order in Just(FILES).prop_shuffle(), cut in 0..FILES.len()) {
        let shown = |running: &Running| -> Vec<_> {
            ["a", "b", "c", "d", "e"].iter().map(|name| (running.route(name), running.shown("webhook", name).map(|shown| shown["spec"].clone()))).collect()
        };
        let whole = TestFolder::new();
        FILES.iter().for_each(|(file, text)| whole.put(file, &text()));
        let expected = shown(&whole.start());
        let place = TestFolder::new();
        order[..cut].iter().for_each(|(file, text)| place.put(file, &text()));
        let running = place.start();
        for (file, text) in &order[cut..] {
            place.put(file, &text());
            running.turn();
        }
        prop_assert_eq!(shown(&running), expected);
    }
}

type FileText = (&'static str, fn() -> String);

const FILES: [FileText; 6] = [
    ("app.yaml", || APP.into()),
    ("1.yaml", || format!("{}{}", webhook("a", "action: x"), webhook("b", "action: x"))),
    ("2.yaml", || format!("{}{}", webhook("b", "action: v"), webhook("c", "action: v"))),
    ("3.yaml", || format!("{}---\n{{\n{}", webhook("c", "action: z"), webhook("d", "action: z"))),
    ("4.yaml", || format!("{}{}", webhook("a", "action: x"), webhook("e", "action: ''"))),
    ("5.yaml", || webhook("d", "action: z, suspend: true")),
];

// ---- problems ----

#[test]
fn a_problem_is_reported_again_only_when_it_is_another() {
    let place = TestFolder::new();
    place.put("a.yaml", &format!("{APP}{}", webhook("a", "action: ''")));
    let running = place.start();
    place.expect_warning(&["manifests/a.yaml:8: Webhook default/a: spec.action: "]);
    place.put("a.yaml", &format!("{APP}# moved\n{}", webhook("a", "action: ''")));
    running.turn();
    place.expect_silence();
    place.put("a.yaml", &format!("{APP}{}", webhook("a", "action: x, suspend: 1")));
    running.turn();
    place.expect_warning(&["spec.suspend: "]);
    place.put("a.yaml", APP);
    running.turn();
    place.put("a.yaml", &format!("{APP}{}", webhook("a", "action: ''")));
    running.turn();
    place.expect_warning(&["spec.action: "]);
}

// ---- statuses and previous states ----

#[test]
fn an_unchanged_status_is_not_written_again() {
    let place = TestFolder::new();
    place.put(
        "a.yaml",
        &format!("{APP}{}", webhook("a", "action: x, props: {b: 1.0, a: [null, 'yes']}")),
    );
    let running = place.start();
    let path = running.status_path("webhook", "a");
    let seal = || fs::set_permissions(path.parent().unwrap(), fs::Permissions::from_mode(0o755));
    let inode = || std::os::unix::fs::MetadataExt::ino(&fs::metadata(&path).unwrap());
    seal().unwrap();
    let (text, before) = (fs::read_to_string(&path).unwrap(), inode());
    running.turn();
    drop(running);
    let running = place.start();
    assert_eq!((fs::read_to_string(&path).unwrap(), inode()), (text, before));
    place.put(
        "a.yaml",
        &format!(
            "{APP}# only a comment\n{}",
            webhook("a", "action: x, props: {b: 1.0, a: [null, 'yes']}")
        ),
    );
    running.turn();
    assert_eq!(inode(), before);
    assert_eq!(running.summary("a"), ready("x", 1));
}

#[test]
fn labels_are_shown_and_are_no_new_generation() {
    let place = TestFolder::new();
    place.put("a.yaml", &format!("{APP}{}", webhook("a", "action: x")));
    let running = place.start();
    let labelled = webhook("a", "action: x").replace("{name: a}", "{name: a, labels: {b: c}}");
    place.put("a.yaml", &format!("{APP}{labelled}"));
    running.turn();
    assert_eq!(running.shown("webhook", "a").unwrap()["metadata"]["labels"], json!({"b": "c"}));
    assert_eq!(running.summary("a"), ready("x", 1));
}

#[test]
fn birth_generation_and_uuid_outlive_a_restart() {
    let place = TestFolder::new();
    place.put("a.yaml", &format!("{APP}{}", webhook("a", "action: x")));
    let running = place.start();
    let file = running.status_path("webhook", "a");
    drop(running);
    // As if it had been created long ago, with another identity key.
    let text = fs::read_to_string(&file).unwrap();
    let before: Value = from_yaml(&text).unwrap();
    let text = text
        .replace(before["metadata"]["creationTimestamp"].as_str().unwrap(), "2020-01-02T03:04:05Z")
        .replace(before["status"]["uuid"].as_str().unwrap(), UUID);
    fs::write(&file, text).unwrap();
    place.put("a.yaml", &format!("{APP}{}", webhook("a", "action: v")));
    let running = place.start();
    let shown = running.shown("webhook", "a").unwrap();
    assert_eq!(shown["metadata"]["creationTimestamp"], json!("2020-01-02T03:04:05Z"));
    assert_eq!(shown["status"]["uuid"], json!(UUID));
    assert_eq!(running.summary("a"), ready("v", 2));
    assert_eq!(
        running.runner.planner().webhook(&Key::new("default", "a")).unwrap().input.meta.created,
        1_577_934_245
    );
    drop(running);
    place.put(
        "a.yaml",
        &format!("{APP}{}", webhook("a", "action: v, app: other").replace("app: shop, ", "")),
    );
    let running = place.start();
    let warnings = place.warnings().join("\n");
    assert!(warnings.contains("app is immutable"), "{warnings}");
    assert!(running.serves("a", "v"), "what is remembered stays in force");
}

#[test]
fn a_creation_timestamp_in_a_manifest_counts() {
    let place = TestFolder::new();
    let dated = webhook("a", "action: x")
        .replace("{name: a}", "{name: a, creationTimestamp: '2021-01-01T00:00:00Z'}");
    place.put("a.yaml", &format!("{APP}{dated}"));
    let running = place.start();
    assert_eq!(
        running.shown("webhook", "a").unwrap()["metadata"]["creationTimestamp"],
        json!("2021-01-01T00:00:00Z")
    );
}

#[test]
fn files_of_objects_that_went_meanwhile_are_removed_at_the_next_start() {
    let place = TestFolder::new();
    place.put("a.yaml", &format!("{APP}{}", webhook("a", "action: x")));
    drop(place.start());
    place.put("a.yaml", APP);
    let running = place.start();
    assert_eq!(running.shown("webhook", "a"), None);
    assert!(running.shown("webhookapp", "shop").is_some());
}

#[test]
fn a_status_file_that_somebody_spoiled_or_removed_is_made_anew() {
    let place = TestFolder::new();
    place.put("a.yaml", &format!("{APP}{}", webhook("a", "action: x")));
    let running = place.start();
    let path = running.status_path("webhook", "a");
    for spoiled in ["", "{", "status: {}"] {
        drop(fs::write(&path, spoiled));
        place.put("a.yaml", &format!("{APP}{}", webhook("a", "action: v")));
        running.turn();
        assert_eq!(running.summary("a").0, "v");
        place.put("a.yaml", &format!("{APP}{}", webhook("a", "action: x")));
        running.turn();
        assert_eq!(running.summary("a").0, "x");
    }
    fs::remove_file(&path).unwrap();
    place.put("app.yaml", "");
    place.put("a.yaml", &webhook("a", "action: x"));
    running.turn();
    running.turn();
    assert_eq!(running.summary("a").2, "AppNotFound");
}

// ---- webhooks of the app API ----

fn made(name: &str, action: &str) -> Webhook {
    from_yaml(
        webhook(name, &format!("action: {action}"))
            .trim_start_matches("---\n")
            .replace("name:", "namespace: default, name:")
            .as_str(),
    )
    .unwrap()
}

fn wait<T>(work: impl Future<Output = T>) -> T {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    runtime.block_on(work)
}

#[test]
fn a_created_webhook_is_in_force_at_once_and_after_a_restart() {
    let place = TestFolder::new();
    place.put("a.yaml", APP);
    let running = place.start();
    wait(running.files.create(made("b", "x"))).unwrap();
    assert!(running.serves("b", "x"));
    let path = running.data.join("webhooks/default/b.yaml");
    assert!(path.exists());
    running.turn();
    assert_eq!(running.summary("b"), ready("x", 1));
    let before = running.shown("webhook", "b");
    fs::write(path.with_file_name(".tmp-1-1"), "half").unwrap();
    drop(running);
    let running = place.start();
    assert!(running.serves("b", "x"));
    assert_eq!(running.shown("webhook", "b"), before);
    assert_eq!(fs::read_dir(path.parent().unwrap()).unwrap().count(), 1, "leftovers are removed");
    wait(running.files.delete(&Key::new("default", "b"))).unwrap();
    assert_eq!(running.route("b"), None);
    assert!(!path.exists());
    assert_eq!(running.shown("webhook", "b"), None);
    drop(running);
    assert_eq!(place.start().route("b"), None);
    place.expect_silence();
}

#[test]
fn what_cannot_be_created_or_deleted_is_refused_with_its_reason() {
    let place = TestFolder::new();
    place.put("a.yaml", &format!("{APP}{}", webhook("a", "action: x")));
    let running = place.start();
    wait(running.files.create(made("b", "x"))).unwrap();
    let create = |webhook| wait(running.files.create(webhook)).unwrap_err();
    assert!(matches!(create(made("a", "v")), StoreError::Declared));
    assert!(matches!(create(made("b", "v")), StoreError::Invalid(why) if why.contains("exists")));
    assert!(
        matches!(create(made("c", "''")), StoreError::Invalid(why) if why.contains("spec.action"))
    );
    let mut stray = made("c", "x");
    stray.metadata.name = Some("../../c".into());
    assert!(matches!(create(stray), StoreError::Invalid(why) if why.contains("metadata.name")));
    let delete = |name: &str| wait(running.files.delete(&Key::new("default", name))).unwrap_err();
    assert!(matches!(delete("a"), StoreError::Declared));
    assert!(matches!(delete("c"), StoreError::NotFound));
    assert!(running.serves("a", "x") && running.serves("b", "x"));
}

#[test]
fn a_disk_that_fails_is_reported_and_nothing_is_in_force_by_it() {
    let place = TestFolder::new();
    place.put("a.yaml", APP);
    let running = place.start();
    fs::write(running.data.join("webhooks"), "in the way").unwrap();
    let failed = wait(running.files.create(made("b", "x"))).unwrap_err();
    assert!(matches!(failed, StoreError::Unavailable(_)));
    assert_eq!(running.route("b"), None);
    fs::remove_file(running.data.join("webhooks")).unwrap();
    wait(running.files.create(made("b", "x"))).unwrap();
}

#[test]
fn a_manifest_of_a_created_name_is_reported_and_counts_once_that_is_deleted() {
    let place = TestFolder::new();
    place.put("a.yaml", APP);
    let running = place.start();
    wait(running.files.create(made("b", "x"))).unwrap();
    running.turn();
    place.put("b.yaml", &webhook("b", "action: v"));
    running.turn();
    place.expect_warning(&[
        "manifests/b.yaml:2: Webhook default/b: is already declared",
        "data/webhooks",
    ]);
    assert!(running.serves("b", "x"));
    wait(running.files.delete(&Key::new("default", "b"))).unwrap();
    running.turn();
    assert!(running.serves("b", "v"));
}

#[test]
fn a_created_file_that_was_cut_off_is_reported_and_not_fatal() {
    let place = TestFolder::new();
    place.put("a.yaml", APP);
    let running = place.start();
    wait(running.files.create(made("b", "x"))).unwrap();
    wait(running.files.create(made("c", "x"))).unwrap();
    let path = running.data.join("webhooks/default/b.yaml");
    drop(running);
    for (text, why) in [
        ("apiVersion: 'lenra", "this is not YAML"),
        ("", "this is not an object"),
        (APP, "does not contain exactly the webhook"),
    ] {
        fs::write(&path, text).unwrap();
        let running = place.start();
        place.expect_warning(&["data/webhooks/default/b.yaml", why]);
        assert!(running.serves("c", "x"));
        assert!(path.exists(), "a person may want to repair it");
    }
}

#[test]
fn many_can_be_created_and_deleted_at_once() {
    let place = TestFolder::new();
    place.put("a.yaml", APP);
    let running = place.start();
    wait(async {
        let create = |i: u32| running.files.create(made(&format!("w{}", i / 2), "x"));
        let done = futures_util::future::join_all((0..20).map(create)).await;
        assert_eq!(done.iter().filter(|done| done.is_ok()).count(), 10, "each name once");
        let keys: Vec<Key> = (0..20).map(|i| Key::new("default", format!("w{}", i / 2))).collect();
        let done =
            futures_util::future::join_all(keys.iter().map(|key| running.files.delete(key))).await;
        assert_eq!(done.iter().filter(|done| done.is_ok()).count(), 10);
    });
    assert_eq!(fs::read_dir(running.data.join("webhooks/default")).unwrap().count(), 0);
    assert_eq!(running.runner.routes().len(), 0);
}

// ---- starting and running ----

#[test]
fn what_stands_in_the_way_of_starting_is_one_clear_line() {
    let place = TestFolder::new();
    let running = place.start();
    let locked = place.open().map(|_| ()).unwrap_err();
    assert!(matches!(locked, FilesError::Locked { .. }), "{locked}");
    assert!(locked.to_string().ends_with("data is in use by another webhook-operator"), "{locked}");
    drop(running);
    fs::remove_dir_all(place.data()).unwrap();
    fs::write(place.data(), "a file").unwrap();
    let taken = place.open().map(|_| ()).unwrap_err();
    assert!(taken.to_string().starts_with("cannot use the data directory: "), "{taken}");
    fs::remove_dir(place.manifests()).unwrap();
    let missing = place.open().map(|_| ()).unwrap_err();
    assert!(missing.to_string().contains("cannot read the manifests directory"), "{missing}");
    assert!(missing.to_string().contains("No such file"), "{missing}");
}

async fn until(running: &Running, what: impl Fn() -> bool) {
    let mut version = running.runner.version();
    let waiting = async {
        while !what() {
            version.changed().await.unwrap();
        }
    };
    tokio::time::timeout(Duration::from_secs(20), waiting).await.expect("in time");
}

async fn until_shown(path: &Path, what: &str) {
    let waiting = async {
        while !fs::read_to_string(path).is_ok_and(|text| text.contains(what)) {
            tokio::task::yield_now().await;
        }
    };
    tokio::time::timeout(Duration::from_secs(20), waiting).await.expect("in time");
}

#[test]
fn running_follows_changes_writes_statuses_and_stops() {
    let place = TestFolder::new();
    place.put("a.yaml", &format!("{APP}{}", webhook("a", "action: x")));
    let running = place.start();
    wait(async {
        let (stop, stopped) = tokio::sync::watch::channel(false);
        let task = tokio::spawn(running.files.clone().run(stopped));
        place.put("a.yaml", &format!("{APP}{}", webhook("a", "action: v")));
        until(&running, || running.serves("a", "v")).await;
        until_shown(&running.status_path("webhook", "a"), "generation: 2").await;
        running.files.create(made("b", "x")).await.unwrap();
        until_shown(&running.status_path("webhook", "b"), "Succeeded").await;
        stop.send(true).unwrap();
        tokio::time::timeout(Duration::from_secs(20), task).await.expect("in time").unwrap();
    });
    let app = running.shown("webhookapp", "shop").unwrap();
    assert_eq!(app["status"]["webhooks"], json!(2), "what was pending is written before the end");
}
