//! The file with the authorities that the function is to trust.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use crate::failure::Failure;

/// The file; it goes with this value.
pub(super) struct Authorities {
    pub(super) path: PathBuf,
}

impl Authorities {
    pub(super) fn new(wanted: Option<PathBuf>) -> Result<Authorities, Failure> {
        let own = || std::env::temp_dir().join(format!("turnlock-{:016x}.pem", rand::random::<u64>()));
        let path = wanted.unwrap_or_else(own);
        if path.exists() {
            return Err(Failure::usage(
                format!("{} exists", path.display()),
                "the test makes and removes this file; move what is there out of the way",
            ));
        }
        let authorities = Authorities { path };
        let folder = authorities.path.parent().unwrap_or(Path::new("."));
        fs::create_dir_all(folder).and_then(|()| authorities.write("")).map_err(|error| {
            Failure::usage(
                format!("{}: {error}", authorities.path.display()),
                "name a file in a folder that you may write to",
            )
        })?;
        Ok(authorities)
    }

    /// Puts a whole file in the old one's place: a function of another trial may be reading it at this moment.
    pub(super) fn write(&self, pem: &str) -> io::Result<()> {
        let new = self.path.with_extension(format!("{:016x}", rand::random::<u64>()));
        fs::write(&new, pem)?;
        fs::rename(&new, &self.path)
    }
}

impl Drop for Authorities {
    fn drop(&mut self) {
        let _ = fs::remove_file(&self.path);
    }
}
