//! The outline of one source file: the items it defines, its imports, the modules it declares, the paths in its code.

use std::collections::BTreeSet;

use crate::pieces::{Piece, pieces};

/// A path as its segments.
pub(crate) type Path = Vec<String>;

/// A module as its source text describes it, without the parts for tests.
#[derive(Debug, Default)]
pub(crate) struct Outline {
    /// Functions, types, traits, constants and macros.
    pub(crate) items: BTreeSet<String>,
    pub(crate) imports: Vec<Import>,
    pub(crate) modules: Vec<(String, Body)>,
    /// Every path in the code. A single name counts if it cannot be a variable.
    pub(crate) paths: BTreeSet<Path>,
}

/// One name that a `use` brings in.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Import {
    pub(crate) path: Path,
    /// The name in this module; `*` if the import brings in a whole module.
    pub(crate) name: String,
    /// A `pub use`: the module may pass the name on without using it.
    pub(crate) exported: bool,
}

/// Where a module's text is.
#[derive(Debug)]
pub(crate) enum Body {
    /// In another file. A `#[path]` may name it.
    File(Option<String>),
    /// In braces.
    Here(Outline),
}

pub(crate) fn outline(source: &str) -> Outline {
    Reader { pieces: pieces(source), at: 0 }.module()
}

/// Words before the name of an item.
const KINDS: [&str; 8] = ["fn", "struct", "enum", "trait", "type", "const", "static", "macro_rules"];
/// Other words with which an item can begin.
const OPENINGS: [&str; 8] = ["pub", "mod", "use", "impl", "async", "unsafe", "extern", "macro_rules"];

struct Reader {
    pieces: Vec<Piece>,
    at: usize,
}

impl Reader {
    /// Reads up to the end of the file, or of the braces around the module.
    fn module(&mut self) -> Outline {
        let (mut outline, mut depth, mut path) = (Outline::default(), 0, None);
        while let Some(piece) = self.pieces.get(self.at).cloned() {
            self.at += 1;
            match piece {
                Piece::Sign('{' | '(' | '[') => depth += 1,
                Piece::Sign('}') if depth == 0 => return outline,
                Piece::Sign('}' | ')' | ']') => depth -= 1,
                Piece::Sign('#') => match self.attribute() {
                    Attribute::TestsOnly { whole: true } => return Outline::default(),
                    Attribute::TestsOnly { whole: false } => self.skip_item(),
                    Attribute::Path(file) => path = Some(file),
                    Attribute::Other => {}
                },
                Piece::Word(word) => self.word(&mut outline, &word, depth, &mut path),
                _ => {}
            }
        }
        outline
    }

    fn word(&mut self, outline: &mut Outline, word: &str, depth: usize, path: &mut Option<String>) {
        match word {
            "use" if !self.next_is('<') => self.import(outline),
            "mod" if depth == 0 => self.declaration(outline, path.take()),
            _ if depth == 0 && KINDS.contains(&word) => outline.items.extend(self.item_name()),
            _ => outline.paths.extend(self.path(word)),
        }
    }

    fn next_is(&self, sign: char) -> bool {
        self.pieces.get(self.at).is_some_and(|piece| piece.is(sign))
    }

    fn next_word(&self) -> Option<&str> {
        self.pieces.get(self.at).and_then(Piece::word)
    }

    /// The name after `fn` and the like; `None` if another such word follows, as in `const fn`.
    fn item_name(&mut self) -> Option<String> {
        self.at += usize::from(self.next_is('!'));
        let name = self.next_word().filter(|name| !KINDS.contains(name) && *name != "mut")?.to_owned();
        self.at += 1;
        Some(name)
    }

    fn declaration(&mut self, outline: &mut Outline, path: Option<String>) {
        let Some(name) = self.next_word().map(str::to_owned) else { return };
        self.at += 2; // the name, and the semicolon or brace
        let body = match self.pieces[self.at - 1].is('{') {
            true => Body::Here(self.module()),
            false => Body::File(path),
        };
        outline.modules.push((name, body));
    }

    /// The path that begins with the word just read. Fields and methods are not paths.
    fn path(&mut self, first: &str) -> Option<Path> {
        let before = |back: usize| self.at.checked_sub(back).map(|at| &self.pieces[at]);
        let dot = before(2).is_some_and(|piece| piece.is('.'));
        let range = before(3).is_some_and(|piece| piece.is('.'));
        let follows = (dot && !range) || before(2) == Some(&Piece::Colons);
        let mut path = vec![first.to_owned()];
        while let Some([Piece::Colons, Piece::Word(word)]) = self.pieces.get(self.at..self.at + 2) {
            path.push(word.clone());
            self.at += 2;
        }
        // A single name may be a variable, unless arguments follow, as after a function's name.
        let is_variable = path.len() == 1 && first.starts_with(char::is_lowercase) && !self.next_is('(');
        (!follows && !is_variable).then_some(path)
    }

    /// A `use`. Its names may be in braces.
    fn import(&mut self, outline: &mut Outline) {
        let before = self.at.checked_sub(2).map(|at| &self.pieces[at]);
        let exported = before.is_some_and(|piece| piece.word() == Some("pub") || piece.is(')'));
        self.names(&mut Vec::new(), exported, &mut outline.imports);
    }

    /// One branch of a `use`, up to the comma, brace or semicolon after it.
    fn names(&mut self, path: &mut Path, exported: bool, imports: &mut Vec<Import>) {
        let depth = path.len();
        let mut name = None;
        while let Some(piece) = self.pieces.get(self.at).cloned() {
            match piece {
                Piece::Word(word) if word == "as" => {
                    self.at += 1;
                    name = self.next_word().map(str::to_owned);
                }
                Piece::Word(word) => path.push(word),
                Piece::Sign('*') => name = Some("*".to_owned()),
                Piece::Sign('{') => {
                    self.branches(path, exported, imports);
                    path.truncate(depth);
                    return;
                }
                Piece::Colons => {}
                _ => break,
            }
            self.at += 1;
        }
        // `self` in braces is the module before the braces.
        if path.len() > 1 && path.last().is_some_and(|last| last == "self") {
            path.pop();
        }
        let name = name.or_else(|| path.last().cloned());
        imports.extend(name.map(|name| Import { path: path.clone(), name, exported }));
        path.truncate(depth);
    }

    fn branches(&mut self, path: &mut Path, exported: bool, imports: &mut Vec<Import>) {
        while !self.next_is('}') && self.at < self.pieces.len() {
            self.at += 1; // the brace or comma
            if !self.next_is('}') {
                self.names(path, exported, imports);
            }
        }
        self.at += 1;
    }

    fn attribute(&mut self) -> Attribute {
        let whole = self.next_is('!');
        self.at += usize::from(whole);
        let start = self.at;
        self.skip_group();
        let pieces = &self.pieces[start..self.at.min(self.pieces.len())];
        let mut words = pieces.iter().filter_map(Piece::word);
        match (words.next(), pieces.iter().find_map(literal)) {
            (Some("path"), Some(file)) => Attribute::Path(file.to_owned()),
            (Some("cfg"), _) => {
                let words: Vec<&str> = words.collect();
                let tests_only =
                    words.contains(&"test") && !words.contains(&"not") && !words.contains(&"any");
                if tests_only { Attribute::TestsOnly { whole } } else { Attribute::Other }
            }
            _ => Attribute::Other,
        }
    }

    /// Skips a group in brackets, whose opening bracket is at this place.
    fn skip_group(&mut self) {
        let mut depth = 0;
        while let Some(piece) = self.pieces.get(self.at) {
            self.at += 1;
            match piece {
                Piece::Sign('{' | '(' | '[') => depth += 1,
                Piece::Sign('}' | ')' | ']') => depth -= 1,
                _ => {}
            }
            if depth == 0 {
                return;
            }
        }
    }

    /// Skips the item, field or variant after an attribute.
    fn skip_item(&mut self) {
        while self.next_is('#') {
            self.at += 1;
            self.attribute();
        }
        let is_item = self.next_word().is_some_and(|word| KINDS.contains(&word) || OPENINGS.contains(&word));
        while let Some(piece) = self.pieces.get(self.at) {
            match piece {
                Piece::Sign('}') => return,
                Piece::Sign(',') if !is_item => return,
                Piece::Sign(';') => break,
                Piece::Sign('{') => return self.skip_group(),
                Piece::Sign('(' | '[') => self.skip_group(),
                _ => self.at += 1,
            }
        }
        self.at += 1;
    }
}

enum Attribute {
    /// `#[cfg(test)]`, or `#![cfg(test)]` for the whole module.
    TestsOnly {
        whole: bool,
    },
    Path(String),
    Other,
}

fn literal(piece: &Piece) -> Option<&str> {
    match piece {
        Piece::Text(text) => Some(text),
        _ => None,
    }
}
