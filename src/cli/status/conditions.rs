//! Look-up of conditions in a status. Pure.

use k8s_openapi::apimachinery::pkg::apis::meta::v1::Condition;

use crate::moment::Moment;

/// The condition of a type.
pub fn find<'c>(conditions: &'c [Condition], type_: &str) -> Option<&'c Condition> {
    conditions.iter().find(|condition| condition.type_ == type_)
}

/// Whether the condition of a type is `True`.
pub fn is_true(conditions: &[Condition], type_: &str) -> bool {
    find(conditions, type_).is_some_and(|condition| condition.status == "True")
}

/// Last transition time of a condition.
pub fn since(condition: &Condition) -> Moment {
    let millis = condition.last_transition_time.0.as_millisecond();
    Moment(u64::try_from(millis).unwrap_or(0))
}
