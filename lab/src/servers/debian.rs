//! Programs from Debian's packages, unpacked into the cache together with every library they need.
//!
//! This installs nothing and needs no root. The suite may differ from this machine's, because the programs run through the dynamic
//! loader that was unpacked with them.

use std::env;
use std::ffi::OsString;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::process::Command;

use super::{account, cache};

/// The folder that holds a package and its dependencies, unpacked.
pub(super) fn unpacked(suite: &str, package: &str) -> io::Result<PathBuf> {
    entry(suite, package, &["install", "--yes", "--download-only"])
}

/// The folder that holds a package without its dependencies, for a plugin of a program that has them already.
pub(super) fn unpacked_alone(suite: &str, package: &str) -> io::Result<PathBuf> {
    entry(suite, package, &["download"])
}

fn entry(suite: &str, package: &str, by: &[&str]) -> io::Result<PathBuf> {
    cache::entry(&format!("{package}-{suite}"), |folder| {
        cache::announce(&format!("fetching {package} of Debian {suite}"));
        let work = tempfile::tempdir()?;
        let mut failures = Vec::new();
        for mirror in mirrors()? {
            match fetch(&mirror, suite, package, by, work.path()) {
                Ok(()) => return unpack(&work.path().join("archives"), folder),
                Err(error) => failures.push(error.to_string()),
            }
        }
        Err(io::Error::other(format!(
            "no package source of this machine has {package}:\n{}",
            failures.join("\n")
        )))
    })
}

/// The command that starts a program of an unpacked package. Debian 12 still has packages that unpack into `/lib`; in later suites all
/// packages unpack into `/usr/lib`.
pub(super) fn command(root: &Path, program: &str) -> io::Result<Vec<OsString>> {
    let folders = ["usr/lib", "lib"].into_iter().flat_map(|folder| files(&root.join(folder)));
    let folders: Vec<PathBuf> =
        folders.filter(|path| path.to_string_lossy().ends_with("-linux-gnu")).collect();
    let is_loader =
        |path: &PathBuf| path.file_name().is_some_and(|name| name.to_string_lossy().starts_with("ld-linux"));
    let loader = folders.iter().flat_map(|folder| files(folder)).find(is_loader);
    let loader = loader.ok_or_else(|| io::Error::other(format!("{} holds no C library", root.display())))?;
    let libraries = env::join_paths(folders).map_err(io::Error::other)?;
    Ok(vec![loader.into(), "--library-path".into(), libraries, root.join(program).into()])
}

/// The files of a folder; empty if there is no such folder.
fn files(folder: &Path) -> Vec<PathBuf> {
    let entries = fs::read_dir(folder).into_iter().flatten().flatten();
    entries.map(|entry| entry.path()).collect()
}

/// This machine's own package sources. Not all of them are Debian's; Debian's own have all suites.
fn mirrors() -> io::Result<Vec<String>> {
    let known = || -> io::Result<Vec<String>> {
        let format = ["indextargets", "--format", "$(REPO_URI)", "Created-By: Packages"];
        let printed = cache::run(Command::new("apt-get").args(format))?;
        let mut mirrors: Vec<String> =
            printed.lines().filter(|line| !line.is_empty()).map(str::to_owned).collect();
        mirrors.dedup();
        Ok(mirrors)
    };
    let mirrors = known()?;
    if mirrors.is_empty() && account::is_root() {
        cache::run(Command::new("apt-get").arg("update"))?;
        return known();
    }
    Ok(mirrors)
}

/// Downloads a package into `archives` with a command of apt-get, as if nothing were installed.
fn fetch(mirror: &str, suite: &str, package: &str, by: &[&str], work: &Path) -> io::Result<()> {
    let keyring = Path::new("/usr/share/keyrings/debian-archive-keyring.gpg");
    let signed_by =
        if keyring.exists() { format!("[signed-by={}] ", keyring.display()) } else { String::new() };
    fs::create_dir_all(work.join("archives/partial"))?;
    fs::create_dir_all(work.join("lists/partial"))?;
    fs::write(work.join("status"), "")?;
    fs::write(work.join("sources.list"), format!("deb {signed_by}{mirror} {suite} main\n"))?;
    let path = work.display();
    let settings = format!(
        r#"
        Dir::State::Lists "{path}/lists";
        Dir::State::status "{path}/status";
        Dir::Cache "{path}";
        Dir::Etc::sourcelist "{path}/sources.list";
        Dir::Etc::sourceparts "/dev/null";
        Dir::Etc::preferences "/dev/null";
        Dir::Etc::preferencesparts "/dev/null";
        Acquire::Languages "none";
        // A mirror may be a frozen copy whose signature has expired.
        Acquire::Check-Valid-Until "false";
        APT::Install-Recommends "false";
        APT::Sandbox::User "";
        Debug::NoLocking "true";
        "#
    );
    fs::write(work.join("apt.conf"), settings)?;
    let apt = |arguments: &[&str]| {
        let mut command = Command::new("apt-get");
        // `download` leaves the package in its working directory.
        command.args(arguments).env("APT_CONFIG", work.join("apt.conf")).current_dir(work.join("archives"));
        cache::run(&mut command)
    };
    apt(&["update", "--error-on=any"])?;
    apt(&[by, &[package]].concat()).map(drop)
}

fn unpack(archives: &Path, folder: &Path) -> io::Result<()> {
    for archive in fs::read_dir(archives)?.flatten().map(|entry| entry.path()) {
        let name = archive.file_name().unwrap_or_default().to_string_lossy();
        // Perl is half of the volume, and only scripts that are not run here need it.
        if name.ends_with(".deb") && !name.starts_with("perl") && !name.starts_with("libperl") {
            cache::run(Command::new("dpkg-deb").arg("--extract").arg(&archive).arg(folder))?;
        }
    }
    Ok(())
}
