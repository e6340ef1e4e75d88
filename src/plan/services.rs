//! Cache of the Services that apps reference, and of their EndpointSlices.

use std::collections::{BTreeSet, HashMap, HashSet};

use super::input::{Key, ServiceInput, SliceInput};

/// How a listener's Service is reached.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Reach {
    /// By the Service's address. All Services are kept: the source sends each one once.
    Address,
    /// By its ready endpoints. Only referenced Services are kept, because a cluster may have many
    /// others. A Service that an app starts to reference must be loaded, because its watch event
    /// may have been dropped.
    #[default]
    Endpoints,
}

/// See the module documentation.
#[derive(Debug)]
pub struct Services {
    reach: Reach,
    named: HashMap<Key, Reference>,
    services: HashMap<Key, ServiceInput>,
    slices: HashMap<Key, SliceInput>,
    /// The slices of each Service.
    slices_of: HashMap<Key, BTreeSet<Key>>,
    /// Number of events so far.
    last_event: u64,
    /// Number of the last deletion of a slice that was not kept: its Service is unknown.
    last_unknown_deletion: u64,
}

/// A version of the events of a Service: it increases with each event.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Version(u64, u64);

/// A referenced Service.
#[derive(Debug)]
struct Reference {
    apps: BTreeSet<Key>,
    /// Whether the look-up has finished.
    is_loaded: bool,
    /// Number of the last event of the Service.
    last_event: u64,
}

/// State of a Service.
#[derive(Clone, Copy, Debug)]
pub enum Known<'a> {
    /// It is being loaded.
    NotYet,
    /// It does not exist.
    Missing,
    /// It is loaded.
    There(&'a ServiceInput),
}

impl Services {
    /// An empty cache.
    pub fn new(reach: Reach) -> Self {
        Self {
            reach,
            named: HashMap::new(),
            services: HashMap::new(),
            slices: HashMap::new(),
            slices_of: HashMap::new(),
            last_event: 0,
            last_unknown_deletion: 0,
        }
    }

    /// Adds an app's reference to a Service; returns whether the Service must be loaded.
    pub fn add_reference(&mut self, service: &Key, app: &Key) -> bool {
        let (is_known, last_event) = (self.reach == Reach::Address, self.next_event());
        let is_new = !self.named.contains_key(service);
        let named = self.named.entry(service.clone());
        let named = named.or_insert_with(|| Reference {
            apps: BTreeSet::new(),
            is_loaded: is_known,
            last_event,
        });
        named.apps.insert(app.clone());
        is_new && !is_known
    }

    /// Removes an app's reference; drops the Service with its last reference.
    pub fn remove_reference(&mut self, service: &Key, app: &Key) {
        let Some(named) = self.named.get_mut(service) else { return };
        named.apps.remove(app);
        if !named.apps.is_empty() {
            return;
        }
        self.named.remove(service);
        if self.reach == Reach::Endpoints {
            self.services.remove(service);
            for slice in self.slices_of.remove(service).into_iter().flatten() {
                self.slices.remove(&slice);
            }
        }
    }

    /// The apps that reference a Service.
    pub fn apps(&self, service: &Key) -> Vec<Key> {
        self.named
            .get(service)
            .map(|named| named.apps.iter().cloned().collect())
            .unwrap_or_default()
    }

    /// The state of a Service.
    pub fn known(&self, service: &Key) -> Known<'_> {
        match (self.services.get(service), self.named.get(service)) {
            (_, Some(named)) if !named.is_loaded => Known::NotYet,
            (Some(found), _) => Known::There(found),
            (None, _) => Known::Missing,
        }
    }

    /// The known slices of a Service.
    pub fn slices(&self, service: &Key) -> impl Iterator<Item = &SliceInput> {
        let keys = self.slices_of.get(service).into_iter().flatten();
        keys.filter_map(|key| self.slices.get(key))
    }

    /// The version of a Service; `None` if no app references it.
    pub fn version(&self, service: &Key) -> Option<Version> {
        self.named.get(service).map(|named| Version(named.last_event, self.last_unknown_deletion))
    }

    /// Stores a Service; returns whether it changed.
    pub fn put(&mut self, input: ServiceInput) -> bool {
        let key = input.key.clone();
        if !self.count_event(&key) {
            return false;
        }
        let before = self.services.insert(key.clone(), input);
        before.as_ref() != self.services.get(&key)
    }

    /// Records that a Service is missing; returns whether that is a change.
    pub fn remove(&mut self, service: &Key) -> bool {
        self.count_event(service) && self.services.remove(service).is_some()
    }

    /// Stores a slice; returns the Services that it changes.
    pub fn put_slice(&mut self, input: SliceInput) -> Vec<Key> {
        let service = service_of(&input);
        if self.slices.get(&input.key) == Some(&input) {
            self.count_event(&service);
            return Vec::new();
        }
        // The slice may have belonged to another Service before.
        let is_known = self.slices.contains_key(&input.key);
        let mut news = if is_known { self.remove_slice(&input.key) } else { Vec::new() };
        if self.count_event(&service) {
            self.slices_of.entry(service.clone()).or_default().insert(input.key.clone());
            self.slices.insert(input.key.clone(), input);
            news.push(service);
        }
        news.dedup();
        news
    }

    /// Removes a slice; returns the Services that this changes.
    pub fn remove_slice(&mut self, slice: &Key) -> Vec<Key> {
        let Some(service) = self.slices.remove(slice).map(|slice| service_of(&slice)) else {
            self.last_unknown_deletion = self.next_event();
            return Vec::new();
        };
        if let Some(slices) = self.slices_of.get_mut(&service) {
            slices.remove(slice);
        }
        self.count_event(&service);
        vec![service]
    }

    /// Records that the look-up of a Service has finished; returns whether that is a change.
    pub fn settle(&mut self, service: &Key) -> bool {
        let named = self.named.get_mut(service);
        named.is_some_and(|named| !std::mem::replace(&mut named.is_loaded, true))
    }

    /// The Services that are kept and not in `listed`.
    pub fn missing(&self, listed: &HashSet<Key>) -> Vec<Key> {
        self.services.keys().filter(|key| !listed.contains(key)).cloned().collect()
    }

    /// The slices that are kept and not in `listed`.
    pub fn missing_slices(&self, listed: &HashSet<Key>) -> Vec<Key> {
        self.slices.keys().filter(|key| !listed.contains(key)).cloned().collect()
    }

    /// Counts an event of a Service; returns whether the Service is kept.
    fn count_event(&mut self, service: &Key) -> bool {
        let last_event = self.next_event();
        match self.named.get_mut(service) {
            Some(named) => named.last_event = last_event,
            None => return self.reach == Reach::Address,
        }
        true
    }

    fn next_event(&mut self) -> u64 {
        self.last_event += 1;
        self.last_event
    }
}

fn service_of(slice: &SliceInput) -> Key {
    Key { namespace: slice.key.namespace.clone(), name: slice.service.clone() }
}
