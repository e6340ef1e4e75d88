//! Parses an expression into a syntax tree (cel-spec, "Syntax").

use std::sync::Arc;

use super::functions::{Function, Style, type_constant};
use super::lexer::{Lexer, SyntaxError, Token};
use super::node::{
    BinaryOperator, BindKind, CollectionItem, Constant, FieldAccess, Macro, MacroKind, Node,
    NodeKind, OptionalOr, Tree, Variable,
};
use super::pattern::Pattern;
use super::{CompileError, MAX_DEPTH, MAX_LENGTH, SourcePosition};

/// Binary operators by precedence, lowest first.
const LEVELS: [&[(&str, Binary)]; 5] = [
    &[("||", Binary::Or)],
    &[("&&", Binary::And)],
    &[
        ("==", Binary::Other(BinaryOperator::Equal)),
        ("!=", Binary::Other(BinaryOperator::NotEqual)),
        ("<", Binary::Other(BinaryOperator::Less)),
        ("<=", Binary::Other(BinaryOperator::LessOrEqual)),
        (">", Binary::Other(BinaryOperator::Greater)),
        (">=", Binary::Other(BinaryOperator::GreaterOrEqual)),
        ("in", Binary::Other(BinaryOperator::In)),
    ],
    &[("+", Binary::Other(BinaryOperator::Add)), ("-", Binary::Other(BinaryOperator::Subtract))],
    &[
        ("*", Binary::Other(BinaryOperator::Multiply)),
        ("/", Binary::Other(BinaryOperator::Divide)),
        ("%", Binary::Other(BinaryOperator::Remainder)),
    ],
];

#[derive(Clone, Copy)]
enum Binary {
    Or,
    And,
    Other(BinaryOperator),
}

/// Reserved words (cel-spec, "Lexis").
const RESERVED: [&str; 17] = [
    "as",
    "break",
    "const",
    "continue",
    "else",
    "for",
    "function",
    "if",
    "import",
    "let",
    "loop",
    "package",
    "namespace",
    "return",
    "var",
    "void",
    "while",
];

type Result<T> = std::result::Result<T, SyntaxError>;

/// Parses an expression.
pub fn parse(source: &str) -> std::result::Result<Tree, CompileError> {
    let locate = |error| compile_error(source, error);
    if source.chars().count() > MAX_LENGTH {
        let what = format!("the expression is longer than {MAX_LENGTH} characters");
        return Err(locate(SyntaxError::new(source.len(), what)));
    }
    let mut parser = Parser {
        lexer: Lexer::new(source),
        at: 0,
        token: Token::End,
        depth: 0,
        scope: Vec::new(),
        uses: Vec::new(),
        event_fields: Vec::new(),
    };
    let root = parser.parse_all().map_err(locate)?;
    Ok(Tree { root, uses: parser.uses, event_fields: parser.event_fields })
}

fn compile_error(source: &str, error: SyntaxError) -> CompileError {
    CompileError { position: SourcePosition::of(source, error.at), message: error.message }
}

struct Parser<'s> {
    lexer: Lexer<'s>,
    /// The next token and its position.
    token: Token<'s>,
    at: usize,
    /// The nesting depth at the current position.
    depth: usize,
    /// The variables of the enclosing macros, outermost first.
    scope: Vec<&'s str>,
    uses: Vec<Variable>,
    event_fields: Vec<Box<str>>,
}

impl<'s> Parser<'s> {
    fn parse_all(&mut self) -> Result<Node> {
        self.advance()?;
        let node = self.expression()?;
        if self.token == Token::End {
            Ok(node)
        } else {
            Err(self.unexpected("an operator or the end"))
        }
    }

    // ---- tokens ----

    fn advance(&mut self) -> Result<Token<'s>> {
        let (at, next) = self.lexer.next()?;
        self.at = at;
        Ok(std::mem::replace(&mut self.token, next))
    }

    fn eat(&mut self, symbol: &'static str) -> Result<bool> {
        let is_next = self.token == Token::Symbol(symbol);
        if is_next {
            self.advance()?;
        }
        Ok(is_next)
    }

    fn expect(&mut self, symbol: &'static str) -> Result<()> {
        if self.eat(symbol)? { Ok(()) } else { Err(self.unexpected(&format!("{symbol:?}"))) }
    }

    fn name(&mut self) -> Result<&'s str> {
        match self.token {
            Token::Name(name) => {
                self.advance()?;
                Ok(name)
            }
            _ => Err(self.unexpected("a name")),
        }
    }

    /// A field name, which may be in backticks.
    fn field(&mut self) -> Result<&'s str> {
        match self.token {
            Token::Field(name) => {
                self.advance()?;
                Ok(name)
            }
            _ => self.name(),
        }
    }

    /// The token after the next one.
    fn second(&self) -> Token<'s> {
        self.lexer.clone().next().map_or(Token::End, |(_, token)| token)
    }

    fn unexpected(&self, wanted: &str) -> SyntaxError {
        let found = match &self.token {
            Token::Name(name) | Token::Field(name) => format!("{name:?}"),
            Token::Symbol(symbol) => format!("{symbol:?}"),
            Token::Text(_) => "a string".into(),
            Token::Bytes(_) => "bytes".into(),
            Token::Int(_) | Token::Uint(_) | Token::Double(_) => "a number".into(),
            Token::End => "the end".into(),
        };
        SyntaxError::new(self.at, format!("expected {wanted}, found {found}"))
    }

    /// Enters one level of nesting: brackets, or a link of a chain such as `a.b.c`. The caller
    /// restores the depth.
    fn deepen(&mut self) -> Result<()> {
        self.depth += 1;
        if self.depth > MAX_DEPTH {
            return Err(SyntaxError::new(
                self.at,
                format!("this is nested deeper than {MAX_DEPTH} levels"),
            ));
        }
        Ok(())
    }

    // ---- operators ----

    fn expression(&mut self) -> Result<Node> {
        let depth = self.depth;
        self.deepen()?;
        let mut node = self.binary(0)?;
        let at = self.at;
        if self.eat("?")? {
            let then = self.binary(0)?;
            self.expect(":")?;
            let otherwise = self.expression()?;
            node = NodeKind::Conditional(Box::new([node, then, otherwise])).at(at);
        }
        self.depth = depth;
        Ok(node)
    }

    fn binary(&mut self, level: usize) -> Result<Node> {
        let Some(operators) = LEVELS.get(level) else { return self.unary() };
        let depth = self.depth;
        let mut left = self.binary(level + 1)?;
        while let Some(operator) = self.operator(operators) {
            let at = self.at;
            self.advance()?;
            // Operands of && and || do not nest, and so may be many.
            if let Binary::Other(_) = operator {
                self.deepen()?;
            }
            let right = self.binary(level + 1)?;
            left = joined(at, operator, left, right);
        }
        self.depth = depth;
        Ok(left)
    }

    fn operator(&self, operators: &[(&str, Binary)]) -> Option<Binary> {
        let (Token::Symbol(next) | Token::Name(next)) = self.token else { return None };
        operators.iter().find(|(symbol, _)| *symbol == next).map(|(_, operator)| *operator)
    }

    fn unary(&mut self) -> Result<Node> {
        let is_not = self.token == Token::Symbol("!");
        if !is_not && self.token != Token::Symbol("-") {
            return self.member();
        }
        let depth = self.depth;
        self.deepen()?;
        let at = self.at;
        self.advance()?;
        if let (false, Token::Int(number)) = (is_not, &self.token) {
            // A part of the literal: the smallest integer has no positive counterpart.
            let number = i64::try_from(-i128::from(*number)).map_err(|_| out_of_range(self.at))?;
            self.advance()?;
            let node = self.members(NodeKind::Constant(Constant::Int(number)).at(at));
            self.depth = depth;
            return node;
        }
        let of = Box::new(self.unary()?);
        self.depth = depth;
        Ok(if is_not { NodeKind::Not(of) } else { NodeKind::Negate(of) }.at(at))
    }

    // ---- members ----

    fn member(&mut self) -> Result<Node> {
        let depth = self.depth;
        let node = self.primary()?;
        let node = self.members(node);
        self.depth = depth;
        node
    }

    /// Parses what follows a value: fields, indexes and method calls.
    fn members(&mut self, mut node: Node) -> Result<Node> {
        let depth = self.depth;
        loop {
            self.deepen()?;
            let bracket = self.at;
            if self.eat(".")? {
                if self.eat("?")? {
                    let at = self.at;
                    let name = self.field()?;
                    node = self.select(at, node, name, FieldAccess::Optional);
                    continue;
                }
                let at = self.at;
                let is_field = matches!(self.token, Token::Field(_));
                let name = self.field()?;
                node = if !is_field && self.eat("(")? {
                    self.method(at, name, node)?
                } else {
                    self.select(at, node, name, FieldAccess::Value)
                };
            } else if self.eat("[")? {
                let is_optional = self.eat("?")?;
                let index = self.expression()?;
                self.expect("]")?;
                let parts = Box::new([node, index]);
                let kind = if is_optional { NodeKind::OptionalIndex } else { NodeKind::Index };
                node = kind(parts).at(bracket);
            } else {
                self.depth = depth;
                return Ok(node);
            }
        }
    }

    fn select(&mut self, at: usize, of: Node, name: &str, access: FieldAccess) -> Node {
        let is_of_event = matches!(of.kind, NodeKind::Variable(Variable::Event));
        let kind = match access {
            _ if is_of_event => NodeKind::EventField(self.event_field(name), access),
            FieldAccess::Optional => NodeKind::OptionalSelect(Box::new(of), name.into()),
            FieldAccess::Value | FieldAccess::Has => NodeKind::Select(Box::new(of), name.into()),
        };
        kind.at(at)
    }

    fn event_field(&mut self, name: &str) -> usize {
        let known = self.event_fields.iter().position(|known| **known == *name);
        known.unwrap_or_else(|| {
            self.event_fields.push(name.into());
            self.event_fields.len() - 1
        })
    }

    /// Parses a method call, after its opening bracket.
    fn method(&mut self, at: usize, name: &'s str, of: Node) -> Result<Node> {
        if let Some(kind) = MacroKind::named(name) {
            return self.parse_macro(at, kind, name, of);
        }
        let bind = match name {
            "optMap" => Some(BindKind::OptionalMap),
            "optFlatMap" => Some(BindKind::OptionalFlatMap),
            _ => None,
        };
        if let Some(kind) = bind {
            let variable = self.variable()?;
            return self.bind(at, kind, variable, of);
        }
        let mut arguments = vec![of];
        arguments.extend(self.arguments()?);
        let or = match name {
            "or" => Some(OptionalOr::Optional),
            "orValue" => Some(OptionalOr::Value),
            _ => None,
        };
        if let Some(or) = or {
            let parts = arguments.try_into().map_err(|_| no_overload(at, name))?;
            return Ok(NodeKind::OptionalOr(or, Box::new(parts)).at(at));
        }
        self.call(at, name, Style::Method, arguments)
    }

    fn call(&self, at: usize, name: &str, style: Style, mut arguments: Vec<Node>) -> Result<Node> {
        let Some(function) = Function::named(name, style) else {
            return Err(undeclared(at, name));
        };
        if !function.accepts(arguments.len()) {
            return Err(no_overload(at, name));
        }
        if let Some(argument) = function.pattern.and_then(|index| arguments.get_mut(index)) {
            compile_pattern(at, name, argument)?;
        }
        Ok(NodeKind::Call(function, arguments).at(at))
    }

    /// Parses the variable of a macro and the comma after it.
    fn variable(&mut self) -> Result<&'s str> {
        if !matches!(self.token, Token::Name(name) if is_identifier(name)) {
            return Err(self.unexpected("a variable name"));
        }
        let variable = self.name()?;
        self.expect(",")?;
        Ok(variable)
    }

    /// Parses the rest of a macro that binds one variable.
    fn bind(&mut self, at: usize, kind: BindKind, variable: &'s str, value: Node) -> Result<Node> {
        self.scope.push(variable);
        let result = self.expression()?;
        self.scope.pop();
        self.expect(")")?;
        Ok(NodeKind::Bind(kind, Box::new([value, result])).at(at))
    }

    /// Parses a macro over `over`, after its opening bracket.
    fn parse_macro(
        &mut self,
        start: usize,
        kind: MacroKind,
        name: &str,
        over: Node,
    ) -> Result<Node> {
        let variable = self.variable()?;
        let is_second = matches!(self.token, Token::Name(name) if is_identifier(name))
            && self.second() == Token::Symbol(",");
        let has_two_variables =
            kind.has_two_variables() || kind.may_have_two_variables() && is_second;
        self.scope.push(variable);
        if has_two_variables {
            let at = self.at;
            let second = self.variable()?;
            if second == variable {
                return Err(SyntaxError::new(at, format!("duplicate variable {second:?}")));
            }
            self.scope.push(second);
        }
        let mut parts = vec![self.expression()?];
        while parts.len() < 2 && kind.transforms() && self.eat(",")? {
            parts.push(self.expression()?);
        }
        self.scope.truncate(self.scope.len() - 1 - usize::from(has_two_variables));
        if self.token != Token::Symbol(")") {
            return Err(self.unexpected(&format!("the end of {name}(variable, expression)")));
        }
        self.advance()?;
        let last = parts.pop();
        let (condition, result) = if kind.transforms() || kind == MacroKind::SortBy {
            (parts.pop(), last)
        } else {
            (last, None)
        };
        let parsed = Macro { kind, has_two_variables, over, condition, result };
        Ok(NodeKind::Macro(Box::new(parsed)).at(start))
    }

    // ---- primary expressions ----

    fn primary(&mut self) -> Result<Node> {
        let at = self.at;
        let constant = match self.advance()? {
            Token::Name(name) => return self.named(at, name),
            Token::Text(text) => Constant::Text(text.into()),
            Token::Bytes(bytes) => Constant::Bytes(bytes.into()),
            Token::Int(number) => {
                Constant::Int(i64::try_from(number).map_err(|_| out_of_range(at))?)
            }
            Token::Uint(number) => Constant::Uint(number),
            Token::Double(number) => Constant::Double(number),
            Token::Symbol("(") => {
                let inside = self.expression()?;
                self.expect(")")?;
                return Ok(inside);
            }
            Token::Symbol("[") => return Ok(self.list()?.at(at)),
            Token::Symbol("{") => return Ok(self.map()?.at(at)),
            token => {
                (self.at, self.token) = (at, token);
                return Err(self.unexpected("a value"));
            }
        };
        Ok(NodeKind::Constant(constant).at(at))
    }

    fn named(&mut self, at: usize, name: &'s str) -> Result<Node> {
        match name {
            "true" | "false" => {
                return Ok(NodeKind::Constant(Constant::Bool(name == "true")).at(at));
            }
            "null" => return Ok(NodeKind::Constant(Constant::Null).at(at)),
            "in" => return Err(SyntaxError::new(at, "expected a value, found \"in\"")),
            _ if RESERVED.contains(&name) => {
                return Err(SyntaxError::new(at, format!("{name:?} is a reserved word")));
            }
            _ => {}
        }
        if self.eat("(")? {
            let arguments = self.arguments()?;
            return if name == "has" {
                has(at, arguments)
            } else {
                self.call(at, name, Style::Global, arguments)
            };
        }
        if let Some(index) = self.scope.iter().rposition(|bound| *bound == name) {
            return Ok(NodeKind::Bound(index).at(at));
        }
        if let Some(variable) = Variable::named(name) {
            if !self.uses.contains(&variable) {
                self.uses.push(variable);
            }
            return Ok(NodeKind::Variable(variable).at(at));
        }
        self.qualified(at, name)
    }

    /// Parses a name with dots, such as `math.greatest`, or the name of a type.
    fn qualified(&mut self, at: usize, name: &'s str) -> Result<Node> {
        let mut path = name.to_owned();
        while self.token == Token::Symbol(".") && type_constant(&path).is_none() {
            let Token::Name(next) = self.second() else { break };
            path.push('.');
            path.push_str(next);
            self.advance()?;
            self.advance()?;
            if self.token == Token::Symbol("(") {
                self.advance()?;
                if path == "cel.bind" {
                    let variable = self.variable()?;
                    let value = self.expression()?;
                    self.expect(",")?;
                    return self.bind(at, BindKind::Bind, variable, value);
                }
                let is_known = Function::named(&path, Style::Global).is_some();
                let undeclared_name = if is_namespace(name) { path.as_str() } else { name };
                if !is_known {
                    return Err(undeclared(at, undeclared_name));
                }
                let arguments = self.arguments()?;
                return self.call(at, &path, Style::Global, arguments);
            }
        }
        let constant = type_constant(&path).ok_or_else(|| undeclared(at, name))?;
        Ok(NodeKind::Constant(Constant::Type(constant)).at(at))
    }

    /// Parses arguments up to the closing bracket; a trailing comma is allowed.
    fn arguments(&mut self) -> Result<Vec<Node>> {
        let mut items = Vec::new();
        while !self.eat(")")? {
            items.push(self.expression()?);
            if !self.eat(",")? {
                self.expect(")")?;
                break;
            }
        }
        Ok(items)
    }

    fn list(&mut self) -> Result<NodeKind> {
        let mut items = Vec::new();
        while !self.eat("]")? {
            let is_optional = self.eat("?")?;
            items.push(CollectionItem { is_optional, node: self.expression()? });
            if !self.eat(",")? {
                self.expect("]")?;
                break;
            }
        }
        Ok(NodeKind::List(items))
    }

    fn map(&mut self) -> Result<NodeKind> {
        let mut entries = Vec::new();
        while !self.eat("}")? {
            let is_optional = self.eat("?")?;
            let key = self.expression()?;
            self.expect(":")?;
            entries.push(CollectionItem { is_optional, node: [key, self.expression()?] });
            if !self.eat(",")? {
                self.expect("}")?;
                break;
            }
        }
        Ok(NodeKind::Map(entries))
    }
}

/// Whether a word can be the name of a variable.
fn is_identifier(word: &str) -> bool {
    !["true", "false", "null", "in"].contains(&word) && !RESERVED.contains(&word)
}

fn undeclared(at: usize, name: &str) -> SyntaxError {
    SyntaxError::new(at, format!("undeclared reference to '{name}'"))
}

fn no_overload(at: usize, name: &str) -> SyntaxError {
    SyntaxError::new(at, format!("no such overload: wrong number of arguments for {name}"))
}

fn out_of_range(at: usize) -> SyntaxError {
    SyntaxError::new(at, "invalid number, or number out of range")
}

/// Whether functions have names that start with this one and a dot.
fn is_namespace(name: &str) -> bool {
    name == "cel" || Function::is_namespace(name)
}

fn joined(at: usize, operator: Binary, left: Node, right: Node) -> Node {
    match (operator, left.kind) {
        (Binary::Or, NodeKind::Or(mut terms)) => {
            terms.push(right);
            NodeKind::Or(terms).at(at)
        }
        (Binary::And, NodeKind::And(mut terms)) => {
            terms.push(right);
            NodeKind::And(terms).at(at)
        }
        (operator, kind) => {
            let left = Node { at: left.at, kind };
            match operator {
                Binary::Or => NodeKind::Or(vec![left, right]),
                Binary::And => NodeKind::And(vec![left, right]),
                Binary::Other(operator) => NodeKind::Binary(operator, Box::new([left, right])),
            }
            .at(at)
        }
    }
}

fn has(at: usize, mut arguments: Vec<Node>) -> Result<Node> {
    match (arguments.pop().map(|argument| argument.kind), arguments.is_empty()) {
        (Some(NodeKind::Select(of, name)), true) => Ok(NodeKind::Has(of, name).at(at)),
        (Some(NodeKind::EventField(index, FieldAccess::Value)), true) => {
            Ok(NodeKind::EventField(index, FieldAccess::Has).at(at))
        }
        _ => Err(SyntaxError::new(at, "has() takes one argument, a field such as event.name")),
    }
}

/// Compiles a pattern that is a literal. Others are compiled at evaluation.
fn compile_pattern(at: usize, name: &str, argument: &mut Node) -> Result<()> {
    let NodeKind::Constant(Constant::Text(text)) = &argument.kind else { return Ok(()) };
    let pattern = Pattern::compile(text).map_err(|why| {
        SyntaxError::new(at, format!("the pattern of {name}() does not compile: {why}"))
    })?;
    argument.kind = NodeKind::Constant(Constant::Pattern(Arc::new(pattern)));
    Ok(())
}
