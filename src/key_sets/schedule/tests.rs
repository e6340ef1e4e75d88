//! What may start: some cases, and what holds whatever runs and waits.

use proptest::prelude::*;

use super::*;

fn fetch(namespaces: &[&str], host: &str, lane: Lane) -> Fetch {
    let namespaces = namespaces.iter().map(|&namespace| namespace.into()).collect();
    Fetch { namespaces, host: host.into(), lane }
}

fn regular(namespaces: &[&str], host: &str) -> Fetch {
    fetch(namespaces, host, Lane::Regular)
}

/// Starts all fetches that may start, as if none ever ended.
fn start_all(running: &mut Vec<Fetch>, waiting: &mut Vec<Fetch>) {
    while let Some(position) = next(running.iter(), waiting.iter()) {
        running.push(waiting.remove(position));
    }
}

#[test]
fn nothing_starts_if_nothing_waits() {
    assert_eq!(next([].iter(), [].iter()), None);
    assert_eq!(next([regular(&["a"], "x")].iter(), [].iter()), None);
}

#[test]
fn the_namespace_with_the_fewest_fetches_is_next_and_arrival_breaks_ties() {
    let running = [regular(&["a"], "x"), regular(&["b"], "y")];
    let waiting = [regular(&["a"], "x"), regular(&["b"], "y"), regular(&["c"], "z")];
    assert_eq!(next(running.iter(), waiting.iter()), Some(2));
    assert_eq!(next(running.iter(), waiting[..2].iter()), Some(0));
}

#[test]
fn a_url_shared_with_a_busy_namespace_starts_within_the_limit_of_the_other() {
    let limits = Lane::Regular.limits();
    let running = vec![regular(&["busy"], "x"); limits.namespace];
    let waiting = [regular(&["busy"], "y"), regular(&["busy", "quiet"], "y")];
    assert_eq!(next(running.iter(), waiting[..1].iter()), None);
    assert_eq!(next(running.iter(), waiting.iter()), Some(1));
}

#[test]
fn a_url_of_several_namespaces_counts_for_each_of_them() {
    let limits = Lane::Regular.limits();
    let running = vec![regular(&["a", "b"], "x"); limits.namespace];
    for namespace in ["a", "b"] {
        assert_eq!(next(running.iter(), [regular(&[namespace], "y")].iter()), None);
    }
    assert_eq!(next(running.iter(), [regular(&["c"], "y")].iter()), Some(0));
}

#[test]
fn a_host_has_its_limit_regardless_of_the_number_of_namespaces() {
    let limits = Lane::Regular.limits();
    let names: Vec<_> = (0..limits.host).map(|n| n.to_string()).collect();
    let running: Vec<_> = names.iter().map(|name| regular(&[name], "x")).collect();
    assert_eq!(next(running.iter(), [regular(&["other"], "x")].iter()), None);
    assert_eq!(next(running.iter(), [regular(&["other"], "y")].iter()), Some(0));
}

#[test]
fn one_namespace_cannot_use_up_a_host_or_a_lane() {
    for lane in [Lane::Regular, Lane::Failing] {
        let LaneLimits { total, namespace, host } = lane.limits();
        assert!(2 * namespace <= host && host < total, "{lane:?}");
    }
}

fn lane() -> impl Strategy<Value = Lane> {
    prop_oneof![Just(Lane::Regular), Just(Lane::Failing)]
}

/// Fetches of one namespace, from few hosts and many.
fn hostile() -> impl Strategy<Value = Vec<Fetch>> {
    let one = (0..200_u32, lane());
    let one = one.prop_map(|(host, lane)| fetch(&["hostile"], &format!("host-{host}"), lane));
    let narrow = (0..2_u32, lane());
    let narrow = narrow.prop_map(|(host, lane)| fetch(&["hostile"], &format!("host-{host}"), lane));
    proptest::collection::vec(prop_oneof![one, narrow], 0..300)
}

/// Fetches of several namespaces, some of which use the same URLs.
fn any_fetches() -> impl Strategy<Value = Vec<Fetch>> {
    let namespaces = proptest::collection::btree_set(0..6_u32, 1..4);
    let one = (namespaces, 0..8_u32, lane()).prop_map(|(namespaces, host, lane)| Fetch {
        namespaces: namespaces.iter().map(|n| n.to_string().into()).collect(),
        host: host.to_string().into(),
        lane,
    });
    proptest::collection::vec(one, 0..150)
}

proptest! {
    #[test]
    fn a_namespace_with_any_number_of_silent_hosts_delays_no_other(
        mut waiting in hostile(), host in 0..3_u32, is_shared: bool, lane in lane(),
    ) {
        let mut running = Vec::new();
        start_all(&mut running, &mut waiting);
        // Also where it is an issuer, or the very URL, that the hostile namespace names too.
        let users: &[&str] = if is_shared { &["hostile", "quiet"] } else { &["quiet"] };
        waiting.push(fetch(users, &format!("host-{host}"), lane));
        prop_assert_eq!(next(running.iter(), waiting.iter()), Some(waiting.len() - 1));
    }

    #[test]
    fn failing_fetches_take_no_regular_slots(mut waiting in any_fetches()) {
        let only = |lane| move |fetches: &[Fetch]| -> Vec<Fetch> {
            fetches.iter().filter(|fetch| fetch.lane == lane).cloned().collect()
        };
        let regular = only(Lane::Regular);
        let (mut alone, mut running) = (regular(&waiting), Vec::new());
        let mut running_alone = Vec::new();
        start_all(&mut running, &mut waiting);
        start_all(&mut running_alone, &mut alone);
        prop_assert_eq!(regular(&running), running_alone);
    }

    #[test]
    fn no_limit_is_exceeded_and_no_slot_is_wasted(mut waiting in any_fetches()) {
        let mut running = Vec::new();
        start_all(&mut running, &mut waiting);
        for lane in [Lane::Regular, Lane::Failing] {
            let limits = lane.limits();
            let load = LaneLoad::of(lane, running.iter());
            prop_assert!(load.total <= limits.total);
            prop_assert!(load.hosts.values().all(|&number| number <= limits.host));
            for fetch in waiting.iter().filter(|fetch| fetch.lane == lane) {
                let is_over = |namespace: &Arc<str>| {
                    load.namespaces.get(&**namespace).is_some_and(|&n| n >= limits.namespace)
                };
                let is_full = load.total == limits.total
                    || load.hosts.get(&*fetch.host) == Some(&limits.host);
                prop_assert!(is_full || fetch.namespaces.iter().all(is_over));
            }
        }
    }

    #[test]
    fn a_single_namespace_never_exceeds_its_limit(mut waiting in hostile()) {
        let mut running = Vec::new();
        start_all(&mut running, &mut waiting);
        for lane in [Lane::Regular, Lane::Failing] {
            let load = LaneLoad::of(lane, running.iter());
            prop_assert!(load.total <= lane.limits().namespace);
        }
    }
}
