//! Operators that share a database: each delivers what another one has accepted.

use crate::support::ended::Ended;
use crate::support::http::request;
use crate::support::listener::{Behaviour, Listener};
use crate::support::operator::{Folders, Operator, eventually, output, queued_manifest};
use crate::support::postgres;

fn database() -> String {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    runtime.block_on(postgres::shared().database())
}

#[test]
fn what_an_operator_accepted_that_was_killed_is_delivered_by_the_other() {
    let (database, listener) = (database(), Listener::start());
    let start = || {
        let folders = Folders::new();
        folders.write("shop.yaml", &queued_manifest(&listener.url, "", ""));
        let operator = Operator::standalone(&folders, &["--store-url", &database]);
        (folders, operator)
    };
    let (_folders, first) = start();
    let (_other_folders, second) = start();
    listener.behave(Behaviour::Hang);
    let json = [("Content-Type", "application/json")];
    let id = request("POST", &first.url(), &json, b"{\"n\":1}").stored();
    listener.call();
    listener.behave(Behaviour::Answer("200 OK"));
    first.kill();
    assert_eq!(listener.call().header("webhook-event-id"), Some(&*id));
    // Either shows the deliveries of all.
    eventually("the delivery to have succeeded", || {
        let shown = request("GET", &format!("{}/api/deliveries/{id}", second.admin), &[], b"");
        (shown.status == 200 && shown.json()["state"] == "succeeded").then_some(())
    });
}

#[test]
fn a_wrong_url_of_the_database_is_one_line_without_its_password() {
    let folders = Folders::new();
    let (manifests, data) = (folders.manifests(), folders.data());
    let fails = |flags: &[&str], saying: &str| {
        let mut args = vec!["standalone", "--manifests", manifests.to_str().unwrap()];
        args.extend(["--data-dir", data.to_str().unwrap()]);
        args.extend(flags);
        Ended::from(output(&args)).fails(saying)
    };
    let said = fails(&["--store-url", "postgres://u:hunter2@h/d"], "must not contain a password");
    assert!(!said.contains("hunter2"), "{said}");
    fails(&["--store-url", "mysql://u@h/d"], "must begin with postgres://");
    fails(&["--store-url", "postgres://u@h/d?sslmode=prefer"], "sslmode must be");
    let url = "postgres://u@h/d";
    fails(&["--store-url", url, "--store-password-file", "/nowhere"], "--store-password-file");
    let url = database();
    fails(&["--store-url", &url, "--store-require-standby"], "no synchronous standby");
}
