//! Values.

use std::collections::HashMap;
use std::hash::{Hash, Hasher};
use std::net::IpAddr;
use std::ops::Deref;
use std::rc::Rc;
use std::sync::Arc;

use super::EvaluationError;
use super::budget::{CostBudget, STEP};
use super::compare::equal;
use super::functions::{Quantity, SemanticVersion, Url};
use super::json::{self, JsonItems};
use super::pattern::Pattern;
use super::time::Time;

/// A value; cheap to clone.
#[derive(Clone, Debug)]
pub enum Value<'a> {
    Null,
    Bool(bool),
    Int(i64),
    Uint(u64),
    Double(f64),
    /// The double next to a number that has more digits, and the number itself unless it was
    /// computed.
    Rounded(f64, Option<&'a str>),
    Text(Text<'a>),
    Bytes(Bytes<'a>),
    List(Rc<[Value<'a>]>),
    Map(Rc<[(Value<'a>, Value<'a>)]>),
    /// A list as JSON text.
    JsonList(&'a [u8]),
    /// An object as JSON text.
    JsonMap(&'a [u8]),
    /// A point in time, since the Unix epoch.
    Timestamp(Time),
    Duration(Time),
    /// The name of a type.
    Type(&'static str),
    Optional(Option<Rc<Value<'a>>>),
    Ip(IpAddr),
    /// An address and the length of the prefix. The host bits need not be zero.
    Cidr(IpAddr, u8),
    Url(Rc<Url>),
    Quantity(Rc<Quantity>),
    SemanticVersion(Rc<SemanticVersion>),
    /// A compiled pattern. Only arguments of functions are patterns.
    Pattern(Arc<Pattern>),
}

/// A slice of an input, or a computed value.
#[derive(Debug)]
pub enum Slice<'a, T: ?Sized> {
    /// A part of an input or of the expression.
    Borrowed(&'a T),
    /// Computed.
    Shared(Rc<T>),
}

/// A string.
pub type Text<'a> = Slice<'a, str>;

/// Bytes.
pub type Bytes<'a> = Slice<'a, [u8]>;

impl<T: ?Sized> Clone for Slice<'_, T> {
    fn clone(&self) -> Self {
        match self {
            Self::Borrowed(value) => Self::Borrowed(value),
            Self::Shared(value) => Self::Shared(value.clone()),
        }
    }
}

impl<T: ?Sized> Deref for Slice<'_, T> {
    type Target = T;

    fn deref(&self) -> &T {
        match self {
            Self::Borrowed(value) => value,
            Self::Shared(value) => value,
        }
    }
}

impl<T: ?Sized + PartialEq> PartialEq for Slice<'_, T> {
    fn eq(&self, other: &Self) -> bool {
        **self == **other
    }
}

impl<T: ?Sized + Eq> Eq for Slice<'_, T> {}

impl<T: ?Sized + Hash> Hash for Slice<'_, T> {
    fn hash<H: Hasher>(&self, state: &mut H) {
        (**self).hash(state);
    }
}

impl<'a> Value<'a> {
    /// A double, and whether it is exactly the number that is meant.
    pub fn double((double, is_exact): (f64, bool)) -> Self {
        if is_exact { Self::Double(double) } else { Self::Rounded(double, None) }
    }

    /// A number as a double, and whether that is exactly the number; `None` for other types.
    pub fn as_double(&self) -> Option<(f64, bool)> {
        match self {
            Self::Int(int) => {
                let double = *int as f64;
                Some((double, double as i128 == i128::from(*int)))
            }
            Self::Uint(uint) => {
                let double = *uint as f64;
                Some((double, double as i128 == i128::from(*uint)))
            }
            Self::Double(double) => Some((*double, true)),
            Self::Rounded(double, _) => Some((*double, false)),
            _ => None,
        }
    }

    /// A computed string.
    pub fn text(text: impl Into<Rc<str>>) -> Self {
        Self::Text(Text::Shared(text.into()))
    }

    /// An optional value.
    pub fn optional(value: Option<Self>) -> Self {
        Self::Optional(value.map(Rc::new))
    }

    /// The name of the type.
    pub fn type_name(&self) -> &'static str {
        match self {
            Self::Null => "null_type",
            Self::Bool(_) => "bool",
            Self::Int(_) => "int",
            Self::Uint(_) => "uint",
            Self::Double(_) | Self::Rounded(..) => "double",
            Self::Text(_) | Self::Pattern(_) => "string",
            Self::Bytes(_) => "bytes",
            Self::List(_) | Self::JsonList(_) => "list",
            Self::Map(_) | Self::JsonMap(_) => "map",
            Self::Timestamp(_) => "google.protobuf.Timestamp",
            Self::Duration(_) => "google.protobuf.Duration",
            Self::Type(_) => "type",
            Self::Optional(_) => "optional_type",
            Self::Ip(_) => "net.IP",
            Self::Cidr(..) => "net.CIDR",
            Self::Url(_) => "kubernetes.URL",
            Self::Quantity(_) => "kubernetes.Quantity",
            Self::SemanticVersion(_) => "kubernetes.Semver",
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
            (Self::Map(_) | Self::JsonMap(_), _) if !key.is_key() => {
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
            (Self::List(list), _) => Ok(index(key)?.and_then(|index| list.get(index).cloned())),
            (Self::JsonList(list), _) => {
                index(key)?.map_or(Ok(None), |index| item(list, index, budget))
            }
            _ => Err(EvaluationError::WrongType("an index requires a map or a list")),
        }
    }

    fn is_key(&self) -> bool {
        use Value::{Bool, Double, Int, Rounded, Text, Uint};
        matches!(self, Bool(_) | Int(_) | Uint(_) | Double(_) | Rounded(..) | Text(_))
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

/// A list index; `None` if it is out of range.
fn index(key: &Value<'_>) -> Result<Option<usize>, EvaluationError> {
    let index = match key {
        Value::Int(index) => usize::try_from(*index).ok(),
        Value::Uint(index) => usize::try_from(*index).ok(),
        Value::Double(index) if index.fract() == 0.0 => {
            (*index >= 0.0 && *index < i64::MAX as f64).then_some(*index as usize)
        }
        _ => return Err(EvaluationError::WrongType("a list index must be an integer")),
    };
    Ok(index)
}

fn item<'a>(
    list: &'a [u8],
    index: usize,
    budget: &mut CostBudget,
) -> Result<Option<Value<'a>>, EvaluationError> {
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

/// Iterates over the elements of a list with their indexes, or the entries of a map.
pub enum MapEntries<'a> {
    List(Elements<'a>, i64),
    Map(Rc<[(Value<'a>, Value<'a>)]>, usize),
    /// The members of an object. If a name is repeated, only the last one.
    Members(std::vec::IntoIter<(Text<'a>, &'a [u8])>),
}

impl<'a> MapEntries<'a> {
    /// The entries of a list or map.
    pub fn of(value: &Value<'a>, budget: &mut CostBudget) -> Result<Self, EvaluationError> {
        match value {
            Value::Map(map) => Ok(Self::Map(map.clone(), 0)),
            Value::JsonMap(text) => Ok(Self::Members(members(text, budget)?.into_iter())),
            _ => Ok(Self::List(Elements::of(value)?, 0)),
        }
    }

    /// The next entry.
    pub fn next(
        &mut self,
        budget: &mut CostBudget,
    ) -> Result<Option<(Value<'a>, Value<'a>)>, EvaluationError> {
        budget.spend(STEP)?;
        match self {
            Self::List(elements, index) => {
                *index += 1;
                Ok(elements.next(budget)?.map(|element| (Value::Int(*index - 1), element)))
            }
            Self::Map(map, at) => {
                *at += 1;
                Ok(map.get(*at - 1).cloned())
            }
            Self::Members(members) => match members.next() {
                Some((name, text)) => Ok(Some((Value::Text(name), json::value(text, budget)?))),
                None => Ok(None),
            },
        }
    }
}

/// The members of an object, without those whose name is repeated later.
fn members<'a>(
    object: &'a [u8],
    budget: &mut CostBudget,
) -> Result<Vec<(Text<'a>, &'a [u8])>, EvaluationError> {
    /// An entry of the vector and one of the map, with room for their growth.
    const MEMBER: usize = 4 * size_of::<(Text<'_>, &[u8])>();
    let mut found: Vec<(Text<'a>, &'a [u8])> = Vec::new();
    let mut places: HashMap<Text<'a>, usize> = HashMap::new();
    let mut members = JsonItems::of(object);
    while let Some((name, text)) = members.next_member(budget)? {
        budget.keep(MEMBER)?;
        let name = json::string(name, budget)?;
        let place = *places.entry(name.clone()).or_insert(found.len());
        match found.get_mut(place) {
            Some((_, known)) => *known = text,
            None => found.push((name, text)),
        }
    }
    Ok(found)
}
