//! Pictures of models' graphs.

mod common;

use common::{run, small_run, stderr, succeed};
use std::fs;

/// The number of nodes that the command tells.
fn nodes(told: &str) -> usize {
    let words: Vec<&str> = told.split_whitespace().collect();
    let at = words.iter().position(|w| *w == "nodes,").unwrap();
    words[at - 1].replace(',', "").parse().unwrap()
}

#[test]
fn ready_made_models_are_drawn() {
    let folder = tempfile::tempdir().unwrap();
    let at = folder.path();
    let mut counts = Vec::new();
    for (model, input, layer) in [
        ("two-layer-net", "784", "linear2"),
        ("multi-layer-net", "1,28,28", "linear7"),
        ("simple-convnet", "1,28,28", "conv1"),
        ("deep-convnet", "1,28,28", "conv6"),
        ("lenet5", "1,32,32", "linear1"),
        ("resnet20", "3,32,32", "conv"),
    ] {
        let told = succeed(at, &["graph", model, "--input", input]);
        let file = format!("{model}.svg");
        assert!(told.starts_with(&format!("{file}: ")), "{told}");
        let picture = fs::read_to_string(at.join(&file)).unwrap();
        assert!(
            picture.starts_with("<svg") && picture.contains(layer),
            "{model}"
        );
        let layers = succeed(at, &["graph", model, "--input", input, "--layers"]);
        assert!(nodes(&layers) < nodes(&told), "{told}{layers}");
        counts.push(nodes(&told));
    }
    // x, flatten, sigmoid and y; for each layer weight, transpose, product, bias and sum.
    assert_eq!(counts[0], 4 + 2 * 5);
    assert_eq!(
        fs::read_dir(at).unwrap().count(),
        6,
        "nothing but the pictures"
    );
}

#[test]
fn the_backward_part_has_a_gradient_for_each_parameter() {
    let folder = tempfile::tempdir().unwrap();
    let at = folder.path();
    let forward = succeed(at, &["graph", "two-layer-net", "-o", "forward.svg"]);
    let both = succeed(
        at,
        &["graph", "two-layer-net", "--backward", "-o", "both.svg"],
    );
    assert!(both.starts_with("both.svg: "), "{both}");
    assert!(nodes(&both) > nodes(&forward) + 4);
    let [forward, both] =
        ["forward.svg", "both.svg"].map(|f| fs::read_to_string(at.join(f)).unwrap());
    for name in [
        "linear1.weight",
        "linear1.bias",
        "linear2.weight",
        "linear2.bias",
    ] {
        assert!(
            both.contains(&format!("∂ {name}")) && !forward.contains("∂"),
            "{name}"
        );
    }
    assert!(both.contains("box back") && !forward.contains("box back"));
    // A residual network as a whole: hundreds of operations.
    let start = std::time::Instant::now();
    let told = succeed(
        at,
        &["graph", "resnet20", "--input", "3,32,32", "--backward"],
    );
    assert!(nodes(&told) > 300, "{told}");
    assert!(start.elapsed().as_secs() < 120, "{:?}", start.elapsed());
}

#[test]
fn saved_models_are_drawn() {
    let folder = tempfile::tempdir().unwrap();
    let at = folder.path();
    small_run(at, "kept");
    let told = succeed(at, &["graph", "kept", "--train"]);
    assert!(told.starts_with("two-layer-net.svg: "), "{told}");
    let file = succeed(
        at,
        &[
            "graph",
            "kept/model.safetensors",
            "-o",
            "file.svg",
            "--backward",
        ],
    );
    assert!(nodes(&file) > nodes(&told));
    let picture = fs::read_to_string(at.join("file.svg")).unwrap();
    assert!(picture.contains("∂ linear1.weight"));
}

#[test]
fn what_cannot_be_drawn_is_told() {
    let folder = tempfile::tempdir().unwrap();
    let at = folder.path();
    let refused = |arguments: &[&str]| {
        let output = run(at, arguments);
        assert!(!output.status.success(), "{arguments:?}");
        let told = stderr(&output);
        assert_eq!(told.trim_end().lines().count(), 1, "{told}");
        assert!(told.starts_with("error: "), "{told}");
        told
    };
    assert!(refused(&["graph", "two-layers"]).contains("known are two-layer-net"));
    assert!(refused(&["graph", "missing/model.safetensors"]).contains("there is no model"));
    assert!(refused(&["graph", "simple-convnet", "--input", "5"]).contains("does not fit"));
    assert!(refused(&["graph", "simple-convnet", "--input", "0"]).contains("at least 1"));
    let folder = refused(&["graph", "simple-convnet", "-o", "nowhere/picture.svg"]);
    assert!(folder.contains("nowhere"), "{folder}");
    assert_eq!(fs::read_dir(at).unwrap().count(), 0);
}
