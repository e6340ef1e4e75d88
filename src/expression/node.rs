//! The syntax tree of an expression: names are resolved, macros expanded, patterns compiled.

use std::sync::Arc;

use super::functions::Function;
use super::pattern::Pattern;

/// A node of the syntax tree.
#[derive(Debug)]
pub struct Node {
    /// Its position in the source text: an offset in bytes.
    pub at: u32,
    pub kind: NodeKind,
}

/// The kind of a node.
#[derive(Debug)]
pub enum NodeKind {
    Constant(Constant),
    Variable(Variable),
    /// A variable of a macro: its index on the stack of bound variables.
    Bound(usize),
    Select(Box<Node>, Box<str>),
    /// A field of `event`: its index among [`Tree::event_fields`].
    EventField(usize, FieldAccess),
    /// `a.?b`.
    OptionalSelect(Box<Node>, Box<str>),
    Has(Box<Node>, Box<str>),
    Index(Box<[Node; 2]>),
    /// `a[?b]`.
    OptionalIndex(Box<[Node; 2]>),
    List(Vec<CollectionItem<Node>>),
    Map(Vec<CollectionItem<[Node; 2]>>),
    Not(Box<Node>),
    Negate(Box<Node>),
    And(Vec<Node>),
    Or(Vec<Node>),
    Conditional(Box<[Node; 3]>),
    Binary(BinaryOperator, Box<[Node; 2]>),
    Call(&'static Function, Vec<Node>),
    /// `or` and `orValue` of an optional value, which evaluate their argument only without a value.
    OptionalOr(OptionalOr, Box<[Node; 2]>),
    Macro(Box<Macro>),
    Bind(BindKind, Box<[Node; 2]>),
}

/// What is asked of a field.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FieldAccess {
    /// `a.b`.
    Value,
    /// `a.?b`.
    Optional,
    /// `has(a.b)`.
    Has,
}

/// A parsed expression.
#[derive(Debug)]
pub struct Tree {
    pub root: Node,
    /// The variables that it reads.
    pub uses: Vec<Variable>,
    /// The fields of `event` that it names. They are found in one pass over the event.
    pub event_fields: Vec<Box<str>>,
}

impl NodeKind {
    /// The node of this kind at a position. Expressions are short, see [`super::MAX_LENGTH`].
    pub fn at(self, at: usize) -> Node {
        Node { at: u32::try_from(at).unwrap_or(u32::MAX), kind: self }
    }
}

/// An item of a list, or an entry of a map.
#[derive(Debug)]
pub struct CollectionItem<T> {
    /// Whether the value is an optional one (`[?a]`), which is left out if there is none.
    pub is_optional: bool,
    pub node: T,
}

/// What an optional value without a value is replaced by.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum OptionalOr {
    /// Another optional value.
    Optional,
    /// A value.
    Value,
}

/// A macro that binds one variable and evaluates one expression with it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum BindKind {
    /// `cel.bind(variable, value, expression)`.
    Bind,
    /// `value.optMap(variable, expression)`.
    OptionalMap,
    /// `value.optFlatMap(variable, expression)`.
    OptionalFlatMap,
}

/// A literal.
#[derive(Debug)]
pub enum Constant {
    Null,
    Bool(bool),
    Int(i64),
    Uint(u64),
    Double(f64),
    Text(Box<str>),
    Bytes(Box<[u8]>),
    Type(&'static str),
    Pattern(Arc<Pattern>),
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
    /// The time at which the trigger was accepted.
    Now,
}

impl Variable {
    /// The variable with this name.
    pub fn named(name: &str) -> Option<Self> {
        match name {
            "event" => Some(Self::Event),
            "headers" => Some(Self::Headers),
            "props" => Some(Self::Props),
            "query" => Some(Self::Query),
            "now" => Some(Self::Now),
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
    /// Whether it has two variables: index and element, or key and value.
    pub has_two_variables: bool,
    pub over: Node,
    /// The predicate on an element; none for a `map` without a filter.
    pub condition: Option<Node>,
    /// The transformation of an element.
    pub result: Option<Node>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum MacroKind {
    All,
    Exists,
    ExistsOne,
    Filter,
    Map,
    TransformList,
    TransformMap,
    TransformMapEntry,
    SortBy,
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
            "transformList" => Some(Self::TransformList),
            "transformMap" => Some(Self::TransformMap),
            "transformMapEntry" => Some(Self::TransformMapEntry),
            "sortBy" => Some(Self::SortBy),
            _ => None,
        }
    }

    /// Whether the macro can have two variables.
    pub fn may_have_two_variables(self) -> bool {
        !matches!(self, Self::Filter | Self::Map | Self::SortBy)
    }

    /// Whether the macro always has two variables.
    pub fn has_two_variables(self) -> bool {
        matches!(self, Self::TransformList | Self::TransformMap | Self::TransformMapEntry)
    }

    /// Whether the last expression is a transformation, and one before it a filter.
    pub fn transforms(self) -> bool {
        self == Self::Map || self.has_two_variables()
    }
}
