//! Files that are written whole or not at all.

use std::{
    fs::{self, File, OpenOptions},
    io::{self, Write},
    path::{Path, PathBuf},
    sync::atomic::{AtomicU64, Ordering},
};
use zerokara_core::{Error, Result};

static NEXT: AtomicU64 = AtomicU64::new(0);

/// Writes a file under a temporary name in the same folder, syncs it, and renames it: whoever reads the path finds the
/// old file or the new one, never a part, also when the machine stops in between.
///
/// # Errors
/// If the file cannot be written; then nothing is left behind.
pub fn write_atomically(path: impl AsRef<Path>, parts: &[&[u8]]) -> Result<()> {
    let path = path.as_ref();
    write(path, parts).map_err(|e| Error::new(format!("cannot write {}: {e}", path.display())))
}

fn write(path: &Path, parts: &[&[u8]]) -> io::Result<()> {
    // Renaming over a link would replace the link, not the file that it leads to.
    let target = fs::canonicalize(path).unwrap_or_else(|_| path.to_path_buf());
    let (path, existing) = (target.as_path(), fs::metadata(&target).ok());
    if existing.as_ref().is_some_and(|m| m.is_dir()) {
        return Err(io::ErrorKind::IsADirectory.into());
    }
    let name = path
        .file_name()
        .ok_or_else(|| io::Error::other("the path names no file"))?;
    let folder = match path.parent() {
        Some(folder) if !folder.as_os_str().is_empty() => folder,
        _ => Path::new("."),
    };
    let mut hidden = std::ffi::OsString::from(".");
    hidden.push(name);
    let number = NEXT.fetch_add(1, Ordering::Relaxed);
    hidden.push(format!(".{}-{number}.tmp", std::process::id()));
    let temporary = Temporary(folder.join(hidden));
    let mut file = OpenOptions::new()
        .write(true)
        .create_new(true)
        .open(&temporary.0)?;
    for part in parts {
        file.write_all(part)?;
    }
    if let Some(existing) = existing {
        // Some file systems have no permissions to set; the bytes matter more.
        let _ = file.set_permissions(existing.permissions());
    }
    file.sync_all()?;
    drop(file);
    fs::rename(&temporary.0, path)?;
    // The new name is durable once its folder is; where folders cannot be synced, the rename must do.
    if let Ok(folder) = File::open(folder) {
        let _ = folder.sync_all();
    }
    Ok(())
}

/// Removes the file under the temporary name, if it is still there.
struct Temporary(PathBuf);

impl Drop for Temporary {
    fn drop(&mut self) {
        let _ = fs::remove_file(&self.0);
    }
}
