//! Reads a statement's tokens one after another.

use super::refusal::{Refusal, syntax};
use super::token::{Token, spell};

pub(super) struct Cursor<'a> {
    tokens: &'a [Token],
    at: usize,
}

impl<'a> Cursor<'a> {
    pub(super) fn new(tokens: &'a [Token]) -> Cursor<'a> {
        Cursor { tokens, at: 0 }
    }

    /// Skips the first tokens of the statement.
    pub(super) fn after(&mut self, count: usize) -> &mut Cursor<'a> {
        self.at = count;
        self
    }

    pub(super) fn peek(&self) -> Option<&'a Token> {
        self.tokens.get(self.at)
    }

    pub(super) fn next(&mut self) -> Option<&'a Token> {
        let token = self.tokens.get(self.at)?;
        self.at += 1;
        Some(token)
    }

    pub(super) fn is_over(&self) -> bool {
        self.at == self.tokens.len()
    }

    /// Passes the keyword or sign if it comes next.
    pub(super) fn take(&mut self, word: &str) -> bool {
        let is_next = self.peek().is_some_and(|token| token.is(word));
        self.at += usize::from(is_next);
        is_next
    }

    /// Passes these keywords if all of them come next.
    pub(super) fn take_all(&mut self, words: &[&str]) -> bool {
        let ahead = self.tokens.get(self.at..self.at + words.len());
        let are_next = ahead.is_some_and(|ahead| ahead.iter().zip(words).all(|(token, word)| token.is(word)));
        self.at += if are_next { words.len() } else { 0 };
        are_next
    }

    /// Passes the keyword or sign that must come next, or fails.
    pub(super) fn expect(&mut self, word: &str) -> Result<(), Refusal> {
        if self.take(word) {
            Ok(())
        } else {
            Err(self.unexpected(&format!("{} was expected", word.to_uppercase())))
        }
    }

    pub(super) fn unexpected(&self, why: &str) -> Refusal {
        let near = self
            .peek()
            .map(|token| spell(std::slice::from_ref(token)))
            .unwrap_or_else(|| "the end".to_owned());
        syntax(format!("at or near {}: {why}", near.trim()))
    }

    /// Fails unless the statement ends here.
    pub(super) fn end(&self) -> Result<(), Refusal> {
        if self.is_over() { Ok(()) } else { Err(self.unexpected("the statement should end here")) }
    }

    pub(super) fn word(&mut self) -> Result<String, Refusal> {
        match self.next() {
            Some(Token::Word(word)) => Ok(word.clone()),
            _ => Err(syntax("a keyword was expected")),
        }
    }

    /// A name, quoted or not.
    pub(super) fn name(&mut self) -> Result<String, Refusal> {
        match self.next() {
            Some(Token::Word(name) | Token::Name(name)) => Ok(name.clone()),
            _ => Err(syntax("a name was expected")),
        }
    }

    /// A text in single quotes.
    pub(super) fn text(&mut self) -> Result<String, Refusal> {
        match self.next() {
            Some(Token::Text(text)) => Ok(text.clone()),
            _ => Err(syntax("a text was expected")),
        }
    }

    pub(super) fn number(&mut self) -> Result<i64, Refusal> {
        match self.next() {
            Some(Token::Sign(digits)) => digits.parse().map_err(|_| syntax("a number was expected")),
            _ => Err(syntax("a number was expected")),
        }
    }

    /// Names joined by points.
    pub(super) fn path(&mut self) -> Result<Vec<String>, Refusal> {
        let mut path = vec![self.name()?];
        while self.take(".") {
            path.push(self.name()?);
        }
        Ok(path)
    }

    /// A parameter's name, as it is written.
    pub(super) fn dotted(&mut self) -> Result<String, Refusal> {
        self.path().map(|path| path.join("."))
    }

    /// One item or several, separated by commas.
    pub(super) fn list<T>(
        &mut self,
        mut one: impl FnMut(&mut Self) -> Result<T, Refusal>,
    ) -> Result<Vec<T>, Refusal> {
        let mut all = vec![one(self)?];
        while self.take(",") {
            all.push(one(self)?);
        }
        Ok(all)
    }

    /// The text in the parentheses that come next, as it is written.
    pub(super) fn parenthesised(&mut self) -> Result<&'a [Token], Refusal> {
        self.expect("(")?;
        let from = self.at;
        while !self.peek().ok_or_else(|| syntax("a parenthesis is not closed"))?.is(")") {
            self.at += 1;
        }
        self.at += 1;
        Ok(&self.tokens[from..self.at - 1])
    }

    /// The rest, for PostgreSQL.
    pub(super) fn rest_spelled(&mut self) -> String {
        let rest = &self.tokens[self.at..];
        self.at = self.tokens.len();
        spell(rest)
    }

    /// Everything after the first token, for PostgreSQL.
    pub(super) fn all_spelled(&mut self) -> String {
        self.after(1).rest_spelled()
    }
}
