//! The same seed gives the same bits: run after run, compiled again, in another process, on any number of threads, with
//! each instruction set of this CPU.
//!
//! Each instruction set has a process of its own, since it is chosen once; that process is this test binary, told by
//! the environment to run as the child.

use std::{collections::hash_map::DefaultHasher, hash::Hasher, process::Command, sync::Arc};
use zerokara_core::{Array, Isa, Runtime, Tensor};
use zerokara_nn::{models::MultiLayerNet, *};

const CHILD: &str = "ZEROKARA_DETERMINISM_CHILD";

fn model(name: &str) -> Arc<dyn Forward> {
    match models::by_name(name, 10) {
        Some(model) => model.into(),
        None => Arc::new(
            MultiLayerNet::new(&[100; 6], 10)
                .batch_norm(true)
                .dropout(0.2)
                .layers(),
        ),
    }
}

/// Hash of the bits of losses, parameters, buffers and optimizer state after a few steps from the start.
fn train(name: &str) -> u64 {
    let model = model(name);
    let x = Tensor::uniform(11, &Tensor::from(0), [7, 1, 20, 20]);
    let x = x.eval().unwrap();
    let t = Array::new([7], vec![3i64, 0, 9, 3, 1, 2, 8]);
    model.build(&x, 5).unwrap();
    let loss = Arc::new(SoftmaxCrossEntropy::new());
    let mut step = TrainStep::new(model.clone(), loss, Arc::new(Adam::new(0.01)))
        .unwrap()
        .clipping(Clipping::Norm(1.0))
        .seed(3);
    let mut hash = DefaultHasher::new();
    let mut add = |values: &Array| {
        for value in values.to_f64s() {
            hash.write_u64(value.to_bits());
        }
    };
    for _ in 0..3 {
        let output = step.step(&x, &t, 0.01).unwrap();
        assert!(output.ok, "{name}");
        add(&Array::new([2], vec![output.loss, output.gradient_norm]));
    }
    model.state().unwrap().iter().for_each(|(_, v)| add(v));
    let state = step.optimizer_state();
    state.iter().for_each(|(_, cell)| add(&cell.value()));
    hash.finish()
}

/// In the child: one line per model with its hash, after it was the same for all numbers of threads and again.
fn child() {
    for name in models::NAMES
        .into_iter()
        .chain(["multi-layer-net-extended"])
    {
        let hashes = [1, 2, 3, 1].map(|threads| {
            Runtime::new(threads).unwrap().install();
            train(name)
        });
        assert_eq!(hashes, [hashes[0]; 4], "{name} on 1, 2, 3 and 1 threads");
        println!("{name} {}", hashes[0]);
    }
}

#[test]
fn the_same_seed_gives_the_same_bits() {
    if std::env::var_os(CHILD).is_some() {
        return child();
    }
    let run = |isa: Isa| {
        let output = Command::new(std::env::current_exe().unwrap())
            .args([
                "--exact",
                "the_same_seed_gives_the_same_bits",
                "--nocapture",
            ])
            .env(CHILD, "1")
            .env("ZEROKARA_ISA", isa.name())
            .output()
            .unwrap();
        let text = String::from_utf8_lossy(&output.stdout).into_owned();
        let errors = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "{}: {text}{errors}", isa.name());
        let names = models::NAMES
            .into_iter()
            .chain(["multi-layer-net-extended"]);
        names
            .map(|name| {
                let line = text
                    .lines()
                    .find_map(|line| line.split_once(&format!("{name} ")));
                let line = line.unwrap_or_else(|| panic!("no line for {name}: {text}"));
                (name, line.1.to_string())
            })
            .collect::<Vec<_>>()
    };
    for isa in Isa::available() {
        assert_eq!(run(isa), run(isa), "{} in two processes", isa.name());
    }
}
