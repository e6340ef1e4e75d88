//! The extension `lists`, and Kubernetes' functions of lists.

use std::cmp::Ordering;

use super::{Function, Result, int, push_value};
use crate::expression::arithmetic::arithmetic;
use crate::expression::budget::CostBudget;
use crate::expression::compare::{equal, order};
use crate::expression::node::BinaryOperator;
use crate::expression::value::{Elements, Value};
use crate::expression::{EvaluationError, MAX_DEPTH};

pub const FUNCTIONS: &[Function] = &[
    Function::global("lists.range", 1, range),
    Function::method("slice", 3, slice),
    Function::method("flatten", 1, flatten).up_to(2),
    Function::method("distinct", 1, distinct),
    Function::method("sort", 1, |arguments, budget| {
        let keyed = elements(&arguments[0], budget)?;
        let keyed = keyed.into_iter().map(|element| (element.clone(), element)).collect();
        let sorted = sort_by_key(keyed, budget)?;
        Ok(Value::List(sorted.into_iter().map(|(_, element)| element).collect()))
    }),
    Function::method("first", 1, |arguments, budget| end(&arguments[0], false, budget)),
    Function::method("last", 1, |arguments, budget| end(&arguments[0], true, budget)),
    Function::method("isSorted", 1, |arguments, budget| {
        let elements = elements(&arguments[0], budget)?;
        for pair in elements.windows(2) {
            if compared(&pair[0], &pair[1], budget)?.is_gt() {
                return Ok(Value::Bool(false));
            }
        }
        Ok(Value::Bool(true))
    }),
    Function::method("sum", 1, sum),
    Function::method("min", 1, |arguments, budget| extreme(&arguments[0], Ordering::Less, budget)),
    Function::method("max", 1, |arguments, budget| {
        extreme(&arguments[0], Ordering::Greater, budget)
    }),
];

/// The elements of a list.
pub fn elements<'a>(list: &Value<'a>, budget: &mut CostBudget) -> Result<Vec<Value<'a>>> {
    if !matches!(list, Value::List(_) | Value::JsonList(_)) {
        return Err(EvaluationError::NO_OVERLOAD);
    }
    let mut found = Vec::new();
    let mut elements = Elements::of(list)?;
    while let Some(element) = elements.next(budget)? {
        push_value(&mut found, element, budget)?;
    }
    Ok(found)
}

fn range<'a>(arguments: &[Value<'a>], budget: &mut CostBudget) -> Result<Value<'a>> {
    let end = int(&arguments[0])?;
    let size = usize::try_from(end).unwrap_or(0);
    budget.keep(size.saturating_mul(2 * size_of::<Value<'_>>()))?;
    Ok(Value::List((0..end).map(Value::Int).collect()))
}

fn slice<'a>(arguments: &[Value<'a>], budget: &mut CostBudget) -> Result<Value<'a>> {
    let elements = elements(&arguments[0], budget)?;
    let range =
        usize::try_from(int(&arguments[1])?).ok()..usize::try_from(int(&arguments[2])?).ok();
    let (Some(start), Some(end)) = (range.start, range.end) else {
        return Err(EvaluationError::NoSuchIndex);
    };
    let slice = elements.get(start..end).ok_or(EvaluationError::NoSuchIndex)?;
    Ok(Value::List(slice.into()))
}

/// The elements of the elements, down to a depth of one or of the second argument.
fn flatten<'a>(arguments: &[Value<'a>], budget: &mut CostBudget) -> Result<Value<'a>> {
    let depth = arguments.get(1).map_or(Ok(1), int)?;
    let negative = EvaluationError::Invalid("a depth is negative");
    let depth = usize::try_from(depth).map_err(|_| negative)?;
    let mut flat = Vec::new();
    for element in elements(&arguments[0], budget)? {
        flatten_into(&mut flat, element, depth, MAX_DEPTH, budget)?;
    }
    Ok(Value::List(flat.into()))
}

fn flatten_into<'a>(
    flat: &mut Vec<Value<'a>>,
    element: Value<'a>,
    depth: usize,
    deepest: usize,
    budget: &mut CostBudget,
) -> Result<()> {
    if depth == 0 || !matches!(element, Value::List(_) | Value::JsonList(_)) {
        return push_value(flat, element, budget);
    }
    let deepest = deepest.checked_sub(1).ok_or(EvaluationError::TooDeep)?;
    let mut elements = Elements::of(&element)?;
    while let Some(element) = elements.next(budget)? {
        flatten_into(flat, element, depth - 1, deepest, budget)?;
    }
    Ok(())
}

fn distinct<'a>(arguments: &[Value<'a>], budget: &mut CostBudget) -> Result<Value<'a>> {
    let mut found: Vec<Value<'a>> = Vec::new();
    for element in elements(&arguments[0], budget)? {
        if !contains(&found, &element, budget)? {
            push_value(&mut found, element, budget)?;
        }
    }
    Ok(Value::List(found.into()))
}

/// Whether a list has an element that is equal to this one.
pub fn contains<'a>(
    list: &[Value<'a>],
    wanted: &Value<'a>,
    budget: &mut CostBudget,
) -> Result<bool> {
    for element in list {
        if equal(element, wanted, budget)? {
            return Ok(true);
        }
    }
    Ok(false)
}

/// The elements in reverse order.
pub fn reverse<'a>(list: &Value<'a>, budget: &mut CostBudget) -> Result<Value<'a>> {
    Ok(Value::List(elements(list, budget)?.into_iter().rev().collect()))
}

/// The index of the first element that is equal to a value; -1 without one.
pub fn index_of<'a>(arguments: &[Value<'a>], budget: &mut CostBudget) -> Result<Value<'a>> {
    let [list, wanted] = arguments else { return Err(EvaluationError::NO_OVERLOAD) };
    find(elements(list, budget)?.into_iter().enumerate(), wanted, budget)
}

/// The index of the last element that is equal to a value; -1 without one.
pub fn last_index_of<'a>(arguments: &[Value<'a>], budget: &mut CostBudget) -> Result<Value<'a>> {
    let [list, wanted] = arguments else { return Err(EvaluationError::NO_OVERLOAD) };
    find(elements(list, budget)?.into_iter().enumerate().rev(), wanted, budget)
}

fn find<'a>(
    elements: impl Iterator<Item = (usize, Value<'a>)>,
    wanted: &Value<'a>,
    budget: &mut CostBudget,
) -> Result<Value<'a>> {
    for (index, element) in elements {
        if equal(&element, wanted, budget)? {
            return Ok(super::int_of(index));
        }
    }
    Ok(Value::Int(-1))
}

fn end<'a>(list: &Value<'a>, is_last: bool, budget: &mut CostBudget) -> Result<Value<'a>> {
    let mut elements = elements(list, budget)?;
    Ok(Value::optional(if is_last { elements.pop() } else { elements.into_iter().next() }))
}

/// The sum of numbers or durations of one type; zero of an empty list.
fn sum<'a>(arguments: &[Value<'a>], budget: &mut CostBudget) -> Result<Value<'a>> {
    let mut sum: Option<Value<'a>> = None;
    for element in elements(&arguments[0], budget)? {
        let is_duration = matches!(element, Value::Duration(_));
        if !is_duration && element.as_double().is_none() {
            return Err(EvaluationError::NO_OVERLOAD);
        }
        sum = Some(match &sum {
            Some(sum) => arithmetic(BinaryOperator::Add, sum, &element, budget)?,
            None => element,
        });
    }
    Ok(sum.unwrap_or(Value::Int(0)))
}

/// The order of two elements of one type.
fn compared(a: &Value<'_>, b: &Value<'_>, budget: &mut CostBudget) -> Result<Ordering> {
    if a.type_name() != b.type_name() {
        return Err(EvaluationError::NO_OVERLOAD);
    }
    let order = order(a, b, budget)?;
    order.ok_or(EvaluationError::Invalid("NaN has no order"))
}

fn extreme<'a>(list: &Value<'a>, wanted: Ordering, budget: &mut CostBudget) -> Result<Value<'a>> {
    let mut elements = elements(list, budget)?.into_iter();
    let none = EvaluationError::Invalid("an empty list has no smallest or largest element");
    let mut best = elements.next().ok_or(none)?;
    for element in elements {
        if compared(&element, &best, budget)? == wanted {
            best = element;
        }
    }
    Ok(best)
}

/// Sorts values by their keys, which must be of one type. Equal keys keep their order.
///
/// # Errors
/// If keys cannot be compared, or the budget is exceeded.
pub fn sort_by_key<'a>(
    mut keyed: Vec<(Value<'a>, Value<'a>)>,
    budget: &mut CostBudget,
) -> Result<Vec<(Value<'a>, Value<'a>)>> {
    budget.keep(2 * keyed.len() * size_of::<(Value<'_>, Value<'_>)>())?;
    let mut failed = None;
    if let [(only, _)] = &*keyed {
        compared(only, only, budget)?;
    }
    keyed.sort_by(|(a, _), (b, _)| {
        if failed.is_some() {
            return Ordering::Equal;
        }
        let order = budget.spend(32).and_then(|()| compared(a, b, budget));
        order.unwrap_or_else(|error| {
            failed = Some(error);
            Ordering::Equal
        })
    });
    failed.map_or(Ok(keyed), Err)
}
