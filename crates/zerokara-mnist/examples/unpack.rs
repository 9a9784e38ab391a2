//! Times the unpacking: `cargo run --release -p zerokara-mnist --example unpack`.

use std::time::Instant;

fn main() -> Result<(), zerokara_mnist::Error> {
    for _ in 0..5 {
        let start = Instant::now();
        let all = zerokara_mnist::load()?;
        let load = start.elapsed();
        let start = Instant::now();
        let test = zerokara_mnist::test()?;
        println!(
            "load {load:?} ({} images), test {:?} ({} images)",
            all.train_labels.len() + all.test_labels.len(),
            start.elapsed(),
            test.labels.len()
        );
    }
    Ok(())
}
