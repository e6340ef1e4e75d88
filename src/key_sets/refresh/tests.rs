//! Tests of the times of fetches, with a paused clock and an issuer that records its requests.

use std::cell::{Cell, RefCell};
use std::io::{self, Write};
use std::sync::Mutex;

use http::StatusCode;
use tokio::time::sleep;

use super::*;
use crate::key_sets::LIMIT;
use crate::key_sets::schedule::LaneLimits;
use crate::verify::jwt::{HOST_SETS, Jwks, KeySetError, MAX_SETS, NAMESPACE_SETS};

const SECOND: Duration = Duration::from_secs(1);
const HOUR: Duration = Duration::from_secs(3600);

/// An issuer, and key sets that are kept fresh while a test scenario runs.
struct World {
    sets: KeySets,
    began: Instant,
    /// Path and time of each request, in seconds since the start.
    calls: RefCell<Vec<(String, f64)>>,
    is_down: Cell<bool>,
}

impl World {
    fn new() -> Self {
        let (sets, calls, is_down) = Default::default();
        Self { sets, began: Instant::now(), calls, is_down }
    }

    async fn during<T>(&self, story: impl Future<Output = T>) -> T {
        tokio::select! {
            biased;
            () = refresh_all(&self.sets, |url| self.answer(url)) => unreachable!("never completes"),
            result = story => result,
        }
    }

    async fn answer(&self, url: Arc<Url>) -> Result<Fetched, FetchError> {
        self.calls.borrow_mut().push((url.path().to_owned(), self.now()));
        if url.path().starts_with("/hangs") {
            sleep(LIMIT).await;
            return Err(FetchError::Timeout);
        }
        if url.path().starts_with("/slow") {
            sleep(LIMIT / 2).await;
        }
        if self.is_down.get() {
            return Err(FetchError::Status(StatusCode::SERVICE_UNAVAILABLE));
        }
        Ok(Fetched { keys: jwks(), lifetime: HOUR })
    }

    fn now(&self) -> f64 {
        self.began.elapsed().as_secs_f64()
    }

    fn keys(&self, path: &str) -> Keys {
        self.keys_of("team-a", "issuer.example", path)
    }

    fn keys_of(&self, namespace: &str, host: &str, path: &str) -> Keys {
        self.sets.keys(&namespace.into(), &format!("https://{host}{path}")).unwrap()
    }

    /// The maximum number of unresponsive URLs of a namespace, each on its own host.
    fn silent(&self, namespace: &str) -> Vec<Keys> {
        (0..NAMESPACE_SETS).map(|n| self.silent_one(namespace, namespace, n)).collect()
    }

    /// One of the unresponsive URLs of `owner`, used by `namespace`.
    fn silent_one(&self, namespace: &str, owner: &str, n: usize) -> Keys {
        self.keys_of(namespace, &format!("{owner}-{n}.example"), &format!("/hangs/{n}/"))
    }

    /// The times of the requests for a path, in seconds since the start.
    fn calls(&self, path: &str) -> Vec<f64> {
        let calls = self.calls.borrow();
        calls.iter().filter(|(called, _)| called.starts_with(path)).map(|(_, when)| *when).collect()
    }
}

fn jwks() -> Jwks {
    let key = r#"{"kty":"OKP","crv":"Ed25519","x":"P6QsY60W6EiH1_px7xQUUodqRopF8Jxiq-sKXfzpI8g"}"#;
    Jwks::parse(format!(r#"{{"keys":[{key}]}}"#).as_bytes()).unwrap()
}

fn gaps(calls: &[f64]) -> Vec<f64> {
    calls.windows(2).map(|pair| pair[1] - pair[0]).collect()
}

fn same(one: &Keys, other: &Arc<Jwks>) -> bool {
    Arc::ptr_eq(&one.current().unwrap(), other)
}

/// Timers are exact to a millisecond.
#[track_caller]
fn assert_times(calls: &[f64], expected: &[f64]) {
    let is_near = |(call, expected): (&f64, &f64)| (call - expected).abs() < 0.1;
    let are_near = calls.iter().zip(expected).all(is_near);
    assert!(calls.len() == expected.len() && are_near, "{calls:?} and not {expected:?}");
}

#[tokio::test(start_paused = true)]
async fn a_new_url_is_fetched_immediately_and_other_holders_share_its_keys() {
    let world = World::new();
    let story = async {
        sleep(5 * SECOND).await;
        let keys = world.keys("/a");
        assert!(keys.current().is_none());
        sleep(SECOND).await;
        let fetched = keys.current().expect("the keys are fetched");
        assert!(same(&world.keys("/a"), &fetched));
        assert!(same(&world.keys("/a#part"), &fetched), "the fragment is not part of the request");
        sleep(SECOND).await;
        let _other = world.keys("/b");
        sleep(SECOND).await;
    };
    world.during(story).await;
    assert_times(&world.calls("/a"), &[5.0]);
    assert_times(&world.calls("/b"), &[7.0]);
}

#[tokio::test(start_paused = true)]
async fn keys_are_fetched_again_before_they_expire() {
    let world = World::new();
    let keys = world.keys("/a");
    world.during(sleep(10 * HOUR)).await;
    let gaps = gaps(&world.calls("/a"));
    assert!(gaps.len() >= 10, "{gaps:?}");
    assert!(gaps.iter().all(|gap| (2900.0..3250.0).contains(gap)), "{gaps:?}");
    assert!(keys.current().is_some());
}

#[tokio::test(start_paused = true)]
async fn keys_stay_in_force_while_their_issuer_is_down() {
    let world = World::new();
    let keys = world.keys("/a");
    let story = async {
        sleep(SECOND).await;
        let fetched = keys.current().unwrap();
        world.is_down.set(true);
        sleep(48 * HOUR).await;
        assert!(same(&keys, &fetched));
        world.is_down.set(false);
        sleep(300 * SECOND).await;
        assert!(!same(&keys, &fetched), "the issuer is available again");
    };
    world.during(story).await;
}

#[tokio::test(start_paused = true)]
async fn an_unavailable_issuer_is_retried_with_increasing_delays() {
    let world = World::new();
    let _keys = world.keys("/a");
    world.is_down.set(true);
    world.during(sleep(HOUR)).await;
    let gaps = gaps(&world.calls("/a"));
    for (gap, most) in gaps.iter().zip([10.0, 20.0, 40.0, 80.0, 160.0, 300.0, 300.0]) {
        assert!((most * 0.49..most * 1.01).contains(gap), "{gaps:?}");
    }
    assert!(gaps.len() >= 10, "{gaps:?}");
}

#[tokio::test(start_paused = true)]
async fn a_missed_key_is_fetched_immediately_and_then_once_per_minute() {
    let world = World::new();
    let keys = world.keys("/a");
    let story = async {
        sleep(100 * SECOND).await;
        for _ in 0..200 {
            (0..1000).for_each(|_| keys.miss());
            sleep(SECOND).await;
        }
    };
    world.during(story).await;
    assert_times(&world.calls("/a"), &[0.0, 100.0, 160.0, 220.0, 280.0]);
}

#[tokio::test(start_paused = true)]
async fn a_missed_key_shortens_the_retry_delay_of_an_unavailable_issuer() {
    let world = World::new();
    let keys = world.keys("/a");
    world.is_down.set(true);
    let story = async {
        sleep(HOUR).await;
        let before = world.calls("/a").len();
        while world.calls("/a").len() == before {
            sleep(SECOND).await;
        }
        keys.miss();
        sleep(62 * SECOND).await;
    };
    world.during(story).await;
    let gaps = gaps(&world.calls("/a"));
    assert_times(&gaps[gaps.len() - 1..], &[60.0]);
}

#[tokio::test(start_paused = true)]
async fn a_key_missed_during_a_fetch_does_not_cause_another_one() {
    let world = World::new();
    let keys = world.keys("/slow");
    let story = async {
        sleep(SECOND).await;
        keys.miss();
        sleep(HOUR / 2).await;
        assert!(keys.current().is_some());
    };
    world.during(story).await;
    assert_times(&world.calls("/slow"), &[0.0]);
}

#[tokio::test(start_paused = true)]
async fn a_namespace_whose_issuers_hang_delays_no_other() {
    let world = World::new();
    let _silent = world.silent("hostile");
    let story = async {
        sleep(SECOND).await;
        let began = world.now();
        // New URLs are not delayed, even while the failed ones are retried.
        for n in 0..5 {
            let keys = world.keys_of("quiet", "quiet.example", &format!("/{n}"));
            sleep(LIMIT).await;
            assert!(keys.current().is_some());
            assert_times(&world.calls(&format!("/{n}")), &[began + f64::from(n) * 10.0]);
        }
    };
    world.during(story).await;
}

#[tokio::test(start_paused = true)]
async fn a_url_that_fails_leaves_the_regular_slots() {
    let world = World::new();
    let _silent = world.silent("hostile");
    let (regular, failing) = (Lane::Regular.limits(), Lane::Failing.limits());
    world.during(sleep(LIMIT - SECOND)).await;
    assert_eq!(world.calls("/hangs").len(), regular.namespace);
    let world = World::new();
    let _silent = world.silent("hostile");
    // Each URL has failed once, and some are retried, within the limit of the failing lane.
    let rounds = NAMESPACE_SETS.div_ceil(regular.namespace);
    let story = async {
        sleep(rounds as u32 * LIMIT + SECOND).await;
        let before = world.calls("/hangs").len();
        sleep(LIMIT - 2 * SECOND).await;
        assert!(world.calls("/hangs").len() - before <= failing.namespace);
    };
    world.during(story).await;
}

#[tokio::test(start_paused = true)]
async fn a_failed_issuer_is_retried_despite_another_namespaces_unresponsive_ones() {
    let world = World::new();
    let _silent = world.silent("hostile");
    let story = async {
        sleep(1000 * SECOND).await;
        world.is_down.set(true);
        let keys = world.keys_of("quiet", "quiet.example", "/a");
        sleep(SECOND).await;
        world.is_down.set(false);
        // The first retry delay is at most 10 s.
        sleep(10 * SECOND).await;
        assert!(keys.current().is_some());
    };
    world.during(story).await;
}

#[tokio::test(start_paused = true)]
async fn a_url_that_waits_for_its_namespace_starts_once_another_namespace_uses_it() {
    let world = World::new();
    let _silent = world.silent("hostile");
    let story = async {
        sleep(SECOND).await;
        assert_eq!(world.calls("/hangs").len(), Lane::Regular.limits().namespace);
        let waits = |n: &usize| world.calls(&format!("/hangs/{n}/")).is_empty();
        let waiting = (0..NAMESPACE_SETS).find(waits).expect("most URLs wait");
        let _shared = world.silent_one("quiet", "hostile", waiting);
        sleep(SECOND).await;
        assert_times(&world.calls(&format!("/hangs/{waiting}/")), &[1.0]);
    };
    world.during(story).await;
}

#[tokio::test(start_paused = true)]
async fn concurrent_fetches_stay_within_the_total_limit() {
    let world = World::new();
    let LaneLimits { total, namespace, .. } = Lane::Regular.limits();
    let names: Vec<_> = (0..=total / namespace).map(|n| n.to_string()).collect();
    let _silent: Vec<_> = names.iter().flat_map(|name| world.silent(name)).collect();
    world.during(sleep(LIMIT - SECOND)).await;
    assert_eq!(world.calls("/hangs").len(), total);
}

#[tokio::test(start_paused = true)]
async fn keys_that_are_dropped_before_their_turn_are_not_fetched() {
    let world = World::new();
    let mut silent = world.silent("team-a");
    let story = async {
        sleep(SECOND).await;
        silent.clear();
        sleep(4 * LIMIT).await;
    };
    world.during(story).await;
    assert_eq!(world.calls("/hangs").len(), Lane::Regular.limits().namespace);
}

#[tokio::test(start_paused = true)]
async fn dropped_keys_are_not_fetched_any_more() {
    let world = World::new();
    let (kept, dropped) = (world.keys("/kept"), world.keys("/dropped"));
    let story = async {
        sleep(SECOND).await;
        drop(dropped);
        sleep(3 * HOUR).await;
        assert_times(&world.calls("/dropped"), &[0.0]);
        assert!(world.calls("/kept").len() > 2);
        assert!(world.keys("/dropped").current().is_none(), "the keys were dropped");
    };
    world.during(story).await;
    drop(kept);
}

/// Key sets of a namespace, each on a host of its own.
fn use_sets(sets: &KeySets, namespace: &str, number: usize) -> Vec<Keys> {
    let namespace = namespace.into();
    let url = |n| format!("https://{namespace}-{n}.example/");
    (0..number).map(|n| sets.keys(&namespace, &url(n)).unwrap()).collect()
}

#[test]
fn a_namespace_uses_at_most_its_quota_of_sets_until_it_drops_some() {
    let sets = KeySets::default();
    let mut held = use_sets(&sets, "hostile", NAMESPACE_SETS - 1);
    // A set that another namespace uses as well counts too.
    let (hostile, quiet) = (Arc::from("hostile"), Arc::from("quiet"));
    let shared = "https://shared.example/";
    let of_quiet = sets.keys(&quiet, shared).unwrap();
    held.push(sets.keys(&hostile, shared).unwrap());
    let another = "https://another.example/";
    assert_eq!(sets.keys(&hostile, another).unwrap_err(), KeySetError::NamespaceShare);
    let theirs = sets.keys(&quiet, another).unwrap();
    let error = sets.keys(&hostile, another).unwrap_err();
    assert_eq!(error, KeySetError::NamespaceShare, "although the set exists");
    assert!(sets.keys(&hostile, shared).is_ok(), "the namespace already uses this set");
    held.pop();
    assert!(sets.keys(&hostile, another).is_ok());
    drop((of_quiet, theirs));
}

#[test]
fn dropped_sets_free_space_for_others_at_the_total_limit() {
    let sets = KeySets::default();
    let names: Vec<_> = (0..MAX_SETS / NAMESPACE_SETS).map(|n| n.to_string()).collect();
    let mut held: Vec<_> =
        names.iter().flat_map(|name| use_sets(&sets, name, NAMESPACE_SETS)).collect();
    let (quiet, another) = (Arc::from("quiet"), "https://another.example/");
    assert_eq!(sets.keys(&quiet, another).unwrap_err(), KeySetError::TooMany);
    assert!(sets.keys(&quiet, "https://0-0.example/").is_ok(), "an existing set");
    held.pop();
    assert!(sets.keys(&quiet, another).is_ok());
}

#[test]
fn a_host_has_at_most_its_quota_of_sets() {
    let sets = KeySets::default();
    let keys = |namespace: usize, path: usize| {
        sets.keys(&namespace.to_string().into(), &format!("https://one.example/{path}"))
    };
    let _held: Vec<_> = (0..HOST_SETS).map(|n| keys(n / NAMESPACE_SETS, n).unwrap()).collect();
    assert_eq!(keys(1000, HOST_SETS).unwrap_err(), KeySetError::HostShare);
    assert!(keys(1000, 0).is_ok());
}

/// The log as text.
#[derive(Clone, Default)]
struct Log(Arc<Mutex<Vec<u8>>>);

impl Write for Log {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.lock().unwrap().write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

#[tokio::test(start_paused = true)]
async fn an_outage_is_one_warning_without_the_query() {
    let log = Log::default();
    let writer = log.clone();
    let subscriber = tracing_subscriber::fmt()
        .with_max_level(tracing::Level::DEBUG)
        .with_ansi(false)
        .with_writer(move || writer.clone())
        .finish();
    let _logging = tracing::subscriber::set_default(subscriber);
    let world = World::new();
    let _keys = world.keys("/a?key=of-nobody's-concern");
    let story = async {
        for is_down in [true, false, true] {
            world.is_down.set(is_down);
            sleep(3 * HOUR).await;
        }
    };
    world.during(story).await;
    let logged = String::from_utf8(log.0.lock().unwrap().clone()).unwrap();
    assert_eq!(logged.matches("WARN").count(), 2, "{logged}");
    assert_eq!(logged.matches("is fetched again").count(), 1, "{logged}");
    assert!(logged.contains("https://issuer.example/a\""), "{logged}");
    assert!(logged.contains("503") && !logged.contains("concern"), "{logged}");
}
