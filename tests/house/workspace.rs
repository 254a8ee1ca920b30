//! The packages of the workspace as their manifests describe them.

use std::path::{Path, PathBuf};
use std::process::Command;

use serde_json::Value;

use crate::arrows::Arrow;
use crate::package::Root;

/// A package: its folder, the roots of its crates, and the packages of this workspace that it depends on.
pub(crate) struct Member {
    /// As written in the workspace's manifest, for example `functions/postgres`.
    pub(crate) folder: String,
    pub(crate) roots: Vec<Root>,
    pub(crate) needs: Vec<Need>,
}

/// A dependency on a package of the same workspace.
pub(crate) struct Need {
    pub(crate) folder: String,
    /// Only the package's own tests have it.
    pub(crate) tests_only: bool,
}

impl Need {
    pub(crate) fn arrow(&self, of: &Member) -> Arrow {
        Arrow { from: of.folder.clone(), to: self.folder.clone(), tests_only: self.tests_only }
    }
}

/// The top of the workspace.
pub(crate) fn top() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().expect("tests/ is a folder of the workspace").to_owned()
}

/// Every package, as Cargo reads the manifests.
pub(crate) fn members() -> Vec<Member> {
    let cargo = std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
    let output = Command::new(cargo)
        .args(["metadata", "--no-deps", "--offline", "--format-version", "1"])
        .current_dir(top())
        .output()
        .expect("cargo can be started");
    let errors = String::from_utf8_lossy(&output.stderr);
    let told: Value = serde_json::from_slice(&output.stdout).unwrap_or_else(|_| panic!("{errors}"));
    list(&told["packages"]).iter().map(member).collect()
}

fn member(package: &Value) -> Member {
    let manifest = Path::new(text(&package["manifest_path"]));
    let folder = manifest.parent().map(shown).unwrap_or_default();
    let roots = list(&package["targets"]).iter().map(root).collect();
    let needs = list(&package["dependencies"]).iter().filter_map(need).collect();
    Member { folder, roots, needs }
}

fn root(target: &Value) -> Root {
    let kinds = list(&target["kind"]);
    Root {
        crate_name: text(&target["name"]).replace('-', "_"),
        file: PathBuf::from(shown(Path::new(text(&target["src_path"])))),
        is_library: kinds.iter().any(|kind| kind == "lib"),
    }
}

/// A dependency with a path is on a package of this workspace.
fn need(dependency: &Value) -> Option<Need> {
    let folder = shown(Path::new(dependency["path"].as_str()?));
    Some(Need { folder, tests_only: dependency["kind"] == "dev" })
}

/// A path below the top of the workspace.
fn shown(path: &Path) -> String {
    path.strip_prefix(top()).unwrap_or(path).display().to_string()
}

fn list(value: &Value) -> &[Value] {
    value.as_array().map(Vec::as_slice).unwrap_or_default()
}

fn text(value: &Value) -> &str {
    value.as_str().unwrap_or_default()
}
