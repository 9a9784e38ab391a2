//! The plans of a training step of the book's networks, kept as text: what the compiler makes of them is to be read in a
//! review, with the number of kernel steps and the bytes of the arena in the first line.
//!
//! A plan follows from the graph and the description of the machine, so that each description's can be made anywhere. Kept are
//! those of AVX2 and, where they are others, of the rest.
//!
//! `ZEROKARA_UPDATE_PLANS=1 cargo test -p zerokara-nn --test plans` writes them anew.

use std::{path::PathBuf, sync::Arc};
use zerokara_core::{DType, Isa, Meta};
use zerokara_nn::{models::MultiLayerNet, *};

const BATCH: usize = 100;

/// The plan of a step of Adam.
fn plan(model: Arc<dyn Forward>, penalty: f64, isa: Isa) -> String {
    let x = Meta::new([BATCH, 1, 28, 28], DType::F32);
    let t = Meta::new([BATCH], DType::I64);
    model.build(&x, 0).unwrap();
    let loss = Arc::new(SoftmaxCrossEntropy::new());
    let step = TrainStep::new(model, loss, Arc::new(Adam::new(1e-3))).unwrap();
    step.l2_penalty(penalty).plan_text(&x, &t, isa).unwrap()
}

/// Compares the plans for all descriptions with those kept.
fn compare(name: &str, model: impl Fn() -> Arc<dyn Forward>, penalty: f64) {
    let usual = plan(model(), penalty, Isa::Avx2);
    compare_one(name, Some(&usual));
    for isa in Isa::ALL.into_iter().filter(|&isa| isa != Isa::Avx2) {
        let own = plan(model(), penalty, isa);
        let differs = (own != usual).then_some(own.as_str());
        compare_one(&format!("{name}.{}", isa.name()), differs);
    }
}

fn compare_one(name: &str, found: Option<&str>) {
    let path: PathBuf = [env!("CARGO_MANIFEST_DIR"), "tests", "plans"]
        .iter()
        .collect();
    let path = path.join(format!("{name}.txt"));
    if std::env::var_os("ZEROKARA_UPDATE_PLANS").is_some_and(|v| v == "1") {
        match found {
            Some(found) => std::fs::write(&path, found).unwrap(),
            None => drop(std::fs::remove_file(&path)),
        }
        return;
    }
    let found = found.unwrap_or_default();
    let kept = std::fs::read_to_string(&path).unwrap_or_default();
    let differ = kept
        .lines()
        .map(Some)
        .chain(std::iter::repeat(None))
        .zip(found.lines().map(Some).chain(std::iter::repeat(None)))
        .take(kept.lines().count().max(found.lines().count()))
        .enumerate()
        .find(|(_, (a, b))| a != b);
    if let Some((line, (kept, found))) = differ {
        panic!(
            "the plan of {name} has changed, first in line {}:\n  kept:  {}\n  found: {}\n\
             If that is wanted: ZEROKARA_UPDATE_PLANS=1 cargo test -p zerokara-nn --test plans",
            line + 1,
            kept.unwrap_or("(nothing)"),
            found.unwrap_or("(nothing)"),
        );
    }
}

#[test]
fn the_plans_of_the_models_are_those_kept() {
    for name in models::NAMES {
        compare(name, || models::by_name(name, 10).unwrap().into(), 0.0);
    }
    let extended = || -> Arc<dyn Forward> {
        let net = MultiLayerNet::new(&[100; 6], 10);
        Arc::new(net.batch_norm(true).dropout(0.2).layers())
    };
    compare("multi-layer-net-extended", extended, 0.1);
}

/// The arena of a step of SimpleConvNet at batch 100: the whole of training is to stay under 300 MB.
#[test]
fn simple_convnet_needs_little_memory() {
    for isa in Isa::ALL {
        let model = models::by_name("simple-convnet", 10).unwrap();
        let text = plan(model.into(), 0.0, isa);
        let first = text.lines().next().unwrap();
        let bytes: usize = first
            .split_once("arena of ")
            .and_then(|(_, rest)| rest.split(' ').next())
            .and_then(|word| word.parse().ok())
            .unwrap_or_else(|| panic!("{first}"));
        println!("{}: {first}", isa.name());
        // What takes an instruction set's place runs its plan.
        if let Some(twin) = isa.twin() {
            let model = models::by_name("simple-convnet", 10).unwrap();
            assert_eq!(plan(model.into(), 0.0, twin), text);
        }
        assert!(bytes < 100_000_000, "{}: {first}", isa.name());
    }
}
