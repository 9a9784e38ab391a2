//! Published data sets by name, and projects that have a model inside.

mod common;

use common::{run, stderr, succeed, zerokara};
use serde_json::Value;
use std::{fs, path::Path};
use tempfile::TempDir;

/// What the command says in an environment whose published data lie in this folder.
fn said(folder: &Path, arguments: &[&str]) -> (bool, String, String) {
    let output = zerokara(folder)
        .env("ZEROKARA_DATA", folder.join("published"))
        .args(arguments)
        .output()
        .unwrap();
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    (
        output.status.success(),
        text(&output.stdout),
        text(&output.stderr),
    )
}

/// A few records of CIFAR-10, as they are unpacked.
fn cifar(folder: &Path) {
    let own = folder.join("published/cifar-10/cifar-10-batches-bin");
    fs::create_dir_all(&own).unwrap();
    let batch = |first: u8| -> Vec<u8> {
        let record = |at: u8| {
            let label = (first + at) % 10;
            std::iter::once(label)
                .chain((0..3072u32).map(move |i| (i as u8 / 8).wrapping_mul(label + 1)))
        };
        (0..20).flat_map(record).collect()
    };
    for n in 1..=5 {
        fs::write(own.join(format!("data_batch_{n}.bin")), batch(n)).unwrap();
    }
    fs::write(own.join("test_batch.bin"), batch(0)).unwrap();
}

#[test]
fn published_sets_are_listed_and_known_by_their_names() {
    let folder = TempDir::new().unwrap();
    let at = folder.path();
    let (ok, list, _) = said(at, &["data"]);
    assert!(ok);
    for name in [
        "mnist",
        "fashion-mnist",
        "kmnist",
        "emnist-letters",
        "cifar-10",
        "cifar-100",
    ] {
        assert!(list.lines().any(|line| line.starts_with(name)), "{list}");
    }
    let here = || -> Vec<String> {
        let (_, text, _) = said(at, &["data", "--json"]);
        let all: Value = serde_json::from_str(&text).unwrap();
        let sets = all["sets"].as_array().unwrap().iter();
        sets.filter(|set| set["here"] == true)
            .map(|set| set["name"].as_str().unwrap().to_string())
            .collect()
    };
    assert!(here().contains(&"mnist".into()) && !here().contains(&"cifar-10".into()));

    let (ok, _, why) = said(at, &["train", "cifar-10"]);
    assert!(
        !ok && why.contains("zerokara data cifar-10 --fetch") && why.contains("171 MB"),
        "{why}"
    );

    cifar(at);
    assert!(here().contains(&"cifar-10".into()));
    let (ok, told, why) = said(at, &["data", "cifar-10"]);
    assert!(
        ok && told.contains("automobile") && told.contains("100"),
        "{told}{why}"
    );
    let (ok, told, why) = said(at, &["train", "cifar-10", "--epochs", "1", "--quiet"]);
    assert!(ok && told.contains("test accuracy"), "{told}{why}");
}

#[test]
fn what_cannot_be_fetched_says_why() {
    let folder = TempDir::new().unwrap();
    let at = folder.path();
    // Nobody listens at a port that was just free.
    let port = std::net::TcpListener::bind("127.0.0.1:0")
        .unwrap()
        .local_addr()
        .unwrap()
        .port();
    let from = format!("http://127.0.0.1:{port}");
    let (ok, _, why) = said(at, &["data", "kmnist", "--fetch", "--from", &from]);
    assert!(!ok && why.contains("Is there a network?"), "{why}");
    let (ok, _, why) = said(at, &["data", "photos", "--fetch"]);
    assert!(
        !ok && why.contains("photos is no published data set"),
        "{why}"
    );
    let (ok, _, why) = said(at, &["data", "--fetch"]);
    assert!(!ok && why.starts_with("error: "), "{why}");
}

#[test]
fn a_model_becomes_a_project_with_the_model_inside() {
    let folder = TempDir::new().unwrap();
    let at = folder.path();
    let rows: String = (0..60)
        .map(|i| {
            format!(
                "{:.2},{}\n",
                i as f64 * 0.37,
                if i < 30 { "low" } else { "high" }
            )
        })
        .collect();
    fs::write(at.join("sides.csv"), format!("size,side\n{rows}")).unwrap();
    succeed(
        at,
        &[
            "train",
            "sides.csv",
            "--epochs",
            "1",
            "--quiet",
            "--output",
            "run",
        ],
    );
    let checkout = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
    let arguments = [
        "export",
        "run",
        "--rust",
        "My Sorter",
        "--zerokara",
        checkout.to_str().unwrap(),
    ];
    succeed(at, &arguments);
    let project = at.join("My Sorter");
    let manifest = fs::read_to_string(project.join("Cargo.toml")).unwrap();
    assert!(
        manifest.contains("name = \"my-sorter\"") && manifest.contains("path = "),
        "{manifest}"
    );
    let inside = fs::read(project.join("src/model.safetensors")).unwrap();
    assert_eq!(inside, fs::read(at.join("run/model.safetensors")).unwrap());
    assert!(
        fs::read_to_string(project.join("src/main.rs"))
            .unwrap()
            .contains("fn main()")
    );

    let error = |arguments: &[&str]| {
        let output = run(at, arguments);
        assert!(!output.status.success());
        stderr(&output)
    };
    assert!(error(&arguments).contains("is there already"));
    assert!(error(&["export", "run", "--rust", "1st"]).contains("package's name"));
    assert!(error(&["export", "run", "--rust", "a", "--zerokara", "."]).contains("no checkout"));
    assert!(!at.join("a").exists());
}
