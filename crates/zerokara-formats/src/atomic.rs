//! Files that are written whole or not at all.
//!
//! The bytes go to a temporary file in the same folder, which is synced and renamed over the old one; the folder is
//! synced last. A crash, a full disk or an interruption at any moment leaves either the old file or the new one.
//! Everything that Zerokara writes, it writes this way.
//!
//! What is there already and is no regular file cannot be replaced without being destroyed: a terminal, `/dev/stdout`, a
//! FIFO or a socket is written through, and a disk is refused. Symbolic links stay; what they lead to is written.

use std::fmt;
use std::fs::{self, File, OpenOptions};
use std::io::{self, BufWriter, Write};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};

/// A file or folder that could not be written or read: which one, what was tried, why, and what to do about it.
#[derive(Debug)]
pub struct FileError {
    path: PathBuf,
    action: &'static str,
    source: io::Error,
    advice: Option<String>,
}

impl FileError {
    /// An error of `action` (such as "write") on `path`. The advice follows from the kind of `source`.
    pub fn new(path: impl Into<PathBuf>, action: &'static str, source: io::Error) -> Self {
        Self {
            path: path.into(),
            action,
            source,
            advice: None,
        }
    }

    /// The same error with advice of its own.
    pub fn advise(mut self, advice: impl Into<String>) -> Self {
        self.advice = Some(advice.into());
        self
    }

    /// The file or folder.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// The kind of the underlying error.
    pub fn kind(&self) -> io::ErrorKind {
        self.source.kind()
    }

    fn general_advice(&self) -> Option<&'static str> {
        Some(match self.source.kind() {
            io::ErrorKind::PermissionDenied => {
                "allow writing there (chmod, chown) or choose another path"
            }
            io::ErrorKind::NotFound => "create the folder or correct the path",
            io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded => {
                "free some space or choose another disk"
            }
            io::ErrorKind::ConnectionRefused => "nobody listens at this socket",
            io::ErrorKind::ReadOnlyFilesystem => "choose a path on a disk that can be written",
            io::ErrorKind::IsADirectory => "name a file, not a folder",
            io::ErrorKind::NotADirectory => {
                "a part of the path is a file: rename it or choose another path"
            }
            io::ErrorKind::AlreadyExists => "choose another path or remove what is there",
            _ => return None,
        })
    }
}

impl fmt::Display for FileError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "cannot {} {}: {}",
            self.action,
            self.path.display(),
            self.source
        )?;
        match self.advice.as_deref().or(self.general_advice()) {
            Some(advice) => write!(f, "; {advice}"),
            None => Ok(()),
        }
    }
}

impl From<FileError> for zerokara_core::Error {
    fn from(error: FileError) -> Self {
        Self::new(error.to_string())
    }
}

impl std::error::Error for FileError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        Some(&self.source)
    }
}

/// Writes `bytes` to `path`, whole or not at all.
///
/// # Errors
///
/// As [`write_with`].
///
/// ```
/// let folder = tempfile::tempdir()?;
/// let path = folder.path().join("notes.txt");
/// zerokara_formats::atomic::write(&path, "loss 0.08")?;
/// assert_eq!(std::fs::read_to_string(&path)?, "loss 0.08");
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub fn write(path: impl AsRef<Path>, bytes: impl AsRef<[u8]>) -> Result<(), FileError> {
    write_with(path, |out| out.write_all(bytes.as_ref()))
}

/// Writes to `path` what `contents` writes to its (buffered) argument, whole or not at all.
///
/// A symbolic link is followed, also where the file that it names is still to be made; an existing file keeps its
/// permissions. What exists and is neither file nor folder (a terminal, a FIFO, a socket) is written through, and so is
/// what this process has open already (`/dev/stdout`, `/dev/fd/3`); a pipe without a reader is an error of the kind
/// [`BrokenPipe`](io::ErrorKind::BrokenPipe).
///
/// # Errors
///
/// A [`FileError`] when the file cannot be created, written, synced or renamed, or when `contents` fails. The old
/// file, if there was one, is then as it was, and no temporary file is left.
pub fn write_with(
    path: impl AsRef<Path>,
    contents: impl FnOnce(&mut dyn Write) -> io::Result<()>,
) -> Result<(), FileError> {
    let path = path.as_ref();
    let fail = |source| FileError::new(path, "write", source);
    if let Some(through) = written_through(path).map_err(fail)? {
        let mut out = BufWriter::new(through);
        contents(&mut out).map_err(fail)?;
        return out.flush().map_err(fail);
    }
    // Renaming over a link would replace the link, not the file it leads to.
    let target = target_of(path).map_err(fail)?;
    let existing = fs::metadata(&target).ok();
    if existing.as_ref().is_some_and(|m| m.is_dir()) {
        return Err(fail(io::ErrorKind::IsADirectory.into()));
    }
    let folder = folder_of(&target);
    let (file, temporary) = create_temporary(&target, folder).map_err(fail)?;
    let mut out = BufWriter::new(file);
    contents(&mut out).map_err(fail)?;
    let file = out.into_inner().map_err(|e| fail(e.into_error()))?;
    if let Some(existing) = existing {
        // Some file systems have no permissions to set; the bytes matter more.
        let _ = file.set_permissions(existing.permissions());
    }
    file.sync_all().map_err(fail)?;
    drop(file);
    fs::rename(&temporary.0, &target).map_err(fail)?;
    std::mem::forget(temporary);
    // The new name is durable once its folder is. Where folders cannot be synced, the renaming must do: the file is
    // written, and saying otherwise would be untrue.
    if let Ok(folder) = File::open(folder) {
        let _ = folder.sync_all();
    }
    Ok(())
}

/// Whether [`write()`] would put bytes through this path as into a pipe, instead of making or replacing a file: a
/// terminal, a FIFO, a socket, `/dev/stdout`.
pub fn is_stream(path: impl AsRef<Path>) -> bool {
    let path = path.as_ref();
    is_open_already(path) || fs::metadata(path).is_ok_and(|m| !m.is_file() && !m.is_dir())
}

/// Files that a process has open stand in these folders under their numbers, on systems that show them as files.
fn is_open_already(path: &Path) -> bool {
    let by_name = ["/dev/stdin", "/dev/stdout", "/dev/stderr"];
    let by_number = ["/dev/fd", "/proc/self/fd"];
    cfg!(unix)
        && (by_name.iter().any(|name| path == Path::new(name))
            || by_number
                .iter()
                .any(|folder| path.parent() == Some(Path::new(folder))))
}

/// What to write through, if `path` is a stream.
fn written_through(path: &Path) -> io::Result<Option<Box<dyn Write>>> {
    if !is_stream(path) {
        return Ok(None);
    }
    let is = |names: [&str; 3]| names.iter().any(|name| path == Path::new(name));
    // A file that the shell has opened for us has a place where the next byte goes; only the open file knows it.
    if is(["/dev/stdout", "/dev/fd/1", "/proc/self/fd/1"]) {
        return Ok(Some(Box::new(io::stdout())));
    }
    if is(["/dev/stderr", "/dev/fd/2", "/proc/self/fd/2"]) {
        return Ok(Some(Box::new(io::stderr())));
    }
    let found = fs::metadata(path)?;
    #[cfg(unix)]
    {
        use std::os::unix::{fs::FileTypeExt, net::UnixStream};
        if found.file_type().is_socket() {
            return Ok(Some(Box::new(UnixStream::connect(path)?)));
        }
        if found.file_type().is_block_device() {
            return Err(io::Error::other(
                "it is a disk, whose contents would be lost",
            ));
        }
    }
    let mut open = OpenOptions::new();
    // An open file that is no stream goes on at its end.
    open.write(true).append(found.is_file());
    Ok(Some(Box::new(open.open(path)?)))
}

/// Where links from `path` lead, whether or not anything is there.
fn target_of(path: &Path) -> io::Result<PathBuf> {
    /// As many as Linux follows.
    const LINKS: usize = 40;
    if let Ok(target) = fs::canonicalize(path) {
        return Ok(target);
    }
    let mut target = path.to_path_buf();
    for _ in 0..LINKS {
        match fs::read_link(&target) {
            Ok(next) => target = folder_of(&target).join(next),
            Err(_) => return Ok(target),
        }
    }
    Err(io::Error::other("its links lead in a circle"))
}

/// Makes `path` a symbolic link to `target`, at once: whoever looks sees the old link (or file) or the new one.
///
/// # Errors
///
/// A [`FileError`] when there are no links here, or `path` is a folder.
#[cfg(unix)]
pub fn link(target: impl AsRef<Path>, path: impl AsRef<Path>) -> Result<(), FileError> {
    let path = path.as_ref();
    let fail = |source| FileError::new(path, "make the link", source);
    let temporary = loop {
        let temporary = temporary_name(path, folder_of(path)).map_err(fail)?;
        match std::os::unix::fs::symlink(&target, &temporary) {
            Ok(()) => break Temporary(temporary),
            // Left behind by a killed process that had the same number.
            Err(e) if e.kind() == io::ErrorKind::AlreadyExists => {}
            Err(e) => return Err(fail(e)),
        }
    };
    fs::rename(&temporary.0, path).map_err(fail)?;
    std::mem::forget(temporary);
    Ok(())
}

/// A temporary file that is removed unless it was renamed.
struct Temporary(PathBuf);

impl Drop for Temporary {
    fn drop(&mut self) {
        let _ = fs::remove_file(&self.0);
    }
}

fn create_temporary(target: &Path, folder: &Path) -> io::Result<(File, Temporary)> {
    loop {
        let temporary = temporary_name(target, folder)?;
        match OpenOptions::new()
            .write(true)
            .create_new(true)
            .open(&temporary)
        {
            Ok(file) => return Ok((file, Temporary(temporary))),
            // Left behind by a killed process that had the same number.
            Err(e) if e.kind() == io::ErrorKind::AlreadyExists => {}
            Err(e) => return Err(e),
        }
    }
}

/// A name in this folder that nobody else takes.
fn temporary_name(target: &Path, folder: &Path) -> io::Result<PathBuf> {
    static COUNT: AtomicU64 = AtomicU64::new(0);
    let name = target.file_name().ok_or(io::ErrorKind::IsADirectory)?;
    let mut temporary = std::ffi::OsString::from(".");
    temporary.push(name);
    temporary.push(format!(
        ".{}-{}.tmp",
        std::process::id(),
        COUNT.fetch_add(1, Ordering::Relaxed)
    ));
    Ok(folder.join(temporary))
}

fn folder_of(path: &Path) -> &Path {
    match path.parent() {
        Some(folder) if !folder.as_os_str().is_empty() => folder,
        _ => Path::new("."),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names(folder: &Path) -> Vec<String> {
        let mut names: Vec<_> = fs::read_dir(folder)
            .unwrap()
            .map(|e| e.unwrap().file_name().into_string().unwrap())
            .collect();
        names.sort();
        names
    }

    #[test]
    fn replaces_a_file_and_leaves_nothing_else() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a.txt");
        write(&path, "old").unwrap();
        write(&path, "new").unwrap();
        assert_eq!(fs::read_to_string(&path).unwrap(), "new");
        assert_eq!(names(folder.path()), ["a.txt"]);
    }

    #[test]
    fn a_failure_in_the_middle_leaves_the_old_file() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a.txt");
        write(&path, "old").unwrap();
        let error = write_with(&path, |out| {
            out.write_all(&vec![b'x'; 100_000])?;
            Err(io::ErrorKind::StorageFull.into())
        })
        .unwrap_err();
        assert_eq!(fs::read_to_string(&path).unwrap(), "old");
        assert_eq!(names(folder.path()), ["a.txt"]);
        let text = error.to_string();
        assert!(
            text.contains("a.txt") && text.contains("free some space"),
            "{text}"
        );
    }

    #[test]
    fn a_panic_in_the_middle_leaves_the_old_file() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a.txt");
        write(&path, "old").unwrap();
        let result = std::panic::catch_unwind(|| write_with(&path, |_| panic!("on purpose")));
        assert!(result.is_err());
        assert_eq!(fs::read_to_string(&path).unwrap(), "old");
        assert_eq!(names(folder.path()), ["a.txt"]);
    }

    #[test]
    fn says_what_to_do_about_a_missing_folder_and_about_a_folder() {
        let folder = tempfile::tempdir().unwrap();
        let missing = write(folder.path().join("no/a.txt"), "x").unwrap_err();
        assert_eq!(missing.kind(), io::ErrorKind::NotFound);
        assert!(
            missing.to_string().contains("create the folder"),
            "{missing}"
        );
        let is_folder = write(folder.path(), "x").unwrap_err();
        assert!(is_folder.to_string().contains("name a file"), "{is_folder}");
    }

    #[cfg(unix)]
    #[test]
    fn follows_a_link_and_keeps_permissions() {
        use std::os::unix::fs::{PermissionsExt, symlink};
        let folder = tempfile::tempdir().unwrap();
        let (file, link) = (folder.path().join("file"), folder.path().join("link"));
        write(&file, "old").unwrap();
        fs::set_permissions(&file, fs::Permissions::from_mode(0o640)).unwrap();
        symlink(&file, &link).unwrap();
        write(&link, "new").unwrap();
        assert_eq!(fs::read_to_string(&file).unwrap(), "new");
        assert!(fs::symlink_metadata(&link).unwrap().is_symlink());
        assert_eq!(
            fs::metadata(&file).unwrap().permissions().mode() & 0o777,
            0o640
        );
    }

    #[cfg(unix)]
    #[test]
    fn a_link_to_a_file_that_is_still_to_be_made_stays_a_link() {
        use std::os::unix::fs::symlink;
        let folder = tempfile::tempdir().unwrap();
        let at = |name: &str| folder.path().join(name);
        symlink("between", at("link")).unwrap();
        symlink("file", at("between")).unwrap();
        write(at("link"), "new").unwrap();
        assert_eq!(fs::read_to_string(at("file")).unwrap(), "new");
        assert_eq!(names(folder.path()), ["between", "file", "link"]);
        assert!(fs::symlink_metadata(at("link")).unwrap().is_symlink());
        symlink("circle", at("circle")).unwrap();
        assert!(write(at("circle"), "new").is_err());
        assert!(fs::symlink_metadata(at("circle")).unwrap().is_symlink());
        symlink("missing/file", at("astray")).unwrap();
        let error = write(at("astray"), "new").unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::NotFound);
    }

    #[cfg(unix)]
    #[test]
    fn a_socket_is_written_through() {
        use std::{io::Read, os::unix::net::UnixListener};
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("socket");
        let listener = UnixListener::bind(&path).unwrap();
        let reader = std::thread::spawn(move || {
            let mut text = String::new();
            listener
                .accept()
                .unwrap()
                .0
                .read_to_string(&mut text)
                .unwrap();
            text
        });
        write(&path, "through").unwrap();
        assert_eq!(reader.join().unwrap(), "through");
        assert!(is_stream(&path));
        let error = write(&path, "nobody").unwrap_err().to_string();
        assert!(error.contains("nobody listens"), "{error}");
        assert_eq!(names(folder.path()), ["socket"]);
    }

    #[cfg(target_os = "linux")]
    #[test]
    fn an_open_file_goes_on_where_it_is() {
        use std::os::fd::AsRawFd;
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("log");
        let mut log = File::create(&path).unwrap();
        log.write_all(b"before ").unwrap();
        write(format!("/proc/self/fd/{}", log.as_raw_fd()), "after").unwrap();
        assert_eq!(fs::read_to_string(&path).unwrap(), "before after");
        assert_eq!(names(folder.path()), ["log"]);
    }

    #[cfg(unix)]
    #[test]
    fn links_replace_links_and_files_but_no_folders() {
        let folder = tempfile::tempdir().unwrap();
        let at = |name: &str| folder.path().join(name);
        for run in ["a", "b"] {
            fs::create_dir(at(run)).unwrap();
        }
        fs::write(at("latest"), "a").unwrap();
        for run in ["a", "b"] {
            link(run, at("latest")).unwrap();
            assert_eq!(fs::read_link(at("latest")).unwrap(), Path::new(run));
        }
        assert!(link("a", at("b")).is_err());
        assert_eq!(names(folder.path()), ["a", "b", "latest"]);
    }
}
