//! Rust source as a row of words and signs, without comments.

/// A piece of source text.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Piece {
    /// An identifier, a keyword or a number.
    Word(String),
    /// The content of a string literal, with its escapes as written.
    Text(String),
    /// `::`
    Colons,
    /// Any other sign.
    Sign(char),
}

impl Piece {
    pub(crate) fn is(&self, sign: char) -> bool {
        *self == Piece::Sign(sign)
    }

    pub(crate) fn word(&self) -> Option<&str> {
        match self {
            Piece::Word(word) => Some(word),
            _ => None,
        }
    }
}

/// The pieces of a source file. Comments, lifetimes and characters in quotes are left out.
pub(crate) fn pieces(source: &str) -> Vec<Piece> {
    let (mut rest, mut pieces) = (source, Vec::new());
    while let Some(first) = rest.chars().next() {
        let (piece, length) = piece(rest, first);
        pieces.extend(piece);
        rest = &rest[length..];
    }
    pieces
}

/// The piece at the start of a text, if there is one, and the number of bytes to skip.
fn piece(rest: &str, first: char) -> (Option<Piece>, usize) {
    if rest.starts_with("//") {
        return (None, rest.find('\n').unwrap_or(rest.len()));
    }
    if rest.starts_with("/*") {
        return (None, comment(rest));
    }
    if rest.starts_with("::") {
        return (Some(Piece::Colons), 2);
    }
    match first {
        '"' => text(rest, 1, "\""),
        '\'' => (None, quoted(rest)),
        _ if first.is_alphanumeric() || first == '_' => word(rest),
        _ if first.is_whitespace() => (None, first.len_utf8()),
        _ => (Some(Piece::Sign(first)), first.len_utf8()),
    }
}

/// The length of a block comment, which may hold others.
fn comment(rest: &str) -> usize {
    let (mut depth, mut at) = (0, 0);
    while let Some(found) = rest[at..].find(['/', '*']).map(|found| at + found) {
        match rest.get(found..found + 2) {
            Some("/*") => (depth, at) = (depth + 1, found + 2),
            Some("*/") => (depth, at) = (depth - 1, found + 2),
            _ => at = found + 1,
        }
        if depth == 0 {
            return at;
        }
    }
    rest.len()
}

/// A string literal that opens with `opening` bytes.
fn text(rest: &str, opening: usize, closing: &str) -> (Option<Piece>, usize) {
    let body = &rest[opening..];
    let raw = closing != "\"" || opening > 1;
    let end = if raw { body.find(closing) } else { unescaped_quote(body) }.unwrap_or(body.len());
    (Some(Piece::Text(body[..end].to_owned())), (opening + end + closing.len()).min(rest.len()))
}

fn unescaped_quote(body: &str) -> Option<usize> {
    let mut escaped = false;
    body.char_indices().find_map(|(at, letter)| {
        let ends = letter == '"' && !escaped;
        escaped = letter == '\\' && !escaped;
        ends.then_some(at)
    })
}

/// The length of a character in quotes, or of a lifetime.
fn quoted(rest: &str) -> usize {
    let mut letters = rest.char_indices().skip(1);
    let (Some((_, first)), Some((second, next))) = (letters.next(), letters.next()) else {
        return rest.len();
    };
    match (first, next) {
        ('\\', _) => rest[second + next.len_utf8()..]
            .find('\'')
            .map_or(rest.len(), |end| second + next.len_utf8() + end + 1),
        (_, '\'') => second + 1,
        _ => 1 + rest[1..].find(|c: char| !c.is_alphanumeric() && c != '_').unwrap_or(rest.len() - 1),
    }
}

/// A word, or the string literal of which the word is the prefix.
fn word(rest: &str) -> (Option<Piece>, usize) {
    let end = rest.find(|c: char| !c.is_alphanumeric() && c != '_').unwrap_or(rest.len());
    let (word, after) = rest.split_at(end);
    if !["r", "b", "c", "br", "cr"].contains(&word) {
        return (Some(Piece::Word(word.to_owned())), end);
    }
    let hashes = after.len() - after.trim_start_matches('#').len();
    match after[hashes..].chars().next() {
        Some('"') if word.ends_with('r') => {
            text(rest, end + hashes + 1, &format!("\"{}", "#".repeat(hashes)))
        }
        Some('"') if hashes == 0 => with_escapes(rest, end),
        Some('\'') if word == "b" && hashes == 0 => (None, end + quoted(after)),
        // A raw identifier: `r#type`.
        Some(_) if word == "r" && hashes == 1 => (None, end + 1),
        _ => (Some(Piece::Word(word.to_owned())), end),
    }
}

/// A byte or C string: the prefix, then a literal with escapes.
fn with_escapes(rest: &str, prefix: usize) -> (Option<Piece>, usize) {
    let (piece, length) = text(&rest[prefix..], 1, "\"");
    (piece, prefix + length)
}
