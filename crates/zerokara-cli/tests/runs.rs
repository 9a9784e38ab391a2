//! From training to prediction, and what interruptions leave.

mod common;

use common::{run, small_run, stderr, stdout, succeed, zerokara};
use std::{
    fs,
    path::{Path, PathBuf},
    process::{Child, Stdio},
    time::{Duration, Instant},
};
use zerokara_train::run_folder::RunFolder;

/// A picture of a one: a dark upright stroke on light paper.
fn one(path: &Path) {
    let side = 60;
    let pixels: Vec<u8> = (0..side * side)
        .map(|i| {
            let (y, x) = (i / side, i % side);
            let stroke = (10..50).contains(&y) && (28..33).contains(&x);
            if stroke { 20 } else { 235 }
        })
        .collect();
    let mut encoder = png::Encoder::new(fs::File::create(path).unwrap(), side as u32, side as u32);
    encoder.set_color(png::ColorType::Grayscale);
    let mut writer = encoder.write_header().unwrap();
    writer.write_image_data(&pixels).unwrap();
}

#[test]
fn train_eval_predict_and_summary() {
    let folder = tempfile::tempdir().unwrap();
    let at = folder.path();
    let output = run(
        at,
        &[
            "train",
            "--limit",
            "2000",
            "--model",
            "two-layer-net",
            "--epochs",
            "4",
            "--validation",
            "0.1",
        ],
    );
    assert!(output.status.success(), "{}", stderr(&output));
    let told = stdout(&output);
    assert!(told.starts_with("test accuracy 0."), "{told}");
    assert!(stderr(&output).contains("epoch 4/4"), "{}", stderr(&output));

    let latest = RunFolder::open(at.join("runs"), "latest").unwrap();
    let made = latest.path();
    for file in [
        "run.json",
        "metrics.jsonl",
        "model.safetensors",
        "report.html",
        "report.json",
        "readings.jsonl",
    ] {
        assert!(made.join(file).is_file(), "{file}");
    }
    let report = fs::read_to_string(made.join("report.html")).unwrap();
    assert!(report.contains("two-layer-net on mnist"));
    let metrics = fs::read_to_string(made.join("metrics.jsonl")).unwrap();
    let epochs: Vec<serde_json::Value> = metrics
        .lines()
        .map(|line| serde_json::from_str(line).unwrap())
        .filter(|record: &serde_json::Value| record["kind"] == "epoch")
        .collect();
    assert_eq!(epochs.len(), 4);
    assert!(epochs[3]["validation_accuracy"].as_f64().unwrap() > 0.5);

    // The saved model is the one that was judged: the same images, the same share.
    let text = succeed(at, &["eval", "runs/latest"]);
    assert!(
        text.starts_with("two-layer-net on mnist: test accuracy"),
        "{text}"
    );
    let json = succeed(at, &["eval", made.to_str().unwrap(), "mnist", "--json"]);
    let found: serde_json::Value = serde_json::from_str(&json).unwrap();
    assert!(found["accuracy"].as_f64().unwrap() > 0.7, "{json}");
    assert_eq!(found["samples"], 10_000);

    one(&at.join("one.png"));
    let text = succeed(at, &["predict", "runs/latest", "one.png"]);
    assert!(text.starts_with("one.png: 1 ("), "{text}");
    let json = succeed(
        at,
        &["predict", "runs/latest", "one.png", "one.png", "--json"],
    );
    assert_eq!(json.lines().count(), 2);
    let found: serde_json::Value = serde_json::from_str(json.lines().next().unwrap()).unwrap();
    assert_eq!((&found["class"], &found["name"]), (&1.into(), &"1".into()));
    let sum: f64 = found["probabilities"]
        .as_array()
        .unwrap()
        .iter()
        .map(|p| p.as_f64().unwrap())
        .sum();
    assert!((sum - 1.0).abs() < 1e-9);

    let text = succeed(at, &["summary", "runs/latest"]);
    // 784 * 50 + 50 + 50 * 10 + 10
    assert!(text.contains("39,760 parameters"), "{text}");
    assert!(text.contains("linear1"), "{text}");
}

/// The numbers in a file of f32 tensors.
fn parameters(file: &Path) -> Vec<f64> {
    let bytes = fs::read(file).unwrap();
    let (header, rest) = bytes.split_first_chunk::<8>().unwrap();
    let values = &rest[u64::from_le_bytes(*header) as usize..];
    let values = values.as_chunks::<4>().0.iter();
    values.map(|&b| f64::from(f32::from_le_bytes(b))).collect()
}

#[test]
fn the_gradient_in_bf16_points_where_that_in_f32_points() {
    let folder = tempfile::tempdir().unwrap();
    // One step downhill.
    let step = |name: &str, precision: &str, rate: &str| {
        let mut command = zerokara(folder.path());
        let fixed = "train --model deep-convnet --limit 64 --epochs 1 --batch-size 64 --quiet \
            --optimizer sgd --schedule constant";
        command.args(fixed.split_whitespace());
        command.args([
            "--precision",
            precision,
            "--learning-rate",
            rate,
            "--output",
            name,
        ]);
        // The portable kernels have bf16 on any CPU.
        let output = command.env("ZEROKARA_ISA", "portable").output().unwrap();
        assert!(output.status.success(), "{}", stderr(&output));
        parameters(&folder.path().join(name).join("model.safetensors"))
    };
    let start = step("start", "f32", "1e-30");
    let moved = |to: Vec<f64>| -> Vec<f64> { start.iter().zip(to).map(|(a, b)| b - a).collect() };
    let (exact, rounded) = (
        moved(step("f32", "f32", "1")),
        moved(step("bf16", "bf16", "1")),
    );
    let dot = |a: &[f64], b: &[f64]| -> f64 { a.iter().zip(b).map(|(a, b)| a * b).sum() };
    let lengths = (dot(&exact, &exact) * dot(&rounded, &rounded)).sqrt();
    let cosine = dot(&exact, &rounded) / lengths;
    assert!((0.99..0.999_999).contains(&cosine), "{cosine}");
}

#[test]
fn direct_sums_train_evaluate_and_predict() {
    let folder = tempfile::tempdir().unwrap();
    let at = folder.path();
    let train = |name: &str, precision: &str| {
        let fixed = "train --model simple-convnet --limit 300 --epochs 1 --quiet --output";
        let arguments = fixed.split_whitespace();
        let arguments = arguments.chain([name, "--precision", precision]);
        succeed(at, &arguments.collect::<Vec<_>>());
        parameters(&at.join(name).join("model.safetensors"))
    };
    let (direct, fast) = (train("direct", "direct"), train("fast", "f32"));
    // Different roundings, and nothing else.
    assert_ne!(direct, fast);
    let near = direct
        .iter()
        .zip(&fast)
        .filter(|(a, b)| (*a - *b).abs() < 1e-2);
    assert!(near.count() * 100 > direct.len() * 95);
    let accuracy = |precision: &str| {
        let text = succeed(at, &["eval", "direct", "--precision", precision, "--json"]);
        let value: serde_json::Value = serde_json::from_str(&text).unwrap();
        value["accuracy"].as_f64().unwrap()
    };
    assert!((accuracy("direct") - accuracy("f32")).abs() < 2e-3);
}

#[test]
fn the_same_seed_gives_the_same_bits_on_any_number_of_threads() {
    let folder = tempfile::tempdir().unwrap();
    let at = folder.path();
    for model in ["simple-convnet", "multi-layer-net"] {
        let train = |name: &str, seed: &str, threads: &str| {
            succeed(
                at,
                &[
                    "train",
                    "--limit",
                    "330",
                    "--model",
                    model,
                    "--epochs",
                    "2",
                    "--augment",
                    "--quiet",
                    "--seed",
                    seed,
                    "--threads",
                    threads,
                    "--output",
                    name,
                ],
            );
            fs::read(at.join(name).join("model.safetensors")).unwrap()
        };
        let first = train(&format!("{model}-a"), "7", "1");
        assert!(
            first == train(&format!("{model}-b"), "7", "2"),
            "{model}: 2 threads"
        );
        assert!(
            first == train(&format!("{model}-c"), "7", "1"),
            "{model}: again"
        );
        assert!(
            first != train(&format!("{model}-d"), "8", "1"),
            "{model}: seed"
        );
    }
}

#[test]
fn benchmarks_are_json_lines() {
    let folder = tempfile::tempdir().unwrap();
    for mode in [&[][..], &["--infer"][..]] {
        let mut arguments = vec![
            "bench",
            "--model",
            "two-layer-net",
            "--seconds",
            "0.1",
            "--batch-size",
            "20",
            "--threads",
            "1",
            "--json",
        ];
        arguments.extend(mode);
        let json = succeed(folder.path(), &arguments);
        assert_eq!(json.lines().count(), 1);
        let found: serde_json::Value = serde_json::from_str(&json).unwrap();
        assert_eq!(found["model"], "two-layer-net");
        assert_eq!(
            (&found["batch_size"], &found["threads"]),
            (&20.into(), &1.into())
        );
        // Two products of 784 x 50 and 50 x 10; the gradient for the first layer's input is not needed.
        let forward = 2.0 * (784.0 * 50.0 + 50.0 * 10.0);
        let expected = match mode.is_empty() {
            true => 3.0 * forward - 2.0 * 784.0 * 50.0,
            false => forward,
        };
        let flop = found["gflop_per_image"].as_f64().unwrap() * 1e9;
        assert!((flop - expected).abs() < 1.0, "{json}");
        assert!(found["images_per_second"].as_f64().unwrap() > 100.0);
        let share = found["peak_share"].as_f64().unwrap();
        assert!(share > 0.0 && share < 1.0, "{json}");
    }
}

#[test]
fn layers_share_the_operations_of_a_step() {
    let folder = tempfile::tempdir().unwrap();
    let arguments = "bench --model two-layer-net --seconds 0.1 --batch-size 20 --layers --json";
    let arguments: Vec<&str> = arguments.split(' ').collect();
    let json = succeed(folder.path(), &arguments);
    let lines: Vec<serde_json::Value> = json
        .lines()
        .map(|line| serde_json::from_str(line).unwrap())
        .collect();
    let flops = |layer: &str, pass: &str| {
        let own = |line: &&serde_json::Value| line["layer"] == layer && line["pass"] == pass;
        let found: Vec<f64> = lines
            .iter()
            .filter(own)
            .map(|line| line["flops"].as_f64().unwrap())
            .collect();
        assert_eq!(found.len(), 1, "{layer} {pass}: {json}");
        found[0]
    };
    let (first, second) = (2.0 * 20.0 * 784.0 * 50.0, 2.0 * 20.0 * 50.0 * 10.0);
    assert_eq!(flops("linear1", "forward"), first);
    assert_eq!(flops("linear2", "forward"), second);
    // The images need no gradient, so the first layer has one product less.
    assert_eq!(flops("linear1", "backward"), first);
    assert_eq!(flops("linear2", "backward"), 2.0 * second);
    assert_eq!(flops("norm and update", "backward"), 0.0);
    // 39,760 parameters are read with their gradients and written.
    let update = lines
        .iter()
        .find(|line| line["layer"] == "norm and update")
        .unwrap();
    assert!(
        update["bytes"].as_f64().unwrap() >= 3.0 * 4.0 * 39760.0,
        "{json}"
    );
    let all: f64 = lines.iter().filter_map(|line| line["flops"].as_f64()).sum();
    let step = lines[0]["gflop_per_image"].as_f64().unwrap() * 1e9 * 20.0;
    assert!((all - step).abs() < 1.0, "{json}");
}

#[test]
fn the_first_step_of_training_is_timed() {
    let folder = tempfile::tempdir().unwrap();
    let arguments = ["bench", "--model", "two-layer-net", "--startup", "--json"];
    let json = succeed(folder.path(), &arguments);
    let found: serde_json::Value = serde_json::from_str(&json).unwrap();
    let seconds = found["seconds_to_first_step"].as_f64().unwrap();
    assert!(seconds > 0.005 && seconds < 60.0, "{json}");
}

#[test]
fn help_teaches_and_a_closed_pipe_is_no_panic() {
    let folder = tempfile::tempdir().unwrap();
    for command in ["train", "eval", "predict", "summary", "bench"] {
        let text = succeed(folder.path(), &[command, "--help"]);
        assert!(text.contains("Examples:"), "{command}: {text}");
    }
    for arguments in [&["--help"][..], &["summary", "resnet20"]] {
        let mut child = zerokara(folder.path())
            .args(arguments)
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        drop(child.stdout.take());
        let output = child.wait_with_output().unwrap();
        assert_eq!(output.status.code(), Some(0), "{}", stderr(&output));
        assert_eq!(stderr(&output), "");
    }
}

/// A training that goes on for long, in the folder `run`.
fn long_run(at: &Path) -> (Child, PathBuf) {
    let child = zerokara(at)
        .args([
            "train",
            "--model",
            "two-layer-net",
            "--limit",
            "2000",
            "--epochs",
            "100000",
            "--output",
            "run",
        ])
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    (child, at.join("run"))
}

/// Waits until the metrics tell of the end of an epoch.
fn wait_for_epoch(run: &Path) {
    let end = Instant::now() + Duration::from_secs(60);
    while Instant::now() < end {
        let metrics = fs::read_to_string(run.join("metrics.jsonl")).unwrap_or_default();
        if metrics.contains("\"kind\":\"epoch\"") {
            return;
        }
        std::thread::sleep(Duration::from_millis(20));
    }
    panic!("no epoch ended within a minute");
}

#[cfg(unix)]
fn signal(child: &Child, name: &str) {
    let status = std::process::Command::new("kill")
        .args([name, &child.id().to_string()])
        .status()
        .unwrap();
    assert!(status.success());
}

#[cfg(unix)]
#[test]
fn an_interrupt_saves_and_says_where() {
    let folder = tempfile::tempdir().unwrap();
    let (child, made) = long_run(folder.path());
    wait_for_epoch(&made);
    signal(&child, "-INT");
    let output = child.wait_with_output().unwrap();
    assert_eq!(output.status.code(), Some(130), "{}", stderr(&output));
    assert!(
        stderr(&output).contains("interrupted after step"),
        "{}",
        stderr(&output)
    );
    assert!(
        stderr(&output).contains("saved in run"),
        "{}",
        stderr(&output)
    );
    assert!(made.join("report.html").is_file());
    succeed(folder.path(), &["eval", "run"]);
}

#[cfg(unix)]
#[test]
fn a_kill_leaves_a_model_that_loads() {
    let folder = tempfile::tempdir().unwrap();
    let (mut child, made) = long_run(folder.path());
    wait_for_epoch(&made);
    child.kill().unwrap();
    child.wait().unwrap();
    succeed(folder.path(), &["eval", "run"]);
    small_run(folder.path(), "another");
}
