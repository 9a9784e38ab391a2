//! `zerokara export`

use crate::{
    options,
    output::{self, Failure, Outcome},
    predict,
};
use clap::Args;
use std::{
    fs,
    path::{Path, PathBuf},
};
use zerokara_train::{SavedModel, language::Words};

/// Write a small Rust project whose program has the model inside and needs nothing else.
///
/// `cargo build --release` in the folder makes one file that answers for pictures or for the rows of a table. What it does is in
/// src/main.rs, to be changed.
#[derive(Args)]
#[command(after_help = EXAMPLES)]
pub struct Options {
    /// The model: its file, a run's folder, or runs/latest
    model: PathBuf,
    /// The folder of the project, which must not be there yet
    #[arg(long, value_name = "DIR", value_parser = options::folder())]
    rust: PathBuf,
    /// A checkout of Zerokara to build with, in place of the published version
    #[arg(long, value_name = "DIR", value_parser = options::folder())]
    zerokara: Option<PathBuf>,
}

const EXAMPLES: &str = "\
Examples:
  zerokara export runs/latest --rust sorter        then: cd sorter && cargo run --release -- picture.png
  zerokara export runs/latest --rust sorter --zerokara ../zerokara";

/// Programs for the two kinds of models.
const PICTURES: &str = include_str!("export/pictures.rs");
const ROWS: &str = include_str!("export/rows.rs");

pub fn run(options: &Options, words: Words) -> Outcome {
    let path = options::model_file(&options.model)?;
    let model = SavedModel::load(&path)?;
    let (program, features, usage) = match model.table() {
        Some(_) if model.task().is_some() => (ROWS, "[]", "table.csv"),
        Some(_) => {
            return Err(Failure::new(format!(
                "the model {} was trained for a task of a program's own, whose answers are not known here",
                model.card().name
            )));
        }
        None => {
            predict::picture_shape(&model)?;
            (PICTURES, "[\"images\"]", "picture.png")
        }
    };
    let folder = &options.rust;
    if folder.exists() {
        return Err(Failure::new(format!(
            "{} is there already; name a folder that is not",
            folder.display()
        )));
    }
    let name = package_name(folder)?;
    let source = match &options.zerokara {
        None => format!("version = \"{}\"", env!("CARGO_PKG_VERSION")),
        Some(checkout) => of_checkout(checkout)?,
    };
    let manifest = format!(
        "[package]\nname = \"{name}\"\nversion = \"0.1.0\"\nedition = \"2024\"\n\n\
         [dependencies]\nzerokara = {{ {source}, default-features = false, features = {features} }}\n\n\
         # A project of its own, also where it lies within another.\n[workspace]\n\n\
         [profile.release]\nlto = \"thin\"\nstrip = true\n"
    );
    let fail = |path: &Path, e: std::io::Error| {
        Failure::new(format!("{} cannot be written: {e}", path.display()))
    };
    let bytes = fs::read(&path)
        .map_err(|e| Failure::new(format!("{} cannot be read: {e}", path.display())))?;
    let src = folder.join("src");
    fs::create_dir_all(&src).map_err(|e| fail(&src, e))?;
    let files: [(&str, &[u8]); 4] = [
        ("Cargo.toml", manifest.as_bytes()),
        (".gitignore", b"/target\n"),
        ("src/main.rs", program.as_bytes()),
        ("src/model.safetensors", &bytes),
    ];
    for (name, contents) in files {
        let path = folder.join(name);
        fs::write(&path, contents).map_err(|e| fail(&path, e))?;
    }
    output::note(&words.fill("project {}", &[&folder.display()]));
    output::note(&words.fill(
        "next    cd {} && cargo run --release -- {}",
        &[&folder.display(), &usage],
    ));
    Ok(())
}

/// The folder's name as that of a package.
fn package_name(folder: &Path) -> Outcome<String> {
    let name = folder
        .file_name()
        .map(|name| name.to_string_lossy().to_lowercase());
    let sign = |c: char| match c.is_ascii_alphanumeric() || c == '_' {
        true => c,
        false => '-',
    };
    let name: String = name.unwrap_or_default().chars().map(sign).collect();
    let name = name.trim_matches('-');
    match name.starts_with(|c: char| c.is_ascii_alphabetic()) {
        // As the library, a program cannot be called.
        true if name != "zerokara" && name != "test" => Ok(name.to_string()),
        _ => Err(Failure::new(format!(
            "{} cannot be a package's name: it begins with a letter, and is neither zerokara nor test",
            folder.display()
        ))),
    }
}

/// The crate in this checkout, as a manifest names it.
fn of_checkout(checkout: &Path) -> Outcome<String> {
    let path = checkout.join("crates").join("zerokara");
    let whole = path
        .canonicalize()
        .ok()
        .filter(|path| path.join("Cargo.toml").is_file());
    let whole = whole.ok_or_else(|| {
        Failure::new(format!(
            "{} is no checkout of Zerokara: there is no {}",
            checkout.display(),
            path.join("Cargo.toml").display()
        ))
    })?;
    let text = whole
        .to_str()
        .ok_or_else(|| Failure::new(format!("the path {} must be text", whole.display())))?;
    // TOML escapes in texts what JSON does.
    Ok(format!("path = {}", serde_json::Value::from(text)))
}
