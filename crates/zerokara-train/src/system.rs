//! What the process takes of the machine, where the system tells (on Linux).

use std::fs;

/// Bytes of memory that the process holds now.
///
/// ```
/// if let Some(bytes) = zerokara_train::system::memory() {
///     assert!(bytes > 100_000);
/// }
/// ```
pub fn memory() -> Option<u64> {
    status("VmRSS:")
}

/// The most bytes of memory that the process has held.
pub fn peak_memory() -> Option<u64> {
    status("VmHWM:")
}

/// A number of bytes in the process's status.
fn status(name: &str) -> Option<u64> {
    let status = fs::read_to_string("/proc/self/status").ok()?;
    let line = status.lines().find_map(|line| line.strip_prefix(name))?;
    let kibibytes: u64 = line.trim().strip_suffix("kB")?.trim().parse().ok()?;
    Some(kibibytes * 1024)
}

/// Seconds that all threads of the process have computed, together.
pub fn processor_seconds() -> Option<f64> {
    // Linux counts in hundredths of a second here, on all its machines.
    const TICKS: f64 = 100.0;
    let text = fs::read_to_string("/proc/self/stat").ok()?;
    // The name of the program stands in brackets, and may have blanks.
    let fields: Vec<&str> = text.rsplit_once(')')?.1.split_whitespace().collect();
    let ticks = |at: usize| fields.get(at)?.parse::<f64>().ok();
    Some((ticks(11)? + ticks(12)?) / TICKS)
}
