//! Installs the packages that a Debian machine with only a Rust toolchain lacks.

use std::fs;
use std::path::{Path, PathBuf};

use crate::command::{answers, cargo, command, run, target};

/// Checks licences, duplicate versions and sources.
const CARGO_DENY: &str = "cargo-deny@0.20.2";

/// Builds fuzz targets.
const CARGO_FUZZ: &str = "cargo-fuzz@0.13.2";

/// Breaks the code in small ways, to check whether a test notices.
const CARGO_MUTANTS: &str = "cargo-mutants@27.1.0";

/// Answers applications from a copy of their secrets: AWS's caching client for Rust, behind HTTP.
const AGENT: &str = "aws_secretsmanager_agent@2.1.0";

/// A program, the arguments that show whether it is installed, its Debian package, and its purpose.
struct Need {
    program: &'static str,
    asked: &'static [&'static str],
    package: &'static str,
    for_what: &'static str,
}

const NEEDS: [Need; 7] = [
    Need {
        program: "npm",
        asked: &["--version"],
        package: "npm",
        for_what: "fetches PostgreSQL 14 to 18, and the SDK for JavaScript",
    },
    Need {
        program: "/usr/sbin/mariadbd",
        asked: &["--version"],
        package: "mariadb-server-core",
        for_what: "MariaDB for tests",
    },
    Need {
        program: "/usr/sbin/pgbouncer",
        asked: &["--version"],
        package: "pgbouncer",
        for_what: "a pooler in front of PostgreSQL",
    },
    Need {
        program: "/usr/sbin/debootstrap",
        asked: &["--version"],
        package: "debootstrap",
        for_what: "fetches MySQL 9",
    },
    Need {
        program: "python3",
        asked: &["-c", "import venv, ensurepip"],
        package: "python3-venv",
        for_what: "boto3, moto, the AWS CLI and the caching client as clients of the lab",
    },
    Need {
        program: "redis-check-rdb",
        asked: &["--version"],
        package: "redis-tools",
        for_what: "the server of the example target",
    },
    Need { program: "git", asked: &["--version"], package: "git", for_what: "lists the files of the tree" },
];

/// Installs the missing packages that the tests need.
pub(crate) fn packages() -> Result<(), String> {
    let missing: Vec<&Need> = NEEDS.iter().filter(|need| !answers(need.program, need.asked)).collect();
    if missing.is_empty() {
        println!("nothing is missing");
        return Ok(());
    }
    for Need { program, package, for_what, .. } in &missing {
        println!("missing: {program} ({for_what}), in Debian's package {package}");
    }
    let packages: Vec<&str> = missing.iter().map(|need| need.package).collect();
    install(&packages)
}

/// Installs Debian's packages.
pub(crate) fn install(packages: &[&str]) -> Result<(), String> {
    let line = format!("apt-get install --no-install-recommends {}", packages.join(" "));
    let root: &[&str] = match () {
        () if answers("sh", &["-c", "test \"$(id -u)\" = 0"]) => &["env"],
        () if answers("sudo", &["-n", "true"]) => &["sudo", "-n", "env"],
        () => return Err(format!("as root, run: apt-get update && {line}")),
    };
    let apt_get = |arguments: &[&str]| {
        let words = [&root[1..], &["DEBIAN_FRONTEND=noninteractive", "apt-get", "--quiet"], arguments];
        run(&mut command(root[0], &words.concat()))
    };
    println!("installing: {line}");
    apt_get(&["update"])?;
    apt_get(&[&["install", "--yes", "--no-install-recommends"], packages].concat())
}

/// The folder of tools for this workspace alone.
pub(crate) fn tools() -> PathBuf {
    target().join("tools")
}

/// `cargo-deny`, built on first use. That takes some minutes.
pub(crate) fn cargo_deny() -> Result<PathBuf, String> {
    tool(CARGO_DENY, &["--no-default-features"])
}

/// `cargo-fuzz`, built on first use.
pub(crate) fn cargo_fuzz() -> Result<PathBuf, String> {
    tool(CARGO_FUZZ, &[])
}

/// `cargo-mutants`, built on first use.
pub(crate) fn cargo_mutants() -> Result<PathBuf, String> {
    tool(CARGO_MUTANTS, &[])
}

/// AWS's Secrets Manager agent, built on first use. That takes some minutes.
pub(crate) fn agent() -> Result<PathBuf, String> {
    tool(AGENT, &[])
}

/// A C++ compiler, which builds libFuzzer.
pub(crate) fn cplusplus() -> Result<(), String> {
    if answers("c++", &["--version"]) { Ok(()) } else { install(&["g++"]) }
}

/// A program of this version, built on first use.
fn tool(package: &str, arguments: &[&str]) -> Result<PathBuf, String> {
    let program = tools().join("bin").join(package.split('@').next().unwrap_or(package));
    if !program.exists() {
        cargo_install(package, arguments)?;
    }
    Ok(program)
}

/// Installs a tool from crates.io without optimisation. It builds in half the time, and each run only takes a second.
fn cargo_install(package: &str, arguments: &[&str]) -> Result<(), String> {
    println!("building {package} once, for target/tools");
    let root = tools();
    let build = root.join("build");
    let done = run(cargo(&["install", "--locked", "--quiet", "--debug"])
        .arg("--root")
        .arg(&root)
        .arg("--target-dir")
        .arg(&build)
        .args(arguments)
        .arg(package));
    remove(&build)?;
    done
}

/// The programs of a virtual environment with these packages from PyPI, made on first use.
pub(crate) fn python(name: &str, packages: &[&str]) -> Result<PathBuf, String> {
    let folder = tools().join("python").join(name);
    once(&folder, packages, || {
        run(command("python3", &["-m", "venv"]).arg(&folder))?;
        let pip = ["install", "--quiet", "--disable-pip-version-check"];
        run(command(folder.join("bin/pip"), &pip).args(packages))
    })?;
    Ok(folder.join("bin"))
}

/// A folder with these packages from npm, made on first use.
pub(crate) fn npm(name: &str, packages: &[&str]) -> Result<PathBuf, String> {
    let folder = tools().join("npm").join(name);
    once(&folder, packages, || {
        let install = ["install", "--silent", "--no-audit", "--no-fund", "--prefix"];
        run(command("npm", &install).arg(&folder).args(packages))
    })?;
    Ok(folder)
}

/// Fills a folder with packages, unless it holds exactly these already.
fn once(
    folder: &Path,
    packages: &[&str],
    install: impl FnOnce() -> Result<(), String>,
) -> Result<(), String> {
    let made = folder.join("made-of");
    let wanted = packages.join("\n");
    if fs::read_to_string(&made).is_ok_and(|had| had == wanted) {
        return Ok(());
    }
    println!("installing {}, for target/tools", packages.join(", "));
    remove(folder)?;
    let failed = |error: std::io::Error| format!("{}: {error}", folder.display());
    fs::create_dir_all(folder).map_err(failed)?;
    install()?;
    fs::write(&made, wanted).map_err(failed)
}

/// Removes a file, or a folder with its contents, if it exists.
pub(crate) fn remove(path: &Path) -> Result<(), String> {
    let removed = if path.is_dir() { fs::remove_dir_all(path) } else { fs::remove_file(path) };
    match removed {
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
            Err(format!("{}: {error}", path.display()))
        }
        _ => Ok(()),
    }
}
