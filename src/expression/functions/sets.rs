//! The extension `sets`: lists as sets.

use super::lists::{contains, elements};
use super::{Function, Result};
use crate::expression::budget::CostBudget;
use crate::expression::value::Value;

pub const FUNCTIONS: &[Function] = &[
    Function::global("sets.contains", 2, |arguments, budget| {
        let (all, some) = both(arguments, budget)?;
        is_subset(&some, &all, budget).map(Value::Bool)
    }),
    Function::global("sets.equivalent", 2, |arguments, budget| {
        let (a, b) = both(arguments, budget)?;
        Ok(Value::Bool(is_subset(&a, &b, budget)? && is_subset(&b, &a, budget)?))
    }),
    Function::global("sets.intersects", 2, |arguments, budget| {
        let (a, b) = both(arguments, budget)?;
        for element in &a {
            if contains(&b, element, budget)? {
                return Ok(Value::Bool(true));
            }
        }
        Ok(Value::Bool(false))
    }),
];

type List<'a> = Vec<Value<'a>>;

fn both<'a>(arguments: &[Value<'a>], budget: &mut CostBudget) -> Result<(List<'a>, List<'a>)> {
    Ok((elements(&arguments[0], budget)?, elements(&arguments[1], budget)?))
}

fn is_subset<'a>(some: &[Value<'a>], all: &[Value<'a>], budget: &mut CostBudget) -> Result<bool> {
    for element in some {
        if !contains(all, element, budget)? {
            return Ok(false);
        }
    }
    Ok(true)
}
