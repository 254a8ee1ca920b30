//! Tests of the check itself, on small made-up trees: it finds what it should find, and nothing else.

use std::path::Path;

use crate::circle::circles;
use crate::package::{Package, Root};

/// The circles of a library made of these files, each as its files in alphabetical order.
fn circles_of(files: &[(&str, &str)]) -> Vec<Vec<String>> {
    let root = Root { crate_name: "made_up".into(), file: "src/lib.rs".into(), is_library: true };
    let text = |path: &Path| {
        let file = files.iter().find(|(name, _)| Path::new("src").join(name) == path);
        file.map(|(_, text)| (*text).to_owned())
    };
    let arrows = Package::read(&[root], &text).arrows();
    let shown = |path: &Path| path.strip_prefix("src").unwrap_or(path).display().to_string();
    let sorted = |mut names: Vec<String>| {
        names.sort();
        names
    };
    circles(&arrows)
        .iter()
        .map(|circle| sorted(circle.files.iter().map(|file| shown(file)).collect()))
        .collect()
}

#[track_caller]
fn is_free(files: &[(&str, &str)]) {
    assert_eq!(circles_of(files), Vec::<Vec<String>>::new());
}

#[track_caller]
fn is_a_circle_of(expected: &[&str], files: &[(&str, &str)]) {
    assert_eq!(circles_of(files), [expected]);
}

#[test]
fn two_files_that_use_each_other_are_a_circle() {
    is_a_circle_of(
        &["a.rs", "b.rs"],
        &[
            ("lib.rs", "mod a; mod b;"),
            ("a.rs", "use crate::b::B; pub struct A(B);"),
            ("b.rs", "pub struct B; fn make() { let _ = super::a::A(B); }"),
        ],
    );
}

#[test]
fn three_files_in_a_ring_are_a_circle_and_a_fourth_beside_them_is_not_in_it() {
    is_a_circle_of(
        &["a.rs", "b.rs", "c.rs"],
        &[
            ("lib.rs", "mod a; mod b; mod c; mod d;"),
            ("a.rs", "use super::b; pub fn a() { b::b() }"),
            ("b.rs", "use crate::{c::{self, C}}; pub fn b() { c::c(C) }"),
            ("c.rs", "pub struct C; pub fn c(_: C) { crate::a::a() }"),
            ("d.rs", "use crate::a::a; pub fn d() { a() }"),
        ],
    );
}

#[test]
fn a_parent_and_a_child_that_use_each_other_are_a_circle() {
    is_a_circle_of(
        &["house.rs", "house/room.rs"],
        &[
            ("lib.rs", "pub mod house;"),
            ("house.rs", "mod room; pub struct Key; pub fn enter() { room::open(Key) }"),
            ("house/room.rs", "use super::Key; pub(super) fn open(_: Key) {}"),
        ],
    );
}

#[test]
fn a_declaration_and_a_bare_re_export_are_no_arrows() {
    is_free(&[
        ("lib.rs", "pub mod house; pub use house::Room;"),
        ("house.rs", "mod room; pub struct Key; pub use room::Room;"),
        ("house/room.rs", "pub struct Room(super::Key); fn of(_: crate::house::Key) {}"),
    ]);
}

#[test]
fn a_re_export_that_its_own_file_uses_is_an_arrow() {
    is_a_circle_of(
        &["house.rs", "house/room.rs"],
        &[
            ("lib.rs", "mod house;"),
            ("house.rs", "mod room; pub struct Key; pub(crate) use room::Room; fn open(_: Room) {}"),
            ("house/room.rs", "pub struct Room(super::Key);"),
        ],
    );
}

#[test]
fn a_re_export_leads_to_the_file_that_defines() {
    // `b` takes `C` through `a`, which does not count as a use of `a`.
    is_free(&[
        ("lib.rs", "mod a; mod b; mod c;"),
        (
            "a.rs",
            "pub use crate::c::{C as Renamed}; pub use crate::c::deep::*; use crate::b::b; fn a() { b() }",
        ),
        ("b.rs", "use crate::a::{Deep, Renamed}; pub fn b() -> (Renamed, Deep) { todo!() }"),
        ("c.rs", "pub mod deep { pub struct Deep; } pub struct C;"),
    ]);
    is_a_circle_of(
        &["b.rs", "c.rs"],
        &[
            ("lib.rs", "mod a; mod b; mod c;"),
            ("a.rs", "pub use crate::c::*;"),
            ("b.rs", "use crate::a::C; pub fn b() -> C { todo!() }"),
            ("c.rs", "pub struct C; fn c() { crate::b::b(); }"),
        ],
    );
}

#[test]
fn a_glob_import_counts_as_an_arrow_to_each_file_it_uses() {
    is_a_circle_of(
        &["a.rs", "b.rs"],
        &[
            ("lib.rs", "mod a; mod b;"),
            ("a.rs", "use crate::b::*; pub fn a() { b() }"),
            ("b.rs", "use crate::a::*; pub fn b() { a() }"),
        ],
    );
    is_free(&[
        ("lib.rs", "mod a; mod b;"),
        ("a.rs", "use crate::b::*; pub fn a() { self.b() }"),
        ("b.rs", "use crate::a::a; pub fn b() { a() }"),
    ]);
}

#[test]
fn tests_comments_and_texts_do_not_count() {
    is_free(&[
        ("lib.rs", "mod a; mod b;"),
        ("a.rs", "use crate::b::b; pub fn a() { b() }"),
        (
            "b.rs",
            r##"
                //! Beside [`crate::a::a`].
                /* crate::a::a() /* and */ crate::a::a() */
                pub fn b<'a>(_: &'a str) -> char { let _ = ("crate::a", r#""crate::a::a()"#, b'"', '"'); '\'' }
                #[cfg(test)]
                use crate::a::a;
                #[cfg(test)]
                #[allow(dead_code)]
                mod tests { #[test] fn it() { crate::a::a() } }
            "##,
        ),
    ]);
}

#[test]
fn code_after_a_test_module_counts() {
    is_a_circle_of(
        &["a.rs", "b.rs"],
        &[
            ("lib.rs", "mod a; mod b;"),
            ("a.rs", "use crate::b::b; pub fn a() { b() }"),
            ("b.rs", "#[cfg(test)] mod tests { fn it() { let _ = '}'; } } pub fn b() { crate::a::a() }"),
        ],
    );
}

#[test]
fn a_program_and_a_test_are_read_with_the_library_that_they_use() {
    let files = [
        ("src/lib.rs", "mod a; pub use a::A;"),
        ("src/a.rs", "pub struct A;"),
        ("tests/all.rs", "#[path = \"all/more.rs\"] mod more; use made_up::A; fn all(_: A) { more::more() }"),
        ("tests/all/more.rs", "mod below; pub fn more() { below::below(crate::all) }"),
        ("tests/all/below.rs", "pub fn below(_: fn(made_up::A)) {}"),
    ];
    let root = |file: &str, is_library| Root { crate_name: "made_up".into(), file: file.into(), is_library };
    let text =
        |path: &Path| files.iter().find(|(name, _)| Path::new(name) == path).map(|(_, text)| (*text).into());
    let arrows = Package::read(&[root("src/lib.rs", true), root("tests/all.rs", false)], &text).arrows();
    let mut arrows: Vec<String> =
        arrows.keys().map(|(from, to)| format!("{} -> {}", from.display(), to.display())).collect();
    arrows.sort();
    assert_eq!(
        arrows,
        [
            "tests/all.rs -> src/a.rs",
            "tests/all.rs -> tests/all/more.rs",
            "tests/all/below.rs -> src/a.rs",
            "tests/all/more.rs -> tests/all.rs",
            "tests/all/more.rs -> tests/all/below.rs",
        ]
    );
}
