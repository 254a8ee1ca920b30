//! Builds the binary of a workspace package, and finds it.

use std::collections::BTreeMap;
use std::env;
use std::io;
use std::path::PathBuf;
use std::process::{Command, Stdio};
use std::sync::Mutex;

use serde_json::Value;

use crate::lock::locked;

/// The binaries that this process has built.
static BUILT: Mutex<BTreeMap<String, PathBuf>> = Mutex::new(BTreeMap::new());

/// The binary of `package`. Callers at the same time wait for one build.
pub(crate) fn binary(package: &str) -> io::Result<PathBuf> {
    if let Some(folder) = env::var_os("TURNLOCK_BIN_DIR") {
        let path = PathBuf::from(folder).join(package);
        return match path.is_file() {
            true => Ok(path),
            false => Err(failed(
                package,
                format!("TURNLOCK_BIN_DIR is set, and {} does not exist", path.display()),
            )),
        };
    }
    let mut built = locked(&BUILT);
    if let Some(path) = built.get(package) {
        return Ok(path.clone());
    }
    let path = build(package)?;
    built.insert(package.to_owned(), path.clone());
    Ok(path)
}

/// Cargo decides whether to compile, and says where the binary is. The command names the whole workspace, so that dependencies
/// get the same features as in every other build here.
fn build(package: &str) -> io::Result<PathBuf> {
    let cargo = env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
    let output = Command::new(&cargo)
        .args([
            "build",
            "--quiet",
            "--message-format=json-render-diagnostics",
            "--workspace",
            "--bin",
            package,
        ])
        .stdin(Stdio::null())
        .stderr(Stdio::inherit())
        .output()
        .map_err(|error| failed(package, format!("{} cannot be started: {error}", cargo.display())))?;
    if !output.status.success() {
        return Err(failed(package, format!("cargo build: {}", output.status)));
    }
    String::from_utf8_lossy(&output.stdout)
        .lines()
        .filter_map(|line| serde_json::from_str::<Value>(line).ok())
        .filter(|message| message["target"]["name"] == package)
        .find_map(|message| message["executable"].as_str().map(PathBuf::from))
        .ok_or_else(|| failed(package, "the package has no binary of its own name".to_owned()))
}

fn failed(package: &str, why: String) -> io::Error {
    io::Error::other(format!("no binary for package {package}: {why}"))
}
