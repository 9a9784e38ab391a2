//! Runs that are cut off at any moment go on to the same bits.
//!
//! `ZEROKARA_KILLS` says how often training is killed; 200 take some minutes.

#![cfg(unix)]

mod common;

use common::{run, stderr, stdout, succeed, zerokara};
use std::{
    fs,
    path::{Path, PathBuf},
    process::{Child, Stdio},
    time::{Duration, Instant},
};
use zerokara_train::{RunDescription, SavedModel, metrics, run_folder::RunFolder};

/// What a run leaves that does not hang on time.
#[derive(PartialEq)]
struct Left {
    model: Vec<u8>,
    metrics: Vec<serde_json::Value>,
}

fn left(run: &Path) -> Left {
    let metrics = fs::read_to_string(run.join("metrics.jsonl")).unwrap();
    let lines = metrics.lines().map(|line| {
        let mut record: serde_json::Value = serde_json::from_str(line).unwrap();
        for time in ["seconds", "images_per_second"] {
            assert!(record.as_object_mut().unwrap().remove(time).is_some());
        }
        record
    });
    Left {
        metrics: lines.collect(),
        model: fs::read(run.join("model.safetensors")).unwrap(),
    }
}

#[track_caller]
fn same(one: &Left, other: &Left, what: &str) {
    assert_eq!(one.metrics, other.metrics, "{what}");
    assert!(one.model == other.model, "{what}: another model");
}

/// Whatever moment it was cut off at, the folder can be read. Whether there is a run in it.
fn is_begun(path: &Path) -> bool {
    let folder = RunFolder::at(path);
    if folder.metrics().exists() {
        metrics::read(folder.metrics()).unwrap();
    }
    if folder.model().exists() {
        SavedModel::load(folder.model()).unwrap();
    }
    let begun = folder.settings().exists();
    if begun {
        RunDescription::read(&folder).unwrap();
    }
    begun
}

/// Files that only lie there while a checkpoint is being written.
fn is_writing(path: &Path) -> bool {
    let names = fs::read_dir(path).into_iter().flatten().flatten();
    names
        .filter_map(|entry| entry.file_name().into_string().ok())
        .any(|name| name.contains("checkpoint.next"))
}

struct Random(u64);

impl Random {
    fn share(&mut self) -> f64 {
        self.0 = self
            .0
            .wrapping_mul(6364136223846793005)
            .wrapping_add(1442695040888963407);
        (self.0 >> 40) as f64 / (1u64 << 24) as f64
    }
}

fn begin(at: &Path, arguments: &[&str]) -> Child {
    let mut command = zerokara(at);
    command
        .args(arguments)
        .stdout(Stdio::null())
        .stderr(Stdio::piped());
    command.spawn().unwrap()
}

/// Kills it after this time, or while it writes a checkpoint. Whether it was killed, and within the writing of one; if not, it
/// has ended well.
fn kill(mut child: Child, run: &Path, after: Option<Duration>) -> Option<bool> {
    let started = Instant::now();
    loop {
        if let Some(status) = child.try_wait().unwrap() {
            let output = child.wait_with_output().unwrap();
            assert!(status.success(), "{}", stderr(&output));
            return None;
        }
        let now = match after {
            Some(time) => started.elapsed() >= time,
            None => is_writing(run),
        };
        if now {
            child.kill().unwrap();
            let status = child.wait().unwrap();
            return (!status.success()).then(|| is_writing(run));
        }
        if let Some(time) = after {
            let left = time.saturating_sub(started.elapsed());
            std::thread::sleep(left.min(Duration::from_millis(5)));
        }
    }
}

const RUNS: [&str; 3] = [
    "--model simple-convnet --limit 60 --epochs 3 --batch-size 10 --augment --validation 0.2",
    "--model deep-convnet --limit 40 --epochs 3 --batch-size 10 --augment --validation 10 --early-stopping 2 --clip-norm 1",
    "--model resnet20 --limit 24 --epochs 3 --batch-size 6 --augment --validation 6 --optimizer momentum",
];

#[test]
fn runs_that_are_killed_go_on_to_the_same_bits() {
    let kills = std::env::var("ZEROKARA_KILLS").ok();
    let kills: usize = kills.map_or(12, |n| n.parse().expect("a number of kills"));
    let mut random = Random(1);
    let (mut killed, mut within) = (0, 0);
    for (at, flags) in RUNS.iter().enumerate() {
        let folder = tempfile::tempdir().unwrap();
        let whole = format!("train {flags} --quiet --output whole");
        let started = Instant::now();
        succeed(folder.path(), &whole.split(' ').collect::<Vec<_>>());
        let length = started.elapsed();
        let expected = left(&folder.path().join("whole"));
        let cut = format!("train {flags} --quiet --checkpoint-every 1step --output cut");
        let path = folder.path().join("cut");
        let mut own = 0;
        while own < kills / RUNS.len() {
            let child = match is_begun(&path) {
                true => begin(folder.path(), &["train", "--resume", "cut", "--quiet"]),
                false => begin(folder.path(), &cut.split(' ').collect::<Vec<_>>()),
            };
            // Every other kill waits for a checkpoint that is being written.
            let after = (own % 2 == 0).then(|| length.mul_f64(random.share()));
            match kill(child, &path, after) {
                Some(writing) => {
                    own += 1;
                    within += usize::from(writing);
                }
                None => {
                    same(&left(&path), &expected, flags);
                    fs::remove_dir_all(&path).unwrap();
                }
            }
        }
        killed += own;
        if is_begun(&path) {
            succeed(folder.path(), &["train", "--resume", "cut", "--quiet"]);
            same(&left(&path), &expected, flags);
            let stray = fs::read_dir(&path).unwrap().flatten();
            let stray: Vec<_> = stray
                .map(|entry| entry.file_name().into_string().unwrap())
                .filter(|name| name.ends_with(".tmp") || name.contains("next"))
                .collect();
            assert!(stray.is_empty(), "{stray:?}");
        }
        println!("model {at}: {own} kills");
    }
    println!("{killed} kills, {within} of them while a checkpoint was being written");
    assert!(within > 0);
}

fn small(at: &Path, more: &[&str]) -> PathBuf {
    let fixed = "train --model two-layer-net --limit 200 --epochs 3 --quiet --output run";
    succeed(
        at,
        &[&fixed.split(' ').collect::<Vec<_>>()[..], more].concat(),
    );
    at.join("run")
}

fn failure(at: &Path, arguments: &[&str]) -> String {
    let output = run(at, arguments);
    assert!(!output.status.success(), "{arguments:?} succeeded");
    assert!(stdout(&output).is_empty());
    stderr(&output)
}

#[test]
fn an_interrupt_says_how_to_go_on() {
    let folder = tempfile::tempdir().unwrap();
    let at = folder.path();
    let flags =
        "train --model two-layer-net --limit 500 --epochs 60 --batch-size 20 --augment --output";
    let flags: Vec<&str> = flags.split(' ').collect();
    succeed(at, &[&flags[..], &["whole", "--quiet"]].concat());
    let child = begin(at, &[&flags[..], &["cut"]].concat());
    let end = Instant::now() + Duration::from_secs(60);
    let recorded = || {
        let text = fs::read_to_string(at.join("cut/metrics.jsonl")).unwrap_or_default();
        text.contains("\"kind\":\"epoch\"")
    };
    while !recorded() {
        assert!(Instant::now() < end, "no epoch ended");
        std::thread::sleep(Duration::from_millis(5));
    }
    let pid = child.id().to_string();
    let status = std::process::Command::new("kill")
        .args(["-INT", &pid])
        .status();
    assert!(status.unwrap().success());
    let output = child.wait_with_output().unwrap();
    assert_eq!(output.status.code(), Some(130), "{}", stderr(&output));
    let told = stderr(&output);
    assert!(
        told.contains("to go on: zerokara train --resume cut"),
        "{told}"
    );
    let output = run(at, &["train", "--resume", "cut"]);
    assert!(output.status.success(), "{}", stderr(&output));
    let told = stderr(&output);
    assert!(
        told.contains("going on with the run cut after step"),
        "{told}"
    );
    same(
        &left(&at.join("cut")),
        &left(&at.join("whole")),
        "after an interrupt",
    );
    // The command that began it is still known.
    let settings = fs::read_to_string(at.join("cut/run.json")).unwrap();
    let settings: serde_json::Value = serde_json::from_str(&settings).unwrap();
    assert!(
        settings["command"]
            .as_str()
            .unwrap()
            .contains("--epochs 60")
    );
    assert_eq!(settings["status"], "complete");
}

#[test]
fn a_finished_run_says_so_and_stays() {
    let folder = tempfile::tempdir().unwrap();
    let at = folder.path();
    let path = small(at, &[]);
    let before = left(&path);
    let output = run(at, &["train", "--resume", "run"]);
    assert!(output.status.success());
    assert!(
        stderr(&output).contains("there is nothing left to train"),
        "{}",
        stderr(&output)
    );
    assert!(stdout(&output).starts_with("test accuracy 0."));
    same(&left(&path), &before, "a finished run");
}

#[test]
fn what_cannot_be_gone_on_with_is_refused_in_a_sentence() {
    let folder = tempfile::tempdir().unwrap();
    let at = folder.path();
    let text = failure(at, &["train", "--resume", "latest"]);
    assert!(text.contains("train a model first"), "{text}");
    let text = failure(at, &["train", "--resume", "none"]);
    assert!(text.contains("cannot open the run none"), "{text}");
    let path = small(at, &[]);
    for more in [
        &["fashion-mnist"][..],
        &["--epochs", "9"],
        &["--seed", "1"],
        &["--checkpoint-every", "1epoch"],
        &["--output", "other"],
    ] {
        let output = run(at, &[&["train", "--resume", "run"][..], more].concat());
        assert_eq!(output.status.code(), Some(2), "{more:?}");
        assert!(
            stderr(&output).contains("cannot be used with"),
            "{}",
            stderr(&output)
        );
    }
    for wrong in ["0steps", "5", "-1epoch", "soon"] {
        let output = run(at, &["train", "--checkpoint-every", wrong]);
        assert_eq!(output.status.code(), Some(2), "{wrong}");
    }

    // Later versions, of the description and of the checkpoint.
    let settings = fs::read_to_string(path.join("run.json")).unwrap();
    let mut later: serde_json::Value = serde_json::from_str(&settings).unwrap();
    later["description"]["version"] = 3.into();
    fs::write(path.join("run.json"), later.to_string()).unwrap();
    let text = failure(at, &["train", "--resume", "run"]);
    assert!(
        text.contains("is described in version 3, and this program reads version 2"),
        "{text}"
    );
    later.as_object_mut().unwrap().remove("description");
    fs::write(path.join("run.json"), later.to_string()).unwrap();
    let text = failure(at, &["train", "--resume", "run"]);
    assert!(
        text.contains("a version that kept no checkpoints"),
        "{text}"
    );
    // Other data under the same name.
    let mut other: serde_json::Value = serde_json::from_str(&settings).unwrap();
    other["description"]["data"]["found"]["fingerprint"] = "0".into();
    fs::write(path.join("run.json"), other.to_string()).unwrap();
    let text = failure(at, &["train", "--resume", "run"]);
    assert!(
        text.contains("data.found.fingerprint is \"0\" there"),
        "{text}"
    );
    fs::write(path.join("run.json"), &settings).unwrap();
    let file = path.join("checkpoint.safetensors");
    let bytes = fs::read(&file).unwrap();
    let version = b"{\\\"version\\\":1";
    let place = bytes
        .windows(version.len())
        .position(|w| w == version)
        .unwrap();
    let mut newer = bytes.clone();
    newer[place + version.len() - 1] = b'7';
    fs::write(&file, newer).unwrap();
    let text = failure(at, &["train", "--resume", "run"]);
    assert!(
        text.contains("is of version 7, and this program reads version 1"),
        "{text}"
    );
    assert_eq!(
        text.lines().count(),
        1 + text.lines().filter(|l| !l.starts_with("error")).count()
    );
}

#[test]
fn a_damaged_checkpoint_falls_back_to_the_one_before() {
    let folder = tempfile::tempdir().unwrap();
    let at = folder.path();
    let path = small(at, &["--checkpoint-every", "1epoch"]);
    let before = left(&path);
    let file = path.join("checkpoint.safetensors");
    let bytes = fs::read(&file).unwrap();
    let mut flipped = bytes.clone();
    let middle = flipped.len() / 2;
    flipped[middle] ^= 1;
    for damaged in [&flipped[..], &bytes[..bytes.len() / 3], b""] {
        let previous = fs::read(path.join("checkpoint.previous.safetensors")).unwrap();
        fs::write(&file, damaged).unwrap();
        let output = run(at, &["train", "--resume", "run"]);
        let told = stderr(&output);
        assert!(output.status.success(), "{told}");
        assert!(told.contains("checkpoint.safetensors is damaged"), "{told}");
        assert!(
            told.contains("going on from the checkpoint before, of step 4"),
            "{told}"
        );
        same(&left(&path), &before, "after damage");
        fs::write(path.join("checkpoint.previous.safetensors"), previous).unwrap();
    }
    for name in ["checkpoint.safetensors", "checkpoint.previous.safetensors"] {
        fs::write(path.join(name), "nonsense").unwrap();
    }
    let text = failure(at, &["train", "--resume", "run", "--quiet"]);
    assert!(text.contains("the run cannot be gone on with"), "{text}");
    same(&left(&path), &before, "after a refusal");
}

#[test]
fn two_processes_do_not_train_the_same_run() {
    let folder = tempfile::tempdir().unwrap();
    let at = folder.path();
    let flags = "train --model two-layer-net --limit 500 --epochs 100000 --quiet --output run";
    let mut child = begin(at, &flags.split(' ').collect::<Vec<_>>());
    let end = Instant::now() + Duration::from_secs(60);
    while !at.join("run/model.safetensors").exists() {
        assert!(Instant::now() < end, "no epoch ended");
        std::thread::sleep(Duration::from_millis(5));
    }
    let text = failure(at, &["train", "--resume", "run", "--quiet"]);
    child.kill().unwrap();
    child.wait().unwrap();
    assert!(text.contains("another process is writing to it"), "{text}");
}

/// A file cannot become larger than so many blocks of 512 or 1024 bytes: as good as a full disk.
#[test]
fn a_full_disk_keeps_the_last_good_checkpoint() {
    let folder = tempfile::tempdir().unwrap();
    let at = folder.path();
    let flags =
        "train --model two-layer-net --limit 200 --epochs 4 --checkpoint-every 1epoch --output";
    succeed(
        at,
        &[
            &flags.split(' ').collect::<Vec<_>>()[..],
            &["whole", "--quiet"],
        ]
        .concat(),
    );
    let flags = format!("{flags} run");
    let limited = |blocks: usize, arguments: &str| {
        let program = env!("CARGO_BIN_EXE_zerokara");
        let script = format!("trap '' XFSZ; ulimit -f {blocks}; exec {program} {arguments}");
        let mut shell = std::process::Command::new("sh");
        shell
            .args(["-c", &script])
            .current_dir(at)
            .output()
            .unwrap()
    };
    // The metrics fit, neither model nor checkpoint does.
    let output = limited(64, &flags);
    let told = stderr(&output);
    assert!(!output.status.success(), "{told}");
    assert!(
        told.contains("training goes on, and what could not be written is tried again"),
        "{told}"
    );
    assert_eq!(told.matches("training goes on, and").count(), 1, "{told}");
    assert!(
        told.contains("epoch 4/4") && told.contains("error: cannot write"),
        "{told}"
    );
    let path = at.join("run");
    assert!(is_begun(&path));
    // There is room again.
    let output = run(at, &["train", "--resume", "run"]);
    assert!(output.status.success(), "{}", stderr(&output));
    same(&left(&path), &left(&at.join("whole")), "after a full disk");

    // Not even the metrics fit, after some steps; and a checkpoint lies there already, or is whole and has not got its name yet.
    let each_step = flags.replace("--checkpoint-every 1epoch", "--checkpoint-every 1step");
    let each_step: Vec<&str> = each_step.split(' ').collect();
    // A run that is over before it is seen writing is begun anew.
    let killed = (0..50).any(|_| {
        fs::remove_dir_all(&path).unwrap();
        kill(begin(at, &each_step), &path, None) == Some(true)
    });
    assert!(killed, "it always ended before it could be killed");
    let checkpoint = path.join("checkpoint.safetensors");
    let kept = fs::read(&checkpoint).ok();
    let next = fs::read(path.join("checkpoint.next.safetensors")).ok();
    let output = limited(1, "train --resume run");
    assert!(!output.status.success(), "{}", stderr(&output));
    assert!(is_begun(&path));
    let left_there = fs::read(&checkpoint).ok();
    assert!(left_there == kept || left_there == next);
    let output = run(at, &["train", "--resume", "run", "--quiet"]);
    assert!(output.status.success(), "{}", stderr(&output));
    same(
        &left(&path),
        &left(&at.join("whole")),
        "after a disk that was full all the time",
    );
}
