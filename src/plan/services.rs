//! The Services that apps name, and the EndpointSlices of those: what is known of them, and which
//! of it has still to be looked up.

use std::collections::{BTreeSet, HashMap, HashSet};

use super::input::{Key, ServiceInput, SliceInput};

/// How the Service of a listener is reached.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Reach {
    /// By the Service's own address. Every Service that is told is kept: the source tells each once.
    Address,
    /// By its ready endpoints. Only what apps name is kept: there may be very many others. What an
    /// app begins to name has to be looked up, because it may have been told before.
    #[default]
    Endpoints,
}

/// See the module.
#[derive(Debug)]
pub struct Services {
    reach: Reach,
    named: HashMap<Key, Named>,
    services: HashMap<Key, ServiceInput>,
    slices: HashMap<Key, SliceInput>,
    /// The slices of a Service.
    slices_of: HashMap<Key, BTreeSet<Key>>,
    /// Counts what is told.
    told: u64,
    /// The count at the last slice that went without being kept: whose it was is not known.
    unknown_gone: u64,
}

/// A state of what was told of a Service: it differs after each thing that was told.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Version(u64, u64);

/// A Service that apps name.
#[derive(Debug)]
struct Named {
    apps: BTreeSet<Key>,
    /// Whether all that there is was told.
    is_settled: bool,
    /// The count at the last thing that was told of it.
    told: u64,
}

/// What is known of a Service.
#[derive(Clone, Copy, Debug)]
pub enum Known<'a> {
    /// It is being looked up.
    NotYet,
    /// It is not there.
    Missing,
    /// It is there.
    There(&'a ServiceInput),
}

impl Services {
    /// Without Services.
    pub fn new(reach: Reach) -> Self {
        Self {
            reach,
            named: HashMap::new(),
            services: HashMap::new(),
            slices: HashMap::new(),
            slices_of: HashMap::new(),
            told: 0,
            unknown_gone: 0,
        }
    }

    /// Remembers that an app names a Service; says whether that has to be looked up now.
    pub fn name(&mut self, service: &Key, app: &Key) -> bool {
        let (is_known, told) = (self.reach == Reach::Address, self.tell());
        let is_new = !self.named.contains_key(service);
        let named = self.named.entry(service.clone());
        let named =
            named.or_insert_with(|| Named { apps: BTreeSet::new(), is_settled: is_known, told });
        named.apps.insert(app.clone());
        is_new && !is_known
    }

    /// Forgets that an app names a Service, and the Service with the last of them.
    pub fn unname(&mut self, service: &Key, app: &Key) {
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

    /// The apps that name a Service.
    pub fn apps(&self, service: &Key) -> Vec<Key> {
        self.named
            .get(service)
            .map(|named| named.apps.iter().cloned().collect())
            .unwrap_or_default()
    }

    /// What is known of a Service.
    pub fn known(&self, service: &Key) -> Known<'_> {
        match (self.services.get(service), self.named.get(service)) {
            (_, Some(named)) if !named.is_settled => Known::NotYet,
            (Some(found), _) => Known::There(found),
            (None, _) => Known::Missing,
        }
    }

    /// The slices of a Service that are known.
    pub fn slices(&self, service: &Key) -> impl Iterator<Item = &SliceInput> {
        let keys = self.slices_of.get(service).into_iter().flatten();
        keys.filter_map(|key| self.slices.get(key))
    }

    /// What was told of a Service so far; `None` while no app names it.
    pub fn version(&self, service: &Key) -> Option<Version> {
        self.named.get(service).map(|named| Version(named.told, self.unknown_gone))
    }

    /// A Service is there; says whether that is news.
    pub fn put(&mut self, input: ServiceInput) -> bool {
        let key = input.key.clone();
        if !self.is_told(&key) {
            return false;
        }
        let before = self.services.insert(key.clone(), input);
        before.as_ref() != self.services.get(&key)
    }

    /// A Service is not there; says whether that is news.
    pub fn remove(&mut self, service: &Key) -> bool {
        self.is_told(service) && self.services.remove(service).is_some()
    }

    /// A slice is there; returns the Services that this is news for.
    pub fn put_slice(&mut self, input: SliceInput) -> Vec<Key> {
        let service = service_of(&input);
        if self.slices.get(&input.key) == Some(&input) {
            self.is_told(&service);
            return Vec::new();
        }
        // It may have belonged to another Service.
        let is_known = self.slices.contains_key(&input.key);
        let mut news = if is_known { self.remove_slice(&input.key) } else { Vec::new() };
        if self.is_told(&service) {
            self.slices_of.entry(service.clone()).or_default().insert(input.key.clone());
            self.slices.insert(input.key.clone(), input);
            news.push(service);
        }
        news.dedup();
        news
    }

    /// A slice is not there; returns the Services that this is news for.
    pub fn remove_slice(&mut self, slice: &Key) -> Vec<Key> {
        let Some(service) = self.slices.remove(slice).map(|slice| service_of(&slice)) else {
            self.unknown_gone = self.tell();
            return Vec::new();
        };
        if let Some(slices) = self.slices_of.get_mut(&service) {
            slices.remove(slice);
        }
        self.is_told(&service);
        vec![service]
    }

    /// All there is was told of a Service; says whether that is news.
    pub fn settle(&mut self, service: &Key) -> bool {
        let named = self.named.get_mut(service);
        named.is_some_and(|named| !std::mem::replace(&mut named.is_settled, true))
    }

    /// The Services that are kept and not among `listed`.
    pub fn missing(&self, listed: &HashSet<Key>) -> Vec<Key> {
        self.services.keys().filter(|key| !listed.contains(key)).cloned().collect()
    }

    /// The slices that are kept and not among `listed`.
    pub fn missing_slices(&self, listed: &HashSet<Key>) -> Vec<Key> {
        self.slices.keys().filter(|key| !listed.contains(key)).cloned().collect()
    }

    /// Counts what is told of a Service; says whether it is kept.
    fn is_told(&mut self, service: &Key) -> bool {
        let told = self.tell();
        match self.named.get_mut(service) {
            Some(named) => named.told = told,
            None => return self.reach == Reach::Address,
        }
        true
    }

    fn tell(&mut self) -> u64 {
        self.told += 1;
        self.told
    }
}

fn service_of(slice: &SliceInput) -> Key {
    Key { namespace: slice.key.namespace.clone(), name: slice.service.clone() }
}
