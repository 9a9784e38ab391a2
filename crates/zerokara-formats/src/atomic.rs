//! Files that are written whole or not at all.
//!
//! The bytes go to a temporary file in the same folder, which is synced and renamed over the old one; the folder is
//! synced last. A crash, a full disk or an interruption at any moment leaves either the old file or the new one.
//! Everything that Zerokara writes, it writes this way.

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
/// A symbolic link is followed; an existing file keeps its permissions.
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
    // Renaming over a link would replace the link, not the file it leads to.
    let target = fs::canonicalize(path).unwrap_or_else(|_| path.to_path_buf());
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

/// A temporary file that is removed unless it was renamed.
struct Temporary(PathBuf);

impl Drop for Temporary {
    fn drop(&mut self) {
        let _ = fs::remove_file(&self.0);
    }
}

fn create_temporary(target: &Path, folder: &Path) -> io::Result<(File, Temporary)> {
    static COUNT: AtomicU64 = AtomicU64::new(0);
    let name = target.file_name().ok_or(io::ErrorKind::IsADirectory)?;
    loop {
        let mut temporary = std::ffi::OsString::from(".");
        temporary.push(name);
        temporary.push(format!(
            ".{}-{}.tmp",
            std::process::id(),
            COUNT.fetch_add(1, Ordering::Relaxed)
        ));
        let temporary = folder.join(temporary);
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
}
