//! Container images under the official names, made from packages. For machines that reach package sources and no registry.

use std::fs;
use std::io;
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::{Path, PathBuf};
use std::process::Command;

use super::{cache, debian};

/// The folders that are links into `usr` on every Debian. Packages of Debian 12 still unpack into them.
const MERGED: [&str; 4] = ["bin", "sbin", "lib", "lib64"];

/// The packages of a shell and of what it calls, in which the official images' scripts run too.
const BASE: [&str; 2] = ["coreutils", "dash"];

/// A folder, and where its contents lie in the image.
pub(super) type Layer = (PathBuf, &'static str);

/// Makes an image of these layers, over a base of Debian's.
pub(super) fn make(name: &str, layers: &[Layer]) -> io::Result<()> {
    let made = cache::entry(&format!("{}-image", name.replace(':', "-")), |folder| {
        let root = folder.join("root");
        skeleton(&root)?;
        for package in BASE {
            add(&debian::unpacked("bookworm", package)?, &root)?;
        }
        for (layer, place) in layers {
            let place = root.join(place);
            fs::create_dir_all(&place)?;
            add(layer, &place)?;
        }
        if !root.join("usr/bin/sh").exists() {
            symlink("dash", root.join("usr/bin/sh"))?;
        }
        cache::run(
            Command::new("tar")
                .args(["--create", "--file=root.tar", "--directory=root", "."])
                .current_dir(folder),
        )?;
        fs::remove_dir_all(root)
    })?;
    let path = "ENV PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";
    let mut import = Command::new("docker");
    import.args(["import", "--change", path]).arg(made.join("root.tar")).arg(name);
    cache::run(&mut import).map(drop)
}

fn skeleton(root: &Path) -> io::Result<()> {
    for folder in MERGED {
        fs::create_dir_all(root.join("usr").join(folder))?;
        symlink(Path::new("usr").join(folder), root.join(folder))?;
    }
    let temporary = root.join("tmp");
    fs::create_dir(&temporary)?;
    fs::set_permissions(temporary, fs::Permissions::from_mode(0o1777))
}

/// Copies what a folder holds. A link to a folder stays a link.
fn add(layer: &Path, place: &Path) -> io::Result<()> {
    let pipe =
        "tar --create --directory=\"$0\" . | tar --extract --keep-directory-symlink --directory=\"$1\"";
    cache::run(Command::new("sh").args(["-ec", pipe]).arg(layer).arg(place)).map(drop)
}
