//! Makes the files under `data/` from the four published IDX files.
//!
//! ```text
//! cargo run --release -p zerokara-mnist --example pack -- <folder with the four .gz files> <folder to write to>
//! ```
//!
//! The folder must hold `train-images-idx3-ubyte.gz`, `train-labels-idx1-ubyte.gz`, `t10k-images-idx3-ubyte.gz`
//! and `t10k-labels-idx1-ubyte.gz`. Headers are dropped, the pixels are packed with zstd at its highest level. The
//! training images make two frames, so that two threads can unpack them. For every frame the program prints the
//! SHA-256 of what was packed (the values in `src/lib.rs`) and of the packed file (the values in `README.md`;
//! another version of zstd may pack to other bytes, never to other contents).

use std::io::Read;
use std::path::{Path, PathBuf};

use sha2::{Digest, Sha256};
use zstd_safe::{CCtx, CParameter};

type Result<T> = std::result::Result<T, Box<dyn std::error::Error>>;

fn main() -> Result<()> {
    let mut arguments = std::env::args_os().skip(1).map(PathBuf::from);
    let (Some(from), Some(to)) = (arguments.next(), arguments.next()) else {
        return Err("usage: pack <folder with the four .gz files> <folder to write to>".into());
    };
    let train = read(&from, "train-images-idx3-ubyte.gz", 16)?;
    let (first, second) = train.split_at(train.len() / 2);
    write(&to, "train-images-1.zst", first)?;
    write(&to, "train-images-2.zst", second)?;
    write(
        &to,
        "test-images.zst",
        &read(&from, "t10k-images-idx3-ubyte.gz", 16)?,
    )?;
    let mut labels = read(&from, "train-labels-idx1-ubyte.gz", 8)?;
    labels.extend(read(&from, "t10k-labels-idx1-ubyte.gz", 8)?);
    write(&to, "labels.zst", &labels)
}

fn read(folder: &Path, name: &str, header: usize) -> Result<Vec<u8>> {
    let mut bytes = Vec::new();
    flate2::read::GzDecoder::new(std::fs::File::open(folder.join(name))?)
        .read_to_end(&mut bytes)?;
    println!("{name}: unpacked {}", hex(&bytes));
    Ok(bytes.split_off(header))
}

fn write(folder: &Path, name: &str, bytes: &[u8]) -> Result<()> {
    let fail = |code| zstd_safe::get_error_name(code).to_string();
    let mut context = CCtx::create();
    context
        .set_parameter(CParameter::CompressionLevel(22))
        .map_err(fail)?;
    let mut packed = vec![0; zstd_safe::compress_bound(bytes.len())];
    let length = context
        .compress2(packed.as_mut_slice(), bytes)
        .map_err(fail)?;
    packed.truncate(length);
    println!(
        "{name}: {} bytes, contents {}, file {}",
        packed.len(),
        hex(bytes),
        hex(&packed)
    );
    std::fs::write(folder.join(name), packed)?;
    Ok(())
}

fn hex(bytes: &[u8]) -> String {
    Sha256::digest(bytes)
        .iter()
        .map(|byte| format!("{byte:02x}"))
        .collect()
}
