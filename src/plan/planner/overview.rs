//! Pages of apps and webhooks with their verdicts, those with a problem first.

use std::sync::Arc;

use super::{AppState, Planner, WebhookState};
use crate::plan::input::Key;
use crate::plan::reachability::Reachability;
use crate::resources::DeliveryMode;
use crate::resources::conditions::Verdict;
use crate::routes::{Id, Route, RouteState};

/// Sort key of an object in a list: those with a problem first, then by namespace and name.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Position {
    /// Whether it has no problem.
    pub is_well: bool,
    /// Its namespace and name.
    pub key: Key,
}

/// A page of a list: filters, start and length.
#[derive(Clone, Debug, Default)]
pub struct Part {
    /// Only this namespace.
    pub namespace: Option<String>,
    /// Only apps of this name, or webhooks of such apps.
    pub app: Option<String>,
    /// Only objects after this position.
    pub after: Option<Position>,
    /// Maximum number of objects.
    pub limit: usize,
}

/// Summary of an app.
#[derive(Clone, Debug)]
pub struct AppOverview {
    /// Its position in the list.
    pub position: Position,
    /// Its verdict.
    pub verdict: Verdict,
    /// Whether its listener answers, with a message; `None` while unknown.
    pub reachable: Option<(bool, String)>,
    /// Number of webhooks that reference it.
    pub webhooks: usize,
    /// Ids of those webhooks that have a URL.
    pub ids: Vec<Id>,
}

/// Summary of a webhook.
#[derive(Clone, Debug)]
pub struct WebhookOverview {
    /// Its position in the list.
    pub position: Position,
    /// Its verdict.
    pub verdict: Verdict,
    /// The app that it references; `None` if its spec is invalid.
    pub app: Option<Arc<str>>,
    /// Its action.
    pub action: Option<Box<str>>,
    /// Its delivery mode.
    pub mode: Option<DeliveryMode>,
    /// Id of its route, if it has a URL.
    pub id: Option<Id>,
}

impl Planner {
    /// A page of apps, those with a problem first.
    pub fn app_overviews(&self, part: &Part) -> Vec<AppOverview> {
        let all = self.apps.iter().filter(|(key, _)| part.means(key, &key.name));
        let all = all.map(|(key, state)| (state.is_well(), key, state));
        part.cut(all)
            .into_iter()
            .map(|(position, state)| self.app_overview(position, state))
            .collect()
    }

    /// A page of webhooks, those with a problem first.
    pub fn webhook_overviews(&self, part: &Part) -> Vec<WebhookOverview> {
        let app =
            |state: &WebhookState| state.input.spec.as_ref().ok().map(|spec| spec.app.clone());
        let is_meant = |key: &Key, state: &WebhookState| {
            part.means(key, &app(state).unwrap_or_else(|| "".into()))
        };
        let all = self.webhooks.iter().filter(|(key, state)| is_meant(key, state));
        let all = all.map(|(key, state)| (state.is_well(), key, &**state));
        part.cut(all).into_iter().map(|(at, state)| self.webhook_overview(at, state)).collect()
    }

    fn app_overview(&self, position: Position, state: &AppState) -> AppOverview {
        let members = self.members.get(&position.key).into_iter().flatten();
        let uuid = state.app.as_ref().map(|app| app.uuid);
        let id = |webhook| uuid.map(|app| Id { app, webhook });
        AppOverview {
            verdict: state.verdict.clone(),
            reachable: state.app.as_ref().and(state.reached.answer()),
            webhooks: members.clone().count(),
            ids: members.filter_map(|member| id(member.0)).collect(),
            position,
        }
    }

    fn webhook_overview(&self, position: Position, state: &WebhookState) -> WebhookOverview {
        let spec = state.input.spec.as_ref().ok();
        WebhookOverview {
            position,
            verdict: self.decide_webhook(state),
            app: spec.map(|spec| spec.app.clone()),
            action: spec.map(|spec| spec.binding.action.clone()),
            mode: spec.map(|spec| spec.binding.delivery.mode),
            id: state.route.as_deref().map(Route::id),
        }
    }
}

impl AppState {
    fn is_well(&self) -> bool {
        let is_unreachable = matches!(self.reached.found(), Reachability::Unreachable { .. });
        self.verdict.is_ready() && !is_unreachable
    }
}

impl WebhookState {
    /// Read from the route: deciding about all webhooks would take too long.
    fn is_well(&self) -> bool {
        self.route.as_deref().is_some_and(|route| route.state != RouteState::NotReady)
    }
}

impl Part {
    fn means(&self, key: &Key, app: &str) -> bool {
        self.namespace.as_deref().is_none_or(|namespace| *namespace == *key.namespace)
            && self.app.as_deref().is_none_or(|name| name == app)
    }

    /// The objects after `after`, up to the limit, in order. Selects before it sorts, because a
    /// page is small.
    fn cut<'a, T>(&self, all: impl Iterator<Item = (bool, &'a Key, T)>) -> Vec<(Position, T)> {
        let after = self.after.as_ref().map(|after| (after.is_well, &after.key));
        let is_behind = |at: (bool, &Key)| after.is_none_or(|after| at > after);
        let mut found: Vec<_> =
            all.filter(|(is_well, key, _)| is_behind((*is_well, key))).collect();
        if self.limit < found.len() {
            found.select_nth_unstable_by_key(self.limit, |(is_well, key, _)| (*is_well, *key));
            found.truncate(self.limit);
        }
        found.sort_by_key(|(is_well, key, _)| (*is_well, *key));
        let placed =
            |(is_well, key, what): (bool, &Key, T)| (Position { is_well, key: key.clone() }, what);
        found.into_iter().map(placed).collect()
    }
}
