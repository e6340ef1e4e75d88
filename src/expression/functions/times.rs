//! Timestamps and durations.

use super::{Function, Result, text};
use crate::expression::EvaluationError;
use crate::expression::budget::CostBudget;
use crate::expression::time::{self, CalendarParts, Time, parts};
use crate::expression::value::Value;

/// The cost of looking a time zone up, and of reading it the first time.
const ZONE: usize = 20_000;

pub const FUNCTIONS: &[Function] = &[
    Function::global("timestamp", 1, |arguments, budget| match &arguments[0] {
        Value::Timestamp(_) => Ok(arguments[0].clone()),
        Value::Int(seconds) => time::timestamp(Some(Time::of_seconds(*seconds))),
        Value::Text(text) => {
            budget.spend(text.len())?;
            time::read_timestamp(text)
        }
        _ => Err(EvaluationError::NO_OVERLOAD),
    }),
    Function::global("duration", 1, |arguments, _| match &arguments[0] {
        Value::Duration(_) => Ok(arguments[0].clone()),
        Value::Text(text) => time::read_duration(text),
        _ => Err(EvaluationError::NO_OVERLOAD),
    }),
    Function::method("getFullYear", 1, |a, budget| date(a, budget, |parts| parts.year)).up_to(2),
    Function::method("getMonth", 1, |a, budget| date(a, budget, |parts| parts.month)).up_to(2),
    Function::method("getDate", 1, |a, budget| date(a, budget, |parts| parts.day)).up_to(2),
    Function::method("getDayOfMonth", 1, |a, budget| date(a, budget, |parts| parts.day - 1))
        .up_to(2),
    Function::method("getDayOfYear", 1, |a, budget| date(a, budget, |parts| parts.day_of_year))
        .up_to(2),
    Function::method("getDayOfWeek", 1, |a, budget| date(a, budget, |parts| parts.day_of_week))
        .up_to(2),
    Function::method("getHours", 1, |a, budget| {
        time_of_day(a, budget, |parts| parts.second / 3600, |seconds| seconds / 3600)
    })
    .up_to(2),
    Function::method("getMinutes", 1, |a, budget| {
        time_of_day(a, budget, |parts| parts.second / 60 % 60, |seconds| seconds / 60)
    })
    .up_to(2),
    Function::method("getSeconds", 1, |a, budget| {
        time_of_day(a, budget, |parts| parts.second % 60, |seconds| seconds)
    })
    .up_to(2),
    Function::method("getMilliseconds", 1, milliseconds).up_to(2),
];

/// A part of a timestamp, in the time zone that the second argument names.
fn date<'a>(
    arguments: &[Value<'a>],
    budget: &mut CostBudget,
    part: fn(CalendarParts) -> i64,
) -> Result<Value<'a>> {
    let Value::Timestamp(time) = &arguments[0] else { return Err(EvaluationError::NO_OVERLOAD) };
    let zone = arguments.get(1).map(text).transpose()?;
    if zone.is_some() {
        budget.spend(ZONE)?;
    }
    Ok(Value::Int(part(parts(*time, zone.map(|zone| &**zone))?)))
}

/// A part of a timestamp, or the whole length of a duration.
fn time_of_day<'a>(
    arguments: &[Value<'a>],
    budget: &mut CostBudget,
    part: fn(CalendarParts) -> i64,
    of_duration: fn(i64) -> i64,
) -> Result<Value<'a>> {
    match arguments {
        [Value::Duration(time)] => Ok(Value::Int(of_duration(time.whole_seconds()))),
        _ => date(arguments, budget, part),
    }
}

/// The milliseconds of the second, for both types.
fn milliseconds<'a>(arguments: &[Value<'a>], budget: &mut CostBudget) -> Result<Value<'a>> {
    match arguments {
        [Value::Duration(time)] => Ok(Value::Int(time.milliseconds())),
        _ => date(arguments, budget, |parts| parts.milliseconds),
    }
}
