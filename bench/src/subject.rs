//! The measured functions: ours, AWS's, and the floor, each as a process.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use lab::runtime::Function;
use tempfile::TempDir;

use crate::plan::{Case, Engine};
use crate::servers::Servers;

/// Our function or AWS's.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Side {
    Ours,
    Theirs,
}

/// AWS's functions, and a Python that has the modules that they import.
pub(crate) struct Peer {
    pub(crate) folder: PathBuf,
    pub(crate) python: PathBuf,
}

/// Everything that is needed to start a process.
pub(crate) struct Subjects {
    /// The folder with our functions and the floor.
    pub(crate) functions: PathBuf,
    pub(crate) peer: Option<Peer>,
    endpoint: String,
    /// Copies of AWS's functions, and the provider file.
    scratch: TempDir,
}

impl Subjects {
    pub(crate) fn new(functions: PathBuf, peer: Option<Peer>, endpoint: String) -> io::Result<Subjects> {
        Ok(Subjects { functions, peer, endpoint, scratch: tempfile::tempdir()? })
    }

    /// The sides that can be measured with a case.
    pub(crate) fn sides(&self, case: &Case) -> Vec<Side> {
        match (&self.peer, case.template) {
            (Some(_), Some(_)) => vec![Side::Ours, Side::Theirs],
            _ => vec![Side::Ours],
        }
    }

    /// A function for a case, with services at `port` of this machine.
    pub(crate) fn function(
        &self,
        case: &Case,
        side: Side,
        servers: &Servers,
        port: u16,
    ) -> io::Result<Function> {
        let function = match side {
            Side::Ours => Function::new(case.package, [self.functions.join(case.package)]),
            Side::Theirs => self.theirs(case, servers)?,
        };
        let function = function.env("SECRETS_MANAGER_ENDPOINT", &self.endpoint);
        if case.engine != Engine::Keys {
            return Ok(function);
        }
        fs::write(self.scratch.path().join("mine.toml"), crate::issuer::provider(port))?;
        Ok(function.env("PROVIDERS_DIR", self.scratch.path()).env("ALLOW_PRIVATE_ADDRESSES", "true"))
    }

    /// AWS's function in a folder of its own, with one change: the path of the trusted certificates.
    fn theirs(&self, case: &Case, servers: &Servers) -> io::Result<Function> {
        let missing = || io::Error::other("there is no such function of AWS's");
        let (peer, template) = self.peer.as_ref().zip(case.template).ok_or_else(missing)?;
        let folder = self.scratch.path().join(template);
        if !folder.exists() {
            fs::create_dir(&folder)?;
            let authority = folder.join("ca.pem");
            fs::write(&authority, servers.ca_pem(case.engine))?;
            let source = fs::read_to_string(peer.folder.join(template).join("lambda_function.py"))?;
            let source = source.replace("/etc/pki/tls/cert.pem", &authority.display().to_string());
            fs::write(folder.join("lambda_function.py"), source)?;
        }
        // As in Lambda, Python looks in the function's folder first, and compiled modules are there already.
        let arguments = ["-m", "awslambdaric", "lambda_function.lambda_handler"];
        let command = std::iter::once(peer.python.as_os_str()).chain(arguments.map(AsRef::as_ref));
        Ok(Function::new("aws", command.collect::<Vec<_>>()).env("PYTHONPATH", folder))
    }

    /// The floor, if it was built.
    pub(crate) fn floor(&self) -> Option<Function> {
        let floor = self.functions.join("floor");
        floor.exists().then(|| Function::new("floor", [floor]))
    }

    /// The size of a function's zip.
    pub(crate) fn zip_size(&self, package: &str) -> Option<u64> {
        let zip: &Path = &self.functions.join(format!("{package}.zip"));
        fs::metadata(zip).ok().map(|data| data.len())
    }
}
