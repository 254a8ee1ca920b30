//! Which package depends on which, and the list of docs/architecture.md.

/// A dependency of one package on another, both as folders of the workspace.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Arrow {
    /// In the list this may be `FOLDER/*`, for every package in the folder.
    pub(crate) from: String,
    pub(crate) to: String,
    /// Only the package's own tests depend on the other.
    pub(crate) tests_only: bool,
}

impl Arrow {
    /// Whether a listed arrow allows a found one. An arrow without "tests only" allows one for tests only, too.
    pub(crate) fn covers(&self, found: &Arrow) -> bool {
        let from = match self.from.strip_suffix("/*") {
            Some(folder) => found.from.rsplit_once('/').is_some_and(|(parent, _)| parent == folder),
            None => self.from == found.from,
        };
        from && self.to == found.to && (found.tests_only || !self.tests_only)
    }
}

impl std::fmt::Display for Arrow {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let note = if self.tests_only { " (tests only)" } else { "" };
        write!(f, "{} -> {}{note}", self.from, self.to)
    }
}

/// The lines `FROM -> TO` or `FROM -> TO (tests only)` below the heading "Arrows".
pub(crate) fn listed(page: &str) -> Vec<Arrow> {
    let section = page.split_once("\n### Arrows\n").expect("the page has the heading").1;
    let section = section.split("\n#").next().unwrap_or_default();
    let arrows: Vec<Arrow> = section.lines().filter_map(arrow).collect();
    assert!(!arrows.is_empty(), "the list has no arrow");
    arrows
}

fn arrow(line: &str) -> Option<Arrow> {
    let (from, to) = line.split_once(" -> ")?;
    let (to, tests_only) = match to.split_once('(') {
        Some((to, "tests only)")) => (to, true),
        _ => (to, false),
    };
    Some(Arrow { from: from.trim().to_owned(), to: to.trim().to_owned(), tests_only })
}

#[test]
fn a_list_allows_what_it_names_and_nothing_else() {
    let page =
        "# Page\n### Arrows\n```text\nmany/*  -> shared\none -> lab  (tests only)\n```\n### Next\na -> b\n";
    let listed = listed(page);
    let allowed = |from: &str, to: &str, tests_only| {
        let found = Arrow { from: from.into(), to: to.into(), tests_only };
        listed.iter().any(|known| known.covers(&found))
    };
    assert!(allowed("many/first", "shared", false) && allowed("many/first", "shared", true));
    assert!(allowed("one", "lab", true) && !allowed("one", "lab", false));
    assert!(!allowed("many/first", "lab", false) && !allowed("many", "shared", false));
    assert!(!allowed("many/first/deep", "shared", false) && !allowed("a", "b", false));
}
