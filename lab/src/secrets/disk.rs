//! The state on disk: an append-only file of encrypted transactions. It is compacted by writing a new file and renaming it.
//!
//! Records follow a header with a mark and the salt of the key. Each record has a length, a nonce and AES-256-GCM ciphertext, and
//! seals one operation's changes. It is bound to the header and to its place in the file, so no record can be moved or left out
//! in the middle. A record is on the disk before its call is answered. A record that a crash cut short was never answered, and is
//! dropped when the file is opened again.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Write};
use std::num::NonZeroU32;
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use aws_lc_rs::aead::{AES_256_GCM, Aad, LessSafeKey, NONCE_LEN, Nonce, UnboundKey};
use aws_lc_rs::{digest, pbkdf2, rand};
use serde::{Deserialize, Serialize};

use super::secret::Secret;
use super::state::Key;

/// The file of the state, and its key. It has no `Debug`, because it holds the passphrase.
#[derive(Clone)]
pub struct StateFile {
    /// The file. While a lab runs, `PATH.lock` is beside it.
    pub path: PathBuf,
    /// The source of the encryption key.
    pub key: StateKey,
}

/// The source of the encryption key.
#[derive(Clone)]
pub enum StateKey {
    /// A passphrase, through PBKDF2-HMAC-SHA256.
    Passphrase(String),
    /// A file of at least 32 random bytes. It is created if it does not exist.
    File(PathBuf),
}

const MAGIC: &[u8; 8] = b"turnlab1";
const SALT: usize = 16;
const HEADER: usize = MAGIC.len() + SALT;
const LENGTH: usize = 8;
/// OWASP's recommendation for PBKDF2-HMAC-SHA256 (Password Storage Cheat Sheet).
const ITERATIONS: NonZeroU32 = NonZeroU32::new(600_000).expect("it is not zero");
/// A smaller file is not worth compacting.
const COMPACT_ABOVE: u64 = 4 << 20;

/// One operation's changes.
#[derive(Serialize, Deserialize)]
struct Transaction<S> {
    put: Vec<S>,
    removed: Vec<Key>,
}

/// The open state file.
pub(crate) struct Disk {
    path: PathBuf,
    file: File,
    header: Vec<u8>,
    key: LessSafeKey,
    records: u64,
    length: u64,
    /// The length right after the last compaction.
    compact_length: u64,
    /// Whether a write failed. Then the file no longer has all answered changes.
    broken: bool,
    _lock: Lock,
}

impl Disk {
    /// Opens the file or creates it, and returns its secrets.
    pub(crate) fn open(options: &StateFile) -> io::Result<(Self, Vec<Secret>)> {
        let lock = Lock::new(&options.path)?;
        let stored = match fs::read(&options.path) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => None,
            read => Some(read?),
        };
        let header = match &stored {
            Some(bytes) => header_of(bytes)?.to_vec(),
            None => new_header()?,
        };
        let key = encryption_key(&options.key, &header[MAGIC.len()..])?;
        let secrets = match &stored {
            Some(bytes) => replay(&key, bytes)?,
            None => Vec::new(),
        };
        let (file, length) = write_new(&options.path, &header, &key, &secrets)?;
        let path = options.path.clone();
        let disk = Self {
            path,
            file,
            header,
            key,
            records: 1,
            length,
            compact_length: length,
            broken: false,
            _lock: lock,
        };
        Ok((disk, secrets))
    }

    /// Appends one operation's changes. When this returns, they are on the disk.
    pub(crate) fn append(&mut self, changes: Vec<(Key, Option<Arc<Secret>>)>) -> io::Result<()> {
        let (put, removed): (Vec<_>, Vec<_>) = changes.into_iter().partition(|(_, secret)| secret.is_some());
        let transaction = Transaction {
            put: put.iter().filter_map(|(_, secret)| secret.as_deref()).collect(),
            removed: removed.into_iter().map(|(key, _)| key).collect(),
        };
        let record = seal(&self.key, &self.header, self.records, &transaction)?;
        let written = self.file.write_all(&record).and_then(|()| self.file.sync_data());
        self.broken = written.is_err();
        self.records += 1;
        self.length += record.len() as u64;
        written
    }

    /// Whether a write has failed.
    pub(crate) fn is_broken(&self) -> bool {
        self.broken
    }

    /// Whether the file has grown enough to be compacted.
    pub(crate) fn wants_compaction(&self) -> bool {
        self.length > COMPACT_ABOVE + 2 * self.compact_length
    }

    /// Rewrites the file with only the present state.
    pub(crate) fn compact<'a>(&mut self, secrets: impl Iterator<Item = &'a Secret>) -> io::Result<()> {
        let secrets: Vec<&Secret> = secrets.collect();
        let written = write_new(&self.path, &self.header, &self.key, &secrets);
        self.broken = written.is_err();
        let (file, length) = written?;
        (self.file, self.length, self.compact_length, self.records) = (file, length, length, 1);
        Ok(())
    }
}

/// The lock of the file. Two labs on one file would overwrite each other's changes.
#[derive(Debug)]
struct Lock(File);

impl Lock {
    fn new(path: &Path) -> io::Result<Self> {
        let beside = beside(path, "lock");
        let file = OpenOptions::new().create(true).truncate(false).write(true).mode(0o600).open(&beside)?;
        file.try_lock().map_err(|_| {
            let text = format!("the state file {} is in use by another lab", path.display());
            io::Error::new(io::ErrorKind::ResourceBusy, text)
        })?;
        Ok(Self(file))
    }
}

impl Drop for Lock {
    /// Closing the file would not release the lock if a process that is just being started still has the file open.
    fn drop(&mut self) {
        // If this fails, closing the file may still release the lock.
        let _ = self.0.unlock();
    }
}

fn beside(path: &Path, extension: &str) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(".");
    name.push(extension);
    name.into()
}

fn new_header() -> io::Result<Vec<u8>> {
    let mut header = MAGIC.to_vec();
    header.extend(random::<SALT>()?);
    Ok(header)
}

fn random<const N: usize>() -> io::Result<[u8; N]> {
    let mut bytes = [0; N];
    rand::fill(&mut bytes).map_err(|_| io::Error::other("the operating system gave no random bytes"))?;
    Ok(bytes)
}

fn header_of(bytes: &[u8]) -> io::Result<&[u8]> {
    bytes.get(..HEADER).filter(|header| header.starts_with(MAGIC)).ok_or_else(|| invalid("is no lab state"))
}

fn invalid(what: &str) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, format!("the state file {what}"))
}

fn encryption_key(source: &StateKey, salt: &[u8]) -> io::Result<LessSafeKey> {
    let mut key = [0; 32];
    match source {
        StateKey::Passphrase(passphrase) => {
            let passphrase = passphrase.as_bytes();
            pbkdf2::derive(pbkdf2::PBKDF2_HMAC_SHA256, ITERATIONS, salt, passphrase, &mut key);
        }
        StateKey::File(path) => {
            let material = key_file(path)?;
            key.copy_from_slice(digest::digest(&digest::SHA256, &[salt, &material].concat()).as_ref());
        }
    }
    let key =
        UnboundKey::new(&AES_256_GCM, &key).map_err(|_| io::Error::other("the key was not accepted"))?;
    Ok(LessSafeKey::new(key))
}

fn key_file(path: &Path) -> io::Result<Vec<u8>> {
    match fs::read(path) {
        Ok(material) if material.len() >= 32 => Ok(material),
        Ok(_) => Err(io::Error::new(
            io::ErrorKind::InvalidData,
            format!("the key file {} must have at least 32 bytes", path.display()),
        )),
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            let material = random::<32>()?.to_vec();
            let mut file = OpenOptions::new().create_new(true).write(true).mode(0o600).open(path)?;
            file.write_all(&material)?;
            file.sync_all()?;
            sync_folder(path)?;
            Ok(material)
        }
        Err(error) => Err(error),
    }
}

/// Seals a transaction at its place in the file.
fn seal<S: Serialize>(
    key: &LessSafeKey,
    header: &[u8],
    place: u64,
    transaction: &Transaction<S>,
) -> io::Result<Vec<u8>> {
    let mut sealed = serde_json::to_vec(transaction)?;
    let nonce = random::<NONCE_LEN>()?;
    key.seal_in_place_append_tag(Nonce::assume_unique_for_key(nonce), bound_to(header, place), &mut sealed)
        .map_err(|_| io::Error::other("the state could not be encrypted"))?;
    let length = (sealed.len() as u64).to_be_bytes();
    Ok([&length[..], &nonce, &sealed].concat())
}

fn bound_to(header: &[u8], place: u64) -> Aad<Vec<u8>> {
    Aad::from([header, &place.to_be_bytes()].concat())
}

/// The secrets after all transactions. A last record that was cut short is ignored.
fn replay(key: &LessSafeKey, bytes: &[u8]) -> io::Result<Vec<Secret>> {
    let (header, mut rest) = bytes.split_at(HEADER);
    let mut secrets = std::collections::BTreeMap::new();
    for place in 0.. {
        let Some((record, after)) = split_record(rest) else {
            if place == 0 {
                return Err(invalid("is cut short"));
            }
            break;
        };
        rest = after;
        let (nonce, sealed) = record.split_at(NONCE_LEN);
        let nonce = Nonce::try_assume_unique_for_key(nonce).map_err(|_| invalid("is damaged"))?;
        let mut sealed = sealed.to_vec();
        let opened = match key.open_in_place(nonce, bound_to(header, place), &mut sealed) {
            Ok(opened) => opened,
            Err(_) if place == 0 => return Err(invalid("does not open with this key")),
            // A crash of the whole machine can leave the last record's length without its content.
            Err(_) if rest.is_empty() => break,
            Err(_) => return Err(invalid("is damaged")),
        };
        let transaction: Transaction<Secret> = serde_json::from_slice(opened)?;
        for key in &transaction.removed {
            secrets.remove(key);
        }
        secrets.extend(transaction.put.into_iter().map(|secret| (Key::of(&secret), secret)));
    }
    Ok(secrets.into_values().collect())
}

/// The nonce and ciphertext of the first record, and what follows it.
fn split_record(bytes: &[u8]) -> Option<(&[u8], &[u8])> {
    let (length, rest) = bytes.split_first_chunk::<LENGTH>()?;
    let length = usize::try_from(u64::from_be_bytes(*length)).ok()?.checked_add(NONCE_LEN)?;
    rest.split_at_checked(length)
}

/// Writes a new file beside the old one and replaces the old one with it.
fn write_new<S: Serialize>(
    path: &Path,
    header: &[u8],
    key: &LessSafeKey,
    secrets: &[S],
) -> io::Result<(File, u64)> {
    let transaction = Transaction { put: secrets.iter().collect(), removed: Vec::new() };
    let record = seal(key, header, 0, &transaction)?;
    let new = beside(path, "new");
    let mut file = OpenOptions::new().create(true).truncate(true).write(true).mode(0o600).open(&new)?;
    file.write_all(header)?;
    file.write_all(&record)?;
    file.sync_all()?;
    fs::rename(&new, path)?;
    sync_folder(path)?;
    Ok((file, (header.len() + record.len()) as u64))
}

/// Makes a new or renamed file's name durable.
fn sync_folder(path: &Path) -> io::Result<()> {
    let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
    File::open(folder)?.sync_all()
}
