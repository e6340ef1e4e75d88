//! The tokens of an expression (cel-spec, "Lexis").

/// A token.
#[derive(Clone, Debug, PartialEq)]
pub enum Token<'s> {
    Name(&'s str),
    Text(String),
    Int(i128),
    Double(f64),
    Symbol(&'static str),
    End,
}

/// A syntax error and its position, an offset in bytes.
#[derive(Debug)]
pub struct SyntaxError {
    pub at: usize,
    pub message: String,
}

impl SyntaxError {
    pub fn new(at: usize, message: impl Into<String>) -> Self {
        Self { at, message: message.into() }
    }
}

/// The symbols, longest first.
const SYMBOLS: [&str; 24] = [
    "||", "&&", "==", "!=", "<=", ">=", "<", ">", "+", "-", "*", "/", "%", "!", "?", ":", ".", ",",
    "(", ")", "[", "]", "{", "}",
];

/// Reads an expression token by token.
#[derive(Debug)]
pub struct Lexer<'s> {
    source: &'s str,
    at: usize,
}

impl<'s> Lexer<'s> {
    pub fn new(source: &'s str) -> Self {
        Self { source, at: 0 }
    }

    /// The next token and its position.
    pub fn next(&mut self) -> Result<(usize, Token<'s>), SyntaxError> {
        self.skip_space();
        let start = self.at;
        let rest = self.rest();
        let token = match rest.bytes().next() {
            None => Token::End,
            _ if let Some((prefix, quote)) = quoted(rest) => self.text(prefix, quote)?,
            Some(byte) if byte == b'_' || byte.is_ascii_alphabetic() => {
                Token::Name(self.take(|byte| byte == b'_' || byte.is_ascii_alphanumeric()))
            }
            Some(byte) if byte.is_ascii_digit() || is_fraction(rest) => self.number()?,
            _ => self.symbol()?,
        };
        Ok((start, token))
    }

    fn rest(&self) -> &'s str {
        &self.source[self.at..]
    }

    /// Takes the ASCII bytes that satisfy the predicate.
    fn take(&mut self, is_wanted: impl Fn(u8) -> bool) -> &'s str {
        let rest = self.rest();
        let len = rest.bytes().take_while(|byte| byte.is_ascii() && is_wanted(*byte)).count();
        self.at += len;
        &rest[..len]
    }

    fn skip_space(&mut self) {
        loop {
            self.take(|byte| byte.is_ascii_whitespace());
            if !self.rest().starts_with("//") {
                return;
            }
            self.at += self.rest().find('\n').unwrap_or(self.rest().len());
        }
    }

    fn symbol(&mut self) -> Result<Token<'s>, SyntaxError> {
        let symbol = SYMBOLS.iter().find(|symbol| self.rest().starts_with(**symbol));
        let symbol = symbol.ok_or_else(|| {
            let character = self.rest().chars().next().unwrap_or_default();
            SyntaxError::new(self.at, format!("unexpected character {character:?}"))
        })?;
        self.at += symbol.len();
        Ok(Token::Symbol(symbol))
    }

    fn number(&mut self) -> Result<Token<'s>, SyntaxError> {
        let start = self.at;
        let hexadecimal = self.rest().strip_prefix("0x").is_some();
        if hexadecimal {
            self.at += 2;
            self.take(|byte| byte.is_ascii_hexdigit());
        } else {
            self.decimal();
        }
        let text = &self.source[start..self.at];
        let token = if text.contains(['.', 'e', 'E']) && !hexadecimal {
            text.parse().ok().filter(|number: &f64| number.is_finite()).map(Token::Double)
        } else {
            // The suffix of unsigned integers, which are not distinguished from signed ones here.
            self.at += usize::from(self.rest().starts_with(['u', 'U']));
            let (digits, radix) = text.strip_prefix("0x").map_or((text, 10), |hex| (hex, 16));
            u64::from_str_radix(digits, radix).ok().map(|number| Token::Int(number.into()))
        };
        let ends = !self.rest().starts_with(|c: char| c == '_' || c.is_alphanumeric());
        token
            .filter(|_| ends)
            .ok_or_else(|| SyntaxError::new(start, "invalid number, or number out of range"))
    }

    fn decimal(&mut self) {
        self.take(|byte| byte.is_ascii_digit());
        if is_fraction(self.rest()) {
            self.at += 1;
            self.take(|byte| byte.is_ascii_digit());
        }
        if let Some(exponent) = self.rest().strip_prefix(['e', 'E']) {
            let signed = usize::from(exponent.starts_with(['+', '-']));
            if exponent[signed..].starts_with(|c: char| c.is_ascii_digit()) {
                self.at += 1 + signed;
                self.take(|byte| byte.is_ascii_digit());
            }
        }
    }

    fn text(&mut self, prefix: &str, quote: &str) -> Result<Token<'s>, SyntaxError> {
        let start = self.at;
        if prefix.contains(['b', 'B']) {
            return Err(SyntaxError::new(start, "bytes literals are not supported"));
        }
        self.at += prefix.len() + quote.len();
        let mut text = String::new();
        loop {
            if self.rest().starts_with(quote) {
                self.at += quote.len();
                return Ok(Token::Text(text));
            }
            match self.rest().chars().next() {
                Some('\\') if prefix.is_empty() => text.push(self.escape()?),
                Some(c) if quote.len() == 3 || !matches!(c, '\n' | '\r') => {
                    self.at += c.len_utf8();
                    text.push(c);
                }
                _ => return Err(SyntaxError::new(start, "unterminated string")),
            }
        }
    }

    fn escape(&mut self) -> Result<char, SyntaxError> {
        let start = self.at;
        let error = || SyntaxError::new(start, "invalid escape sequence");
        let mut characters = self.rest().chars().skip(1);
        let kind = characters.next().ok_or_else(error)?;
        let (digits, radix) = match kind {
            'x' | 'X' => (2, 16),
            'u' => (4, 16),
            'U' => (8, 16),
            '0'..='3' => (3, 8),
            _ => {
                self.at += 1 + kind.len_utf8();
                return simple_escape(kind).ok_or_else(error);
            }
        };
        self.at += if radix == 8 { 1 } else { 2 };
        let number = self.rest().get(..digits).ok_or_else(error)?;
        self.at += digits;
        let is_number = number.chars().all(|c| c.is_digit(radix));
        let code = u32::from_str_radix(number, radix).ok().filter(|_| is_number);
        code.and_then(char::from_u32).ok_or_else(error)
    }
}

fn simple_escape(kind: char) -> Option<char> {
    Some(match kind {
        'a' => '\u{7}',
        'b' => '\u{8}',
        'f' => '\u{c}',
        'n' => '\n',
        'r' => '\r',
        't' => '\t',
        'v' => '\u{b}',
        '\\' | '?' | '"' | '\'' | '`' => kind,
        _ => return None,
    })
}

/// Whether the text starts with a decimal point and a digit.
fn is_fraction(rest: &str) -> bool {
    rest.strip_prefix('.').is_some_and(|rest| rest.starts_with(|c: char| c.is_ascii_digit()))
}

/// The prefix and the quotation marks of a string literal, if the text starts with one.
fn quoted(rest: &str) -> Option<(&str, &'static str)> {
    let prefix = rest.len() - rest.trim_start_matches(['r', 'R', 'b', 'B']).len();
    let (prefix, rest) = rest.split_at_checked(prefix).filter(|(prefix, _)| prefix.len() <= 2)?;
    let quote = ["\"\"\"", "'''", "\"", "'"].into_iter().find(|quote| rest.starts_with(quote))?;
    Some((prefix, quote))
}
