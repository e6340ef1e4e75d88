//! Evaluates an expression.

use super::arithmetic::{arithmetic, negated};
use super::budget::{CostBudget, STEP};
use super::compare::{equal, order};
use super::error::LocatedError;
use super::functions::Function;
use super::node::{
    BinaryOperator, BindKind, CollectionItem, Constant, FieldAccess, Macro, MacroKind, Node,
    NodeKind, OptionalOr, Tree, Variable,
};
use super::pattern::PatternCache;
use super::time::Time;
use super::value::{Bytes, Elements, MapEntries, Text, Value};
use super::{EvaluationError, Inputs, json};

type Result<T> = std::result::Result<T, LocatedError>;

/// Evaluates an expression to a value. Also returns the remaining budget.
pub fn evaluate<'a>(tree: &'a Tree, inputs: Inputs<'a>) -> Result<(Value<'a>, CostBudget)> {
    let mut evaluation = Evaluation {
        inputs,
        budget: CostBudget::new(),
        patterns: PatternCache::default(),
        field_names: &tree.event_fields,
        fields: None,
        bound: Vec::new(),
    };
    let value = evaluation.value(&tree.root)?;
    Ok((value, evaluation.budget))
}

struct Evaluation<'a> {
    inputs: Inputs<'a>,
    budget: CostBudget,
    patterns: PatternCache,
    /// The fields of `event` that the expression names, and their texts once one was read.
    field_names: &'a [Box<str>],
    fields: Option<Vec<Option<&'a [u8]>>>,
    /// The variables of the macros being evaluated.
    bound: Vec<Value<'a>>,
}

impl<'a> Evaluation<'a> {
    fn value(&mut self, node: &'a Node) -> Result<Value<'a>> {
        self.value_of(node).map_err(|failure| failure.located(node.at))
    }

    fn value_of(&mut self, node: &'a Node) -> Result<Value<'a>> {
        self.budget.spend(STEP)?;
        match &node.kind {
            NodeKind::Constant(constant) => Ok(constant_value(constant)),
            NodeKind::Variable(variable) => self.variable(*variable),
            // The parser assigns indexes in the same order as they are pushed here.
            NodeKind::Bound(index) => Ok(self.bound.get(*index).cloned().unwrap_or(Value::Null)),
            NodeKind::Select(of, name) => {
                let of = self.value(of)?;
                self.select(of, name)
            }
            NodeKind::EventField(index, access) => self.event_field(*index, *access),
            NodeKind::OptionalSelect(of, name) => {
                let of = self.value(of)?;
                self.optional_get(of, &text(name))
            }
            NodeKind::Has(of, name) => self.has(of, name).map(Value::Bool),
            NodeKind::Index(parts) => {
                let [of, at] = self.both(parts)?;
                if let Value::Optional(_) = of {
                    return self.optional_get(of, &at);
                }
                Ok(of.get(&at, &mut self.budget)?.ok_or(EvaluationError::NoSuchIndex)?)
            }
            NodeKind::OptionalIndex(parts) => {
                let [of, at] = self.both(parts)?;
                self.optional_get(of, &at)
            }
            NodeKind::List(items) => self.list(items),
            NodeKind::Map(entries) => self.map(entries),
            NodeKind::Not(of) => self.bool(of).map(|holds| Value::Bool(!holds)),
            NodeKind::Negate(of) => Ok(negated(&self.value(of)?)?),
            NodeKind::And(parts) => self.short_circuit(false, parts),
            NodeKind::Or(parts) => self.short_circuit(true, parts),
            NodeKind::Conditional(parts) => {
                let [condition, then, otherwise] = &**parts;
                if self.bool(condition)? { self.value(then) } else { self.value(otherwise) }
            }
            NodeKind::Binary(operator, parts) => {
                let [a, b] = self.both(parts)?;
                self.binary(*operator, &a, &b)
            }
            NodeKind::Call(function, arguments) => self.call(function, arguments),
            NodeKind::OptionalOr(or, parts) => self.optional_or(*or, parts),
            NodeKind::Macro(of) => self.evaluate_macro(of),
            NodeKind::Bind(kind, parts) => self.bind(*kind, parts),
        }
    }

    fn variable(&mut self, variable: Variable) -> Result<Value<'a>> {
        let text = match variable {
            Variable::Event => self.inputs.event,
            Variable::Headers => self.inputs.headers,
            Variable::Props => self.inputs.props,
            Variable::Query => self.inputs.query,
            Variable::Now => return Ok(Value::Timestamp(Time::of_clock(self.inputs.now))),
        };
        Ok(json::value(text, &mut self.budget)?)
    }

    fn event_field(&mut self, index: usize, access: FieldAccess) -> Result<Value<'a>> {
        let fields = match &self.fields {
            Some(fields) => fields,
            None => {
                let event = self.inputs.event.trim_ascii();
                if !event.starts_with(b"{") {
                    return Err(EvaluationError::WrongType("field selection requires a map").into());
                }
                let found = json::members(event, self.field_names, &mut self.budget)?;
                self.fields.insert(found)
            }
        };
        let text = fields.get(index).copied().flatten();
        if access == FieldAccess::Has {
            return Ok(Value::Bool(text.is_some()));
        }
        let value = text.map(|text| json::value(text, &mut self.budget)).transpose()?;
        if access == FieldAccess::Optional {
            self.budget.keep(size_of::<Value<'_>>())?;
            return Ok(Value::optional(value));
        }
        let name = || self.field_names.get(index).cloned().unwrap_or_default();
        Ok(value.ok_or_else(|| EvaluationError::NoSuchField(name()))?)
    }

    fn select(&mut self, of: Value<'a>, name: &'a str) -> Result<Value<'a>> {
        match of {
            Value::Map(_) | Value::JsonMap(_) => {
                let found = of.get(&text(name), &mut self.budget)?;
                Ok(found.ok_or_else(|| EvaluationError::NoSuchField(name.into()))?)
            }
            Value::Optional(_) => self.optional_get(of, &text(name)),
            _ => Err(EvaluationError::WrongType("field selection requires a map").into()),
        }
    }

    /// The value of a map or list as an optional value. An optional value without a value has none.
    fn optional_get(&mut self, of: Value<'a>, key: &Value<'a>) -> Result<Value<'a>> {
        let found = match &of {
            Value::Optional(None) => None,
            Value::Optional(Some(of)) => of.get(key, &mut self.budget)?,
            of => of.get(key, &mut self.budget)?,
        };
        self.budget.keep(size_of::<Value<'_>>())?;
        Ok(Value::optional(found))
    }

    fn has(&mut self, of: &'a Node, name: &'a str) -> Result<bool> {
        match self.value(of)? {
            of @ (Value::Map(_) | Value::JsonMap(_)) => Ok(of.has(&text(name), &mut self.budget)?),
            Value::Optional(None) => Ok(false),
            Value::Optional(Some(of)) => Ok(of.has(&text(name), &mut self.budget)?),
            _ => Err(EvaluationError::WrongType("field selection requires a map").into()),
        }
    }

    fn call(&mut self, function: &'static Function, arguments: &'a [Node]) -> Result<Value<'a>> {
        let mut arguments = self.values(arguments)?;
        if let Some(argument) = function.pattern.and_then(|index| arguments.get_mut(index))
            && let Value::Text(text) = argument
        {
            *argument = Value::Pattern(self.patterns.compiled(text, &mut self.budget)?);
        }
        (function.call)(&arguments, &mut self.budget).map_err(|error| {
            let has_no_overload = error == EvaluationError::NO_OVERLOAD;
            let error =
                if has_no_overload { EvaluationError::WrongType(function.name) } else { error };
            error.into()
        })
    }

    fn optional_or(&mut self, or: OptionalOr, parts: &'a [Node; 2]) -> Result<Value<'a>> {
        match (self.value(&parts[0])?, or) {
            (of @ Value::Optional(Some(_)), OptionalOr::Optional) => Ok(of),
            (Value::Optional(Some(value)), OptionalOr::Value) => Ok(Value::clone(&value)),
            (Value::Optional(None), OptionalOr::Value) => self.value(&parts[1]),
            (Value::Optional(None), OptionalOr::Optional) => match self.value(&parts[1])? {
                of @ Value::Optional(_) => Ok(of),
                _ => Err(EvaluationError::WrongType("or() requires an optional value").into()),
            },
            _ => {
                Err(EvaluationError::WrongType("or() and orValue() require an optional value")
                    .into())
            }
        }
    }

    fn bind(&mut self, kind: BindKind, [value, result]: &'a [Node; 2]) -> Result<Value<'a>> {
        let value = self.value(value)?;
        let value = match (kind, value) {
            (BindKind::Bind, value) => value,
            (_, Value::Optional(Some(value))) => Value::clone(&value),
            (_, of @ Value::Optional(None)) => return Ok(of),
            _ => {
                return Err(
                    EvaluationError::WrongType("optMap() requires an optional value").into()
                );
            }
        };
        self.bound.push(value);
        let result = self.value(result);
        self.bound.pop();
        match (kind, result?) {
            (BindKind::OptionalMap, result) => {
                self.budget.keep(size_of::<Value<'_>>())?;
                Ok(Value::optional(Some(result)))
            }
            (BindKind::OptionalFlatMap, result) if !matches!(result, Value::Optional(_)) => {
                Err(EvaluationError::WrongType("optFlatMap() requires an optional result").into())
            }
            (_, result) => Ok(result),
        }
    }

    fn bool(&mut self, node: &'a Node) -> Result<bool> {
        match self.value(node)? {
            Value::Bool(holds) => Ok(holds),
            _ => {
                let error = EvaluationError::WrongType("a condition must be a boolean");
                Err(LocatedError::from(error).located(node.at))
            }
        }
    }

    fn both(&mut self, parts: &'a [Node; 2]) -> Result<[Value<'a>; 2]> {
        Ok([self.value(&parts[0])?, self.value(&parts[1])?])
    }

    fn values(&mut self, nodes: &'a [Node]) -> Result<Vec<Value<'a>>> {
        self.budget.keep(nodes.len() * size_of::<Value<'_>>())?;
        nodes.iter().map(|node| self.value(node)).collect()
    }

    fn list(&mut self, items: &'a [CollectionItem<Node>]) -> Result<Value<'a>> {
        self.budget.keep(items.len() * size_of::<Value<'_>>())?;
        let mut list = Vec::with_capacity(items.len());
        for item in items {
            let value = self.value(&item.node)?;
            list.extend(if item.is_optional { unwrapped(value)? } else { Some(value) });
        }
        Ok(Value::List(list.into()))
    }

    fn map(&mut self, entries: &'a [CollectionItem<[Node; 2]>]) -> Result<Value<'a>> {
        let mut map: Vec<(Value<'a>, Value<'a>)> = Vec::new();
        for entry in entries {
            let [key, value] = self.both(&entry.node)?;
            let value = if entry.is_optional { unwrapped(value)? } else { Some(value) };
            if let Some(value) = value {
                self.insert(&mut map, key, value)?;
            }
        }
        Ok(Value::Map(map.into()))
    }

    fn insert(
        &mut self,
        map: &mut Vec<(Value<'a>, Value<'a>)>,
        key: Value<'a>,
        value: Value<'a>,
    ) -> Result<()> {
        // Twice the size, for the growth of the vector.
        self.budget.keep(2 * size_of::<(Value<'_>, Value<'_>)>())?;
        if !matches!(key, Value::Text(_) | Value::Int(_) | Value::Uint(_) | Value::Bool(_)) {
            return Err(EvaluationError::WrongType(
                "a map key must be a string, an integer or a boolean",
            )
            .into());
        }
        for (known, _) in &*map {
            if equal(known, &key, &mut self.budget)? {
                return Err(EvaluationError::Invalid("a map has a duplicate key").into());
            }
        }
        map.push((key, value));
        Ok(())
    }

    /// `&&` and `||`: an operand that determines the result does so in any position, even if other
    /// operands fail (cel-spec, "Logical Operators").
    fn short_circuit(&mut self, decides: bool, parts: &'a [Node]) -> Result<Value<'a>> {
        let mut undecided = Ok(Value::Bool(!decides));
        for part in parts {
            match self.bool(part) {
                Ok(holds) if holds == decides => return Ok(Value::Bool(decides)),
                Ok(_) => {}
                Err(failure) if failure.error.is_final() => return Err(failure),
                Err(failure) => undecided = undecided.and(Err(failure)),
            }
        }
        undecided
    }

    fn binary(
        &mut self,
        operator: BinaryOperator,
        a: &Value<'a>,
        b: &Value<'a>,
    ) -> Result<Value<'a>> {
        let budget = &mut self.budget;
        let bool = match operator {
            BinaryOperator::Equal => equal(a, b, budget)?,
            BinaryOperator::NotEqual => !equal(a, b, budget)?,
            BinaryOperator::Less => order(a, b, budget)?.is_some_and(|order| order.is_lt()),
            BinaryOperator::LessOrEqual => order(a, b, budget)?.is_some_and(|order| order.is_le()),
            BinaryOperator::Greater => order(a, b, budget)?.is_some_and(|order| order.is_gt()),
            BinaryOperator::GreaterOrEqual => {
                order(a, b, budget)?.is_some_and(|order| order.is_ge())
            }
            BinaryOperator::In => is_in(a, b, budget)?,
            BinaryOperator::Add
            | BinaryOperator::Subtract
            | BinaryOperator::Multiply
            | BinaryOperator::Divide
            | BinaryOperator::Remainder => return Ok(arithmetic(operator, a, b, budget)?),
        };
        Ok(Value::Bool(bool))
    }

    fn evaluate_macro(&mut self, of: &'a Macro) -> Result<Value<'a>> {
        let over = self.value(&of.over)?;
        let mut state =
            MacroState { holding: 0, kept: Vec::new(), entries: Vec::new(), undecided: None };
        let decided = if of.has_two_variables {
            self.over_entries(of, &over, &mut state)?
        } else {
            self.over_elements(of, &over, &mut state)?
        };
        if let Some(decided) = decided {
            return Ok(decided);
        }
        if let Some(failure) = state.undecided {
            return Err(failure);
        }
        Ok(match of.kind {
            MacroKind::All => Value::Bool(true),
            MacroKind::Exists => Value::Bool(false),
            MacroKind::ExistsOne => Value::Bool(state.holding == 1),
            MacroKind::Filter | MacroKind::Map | MacroKind::TransformList => {
                Value::List(state.kept.into())
            }
            MacroKind::TransformMap | MacroKind::TransformMapEntry => {
                Value::Map(state.entries.into())
            }
            MacroKind::SortBy => sorted(state.entries, &mut self.budget)?,
        })
    }

    fn over_elements(
        &mut self,
        of: &'a Macro,
        over: &Value<'a>,
        state: &mut MacroState<'a>,
    ) -> Result<Option<Value<'a>>> {
        let mut elements = Elements::of(over)?;
        while let Some(element) = elements.next(&mut self.budget)? {
            self.bound.push(element.clone());
            let decided = self.step(of, None, element, state);
            self.bound.pop();
            if let Some(decided) = decided? {
                return Ok(Some(decided));
            }
        }
        Ok(None)
    }

    fn over_entries(
        &mut self,
        of: &'a Macro,
        over: &Value<'a>,
        state: &mut MacroState<'a>,
    ) -> Result<Option<Value<'a>>> {
        let mut entries = MapEntries::of(over, &mut self.budget)?;
        while let Some((key, value)) = entries.next(&mut self.budget)? {
            self.bound.push(key.clone());
            self.bound.push(value.clone());
            let decided = self.step(of, Some(key), value, state);
            self.bound.truncate(self.bound.len() - 2);
            if let Some(decided) = decided? {
                return Ok(Some(decided));
            }
        }
        Ok(None)
    }

    /// Evaluates a macro for one element; returns the result of the macro once it is determined.
    fn step(
        &mut self,
        of: &'a Macro,
        key: Option<Value<'a>>,
        element: Value<'a>,
        state: &mut MacroState<'a>,
    ) -> Result<Option<Value<'a>>> {
        let holds = of.condition.as_ref().map_or(Ok(true), |condition| self.bool(condition));
        match (of.kind, holds) {
            (MacroKind::All, Ok(false)) => return Ok(Some(Value::Bool(false))),
            (MacroKind::Exists, Ok(true)) => return Ok(Some(Value::Bool(true))),
            (MacroKind::All | MacroKind::Exists, Ok(_)) => {}
            // As with && and ||, a later element may determine the result.
            (MacroKind::All | MacroKind::Exists, Err(failure)) if !failure.error.is_final() => {
                state.undecided.get_or_insert(failure);
            }
            (_, Err(failure)) => return Err(failure),
            (_, Ok(false)) => {}
            (MacroKind::ExistsOne, Ok(true)) => state.holding += 1,
            (_, Ok(true)) => self.collect(of, key, element, state)?,
        }
        Ok(None)
    }

    /// Adds the result for one element.
    fn collect(
        &mut self,
        of: &'a Macro,
        key: Option<Value<'a>>,
        element: Value<'a>,
        state: &mut MacroState<'a>,
    ) -> Result<()> {
        let result = of.result.as_ref().map_or(Ok(element.clone()), |result| self.value(result))?;
        match of.kind {
            MacroKind::TransformMap => {
                self.insert(&mut state.entries, key.unwrap_or(Value::Null), result)
            }
            MacroKind::TransformMapEntry => self.collect_entries(&result, state),
            MacroKind::SortBy => {
                self.budget.keep(2 * size_of::<(Value<'_>, Value<'_>)>())?;
                state.entries.push((result, element));
                Ok(())
            }
            _ => {
                // Twice the size, for the growth of the vector.
                self.budget.keep(2 * size_of::<Value<'_>>())?;
                state.kept.push(result);
                Ok(())
            }
        }
    }

    fn collect_entries(&mut self, of: &Value<'a>, state: &mut MacroState<'a>) -> Result<()> {
        if !matches!(of, Value::Map(_) | Value::JsonMap(_)) {
            return Err(EvaluationError::WrongType("transformMapEntry() requires a map").into());
        }
        let mut entries = MapEntries::of(of, &mut self.budget)?;
        while let Some((key, value)) = entries.next(&mut self.budget)? {
            self.insert(&mut state.entries, key, value)?;
        }
        Ok(())
    }
}

/// The intermediate state of a macro.
struct MacroState<'a> {
    holding: usize,
    kept: Vec<Value<'a>>,
    entries: Vec<(Value<'a>, Value<'a>)>,
    undecided: Option<LocatedError>,
}

/// The elements in the order of their keys.
fn sorted<'a>(entries: Vec<(Value<'a>, Value<'a>)>, budget: &mut CostBudget) -> Result<Value<'a>> {
    let entries = super::functions::sort_by_key(entries, budget)?;
    budget.keep(entries.len() * size_of::<Value<'_>>())?;
    Ok(Value::List(entries.into_iter().map(|(_, element)| element).collect()))
}

/// The value of an optional value.
fn unwrapped(value: Value<'_>) -> Result<Option<Value<'_>>> {
    match value {
        Value::Optional(value) => Ok(value.map(|value| Value::clone(&value))),
        _ => Err(EvaluationError::WrongType("an optional entry requires an optional value").into()),
    }
}

fn constant_value(constant: &Constant) -> Value<'_> {
    match constant {
        Constant::Null => Value::Null,
        Constant::Bool(bool) => Value::Bool(*bool),
        Constant::Int(number) => Value::Int(*number),
        Constant::Double(number) => Value::Double(*number),
        Constant::Uint(number) => Value::Uint(*number),
        Constant::Text(constant) => text(constant),
        Constant::Bytes(bytes) => Value::Bytes(Bytes::Borrowed(bytes)),
        Constant::Type(name) => Value::Type(name),
        Constant::Pattern(pattern) => Value::Pattern(pattern.clone()),
    }
}

fn text(text: &str) -> Value<'_> {
    Value::Text(Text::Borrowed(text))
}

fn is_in<'a>(element: &Value<'a>, of: &Value<'a>, budget: &mut CostBudget) -> Result<bool> {
    if let Value::Map(_) | Value::JsonMap(_) = of {
        return Ok(of.has(element, budget)?);
    }
    let mut elements = Elements::of(of)?;
    while let Some(known) = elements.next(budget)? {
        if equal(&known, element, budget)? {
            return Ok(true);
        }
    }
    Ok(false)
}
