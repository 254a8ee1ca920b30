//! The features with which each package builds its dependencies.

use std::collections::{BTreeMap, BTreeSet};
use std::env;
use std::process::Command;

use super::nothing;
use super::workspace::{members, top};

/// Packages that need not share their dependencies' features: `floor` is only measured in release builds, `xtask` is built before
/// all others, and nobody builds `one-build` by itself.
const APART: [&str; 3] = ["bench/floor", "xtask", "xtask/one-build"];

#[test]
fn every_package_shares_one_build_of_each_dependency() {
    let members = members();
    let folders = members.iter().map(|member| member.folder.as_str());
    // Dependency with version, its sets of features, the packages that ask for each.
    let mut asked: BTreeMap<String, BTreeMap<String, Vec<&str>>> = BTreeMap::new();
    for folder in folders.filter(|folder| !APART.contains(folder)) {
        for (dependency, features) in features(folder) {
            asked.entry(dependency).or_default().entry(features).or_default().push(folder);
        }
    }
    assert!(asked.len() > 200, "the packages have dependencies: {}", asked.len());
    let differ = asked.iter().filter(|(_, sets)| sets.len() > 1);
    let differ = differ.map(|(dependency, sets)| {
        format!("{dependency} is built {} times; add features to xtask/one-build: {sets:#?}", sets.len())
    });
    nothing(&differ.collect::<Vec<_>>());
}

/// Every dependency of a package's tests, with its features. A dependency that is built twice, because tools of the build use it too,
/// has one line with both sets.
fn features(folder: &str) -> BTreeMap<String, String> {
    let output = Command::new(env::var_os("CARGO").unwrap_or_else(|| "cargo".into()))
        .args(["tree", "--locked", "--offline", "--prefix", "none", "--edges", "normal,build,dev"])
        .args(["--format", "{p}|{f}", "--manifest-path"])
        .arg(top().join(folder).join("Cargo.toml"))
        .output()
        .expect("Cargo can be started");
    assert!(output.status.success(), "{folder}: {}", String::from_utf8_lossy(&output.stderr));
    let mut sets: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
    for line in String::from_utf8_lossy(&output.stdout).lines() {
        let Some((package, features)) = line.trim_end_matches(" (*)").split_once('|') else { continue };
        // Packages of the workspace have no features that matter here, and end in their folder.
        if !package.contains("(/") {
            sets.entry(package.to_owned()).or_default().insert(features.to_owned());
        }
    }
    sets.into_iter().map(|(package, sets)| (package, Vec::from_iter(sets).join(" and "))).collect()
}
