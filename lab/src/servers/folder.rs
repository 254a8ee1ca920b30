//! A folder for one server.

use std::fs::File;
use std::io::{self, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::process::Command;

use super::account;

/// A folder for one server, owned by the account that runs it, removed with this value.
pub(super) struct Folder {
    folder: tempfile::TempDir,
}

impl Folder {
    pub(super) fn new() -> io::Result<Folder> {
        let folder = tempfile::Builder::new().prefix("turnlock-").tempdir_in(place())?;
        account::own(folder.path())?;
        Ok(Folder { folder })
    }

    pub(super) fn path(&self) -> &Path {
        self.folder.path()
    }

    pub(super) fn join(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// Writes a file that only the server's account can read.
    pub(super) fn write(&self, name: &str, content: &str) -> io::Result<PathBuf> {
        let path = self.join(name);
        let mut file = File::options().create_new(true).write(true).mode(0o600).open(&path)?;
        file.write_all(content.as_bytes())?;
        account::own(&path)?;
        Ok(path)
    }

    /// Copies a prepared data folder into this one, keeping its owner.
    pub(super) fn copy(&self, template: &Path, name: &str) -> io::Result<PathBuf> {
        let path = self.join(name);
        let copied = Command::new("cp").args(["-a", "--sparse=always"]).arg(template).arg(&path).status()?;
        match copied.success() {
            true => Ok(path),
            false => Err(io::Error::other(format!("cannot copy {}: {copied}", template.display()))),
        }
    }
}

/// The parent folder: in memory, if there is enough. Each server creates and deletes a thousand files. On ext4 that takes up to a
/// second, because it looks for an inode that was not deleted a moment ago.
fn place() -> PathBuf {
    let memory = Path::new("/dev/shm");
    match rustix::fs::statvfs(memory) {
        Ok(space) if space.f_bavail * space.f_frsize >= 2 << 30 && account::can_enter(memory) => {
            memory.to_owned()
        }
        _ => std::env::temp_dir(),
    }
}
