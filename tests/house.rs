//! The shape of the house: arrows go one way, between files and between packages.
//!
//! A file uses another if it names something that the other defines: in a `use`, or by a path in its code. The check reads the
//! source as text. So it does not see a method that is called on a value whose type the file never names.

#[path = "house/arrows.rs"]
mod arrows;
#[path = "house/circle.rs"]
mod circle;
#[path = "house/features.rs"]
mod features;
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

#[track_caller]
fn nothing(wrong: &[String]) {
    assert!(wrong.is_empty(), "{} wrong:\n{}", wrong.len(), wrong.join("\n"));
}

fn read(path: &Path) -> Option<String> {
    fs::read_to_string(top().join(path)).ok()
}

#[test]
fn no_files_use_each_other_in_a_circle() {
    let mut found = Vec::new();
    for member in members() {
        found.extend(circles(&Package::read(&member.roots, &read).arrows()));
    }
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
    let more = found.iter().filter(|arrow| !listed.iter().any(|known| known.covers(arrow)));
    let less = listed.iter().filter(|known| !found.iter().any(|arrow| known.covers(arrow)));
    let more = more.map(|arrow| format!("not in docs/architecture.md: {arrow}"));
    let less = less.map(|arrow| format!("in docs/architecture.md, and not so: {arrow}"));
    nothing(&more.chain(less).collect::<Vec<_>>());
}

/// The wings of `shared`, lowest first. The files beside them (`error`, `secret`, `deadline`) are below all of them, and the entrances
/// (`lambda`, `lib`) are above.
const WINGS: [&str; 5] = ["door", "value", "engine", "reach", "database"];

#[test]
fn a_wing_of_shared_uses_only_wings_below_it() {
    let level = |file: &Path| {
        let place = file.strip_prefix("shared/src").ok()?.with_extension("");
        let first = place.components().next()?.as_os_str().to_str()?.to_owned();
        WINGS.iter().position(|wing| *wing == first)
    };
    let members = members();
    let shared = members.iter().find(|member| member.folder == "shared").expect("the crate is there");
    let arrows = Package::read(&shared.roots, &read).arrows();
    let between =
        arrows.iter().filter_map(|((from, to), names)| Some((level(from)?, level(to)?, from, to, names)));
    let between: Vec<_> = between.filter(|(from, to, ..)| from != to).collect();
    assert!(between.len() > 10, "the wings use each other: {}", between.len());
    let wrong = between.iter().filter(|(from, to, ..)| from < to);
    let wrong = wrong
        .map(|(_, _, from, to, names)| format!("{} uses of {}: {names:?}", from.display(), to.display()));
    nothing(&wrong.collect::<Vec<_>>());
}
