//! Parses an expression into a syntax tree (cel-spec, "Syntax").

use super::functions::{Function, Style};
use super::lexer::{Lexer, SyntaxError, Token};
use super::node::{BinaryOperator, Constant, Macro, MacroKind, Node, Variable};
use super::pattern::Pattern;
use super::{CompileError, MAX_DEPTH, MAX_LENGTH};

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

/// Parses an expression. Returns its tree and the variables that it reads.
pub fn parse(source: &str) -> std::result::Result<(Node, Vec<Variable>), CompileError> {
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
    };
    let node = parser.parse_all().map_err(locate)?;
    Ok((node, parser.uses))
}

fn compile_error(source: &str, error: SyntaxError) -> CompileError {
    let before = source.get(..error.at).unwrap_or(source);
    let line = before.rsplit('\n').next().unwrap_or(before);
    CompileError {
        line: 1 + before.matches('\n').count(),
        column: 1 + line.chars().count(),
        message: error.message,
    }
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

    fn unexpected(&self, wanted: &str) -> SyntaxError {
        let found = match &self.token {
            Token::Name(name) => format!("{name:?}"),
            Token::Symbol(symbol) => format!("{symbol:?}"),
            Token::Text(_) => "a string".into(),
            Token::Int(_) | Token::Double(_) => "a number".into(),
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
        if self.eat("?")? {
            let then = self.binary(0)?;
            self.expect(":")?;
            let otherwise = self.expression()?;
            node = Node::Conditional(Box::new([node, then, otherwise]));
        }
        self.depth = depth;
        Ok(node)
    }

    fn binary(&mut self, level: usize) -> Result<Node> {
        let Some(operators) = LEVELS.get(level) else { return self.unary() };
        let depth = self.depth;
        let mut left = self.binary(level + 1)?;
        while let Some(operator) = self.operator(operators) {
            self.advance()?;
            // Operands of && and || do not nest, and so may be many.
            if let Binary::Other(_) = operator {
                self.deepen()?;
            }
            let right = self.binary(level + 1)?;
            left = joined(operator, left, right);
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
        self.advance()?;
        let of = Box::new(self.unary()?);
        self.depth = depth;
        Ok(if is_not { Node::Not(of) } else { Node::Negate(of) })
    }

    // ---- members ----

    fn member(&mut self) -> Result<Node> {
        let depth = self.depth;
        let mut node = self.primary()?;
        loop {
            self.deepen()?;
            if self.eat(".")? {
                let at = self.at;
                let name = self.name()?;
                node = if self.eat("(")? {
                    self.method(at, name, node)?
                } else {
                    Node::Select(Box::new(node), name.into())
                };
            } else if self.eat("[")? {
                let index = self.expression()?;
                self.expect("]")?;
                node = Node::Index(Box::new([node, index]));
            } else {
                self.depth = depth;
                return Ok(node);
            }
        }
    }

    /// Parses a method call, after its opening bracket.
    fn method(&mut self, at: usize, name: &'s str, of: Node) -> Result<Node> {
        if let Some(kind) = MacroKind::named(name) {
            return self.parse_macro(kind, name, of);
        }
        let mut arguments = vec![of];
        arguments.extend(self.list(")")?);
        self.call(at, name, Style::Method, arguments)
    }

    fn call(&self, at: usize, name: &str, style: Style, mut arguments: Vec<Node>) -> Result<Node> {
        let wrong_number = || SyntaxError::new(at, format!("wrong number of arguments for {name}"));
        if name == "matches" {
            let pattern = arguments.pop();
            let (Some(pattern), Some(of), true) = (pattern, arguments.pop(), arguments.is_empty())
            else {
                return Err(wrong_number());
            };
            return Ok(Node::Matches(Box::new(of), compiled(at, &pattern)?));
        }
        let Some((function, wanted)) = Function::named(name, style) else {
            return Err(SyntaxError::new(at, format!("unknown function or method {name:?}")));
        };
        if arguments.len() != wanted {
            return Err(wrong_number());
        }
        Ok(Node::Call(function, arguments))
    }

    /// Parses a macro over `over`, after its opening bracket.
    fn parse_macro(&mut self, kind: MacroKind, name: &str, over: Node) -> Result<Node> {
        let variable = self.name()?;
        self.expect(",")?;
        self.scope.push(variable);
        let mut parts = vec![self.expression()?];
        while parts.len() < 2 && kind == MacroKind::Map && self.eat(",")? {
            parts.push(self.expression()?);
        }
        self.scope.pop();
        if self.token != Token::Symbol(")") {
            return Err(self.unexpected(&format!("the end of {name}(variable, expression)")));
        }
        self.advance()?;
        let last = parts.pop();
        let (condition, result) =
            if kind == MacroKind::Map { (parts.pop(), last) } else { (last, None) };
        Ok(Node::Macro(Box::new(Macro { kind, over, condition, result })))
    }

    // ---- primary expressions ----

    fn primary(&mut self) -> Result<Node> {
        let at = self.at;
        let node = match self.advance()? {
            Token::Name(name) => return self.named(at, name),
            Token::Text(text) => Node::Constant(Constant::Text(text.into())),
            Token::Int(number) => Node::Constant(Constant::Int(number)),
            Token::Double(number) => Node::Constant(Constant::Double(number)),
            Token::Symbol("(") => {
                let inside = self.expression()?;
                self.expect(")")?;
                inside
            }
            Token::Symbol("[") => Node::List(self.list("]")?),
            Token::Symbol("{") => self.map()?,
            token => {
                (self.at, self.token) = (at, token);
                return Err(self.unexpected("a value"));
            }
        };
        Ok(node)
    }

    fn named(&mut self, at: usize, name: &'s str) -> Result<Node> {
        match name {
            "true" | "false" => return Ok(Node::Constant(Constant::Bool(name == "true"))),
            "null" => return Ok(Node::Constant(Constant::Null)),
            "in" => return Err(SyntaxError::new(at, "expected a value, found \"in\"")),
            _ if RESERVED.contains(&name) => {
                return Err(SyntaxError::new(at, format!("{name:?} is a reserved word")));
            }
            _ => {}
        }
        if self.eat("(")? {
            let arguments = self.list(")")?;
            return if name == "has" {
                has(at, arguments)
            } else {
                self.call(at, name, Style::Global, arguments)
            };
        }
        if let Some(index) = self.scope.iter().rposition(|bound| *bound == name) {
            return Ok(Node::Bound(index));
        }
        let variable = Variable::named(name).ok_or_else(|| {
            let what =
                format!("unknown variable {name:?}; known are event, headers, props and query");
            SyntaxError::new(at, what)
        })?;
        if !self.uses.contains(&variable) {
            self.uses.push(variable);
        }
        Ok(Node::Variable(variable))
    }

    /// Parses expressions up to the closing bracket; a trailing comma is allowed.
    fn list(&mut self, end: &'static str) -> Result<Vec<Node>> {
        let mut items = Vec::new();
        while !self.eat(end)? {
            items.push(self.expression()?);
            if !self.eat(",")? {
                self.expect(end)?;
                break;
            }
        }
        Ok(items)
    }

    fn map(&mut self) -> Result<Node> {
        let mut entries = Vec::new();
        while !self.eat("}")? {
            let key = self.expression()?;
            self.expect(":")?;
            entries.push([key, self.expression()?]);
            if !self.eat(",")? {
                self.expect("}")?;
                break;
            }
        }
        Ok(Node::Map(entries))
    }
}

fn joined(operator: Binary, left: Node, right: Node) -> Node {
    match (operator, left) {
        (Binary::Or, Node::Or(mut terms)) => {
            terms.push(right);
            Node::Or(terms)
        }
        (Binary::And, Node::And(mut terms)) => {
            terms.push(right);
            Node::And(terms)
        }
        (Binary::Or, left) => Node::Or(vec![left, right]),
        (Binary::And, left) => Node::And(vec![left, right]),
        (Binary::Other(operator), left) => Node::Binary(operator, Box::new([left, right])),
    }
}

fn has(at: usize, mut arguments: Vec<Node>) -> Result<Node> {
    match (arguments.pop(), arguments.is_empty()) {
        (Some(Node::Select(of, name)), true) => Ok(Node::Has(of, name)),
        _ => Err(SyntaxError::new(at, "has() takes one argument, a field such as event.name")),
    }
}

fn compiled(at: usize, pattern: &Node) -> Result<Pattern> {
    let Node::Constant(Constant::Text(pattern)) = pattern else {
        return Err(SyntaxError::new(at, "the pattern of matches() must be a string literal"));
    };
    Pattern::compile(pattern).map_err(|why| {
        SyntaxError::new(at, format!("the pattern of matches() does not compile: {why}"))
    })
}
