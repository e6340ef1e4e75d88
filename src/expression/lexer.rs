//! The tokens of an expression (cel-spec, "Lexis").

/// A token.
#[derive(Clone, Debug, PartialEq)]
pub enum Token<'s> {
    Name(&'s str),
    /// A field name in backticks.
    Field(&'s str),
    Text(String),
    Bytes(Vec<u8>),
    /// A number without its sign.
    Int(u64),
    Uint(u64),
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
#[derive(Clone, Debug)]
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
            Some(b'`') => self.field()?,
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

    /// A field name in backticks: letters, digits, spaces and some punctuation.
    fn field(&mut self) -> Result<Token<'s>, SyntaxError> {
        let start = self.at;
        self.at += 1;
        let is_part = |byte: u8| {
            byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'.' | b'-' | b'/' | b' ')
        };
        let name = self.take(is_part);
        if name.is_empty() || !self.rest().starts_with('`') {
            return Err(SyntaxError::new(start, "invalid field name in backticks"));
        }
        self.at += 1;
        Ok(Token::Field(name))
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
            let is_unsigned = self.rest().starts_with(['u', 'U']);
            self.at += usize::from(is_unsigned);
            let (digits, radix) = text.strip_prefix("0x").map_or((text, 10), |hex| (hex, 16));
            let token = if is_unsigned { Token::Uint } else { Token::Int };
            u64::from_str_radix(digits, radix).ok().map(token)
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
        let is_bytes = prefix.contains(['b', 'B']);
        let is_raw = prefix.contains(['r', 'R']);
        self.at += prefix.len() + quote.len();
        let mut read = Vec::new();
        loop {
            if self.rest().starts_with(quote) {
                self.at += quote.len();
                break;
            }
            match self.rest().chars().next() {
                Some('\\') if !is_raw => self.escape(is_bytes, &mut read)?,
                Some(c) if quote.len() == 3 || !matches!(c, '\n' | '\r') => {
                    self.at += c.len_utf8();
                    push(&mut read, c);
                }
                _ => return Err(SyntaxError::new(start, "unterminated string")),
            }
        }
        if is_bytes {
            return Ok(Token::Bytes(read));
        }
        let text = String::from_utf8(read);
        text.map(Token::Text).map_err(|_| SyntaxError::new(start, "invalid string"))
    }

    fn escape(&mut self, is_bytes: bool, read: &mut Vec<u8>) -> Result<(), SyntaxError> {
        let start = self.at;
        let error = || SyntaxError::new(start, "invalid escape sequence");
        let mut characters = self.rest().chars().skip(1);
        let kind = characters.next().ok_or_else(error)?;
        let (digits, radix) = match kind {
            'x' | 'X' => (2, 16),
            'u' | 'U' if is_bytes => return Err(error()),
            'u' => (4, 16),
            'U' => (8, 16),
            '0'..='3' => (3, 8),
            _ => {
                self.at += 1 + kind.len_utf8();
                push(read, simple_escape(kind).ok_or_else(error)?);
                return Ok(());
            }
        };
        self.at += if radix == 8 { 1 } else { 2 };
        let number = self.rest().get(..digits).ok_or_else(error)?;
        self.at += digits;
        let is_number = number.chars().all(|c| c.is_digit(radix));
        let code = u32::from_str_radix(number, radix).ok().filter(|_| is_number);
        let code = code.ok_or_else(error)?;
        match u8::try_from(code) {
            // In bytes, these escapes are bytes and not characters.
            Ok(byte) if is_bytes => read.push(byte),
            _ => push(read, char::from_u32(code).ok_or_else(error)?),
        }
        Ok(())
    }
}

fn push(read: &mut Vec<u8>, character: char) {
    read.extend_from_slice(character.encode_utf8(&mut [0; 4]).as_bytes());
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
