//! Packages from npm, for clients that exist only there.

use std::io;
use std::path::PathBuf;
use std::process::Command;

use super::cache;

/// A folder in whose `node_modules` these packages are, made once for each name.
pub fn node(name: &str, packages: &[&str]) -> io::Result<PathBuf> {
    cache::entry(&format!("node-{name}"), |folder| {
        cache::announce(&format!("installing {} from npm", packages.join(", ")));
        let install = ["install", "--silent", "--no-audit", "--no-fund", "--prefix"];
        cache::run(Command::new("npm").args(install).arg(folder).args(packages)).map(drop)
    })
}
