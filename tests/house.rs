//! The shape of the house: arrows go one way, between files and between packages.
//!
//! A file uses another if it names something that the other defines: in a `use`, or by a path in its code. The check reads the
//! source as text. So it does not see a method that is called on a value whose type the file never names.

#[path = "house/arrows.rs"]
mod arrows;
#[path = "house/circle.rs"]
mod circle;
#[path = "house/made_up.rs"]
mod made_up;
#[path = "house/outline.rs"]
mod outline;
#[path = "house/package.rs"]
mod package;
#[path = "house/pieces.rs"]
mod pieces;
#[path = "house/workspace.rs"]
mod workspace;

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

use arrows::{Arrow, listed};
use circle::circles;
use package::Package;
use workspace::{members, top};

/// Folders whose circles are still being untied. The list is to become empty.
const STILL_TIED: [&str; 8] = [
    "cli/src/command/conform",
    "functions/api-key",
    "functions/mysql",
    "functions/postgres",
    "functions/redshift",
    "lab/src/proxy",
    "lab/src/sweep",
    "shared",
];

/// Dependencies on a function that are still being taken away. The list is to become empty.
const STILL_LINKED: [(&str, &str); 1] = [("functions/redshift", "functions/postgres")];

#[track_caller]
fn nothing(wrong: &[String]) {
    assert!(wrong.is_empty(), "{} wrong:\n{}", wrong.len(), wrong.join("\n"));
}

fn read(path: &Path) -> Option<String> {
    fs::read_to_string(top().join(path)).ok()
}

#[test]
fn no_files_use_each_other_in_a_circle() {
    // A folder's front stands beside the folder: `proxy.rs` beside `proxy/`.
    let still_tied =
        |file: &PathBuf| STILL_TIED.iter().any(|folder| file.with_extension("").starts_with(folder));
    let mut found = Vec::new();
    for member in members() {
        found.extend(circles(&Package::read(&member.roots, &read).arrows()));
    }
    found.retain(|circle| !circle.files.iter().all(still_tied));
    nothing(&found.iter().map(ToString::to_string).collect::<Vec<_>>());
}

#[test]
fn every_source_file_is_read() {
    let mut unread = Vec::new();
    for member in members() {
        let package = Package::read(&member.roots, &read);
        let known: BTreeSet<&Path> = package.files().collect();
        assert!(!known.is_empty(), "{} has no files", member.folder);
        let sources = sources(&Path::new(&member.folder).join("src"));
        unread.extend(
            sources.iter().filter(|file| !known.contains(&***file)).map(|file| file.display().to_string()),
        );
    }
    nothing(&unread);
}

/// Every source file in a folder and below it.
fn sources(folder: &Path) -> Vec<PathBuf> {
    let entries = fs::read_dir(top().join(folder)).into_iter().flatten().flatten();
    let found = entries.flat_map(|entry| {
        let path = folder.join(entry.file_name());
        if entry.path().is_dir() { sources(&path) } else { vec![path] }
    });
    found.filter(|path| path.extension().is_some_and(|ending| ending == "rs")).collect()
}

#[test]
fn packages_depend_on_what_the_architecture_lists_and_on_nothing_else() {
    let page = read(Path::new("docs/architecture.md")).expect("the page is there");
    let listed = listed(&page);
    let found: Vec<Arrow> =
        members().iter().flat_map(|member| member.needs.iter().map(|need| need.arrow(member))).collect();
    let still = |arrow: &Arrow| STILL_LINKED.iter().any(|(from, to)| arrow.from == *from && arrow.to == *to);
    let more = found.iter().filter(|arrow| !still(arrow) && !listed.iter().any(|known| known.covers(arrow)));
    let less = listed.iter().filter(|known| !found.iter().any(|arrow| known.covers(arrow)));
    let more = more.map(|arrow| format!("not in docs/architecture.md: {arrow}"));
    let less = less.map(|arrow| format!("in docs/architecture.md, and not so: {arrow}"));
    nothing(&more.chain(less).collect::<Vec<_>>());
}
