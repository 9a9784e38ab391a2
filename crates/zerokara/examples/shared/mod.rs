//! What the lessons share: numbers drawn by chance, and pictures in two languages.

use std::{env, fs, path::PathBuf};
use zerokara::{Error, Result, figures::Figure};

/// Numbers that look drawn by chance and are the same in every run: SplitMix64 (Steele, Lea and Flood, 2014).
pub struct Dice(pub u64);

impl Dice {
    /// A number from 0 to `n - 1`.
    pub fn below(&mut self, n: usize) -> usize {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        ((z ^ (z >> 31)) % n as u64) as usize
    }
}

/// Writes a picture into the folder that the command line names, if it names one: `NAME.en.svg`, and `NAME.ja.svg` with these
/// Japanese words.
pub fn draw(name: &str, figure: &Figure, japanese: &[(&str, &str)]) -> Result<()> {
    let Some(folder) = env::args_os().nth(1).map(PathBuf::from) else {
        println!("(a folder's name behind the command: the picture goes there)");
        return Ok(());
    };
    let word = |text: &str| {
        let found = japanese.iter().find(|(english, _)| *english == text);
        found.map_or(text, |(_, japanese)| japanese).to_string()
    };
    let files = [
        ("en", figure.file()),
        ("ja", figure.translated(&word).file()),
    ];
    for (language, file) in files {
        let path = folder.join(format!("{name}.{language}.svg"));
        fs::write(&path, file)
            .map_err(|e| Error::new(format!("cannot write {}: {e}", path.display())))?;
        println!("{}", path.display());
    }
    Ok(())
}
