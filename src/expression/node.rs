//! An expression as it is evaluated: names are resolved, macros are known, patterns are compiled.

use super::functions::Function;
use super::pattern::Pattern;

/// A part of an expression.
#[derive(Debug)]
pub enum Node {
    Constant(Constant),
    Variable(Variable),
    /// A variable of a macro: its place among those that are in force.
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
    Binary(Operator, Box<[Node; 2]>),
    Call(Function, Vec<Node>),
    Matches(Box<Node>, Pattern),
    Macro(Box<Macro>),
}

/// A value that is written out.
#[derive(Debug)]
pub enum Constant {
    Null,
    Bool(bool),
    Int(i128),
    Double(f64),
    Text(Box<str>),
}

/// What an expression is evaluated over.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Variable {
    /// The trigger's data.
    Event,
    /// Its headers.
    Headers,
    /// The webhook's props.
    Props,
    /// The query of the trigger's URL.
    Query,
}

impl Variable {
    /// The variable of this name.
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

/// An operator with two operands that are both evaluated.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Operator {
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

/// Something that is done with each element of a list, or each key of a map.
#[derive(Debug)]
pub struct Macro {
    pub kind: MacroKind,
    pub over: Node,
    /// What has to hold of an element. Always true of a plain `map`.
    pub condition: Option<Node>,
    /// What becomes of an element, of `map`.
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
    /// The macro of this name.
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
