//! `webhook-operator deliveries` over a delivery API that is served here, and over a whole operator.

use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;

use axum::Extension;
use serde_json::{Value, json};
use uuid::Uuid;
use webhook_operator::admin::Guard;
use webhook_operator::admin::deliveries::router;
use webhook_operator::peers::Peers;
use webhook_operator::store::DeliveryState;

use super::shelf::Shelf;
use crate::support::ended::Ended;
use crate::support::http;
use crate::support::listener::{Behaviour, Listener};
use crate::support::operator::{Folders, Operator, WEBHOOK, eventually, output, queued_manifest};

/// A delivery API on a port of its own.
async fn serve() -> (Arc<Shelf>, String) {
    let shelf = Shelf::empty();
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address: SocketAddr = listener.local_addr().unwrap();
    let peer: Option<IpAddr> = Some(address.ip());
    let (guard, peers) = (Guard::Loopback(address), Arc::new(Peers::none()));
    let router = router(shelf.clone(), Arc::default(), guard, peers).layer(Extension(peer));
    tokio::spawn(async { axum::serve(listener, router).await.unwrap() });
    (shelf, format!("http://{address}"))
}

/// Runs `deliveries` with these words and flags.
async fn run(server: &str, words: &str) -> Ended {
    let words: Vec<String> = words.split(' ').map(str::to_owned).collect();
    let server = server.to_owned();
    let run = move || {
        let words: Vec<&str> = words.iter().map(String::as_str).collect();
        output(&[&["deliveries"], &words[..], &["--server", &server]].concat())
    };
    tokio::task::spawn_blocking(run).await.unwrap().into()
}

/// The rows of a table, by words.
fn rows(table: &str) -> Vec<Vec<&str>> {
    table.lines().map(|line| line.split_whitespace().collect()).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_list_is_a_table_for_people_and_json_or_yaml_for_programs() {
    let (shelf, server) = serve().await;
    let dead = shelf.add("team-a/pay", DeliveryState::Dead).to_string();
    let waiting = shelf.add("team-b/other", DeliveryState::Waiting).to_string();
    let table = run(&server, "list").await.with(0);
    let rows = rows(&table);
    assert_eq!(
        rows[0],
        ["NAMESPACE", "ID", "WEBHOOK", "STATE", "REASON", "ATTEMPTS", "STATUS", "NEXT", "AGE"]
    );
    let (none, now) = ("<none>", "waiting");
    assert_eq!(rows[1][..8], ["team-b", &waiting, "other", "pending", none, "0", none, now]);
    assert_eq!(rows[2][..8], ["team-a", &dead, "pay", "dead", "Rejected", "1", "404", none]);
    assert_eq!(rows.len(), 3);

    let narrow = run(&server, "list -n team-a --webhook pay --state dead").await.with(0);
    assert!(narrow.starts_with("ID ") && narrow.contains(&dead) && !narrow.contains(&waiting));

    let list: Value = serde_json::from_str(&run(&server, "list -o json").await.with(0)).unwrap();
    assert_eq!(list["items"][1]["id"], json!(dead));
    let yaml = run(&server, "list -o yaml").await.with(0);
    assert_eq!(serde_saphyr::from_str::<Value>(&yaml).unwrap(), list);

    let none = run(&server, "list --state succeeded").await;
    assert_eq!((none.code, &*none.stdout, &*none.stderr), (Some(0), "", "No deliveries found.\n"));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_list_is_as_long_as_was_asked_for_over_many_pages() {
    let (shelf, server) = serve().await;
    for _ in 0..1_003 {
        shelf.add("team-a/pay", DeliveryState::Succeeded);
    }
    for (flag, lines) in [("", 50), (" --limit 1001", 1_001), (" --limit 5000", 1_003)] {
        let table = run(&server, &format!("list{flag}")).await.with(0);
        assert_eq!(table.lines().count() - 1, lines, "{flag}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn one_delivery_is_shown_without_what_a_terminal_would_obey() {
    let (shelf, server) = serve().await;
    let id = shelf.add_with("team-a/pay", DeliveryState::Dead, |detail| {
        detail.body = "{\"a\":\n\"\u{1b}]0;title\u{7}\",\"secret\":\"s3cret\"}".into();
        detail.body_bytes = 99;
    });
    let text = run(&server, &format!("show {id}")).await.with(0);
    for line in [
        "Webhook:    team-a/pay",
        "State:      dead (Rejected)",
        "  x-github-event: push",
        "Body (99 bytes, application/json):",
        r#""\u{1b}]0;title\u{7}","secret":"[masked]"}"#,
        "[truncated]",
        "no such action",
    ] {
        assert!(text.lines().any(|found| found == line), "{line} in {text}");
    }
    assert!(text.contains("the listener answered 404") && !text.contains('\u{1b}'), "{text}");
    let json: Value =
        serde_json::from_str(&run(&server, &format!("show {id} -o json")).await.with(0)).unwrap();
    assert_eq!((&json["id"], &json["attempts"][0]["status"]), (&json!(id), &json!(404)));
    let unknown = Uuid::from_u128(3);
    run(&server, &format!("show {unknown}"))
        .await
        .fails(&format!("delivery {unknown} does not exist"));
}

#[tokio::test(flavor = "multi_thread")]
async fn deliveries_are_replayed_by_id() {
    let (shelf, server) = serve().await;
    let dead = shelf.add("team-a/pay", DeliveryState::Dead);
    let pending = shelf.add("team-a/pay", DeliveryState::Pending);
    let said = run(&server, &format!("replay {dead} --dry-run")).await.with(0);
    assert_eq!(said, format!("{dead} would be replayed (dead)\n"));
    assert_eq!(shelf.details.lock().unwrap().len(), 2);

    let said = run(&server, &format!("replay {dead}")).await.with(0);
    let again = shelf.details.lock().unwrap()[2].summary.clone();
    assert_eq!(said, format!("{dead} replayed as {}\n", again.id));
    assert_eq!((again.event, again.generation), (dead, 2));
    run(&server, &format!("replay {pending}")).await.fails("the delivery is pending");
    let unknown = Uuid::from_u128(3);
    run(&server, &format!("replay {unknown}"))
        .await
        .fails(&format!("delivery {unknown} does not exist"));
}

#[tokio::test(flavor = "multi_thread")]
async fn deliveries_are_replayed_by_what_they_have_in_common_when_that_is_confirmed() {
    let (shelf, server) = serve().await;
    for webhook in ["team-a/pay", "team-a/pay", "team-a/pay", "team-b/pay", "team-a/other"] {
        shelf.add(webhook, DeliveryState::Dead);
    }
    let count = || shelf.details.lock().unwrap().len();
    let said = "3 dead deliveries of the webhook team-a/pay are selected.";
    let dry = run(&server, "replay -n team-a --webhook pay --dry-run").await.with(0);
    assert_eq!((dry, count()), (format!("{said}\n"), 5));
    // Standard input is no terminal here.
    run(&server, "replay -n team-a --webhook pay").await.fails(said);
    assert_eq!(count(), 5);
    let yes = run(&server, "replay -n team-a --webhook pay --state dead --yes").await.with(0);
    assert_eq!((&*yes, count()), ("3 replayed\n", 8));
    let yes = run(&server, "replay -A --since 2026-01-01T00:00:00Z --yes").await.with(0);
    assert_eq!((&*yes, count()), ("5 replayed\n", 13));
    run(&server, "replay").await.fails("select deliveries by id");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_wrong_flag_or_server_is_one_clear_line() {
    let (_, server) = serve().await;
    for (words, saying) in [
        ("list --since yesterday", "must be a time such as"),
        ("list --limit 0", "0 is not in 1..=100000"),
        ("list --state gone", "[possible values: pending, succeeded, dead]"),
        ("show x", "invalid value 'x'"),
    ] {
        run(&server, words).await.fails_somehow(saying);
    }
    // Nothing listens at the port of a listener that has gone.
    let gone = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    run(&format!("http://{gone}"), "list").await.fails("Connection refused");
    run("ftp://127.0.0.1", "list").await.fails_somehow("must be an absolute http or https URL");
    let (address, _stop) = other_server().await;
    run(&address, "list").await.fails("404 Not Found");
}

/// A server that has no delivery API.
async fn other_server() -> (String, tokio::task::JoinHandle<()>) {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = format!("http://{}", listener.local_addr().unwrap());
    let serve = async { axum::serve(listener, axum::Router::new()).await.unwrap() };
    (address, tokio::spawn(serve))
}

#[test]
fn what_an_operator_accepted_is_listed_and_shown_by_its_event_id() {
    let (folders, listener) = (Folders::new(), Listener::start());
    folders.write("shop.yaml", &queued_manifest(&listener.url, "", ""));
    let operator = Operator::standalone(&folders, &[]);
    let id = http::post(&operator.url(), r#"{"amount":12}"#).stored();

    let run = |words: &[&str]| -> Ended {
        output(&[&["deliveries"], words, &["--server", &operator.admin]].concat()).into()
    };
    let table = run(&["list", "-n", "team-a", "--webhook", "payments"]).with(0);
    assert_eq!(rows(&table)[1][..2], [&*id, "payments"]);
    let text = run(&["show", &id]).with(0);
    assert!(text.lines().any(|line| line == r#"{"amount":12}"#), "{text}");
    // Who may read deliveries cannot therefore trigger.
    let json = run(&["show", &id, "-o", "json"]).with(0);
    assert!(!text.contains(WEBHOOK) && !json.contains(WEBHOOK));
}

#[test]
fn what_a_listener_refused_is_replayed_once_it_is_mended() {
    let (folders, listener) = (Folders::new(), Listener::start());
    folders.write("shop.yaml", &queued_manifest(&listener.url, "", ""));
    let operator = Operator::standalone(&folders, &[]);
    listener.behave(Behaviour::Answer("400 Bad Request"));
    let refused: Vec<String> = (0..3).map(|_| http::post(&operator.url(), "{}").stored()).collect();
    let run = |words: &[&str]| -> Ended {
        output(&[&["deliveries"], words, &["--server", &operator.admin]].concat()).into()
    };
    let list = |state: &str| -> Vec<Value> {
        let list = run(&["list", "--webhook", "payments", "--state", state, "-o", "json"]).with(0);
        let list: Value = serde_json::from_str(&list).unwrap();
        list["items"].as_array().unwrap().clone()
    };
    eventually("the dead", || (list("dead").len() == 3).then_some(()));

    listener.behave(Behaviour::Answer("200 OK"));
    let dead: &[&str] = &["replay", "--webhook", "payments", "--state", "dead", "--yes"];
    assert_eq!(run(dead).with(0), "3 replayed\n");
    let succeeded = eventually("the replays", || {
        let succeeded = list("succeeded");
        (succeeded.len() == 3).then_some(succeeded)
    });
    for delivery in succeeded {
        assert_eq!((&delivery["generation"], &delivery["lastStatus"]), (&json!(2), &json!(200)));
        assert!(refused.iter().any(|event| delivery["eventId"] == **event), "{delivery}");
    }
    // What was replayed since is not what is meant.
    assert_eq!(run(dead).with(0), "0 replayed\n");
    let shown = run(&["show", &refused[0]]).with(0);
    assert!(shown.lines().any(|line| line == "State:      dead (Rejected)"), "{shown}");
}

#[test]
fn a_site_that_has_its_name_resolve_to_this_machine_reads_nothing_of_an_operator() {
    let folders = Folders::new();
    let operator = Operator::standalone(&folders, &[]);
    let url = format!("{}/api/deliveries", operator.admin);
    assert_eq!(http::request("GET", &url, &[], b"").status, 200);
    let origin = [("Origin", "http://evil.example")];
    assert_eq!(http::request("GET", &url, &origin, b"").reason(), "forbidden");
    let port = operator.admin.rsplit(':').next().unwrap();
    let mut stream = http::connect(&operator.admin);
    let request = format!("GET /api/deliveries HTTP/1.1\r\nHost: evil.example:{port}\r\n\r\n");
    std::io::Write::write_all(&mut stream, request.as_bytes()).unwrap();
    assert_eq!(http::read_response(&mut stream).unwrap().reason(), "forbidden");
}
