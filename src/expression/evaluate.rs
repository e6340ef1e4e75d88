//! Evaluates an expression.

use std::rc::Rc;

use super::budget::{CostBudget, STEP};
use super::node::{BinaryOperator, Constant, Macro, MacroKind, Node, Variable};
use super::pattern::Pattern;
use super::value::{Elements, Text, Value, equal, in_range, order};
use super::{EvaluationError, Inputs, json};

type Result<T> = std::result::Result<T, EvaluationError>;

/// Evaluates an expression to a value.
pub fn evaluate<'a>(node: &'a Node, inputs: Inputs<'a>) -> Result<Value<'a>> {
    Evaluation { inputs, budget: CostBudget::new(), bound: Vec::new() }.value(node)
}

struct Evaluation<'a> {
    inputs: Inputs<'a>,
    budget: CostBudget,
    /// The variables of the macros being evaluated.
    bound: Vec<Value<'a>>,
}

impl<'a> Evaluation<'a> {
    fn value(&mut self, node: &'a Node) -> Result<Value<'a>> {
        self.budget.spend(STEP)?;
        match node {
            Node::Constant(constant) => Ok(constant_value(constant)),
            Node::Variable(variable) => self.variable(*variable),
            // The parser assigns indexes in the same order as they are pushed here.
            Node::Bound(index) => Ok(self.bound.get(*index).cloned().unwrap_or(Value::Null)),
            Node::Select(of, name) => {
                let found = self.map_value(of)?.get(&text(name), &mut self.budget)?;
                found.ok_or_else(|| EvaluationError::NoSuchField(name.clone()))
            }
            Node::Has(of, name) => {
                self.map_value(of)?.has(&text(name), &mut self.budget).map(Value::Bool)
            }
            Node::Index(parts) => {
                let [of, at] = self.both(parts)?;
                of.get(&at, &mut self.budget)?.ok_or(EvaluationError::NoSuchIndex)
            }
            Node::List(items) => self.list(items),
            Node::Map(entries) => self.map(entries),
            Node::Not(of) => self.bool(of).map(|holds| Value::Bool(!holds)),
            Node::Negate(of) => negated(&self.value(of)?),
            Node::And(parts) => self.short_circuit(false, parts),
            Node::Or(parts) => self.short_circuit(true, parts),
            Node::Conditional(parts) => {
                let [condition, then, otherwise] = &**parts;
                if self.bool(condition)? { self.value(then) } else { self.value(otherwise) }
            }
            Node::Binary(operator, parts) => {
                let [a, b] = self.both(parts)?;
                self.binary(*operator, &a, &b)
            }
            Node::Call(function, arguments) => {
                let arguments = self.values(arguments)?;
                function.call(&arguments, &mut self.budget)
            }
            Node::Matches(of, pattern) => self.matches(of, pattern),
            Node::Macro(of) => self.evaluate_macro(of),
        }
    }

    fn variable(&mut self, variable: Variable) -> Result<Value<'a>> {
        let text = match variable {
            Variable::Event => self.inputs.event,
            Variable::Headers => self.inputs.headers,
            Variable::Props => self.inputs.props,
            Variable::Query => self.inputs.query,
        };
        json::value(text, &mut self.budget)
    }

    fn map_value(&mut self, of: &'a Node) -> Result<Value<'a>> {
        match self.value(of)? {
            of @ (Value::Map(_) | Value::JsonMap(_)) => Ok(of),
            _ => Err(EvaluationError::WrongType("field selection requires a map")),
        }
    }

    fn bool(&mut self, node: &'a Node) -> Result<bool> {
        match self.value(node)? {
            Value::Bool(holds) => Ok(holds),
            _ => Err(EvaluationError::WrongType("a condition must be a boolean")),
        }
    }

    fn both(&mut self, parts: &'a [Node; 2]) -> Result<[Value<'a>; 2]> {
        Ok([self.value(&parts[0])?, self.value(&parts[1])?])
    }

    fn values(&mut self, nodes: &'a [Node]) -> Result<Vec<Value<'a>>> {
        self.budget.keep(nodes.len() * size_of::<Value<'_>>())?;
        nodes.iter().map(|node| self.value(node)).collect()
    }

    fn list(&mut self, items: &'a [Node]) -> Result<Value<'a>> {
        Ok(Value::List(self.values(items)?.into()))
    }

    fn map(&mut self, entries: &'a [[Node; 2]]) -> Result<Value<'a>> {
        let mut map: Vec<(Value<'a>, Value<'a>)> = Vec::new();
        for entry in entries {
            let [key, value] = self.both(entry)?;
            self.budget.keep(size_of::<(Value<'_>, Value<'_>)>())?;
            if !matches!(key, Value::Text(_) | Value::Int(_) | Value::Bool(_)) {
                return Err(EvaluationError::WrongType(
                    "a map key must be a string, an integer or a boolean",
                ));
            }
            for (known, _) in &map {
                if equal(known, &key, &mut self.budget)? {
                    return Err(EvaluationError::WrongType("a map has a duplicate key"));
                }
            }
            map.push((key, value));
        }
        Ok(Value::Map(map.into()))
    }

    /// `&&` and `||`: an operand that determines the result does so in any position, even if other
    /// operands fail (cel-spec, "Logical Operators").
    fn short_circuit(&mut self, decides: bool, parts: &'a [Node]) -> Result<Value<'a>> {
        let mut undecided = Ok(Value::Bool(!decides));
        for part in parts {
            match self.bool(part) {
                Ok(holds) if holds == decides => return Ok(Value::Bool(decides)),
                Ok(_) => {}
                Err(error) if error.is_final() => return Err(error),
                Err(error) => undecided = undecided.and(Err(error)),
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
            | BinaryOperator::Remainder => return arithmetic(operator, a, b, budget),
        };
        Ok(Value::Bool(bool))
    }

    fn matches(&mut self, of: &'a Node, pattern: &Pattern) -> Result<Value<'a>> {
        match self.value(of)? {
            Value::Text(text) => pattern.matches(&text, &mut self.budget).map(Value::Bool),
            _ => Err(EvaluationError::WrongType("matches() requires a string")),
        }
    }

    fn evaluate_macro(&mut self, of: &'a Macro) -> Result<Value<'a>> {
        let mut elements = Elements::of(&self.value(&of.over)?)?;
        let mut state = MacroState { holding: 0, kept: Vec::new(), undecided: None };
        while let Some(element) = elements.next(&mut self.budget)? {
            self.bound.push(element.clone());
            let decided = self.step(of, element, &mut state);
            self.bound.pop();
            if let Some(decided) = decided? {
                return Ok(decided);
            }
        }
        if let Some(error) = state.undecided {
            return Err(error);
        }
        Ok(match of.kind {
            MacroKind::All => Value::Bool(true),
            MacroKind::Exists => Value::Bool(false),
            MacroKind::ExistsOne => Value::Bool(state.holding == 1),
            MacroKind::Filter | MacroKind::Map => Value::List(state.kept.into()),
        })
    }

    /// Evaluates a macro for one element; returns the result of the macro once it is determined.
    fn step(
        &mut self,
        of: &'a Macro,
        element: Value<'a>,
        state: &mut MacroState<'a>,
    ) -> Result<Option<Value<'a>>> {
        let holds = of.condition.as_ref().map_or(Ok(true), |condition| self.bool(condition));
        match (of.kind, holds) {
            (MacroKind::All, Ok(false)) => return Ok(Some(Value::Bool(false))),
            (MacroKind::Exists, Ok(true)) => return Ok(Some(Value::Bool(true))),
            (MacroKind::All | MacroKind::Exists, Ok(_)) => {}
            // As with && and ||, a later element may determine the result.
            (MacroKind::All | MacroKind::Exists, Err(error)) if !error.is_final() => {
                state.undecided.get_or_insert(error);
            }
            (_, Err(error)) => return Err(error),
            (_, Ok(false)) => {}
            (MacroKind::ExistsOne, Ok(true)) => state.holding += 1,
            (MacroKind::Filter | MacroKind::Map, Ok(true)) => {
                // Twice the size, for the growth of the vector.
                self.budget.keep(2 * size_of::<Value<'_>>())?;
                let kept = of.result.as_ref().map_or(Ok(element), |result| self.value(result))?;
                state.kept.push(kept);
            }
        }
        Ok(None)
    }
}

/// The intermediate state of a macro.
struct MacroState<'a> {
    holding: usize,
    kept: Vec<Value<'a>>,
    undecided: Option<EvaluationError>,
}

fn constant_value(constant: &Constant) -> Value<'_> {
    match constant {
        Constant::Null => Value::Null,
        Constant::Bool(bool) => Value::Bool(*bool),
        Constant::Int(number) => Value::Int(*number),
        Constant::Double(number) => Value::Double(*number),
        Constant::Text(constant) => text(constant),
    }
}

fn text(text: &str) -> Value<'_> {
    Value::Text(Text::Borrowed(text))
}

fn negated<'a>(of: &Value<'a>) -> Result<Value<'a>> {
    match of {
        Value::Int(number) => in_range(-number).map(Value::Int),
        Value::Double(number) => Ok(Value::Double(-number)),
        Value::Rounded(number) => Ok(Value::Rounded(-number)),
        _ => Err(EvaluationError::WrongType("negation requires a number")),
    }
}

fn is_in<'a>(element: &Value<'a>, of: &Value<'a>, budget: &mut CostBudget) -> Result<bool> {
    if let Value::Map(_) | Value::JsonMap(_) = of {
        return of.has(element, budget);
    }
    let mut elements = Elements::of(of)?;
    while let Some(known) = elements.next(budget)? {
        if equal(&known, element, budget)? {
            return Ok(true);
        }
    }
    Ok(false)
}

fn arithmetic<'a>(
    operator: BinaryOperator,
    a: &Value<'a>,
    b: &Value<'a>,
    budget: &mut CostBudget,
) -> Result<Value<'a>> {
    match (a, b) {
        (Value::Int(a), Value::Int(b)) => integers(operator, *a, *b).map(Value::Int),
        (Value::Text(a), Value::Text(b)) if operator == BinaryOperator::Add => {
            budget.keep(2 * (a.len() + b.len()))?;
            Ok(Value::Text(Text::Shared([&**a, &**b].concat().into())))
        }
        (Value::List(_) | Value::JsonList(_), Value::List(_) | Value::JsonList(_))
            if operator == BinaryOperator::Add =>
        {
            joined(a, b, budget)
        }
        _ => {
            let doubles = a.as_double().zip(b.as_double());
            let (a, b) = doubles.ok_or(EvaluationError::WrongType(
                "an operator does not support the types of its operands",
            ))?;
            arithmetic_of_doubles(operator, a, b)
        }
    }
}

fn integers(operator: BinaryOperator, a: i128, b: i128) -> Result<i128> {
    let number = match operator {
        BinaryOperator::Add => a.checked_add(b),
        BinaryOperator::Subtract => a.checked_sub(b),
        BinaryOperator::Multiply => a.checked_mul(b),
        _ if b == 0 => return Err(EvaluationError::DivisionByZero),
        BinaryOperator::Divide => a.checked_div(b),
        _ => a.checked_rem(b),
    };
    in_range(number.ok_or(EvaluationError::OutOfRange)?)
}

/// A result of rounded operands is rounded.
fn arithmetic_of_doubles<'a>(
    operator: BinaryOperator,
    (a, is_a_exact): (f64, bool),
    (b, is_b_exact): (f64, bool),
) -> Result<Value<'a>> {
    let result = match operator {
        BinaryOperator::Add => a + b,
        BinaryOperator::Subtract => a - b,
        BinaryOperator::Multiply => a * b,
        BinaryOperator::Divide => a / b,
        _ => return Err(EvaluationError::WrongType("the remainder requires integers")),
    };
    Ok(Value::double((result, is_a_exact && is_b_exact)))
}

fn joined<'a>(a: &Value<'a>, b: &Value<'a>, budget: &mut CostBudget) -> Result<Value<'a>> {
    let mut all = Vec::new();
    for list in [a, b] {
        let mut elements = Elements::of(list)?;
        while let Some(element) = elements.next(budget)? {
            budget.keep(2 * size_of::<Value<'_>>())?;
            all.push(element);
        }
    }
    Ok(Value::List(Rc::from(all)))
}
