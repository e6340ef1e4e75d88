//! Values and their comparison.

use std::cmp::Ordering;
use std::ops::Deref;
use std::rc::Rc;

use super::budget::{CostBudget, STEP};
use super::json::{self, JsonItems};
use super::{EvaluationError, MAX_DEPTH, decimal};

/// A value; cheap to clone.
#[derive(Clone, Debug)]
pub enum Value<'a> {
    Null,
    Bool(bool),
    /// From -2^63 to 2^64-1: CEL's `int` and `uint` in one.
    Int(i128),
    Double(f64),
    /// The double next to a number that has more digits.
    Rounded(f64),
    Text(Text<'a>),
    List(Rc<[Value<'a>]>),
    Map(Rc<[(Value<'a>, Value<'a>)]>),
    /// A list as JSON text.
    JsonList(&'a [u8]),
    /// An object as JSON text.
    JsonMap(&'a [u8]),
}

/// A string.
#[derive(Clone, Debug)]
pub enum Text<'a> {
    /// A slice of an input.
    Borrowed(&'a str),
    /// A computed string.
    Shared(Rc<str>),
}

impl Deref for Text<'_> {
    type Target = str;

    fn deref(&self) -> &str {
        match self {
            Self::Borrowed(text) => text,
            Self::Shared(text) => text,
        }
    }
}

/// Checks that a number is in the range of [`Value::Int`].
pub fn in_range(number: i128) -> Result<i128, EvaluationError> {
    let is_in_range = (i128::from(i64::MIN)..=i128::from(u64::MAX)).contains(&number);
    is_in_range.then_some(number).ok_or(EvaluationError::OutOfRange)
}

impl<'a> Value<'a> {
    /// A double, and whether it is exactly the number that is meant.
    pub fn double((double, is_exact): (f64, bool)) -> Self {
        if is_exact { Self::Double(double) } else { Self::Rounded(double) }
    }

    /// A number as a double, and whether that is exactly the number; `None` for other types.
    pub fn as_double(&self) -> Option<(f64, bool)> {
        match self {
            Self::Int(int) => {
                let double = *int as f64;
                Some((double, decimal::integer(double) == *int))
            }
            Self::Double(double) => Some((*double, true)),
            Self::Rounded(double) => Some((*double, false)),
            _ => None,
        }
    }

    /// The value of a map at a key, or of a list at an index.
    pub fn get(
        &self,
        key: &Value<'a>,
        budget: &mut CostBudget,
    ) -> Result<Option<Value<'a>>, EvaluationError> {
        match (self, key) {
            (Self::JsonMap(object), Self::Text(name)) => {
                let member = json::member(object, name, budget)?;
                member.map(|text| json::value(text, budget)).transpose()
            }
            (
                Self::Map(_) | Self::JsonMap(_),
                Self::Null | Self::List(_) | Self::Map(_) | Self::JsonList(_) | Self::JsonMap(_),
            ) => {
                Err(EvaluationError::WrongType("a map key must be a string, a number or a boolean"))
            }
            (Self::JsonMap(_), _) => Ok(None),
            (Self::Map(map), _) => {
                for (known, value) in map.iter() {
                    if equal(known, key, budget)? {
                        return Ok(Some(value.clone()));
                    }
                }
                Ok(None)
            }
            (Self::List(list), Self::Int(index)) => {
                Ok(usize::try_from(*index).ok().and_then(|index| list.get(index).cloned()))
            }
            (Self::JsonList(list), Self::Int(index)) => item(list, *index, budget),
            (Self::List(_) | Self::JsonList(_), _) => {
                Err(EvaluationError::WrongType("a list index must be an integer"))
            }
            _ => Err(EvaluationError::WrongType("an index requires a map or a list")),
        }
    }

    /// Whether a map has a key. Its value is not parsed.
    pub fn has(&self, key: &Value<'a>, budget: &mut CostBudget) -> Result<bool, EvaluationError> {
        match (self, key) {
            (Self::JsonMap(object), Self::Text(name)) => {
                Ok(json::member(object, name, budget)?.is_some())
            }
            _ => Ok(self.get(key, budget)?.is_some()),
        }
    }
}

fn item<'a>(
    list: &'a [u8],
    index: i128,
    budget: &mut CostBudget,
) -> Result<Option<Value<'a>>, EvaluationError> {
    let Ok(index) = usize::try_from(index) else { return Ok(None) };
    let mut items = JsonItems::of(list);
    for _ in 0..index {
        if items.next_item(budget)?.is_none() {
            return Ok(None);
        }
    }
    items.next_item(budget)?.map(|text| json::value(text, budget)).transpose()
}

/// Iterates over the elements of a list, or the keys of a map.
pub enum Elements<'a> {
    List(Rc<[Value<'a>]>, usize),
    Keys(Rc<[(Value<'a>, Value<'a>)]>, usize),
    Items(JsonItems<'a>),
    Names(JsonItems<'a>),
}

impl<'a> Elements<'a> {
    /// The elements of a list or map.
    pub fn of(value: &Value<'a>) -> Result<Self, EvaluationError> {
        match value {
            Value::List(list) => Ok(Self::List(list.clone(), 0)),
            Value::Map(map) => Ok(Self::Keys(map.clone(), 0)),
            Value::JsonList(text) => Ok(Self::Items(JsonItems::of(text))),
            Value::JsonMap(text) => Ok(Self::Names(JsonItems::of(text))),
            _ => Err(EvaluationError::WrongType("a macro requires a list or a map")),
        }
    }

    /// The next element.
    pub fn next(&mut self, budget: &mut CostBudget) -> Result<Option<Value<'a>>, EvaluationError> {
        budget.spend(STEP)?;
        match self {
            Self::List(list, at) => {
                *at += 1;
                Ok(list.get(*at - 1).cloned())
            }
            Self::Keys(map, at) => {
                *at += 1;
                Ok(map.get(*at - 1).map(|(key, _)| key.clone()))
            }
            Self::Items(items) => {
                items.next_item(budget)?.map(|text| json::value(text, budget)).transpose()
            }
            Self::Names(members) => {
                let name = members.next_member(budget)?;
                name.map(|(name, _)| json::string(name, budget).map(Value::Text)).transpose()
            }
        }
    }
}

/// Whether two values are equal. Values of different types are not, except that integers and
/// doubles compare as numbers.
///
/// # Errors
/// [`EvaluationError::Rounded`], if two numbers are equal only because one of them was rounded.
pub fn equal<'a>(
    a: &Value<'a>,
    b: &Value<'a>,
    budget: &mut CostBudget,
) -> Result<bool, EvaluationError> {
    equal_within(a, b, MAX_DEPTH, budget)
}

fn equal_within<'a>(
    a: &Value<'a>,
    b: &Value<'a>,
    depth: usize,
    budget: &mut CostBudget,
) -> Result<bool, EvaluationError> {
    use Value::{Bool, Double, Int, JsonList, JsonMap, List, Map, Null, Rounded, Text};
    budget.spend(STEP)?;
    let below = || depth.checked_sub(1).ok_or(EvaluationError::TooDeep);
    match (a, b) {
        (Null, Null) => Ok(true),
        (Bool(a), Bool(b)) => Ok(a == b),
        (Text(a), Text(b)) => {
            budget.spend(a.len().min(b.len()))?;
            Ok(**a == **b)
        }
        (Int(_) | Double(_), Int(_) | Double(_)) => Ok(numbers(a, b) == Some(Ordering::Equal)),
        (Int(_) | Double(_) | Rounded(_), Int(_) | Double(_) | Rounded(_)) => {
            let is_equal = numbers(a, b) == Some(Ordering::Equal);
            if is_equal { Err(EvaluationError::Rounded) } else { Ok(false) }
        }
        (List(_) | JsonList(_), List(_) | JsonList(_)) => equal_lists(a, b, below()?, budget),
        (Map(_) | JsonMap(_), Map(_) | JsonMap(_)) => {
            Ok(is_within(a, b, below()?, budget)? && is_within(b, a, below()?, budget)?)
        }
        _ => Ok(false),
    }
}

fn equal_lists<'a>(
    a: &Value<'a>,
    b: &Value<'a>,
    depth: usize,
    budget: &mut CostBudget,
) -> Result<bool, EvaluationError> {
    let (mut a, mut b) = (Elements::of(a)?, Elements::of(b)?);
    loop {
        match (a.next(budget)?, b.next(budget)?) {
            (None, None) => return Ok(true),
            (Some(a), Some(b)) if equal_within(&a, &b, depth, budget)? => {}
            _ => return Ok(false),
        }
    }
}

/// Whether all entries of one map are equal in another.
fn is_within<'a>(
    a: &Value<'a>,
    b: &Value<'a>,
    depth: usize,
    budget: &mut CostBudget,
) -> Result<bool, EvaluationError> {
    let mut keys = Elements::of(a)?;
    while let Some(key) = keys.next(budget)? {
        let (Some(a), Some(b)) = (a.get(&key, budget)?, b.get(&key, budget)?) else {
            return Ok(false);
        };
        if !equal_within(&a, &b, depth, budget)? {
            return Ok(false);
        }
    }
    Ok(true)
}

/// Compares two values; `None` if one of them is NaN. Rounded numbers compare as their doubles.
pub fn order(
    a: &Value<'_>,
    b: &Value<'_>,
    budget: &mut CostBudget,
) -> Result<Option<Ordering>, EvaluationError> {
    use Value::{Bool, Double, Int, Rounded, Text};
    match (a, b) {
        (Bool(a), Bool(b)) => Ok(Some(a.cmp(b))),
        (Text(a), Text(b)) => {
            budget.spend(a.len().min(b.len()))?;
            Ok(Some((**a).cmp(&**b)))
        }
        (Int(_) | Double(_) | Rounded(_), Int(_) | Double(_) | Rounded(_)) => Ok(numbers(a, b)),
        _ => Err(EvaluationError::WrongType("a comparison requires two numbers or two strings")),
    }
}

fn numbers(a: &Value<'_>, b: &Value<'_>) -> Option<Ordering> {
    use Value::{Double, Int};
    match (a, b) {
        (Int(a), Int(b)) => Some(a.cmp(b)),
        (Double(a), Double(b)) => a.partial_cmp(b),
        (Int(a), Double(b)) => exact(*a, *b),
        (Double(a), Int(b)) => exact(*b, *a).map(Ordering::reverse),
        _ => a.as_double()?.0.partial_cmp(&b.as_double()?.0),
    }
}

/// Compares without converting the integer to a double, which would lose digits. The double is the
/// number of its shortest notation.
fn exact(int: i128, double: f64) -> Option<Ordering> {
    if double.is_nan() {
        return None;
    }
    // It saturates at the limits of i128, which are beyond our integers as well.
    let whole = int.cmp(&decimal::integer(double));
    Some(whole.then_with(|| 0.0_f64.total_cmp(&(double.fract() + 0.0))))
}
