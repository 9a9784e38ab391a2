//! Files from where they are published: whole, as they are known to be, or not at all.

use super::NamedSet;
use crate::error::{Error, Result};
use sha2::{Digest, Sha256};
use std::{
    fs::{self, File, OpenOptions},
    io::{self, Read, Write},
    path::{Path, PathBuf},
    time::Duration,
};
use ureq::{Agent, http::StatusCode};

/// Longer than this, no server is waited for.
const PATIENCE: Duration = Duration::from_secs(30);
/// How often a transfer that breaks off is gone on with.
const TRIES: usize = 4;

/// How far a transfer is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Fetched<'a> {
    /// The file.
    pub name: &'a str,
    /// Bytes that are there.
    pub done: u64,
    /// Bytes that it has.
    pub total: u64,
}

impl NamedSet {
    /// Fetches those of its files that its folder ([`NamedSet::folder`]) does not have, and tells how far it is; where they lie
    /// then. What was cut off goes on where it ended. `from` is another address than that at which they are published, such as a
    /// mirror's.
    ///
    /// # Errors
    ///
    /// They cannot be had (there is no network, the server does not answer, a file is another one than it should be), or cannot be
    /// written.
    pub fn fetch(&self, from: Option<&str>, tell: &mut dyn FnMut(Fetched<'_>)) -> Result<PathBuf> {
        let folder = self.folder().ok_or_else(|| {
            Error::new("there is no folder to fetch data into: set ZEROKARA_DATA to one")
        })?;
        fs::create_dir_all(&folder)
            .map_err(|e| Error::file(&folder, format!("cannot be made: {e}")))?;
        let from = from.unwrap_or(self.address()).trim_end_matches('/');
        for file in self.files() {
            let to = folder.join(file.name);
            if !to.exists() {
                let told = &mut |done| {
                    tell(Fetched {
                        name: file.name,
                        done,
                        total: file.bytes,
                    })
                };
                fetch_file(
                    &format!("{from}/{}", file.name),
                    &to,
                    (file.bytes, file.sha256),
                    told,
                )?;
            }
        }
        Ok(folder)
    }
}

/// Fetches a file of so many bytes with this SHA-256, and tells how many bytes are there. Until all are, and are those that they
/// should be, they lie beside it under a name that ends in `.part`, from where a later call goes on.
///
/// # Errors
///
/// As [`NamedSet::fetch`].
pub fn fetch_file(
    url: &str,
    to: &Path,
    (bytes, sha256): (u64, &str),
    tell: &mut dyn FnMut(u64),
) -> Result<()> {
    let mut part = to.as_os_str().to_owned();
    part.push(".part");
    let part = PathBuf::from(part);
    let agent: Agent = Agent::config_builder()
        .timeout_connect(Some(PATIENCE))
        .timeout_recv_response(Some(PATIENCE))
        .http_status_as_error(false)
        .build()
        .into();
    let mut tries = 0;
    loop {
        let before = length(&part);
        match go_on(&agent, url, &part, bytes, tell) {
            Ok(()) => break,
            Err(Trouble::Final(error)) => return Err(error),
            Err(Trouble::Broken(why)) => {
                // Only what brings nothing is counted.
                tries = if length(&part) > before { 1 } else { tries + 1 };
                if tries == TRIES {
                    return Err(Error::new(format!(
                        "{url} cannot be fetched: {why}. Is there a network? What was fetched ({} of {bytes} bytes) is kept; the \
                         same command goes on from there",
                        length(&part)
                    )));
                }
            }
        }
    }
    let found = checksum(&part).map_err(|e| Error::file(&part, format!("cannot be read: {e}")))?;
    if found != sha256 {
        // What is wrong in it is not known: nothing of it can be gone on from.
        let _ = fs::remove_file(&part);
        return Err(Error::new(format!(
            "{url} is not the file that it should be: its SHA-256 is {found}, not {sha256}. It was changed on the way or where it \
             lies; nothing was kept"
        )));
    }
    let kept = File::open(&part).and_then(|file| file.sync_all());
    kept.and_then(|()| fs::rename(&part, to))
        .map_err(|e| Error::file(to, format!("cannot be written: {e}")))
}

fn length(path: &Path) -> u64 {
    fs::metadata(path).map_or(0, |meta| meta.len())
}

/// Why a transfer ended early.
enum Trouble {
    /// It may be gone on with.
    Broken(String),
    Final(Error),
}

/// Fetches what is not there yet.
fn go_on(
    agent: &Agent,
    url: &str,
    part: &Path,
    bytes: u64,
    tell: &mut dyn FnMut(u64),
) -> std::result::Result<(), Trouble> {
    let disk = |e: io::Error| Trouble::Final(Error::file(part, format!("cannot be written: {e}")));
    let mut done = length(part);
    if done > bytes {
        fs::remove_file(part).map_err(disk)?;
        done = 0;
    }
    if done == bytes {
        return Ok(());
    }
    let mut request = agent.get(url);
    if done > 0 {
        request = request.header("Range", format!("bytes={done}-"));
    }
    let mut response = request.call().map_err(|e| Trouble::Broken(e.to_string()))?;
    let status = response.status();
    if !status.is_success() {
        let why = format!("the server says {status}");
        return Err(match status.is_server_error() {
            true => Trouble::Broken(why),
            false => Trouble::Final(Error::new(format!("{url} cannot be fetched: {why}"))),
        });
    }
    // A server that knows no ranges sends all.
    let goes_on = status == StatusCode::PARTIAL_CONTENT;
    if !goes_on {
        done = 0;
    }
    let mut file = OpenOptions::new()
        .create(true)
        .write(true)
        .append(goes_on)
        .truncate(!goes_on)
        .open(part)
        .map_err(disk)?;
    let mut body = response.body_mut().as_reader();
    let mut room = vec![0; 1 << 16];
    while done < bytes {
        let count = match body.read(&mut room) {
            Ok(0) => {
                return Err(Trouble::Broken(format!(
                    "the transfer ended after {done} of {bytes} bytes"
                )));
            }
            Ok(count) => count,
            Err(e) => return Err(Trouble::Broken(e.to_string())),
        };
        // More than there should be is not the file.
        let count = count.min((bytes - done) as usize);
        file.write_all(&room[..count]).map_err(disk)?;
        done += count as u64;
        tell(done);
    }
    Ok(())
}

fn checksum(path: &Path) -> io::Result<String> {
    let mut file = File::open(path)?;
    let mut hash = Sha256::new();
    let mut room = vec![0; 1 << 16];
    loop {
        match file.read(&mut room)? {
            0 => break,
            count => hash.update(&room[..count]),
        }
    }
    Ok(hash.finalize().iter().map(|b| format!("{b:02x}")).collect())
}
