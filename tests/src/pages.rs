//! The project's files as the tests of its pages read them.

use std::fs;
use std::path::{Path, PathBuf};

/// The top of the workspace.
///
/// # Panics
/// If this crate is not in a folder of the workspace.
#[must_use]
pub fn top() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().expect("tests/ is a folder of the workspace").to_owned()
}

/// A file's text.
///
/// # Panics
/// If the file cannot be read.
#[must_use]
pub fn read(path: &Path) -> String {
    fs::read_to_string(path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

/// Every file of the project whose name ends like this, without build output and hidden folders.
///
/// # Panics
/// If a folder cannot be read, or no such file exists.
#[must_use]
pub fn files(ending: &str) -> Vec<PathBuf> {
    let (mut folders, mut found) = (vec![top()], Vec::new());
    while let Some(folder) = folders.pop() {
        let entries = fs::read_dir(&folder).unwrap_or_else(|error| panic!("{}: {error}", folder.display()));
        for entry in entries.flatten() {
            let (path, name) = (entry.path(), entry.file_name().to_string_lossy().into_owned());
            if path.is_dir() && !path.is_symlink() {
                if name != "target" && name != "node_modules" && !name.starts_with('.') {
                    folders.push(path);
                }
            } else if name.ends_with(ending) {
                found.push(path);
            }
        }
    }
    found.sort();
    assert!(!found.is_empty(), "no {ending} anywhere");
    found
}

/// A file's path from the top of the workspace, as messages show it.
#[must_use]
pub fn shown(path: &Path) -> String {
    path.strip_prefix(top()).unwrap_or(path).display().to_string()
}

/// Each line of a page, with the language of the fenced block around it.
///
/// # Panics
/// If a fenced block does not end.
#[must_use]
pub fn lines(page: &str) -> Vec<(Option<&str>, &str)> {
    let (mut fence, mut lines) = (None, Vec::new());
    for line in page.lines() {
        match (line.trim_start().strip_prefix("```"), fence) {
            (Some(_), Some(_)) => fence = None,
            (Some(language), None) => fence = Some(language),
            (None, _) => lines.push((fence, line)),
        }
    }
    assert_eq!(fence, None, "a fenced block does not end");
    lines
}

/// Fails with the list of what is wrong, unless nothing is.
///
/// # Panics
/// If the list is not empty.
#[track_caller]
pub fn nothing(wrong: &[String]) {
    assert!(wrong.is_empty(), "{} wrong:\n{}", wrong.len(), wrong.join("\n"));
}
