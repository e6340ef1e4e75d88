//! The syntax tree of an expression: names are resolved, macros expanded, patterns compiled.

use super::functions::Function;
use super::pattern::Pattern;

/// A node of the syntax tree.
#[derive(Debug)]
pub enum Node {
    Constant(Constant),
    Variable(Variable),
    /// A variable of a macro: its index on the stack of bound variables.
    Bound(usize),
    Select(Box<Node>, Box<str>),
    Has(Box<Node>, Box<str>),
    Index(Box<[Node; 2]>),
    List(Vec<Node>),
    Map(Vec<[Node; 2]>),
    Not(Box<Node>),
    Negate(Box<Node>),
    And(Vec<Node>),
    Or(Vec<Node>),
    Conditional(Box<[Node; 3]>),
    Binary(BinaryOperator, Box<[Node; 2]>),
    Call(Function, Vec<Node>),
    Matches(Box<Node>, Pattern),
    Macro(Box<Macro>),
}

/// A literal.
#[derive(Debug)]
pub enum Constant {
    Null,
    Bool(bool),
    Int(i128),
    Double(f64),
    Text(Box<str>),
}

/// An input variable.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Variable {
    /// The trigger's data.
    Event,
    /// The trigger's headers.
    Headers,
    /// The webhook's props.
    Props,
    /// The query of the trigger's URL.
    Query,
}

impl Variable {
    /// The variable with this name.
    pub fn named(name: &str) -> Option<Self> {
        match name {
            "event" => Some(Self::Event),
            "headers" => Some(Self::Headers),
            "props" => Some(Self::Props),
            "query" => Some(Self::Query),
            _ => None,
        }
    }
}

/// A binary operator that evaluates both operands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum BinaryOperator {
    Equal,
    NotEqual,
    Less,
    LessOrEqual,
    Greater,
    GreaterOrEqual,
    In,
    Add,
    Subtract,
    Multiply,
    Divide,
    Remainder,
}

/// A macro over the elements of a list, or the keys of a map.
#[derive(Debug)]
pub struct Macro {
    pub kind: MacroKind,
    pub over: Node,
    /// The predicate on an element; none for a `map` without a filter.
    pub condition: Option<Node>,
    /// The transformation of an element, for `map`.
    pub result: Option<Node>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum MacroKind {
    All,
    Exists,
    ExistsOne,
    Filter,
    Map,
}

impl MacroKind {
    /// The macro with this name.
    pub fn named(name: &str) -> Option<Self> {
        match name {
            "all" => Some(Self::All),
            "exists" => Some(Self::Exists),
            "exists_one" | "existsOne" => Some(Self::ExistsOne),
            "filter" => Some(Self::Filter),
            "map" => Some(Self::Map),
            _ => None,
        }
    }
}
