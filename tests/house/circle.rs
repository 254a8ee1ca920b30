//! Circles among arrows: files of which each leads, over others, back to itself.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use crate::package::Arrows;

/// The files of one circle, and the arrows between them.
#[derive(Debug)]
pub(crate) struct Circle {
    pub(crate) files: BTreeSet<PathBuf>,
    arrows: Arrows,
}

impl std::fmt::Display for Circle {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "a circle of {} files:", self.files.len())?;
        for ((from, to), names) in &self.arrows {
            let names: Vec<&str> = names.iter().map(String::as_str).collect();
            write!(f, "\n  {} uses of {}: {}", from.display(), to.display(), names.join(", "))?;
        }
        Ok(())
    }
}

/// All circles. Two files are in the same circle if each can be reached from the other.
pub(crate) fn circles(arrows: &Arrows) -> Vec<Circle> {
    let mut next: BTreeMap<&Path, BTreeSet<&Path>> = BTreeMap::new();
    for (from, to) in arrows.keys() {
        next.entry(from).or_default().insert(to);
    }
    let reached: BTreeMap<&Path, BTreeSet<&Path>> =
        next.keys().map(|file| (*file, reached_from(file, &next))).collect();
    let both_ways = |a: &Path, b: &Path| {
        let leads = |from, to| reached.get(from).is_some_and(|files| files.contains(to));
        leads(a, b) && leads(b, a)
    };
    let mut circles: Vec<Circle> = Vec::new();
    for file in reached.keys().filter(|file| both_ways(file, file)) {
        if circles.iter().any(|circle| circle.files.contains(*file)) {
            continue;
        }
        let files: BTreeSet<PathBuf> =
            reached.keys().filter(|other| both_ways(file, other)).map(|other| (*other).to_owned()).collect();
        let arrows = arrows.iter().filter(|((from, to), _)| files.contains(from) && files.contains(to));
        circles.push(Circle {
            arrows: arrows.map(|(ends, names)| (ends.clone(), names.clone())).collect(),
            files,
        });
    }
    circles
}

fn reached_from<'a>(file: &'a Path, next: &BTreeMap<&'a Path, BTreeSet<&'a Path>>) -> BTreeSet<&'a Path> {
    let (mut reached, mut ahead) = (BTreeSet::new(), vec![file]);
    while let Some(file) = ahead.pop() {
        for other in next.get(file).into_iter().flatten() {
            if reached.insert(*other) {
                ahead.push(other);
            }
        }
    }
    reached
}
