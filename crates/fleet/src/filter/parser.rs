//! From tokens to a filter.

use buoy_lwm2m::path::Path;

use super::field::{self, Field, Kind};
use super::lexer::{Token, TokenKind, tokens};
use super::{Check, DEEPEST, Expression, FilterError, MOST_TESTS, Operand, Relation, Test};

/// Digits that a floating-point number holds exactly.
const EXACT_DIGITS: usize = 15;
/// The longest pattern, in bytes.
const LONGEST_PATTERN: usize = 256;
/// The longest duration: a hundred years.
const LONGEST_DURATION: f64 = 100.0 * 365.0 * 86_400_000.0;

pub(super) fn parse(text: &str) -> Result<Expression, FilterError> {
    let mut parser = Parser { tokens: tokens(text)?, next: 0, depth: 0, tests: 0 };
    if parser.peek().kind == TokenKind::End {
        return Ok(Expression::All(Vec::new()));
    }
    let expression = parser.any()?;
    match parser.peek().kind {
        TokenKind::End => Ok(expression),
        _ => Err(parser.unexpected("\"and\" or \"or\"")),
    }
}

struct Parser {
    /// The last is the end.
    tokens: Vec<Token>,
    next: usize,
    depth: usize,
    tests: usize,
}

impl Parser {
    fn peek(&self) -> &Token {
        &self.tokens[self.next.min(self.tokens.len() - 1)]
    }

    fn take(&mut self) -> Token {
        let token = self.peek().clone();
        self.next += 1;
        token
    }

    fn unexpected(&self, wanted: &str) -> FilterError {
        let Token { at, kind } = self.peek();
        FilterError { at: *at, message: format!("{wanted} was expected, and {} is there", kind.described()) }
    }

    /// Takes the keyword if it is next.
    fn keyword(&mut self, keyword: &str) -> bool {
        let is_next =
            matches!(&self.peek().kind, TokenKind::Word(word) if word.eq_ignore_ascii_case(keyword));
        self.next += usize::from(is_next);
        is_next
    }

    fn expect(&mut self, kind: &TokenKind) -> Result<(), FilterError> {
        if self.peek().kind != *kind {
            return Err(self.unexpected(&kind.described()));
        }
        self.next += 1;
        Ok(())
    }

    fn any(&mut self) -> Result<Expression, FilterError> {
        let mut parts = vec![self.all()?];
        while self.keyword("or") {
            parts.push(self.all()?);
        }
        Ok(if parts.len() == 1 { parts.remove(0) } else { Expression::Any(parts) })
    }

    fn all(&mut self) -> Result<Expression, FilterError> {
        let mut parts = vec![self.not()?];
        while self.keyword("and") {
            parts.push(self.not()?);
        }
        Ok(if parts.len() == 1 { parts.remove(0) } else { Expression::All(parts) })
    }

    fn not(&mut self) -> Result<Expression, FilterError> {
        self.depth += 1;
        if self.depth > DEEPEST {
            let message = format!("a filter has at most {DEEPEST} levels of \"not\" and parentheses");
            return Err(FilterError { at: self.peek().at, message });
        }
        let expression = if self.keyword("not") {
            Expression::Not(Box::new(self.not()?))
        } else if self.peek().kind == TokenKind::Open {
            self.next += 1;
            let inner = self.any()?;
            self.expect(&TokenKind::Close)?;
            inner
        } else {
            self.test()?
        };
        self.depth -= 1;
        Ok(expression)
    }

    fn test(&mut self) -> Result<Expression, FilterError> {
        self.tests += 1;
        if self.tests > MOST_TESTS {
            let message = format!("a filter has at most {MOST_TESTS} tests");
            return Err(FilterError { at: self.peek().at, message });
        }
        if self.keyword("seen") {
            return self.seen();
        }
        if self.keyword("overdue") {
            return self.overdue();
        }
        let (at, field) = self.field()?;
        if self.keyword("is") {
            let is_negated = self.keyword("not");
            if !self.keyword("set") {
                return Err(self.unexpected("\"set\" or \"not set\""));
            }
            return Ok(negated_if(is_negated, test(field, Check::IsSet)));
        }
        let is_negated = self.keyword("not");
        if self.keyword("in") {
            if field.kind() == Kind::Time && self.peek().kind != TokenKind::Open {
                return Ok(negated_if(is_negated, self.within(field)?));
            }
            return Ok(negated_if(is_negated, self.list(&field)?));
        }
        if is_negated {
            return Err(self.unexpected("\"in\""));
        }
        if field == Field::Proved && self.is_at_end_of_test() {
            return Ok(test(field, Check::Compares(Relation::Equal, Operand::Flag(true))));
        }
        let TokenKind::Operator(operator) = self.peek().kind else {
            return Err(self.unexpected("an operator (=, !=, <, <=, >, >=, ~, !~, in, is set)"));
        };
        self.next += 1;
        self.comparison(at, field, operator)
    }

    fn is_at_end_of_test(&self) -> bool {
        match &self.peek().kind {
            TokenKind::End | TokenKind::Close => true,
            TokenKind::Word(word) => ["and", "or"].iter().any(|end| word.eq_ignore_ascii_case(end)),
            _ => false,
        }
    }

    /// `seen for 2d`, `seen within 2d`: it sent something in that time.
    fn seen(&mut self) -> Result<Expression, FilterError> {
        if !self.keyword("for") && !self.keyword("within") {
            return Err(self.unexpected("\"within\" with a duration, as in \"seen within 2d\""));
        }
        let check = Check::Compares(Relation::AtLeast, Operand::Ago(self.duration()?));
        Ok(test(Field::LastContact, check))
    }

    /// `overdue`: it did not come as it usually does; `overdue for 1d`: since then at least.
    fn overdue(&mut self) -> Result<Expression, FilterError> {
        let ago = if self.keyword("for") { self.duration()? } else { 0 };
        Ok(test(Field::OverdueSince, Check::Compares(Relation::AtMost, Operand::Ago(ago))))
    }

    /// `next_contact in 2h`: from now until then.
    fn within(&mut self, field: Field) -> Result<Expression, FilterError> {
        let ahead = Operand::Ahead(self.duration()?);
        let from_now = test(field.clone(), Check::Compares(Relation::AtLeast, Operand::Ago(0)));
        Ok(Expression::All(vec![from_now, test(field, Check::Compares(Relation::AtMost, ahead))]))
    }

    fn duration(&mut self) -> Result<u64, FilterError> {
        let at = self.peek().at;
        let TokenKind::Word(word) = self.take().kind else {
            self.next -= 1;
            return Err(self.unexpected("a duration, as in 30s, 5m, 2h, 2d or 1w"));
        };
        duration(&word).ok_or_else(|| FilterError {
            at,
            message: format!("{word:?} is no duration; write it as in 30s, 5m, 2h, 2d or 1w"),
        })
    }

    fn field(&mut self) -> Result<(usize, Field), FilterError> {
        let TokenKind::Word(word) = &self.peek().kind else {
            return Err(self.unexpected("a field, as in name ~ \"b-*\","));
        };
        let (at, word) = (self.peek().at, word.clone());
        self.next += 1;
        if word.eq_ignore_ascii_case("value") {
            return Ok((at, Field::Value(self.path()?)));
        }
        let lower = if word.starts_with("field.") { word.clone() } else { word.to_ascii_lowercase() };
        if let Some(field) = Field::named(&lower) {
            return Ok((at, field));
        }
        let shown = buoy_lwm2m::text::harmless(&word);
        let message = if word.starts_with("field.") {
            "the name of an own field has 1 to 64 letters, digits, \"_\" and \"-\"".to_owned()
        } else if let Some(near) = field::nearest(&lower) {
            format!("there is no field \"{shown}\"; did you mean \"{near}\"?")
        } else {
            let names = Field::names().collect::<Vec<_>>().join(", ");
            format!("there is no field \"{shown}\"; there are {names}, field.NAME and value(PATH)")
        };
        Err(FilterError { at, message })
    }

    /// `(/3303/0/5700)`
    fn path(&mut self) -> Result<Path, FilterError> {
        self.expect(&TokenKind::Open)?;
        let at = self.peek().at;
        let TokenKind::Word(word) = self.peek().kind.clone() else {
            return Err(self.unexpected("the path of a resource, as in /3303/0/5700"));
        };
        let path = word.parse::<Path>().ok().filter(|path| path.resource_id().is_some());
        let path = path.ok_or_else(|| FilterError {
            at,
            message: format!("{word:?} is no path of a resource, as in /3303/0/5700"),
        })?;
        self.next += 1;
        self.expect(&TokenKind::Close)?;
        Ok(path)
    }

    fn list(&mut self, field: &Field) -> Result<Expression, FilterError> {
        self.expect(&TokenKind::Open)?;
        let mut parts = Vec::new();
        loop {
            let operand = self.operand(field)?;
            parts.push(test(field.clone(), Check::Compares(Relation::Equal, operand)));
            self.tests += 1;
            if self.tests > MOST_TESTS {
                let message = format!("a filter has at most {MOST_TESTS} tests");
                return Err(FilterError { at: self.peek().at, message });
            }
            if self.peek().kind != TokenKind::Comma {
                break;
            }
            self.next += 1;
        }
        if self.peek().kind != TokenKind::Close {
            return Err(self.unexpected("\",\" or \")\""));
        }
        self.next += 1;
        Ok(Expression::Any(parts))
    }

    fn comparison(
        &mut self,
        at: usize,
        field: Field,
        operator: &'static str,
    ) -> Result<Expression, FilterError> {
        if let "~" | "!~" = operator {
            if !matches!(field.kind(), Kind::Text | Kind::Version | Kind::Any) {
                let message = format!("{field} has no text that a pattern could match; use =, < or >");
                return Err(FilterError { at, message });
            }
            let pattern = match self.peek().kind.clone() {
                TokenKind::Word(text) | TokenKind::Quoted(text) => text,
                _ => return Err(self.unexpected("a pattern, as in \"b-*\",")),
            };
            if pattern.len() > LONGEST_PATTERN {
                let message = format!("a pattern has at most {LONGEST_PATTERN} bytes");
                return Err(FilterError { at: self.peek().at, message });
            }
            self.next += 1;
            return Ok(negated_if(operator == "!~", test(field, Check::Matches(pattern))));
        }
        let relation = match operator {
            "<" => Relation::Less,
            "<=" => Relation::AtMost,
            ">" => Relation::Greater,
            ">=" => Relation::AtLeast,
            _ => Relation::Equal,
        };
        if relation != Relation::Equal && matches!(field.kind(), Kind::Text | Kind::Word(_) | Kind::Flag) {
            let message = format!("{field} is not ordered; use =, !=, ~ or in");
            return Err(FilterError { at, message });
        }
        if field == Field::Object && relation != Relation::Equal {
            let message = "a device has several objects; use object = 3303".to_owned();
            return Err(FilterError { at, message });
        }
        let operand_at = self.peek().at;
        let operand = self.operand(&field)?;
        if relation != Relation::Equal && matches!(operand, Operand::Text(_)) {
            let message = format!("{field} is compared by < and > with numbers only");
            return Err(FilterError { at: operand_at, message });
        }
        Ok(negated_if(operator == "!=", test(field, Check::Compares(relation, operand))))
    }

    /// What a field is compared with, by its kind.
    fn operand(&mut self, field: &Field) -> Result<Operand, FilterError> {
        let (at, kind) = (self.peek().at, self.peek().kind.clone());
        let (text, is_quoted) = match kind {
            TokenKind::Word(text) => (text, false),
            TokenKind::Quoted(text) => (text, true),
            _ => return Err(self.unexpected("a value")),
        };
        self.next += 1;
        let wrong = |message: String| FilterError { at, message };
        let shown = buoy_lwm2m::text::harmless(&text);
        match field.kind() {
            Kind::Text => Ok(Operand::Text(text)),
            Kind::Word(words) => match words.iter().find(|word| text.eq_ignore_ascii_case(word)) {
                Some(word) => Ok(Operand::Text((*word).to_owned())),
                None => {
                    Err(wrong(format!("{field} is never \"{shown}\"; it is one of {}", words.join(", "))))
                }
            },
            Kind::Version => Ok(Operand::Version(text)),
            Kind::Number => {
                let number = number(&text);
                number.map(Operand::Number).ok_or_else(|| wrong(format!("\"{shown}\" is no number")))
            }
            Kind::Flag => match text.to_ascii_lowercase().as_str() {
                "true" | "yes" => Ok(Operand::Flag(true)),
                "false" | "no" => Ok(Operand::Flag(false)),
                _ => Err(wrong(format!("{field} is true or false, and not \"{shown}\""))),
            },
            Kind::Time => {
                if let Some(duration) = duration(&text) {
                    return match self.keyword("ago") {
                        true => Ok(Operand::Ago(duration)),
                        false => Err(self.unexpected("\"ago\" after the duration")),
                    };
                }
                time(&text).map(Operand::Time).ok_or_else(|| {
                    wrong(format!(
                        "\"{shown}\" is no time; write it as in 2026-03-01, 2026-03-01T12:00:00Z or 2d ago"
                    ))
                })
            }
            // A number of so many digits names something, as an ICCID does; as a number it would equal its neighbours.
            Kind::Any if text.len() > EXACT_DIGITS && text.bytes().all(|byte| byte.is_ascii_digit()) => {
                Ok(Operand::Text(text))
            }
            Kind::Any => match number(&text).filter(|_| !is_quoted) {
                Some(number) => Ok(Operand::Number(number)),
                None if !is_quoted && text == "true" => Ok(Operand::Number(1.0)),
                None if !is_quoted && text == "false" => Ok(Operand::Number(0.0)),
                None => Ok(Operand::Text(text)),
            },
        }
    }
}

fn test(field: Field, check: Check) -> Expression {
    Expression::Test(Test { field, check })
}

fn negated_if(is_negated: bool, expression: Expression) -> Expression {
    if is_negated { Expression::Not(Box::new(expression)) } else { expression }
}

/// A decimal number; a percent sign behind it means nothing.
fn number(text: &str) -> Option<f64> {
    let digits = text.strip_suffix('%').unwrap_or(text);
    let is_number =
        digits.starts_with(|first: char| first.is_ascii_digit() || matches!(first, '-' | '+' | '.'));
    digits.parse::<f64>().ok().filter(|number| is_number && number.is_finite())
}

/// A number with a unit, in milliseconds.
pub(super) fn duration(text: &str) -> Option<u64> {
    let unit = text.chars().last()?;
    let milliseconds = match unit {
        's' => 1000.0,
        'm' => 60_000.0,
        'h' => 3_600_000.0,
        'd' => 86_400_000.0,
        'w' => 604_800_000.0,
        _ => return None,
    };
    let count = number(text.strip_suffix(unit)?).filter(|count| *count >= 0.0)?;
    let duration = count * milliseconds;
    (duration <= LONGEST_DURATION).then_some(duration as u64)
}

/// A date, or a date and a time with its offset (RFC 3339), in milliseconds since the epoch.
fn time(text: &str) -> Option<u64> {
    let at = match text.parse::<jiff::Timestamp>() {
        Ok(at) => at,
        Err(_) => {
            let date = text.parse::<jiff::civil::Date>().ok()?;
            jiff::tz::Offset::UTC.to_timestamp(date.to_datetime(jiff::civil::Time::midnight())).ok()?
        }
    };
    u64::try_from(at.as_millisecond()).ok()
}
