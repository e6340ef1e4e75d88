//! Functions that several types have.

use super::{Function, Result, int_of, lists, network, quantity, semver, strings};
use crate::expression::EvaluationError;
use crate::expression::budget::CostBudget;
use crate::expression::json::JsonItems;
use crate::expression::value::Value;

pub const FUNCTIONS: &[Function] = &[
    Function::either("size", 1, |arguments, budget| size(&arguments[0], budget)),
    Function::method("reverse", 1, |arguments, budget| match &arguments[0] {
        Value::Text(text) => strings::reverse(text, budget),
        list => lists::reverse(list, budget),
    }),
    Function::method("indexOf", 2, |arguments, budget| match arguments {
        [Value::Text(_), ..] => strings::index_of(arguments, budget),
        _ => lists::index_of(arguments, budget),
    })
    .up_to(3),
    Function::method("lastIndexOf", 2, |arguments, budget| match arguments {
        [Value::Text(_), ..] => strings::last_index_of(arguments, budget),
        _ => lists::last_index_of(arguments, budget),
    })
    .up_to(3),
    Function::method("isLessThan", 2, |arguments, budget| {
        Ok(Value::Bool(compare(arguments, budget)?.is_lt()))
    }),
    Function::method("isGreaterThan", 2, |arguments, budget| {
        Ok(Value::Bool(compare(arguments, budget)?.is_gt()))
    }),
    Function::method("compareTo", 2, |arguments, budget| {
        Ok(Value::Int(compare(arguments, budget)? as i64))
    }),
    Function::method("ip", 1, |arguments, _| network::ip_of_cidr(&arguments[0])),
];

/// The number of characters of a string, bytes, elements of a list, or entries of a map.
fn size<'a>(of: &Value<'a>, budget: &mut CostBudget) -> Result<Value<'a>> {
    let size = match of {
        Value::Text(text) => {
            budget.spend(text.len())?;
            text.chars().count()
        }
        Value::Bytes(bytes) => bytes.len(),
        Value::List(list) => list.len(),
        Value::Map(map) => map.len(),
        // Without reading the items: one that cannot be read is none of this function's business.
        Value::JsonList(text) => {
            let mut items = JsonItems::of(text);
            std::iter::from_fn(|| items.next_item(budget).transpose())
                .try_fold(0, |size, item| item.map(|_| size + 1))?
        }
        Value::JsonMap(text) => {
            let mut members = JsonItems::of(text);
            std::iter::from_fn(|| members.next_member(budget).transpose())
                .try_fold(0, |size, member| member.map(|_| size + 1))?
        }
        _ => return Err(EvaluationError::NO_OVERLOAD),
    };
    Ok(int_of(size))
}

fn compare(arguments: &[Value<'_>], budget: &mut CostBudget) -> Result<std::cmp::Ordering> {
    match arguments {
        [Value::Quantity(a), Value::Quantity(b)] => Ok(quantity::Quantity::cmp(a, b)),
        [Value::SemanticVersion(a), Value::SemanticVersion(b)] => {
            budget.spend(a.len() + b.len())?;
            Ok(semver::SemanticVersion::cmp(a, b))
        }
        _ => Err(EvaluationError::NO_OVERLOAD),
    }
}
