//! A step of training allocates nothing: not the gathering of its batch, not the step, on no thread.
//!
//! The counter sees the whole process, so this binary holds one test alone.

use stats_alloc::{INSTRUMENTED_SYSTEM, Region, StatsAlloc};
use std::{
    alloc::System,
    collections::HashSet,
    sync::{Arc, Mutex},
};
use zerokara_core::{Array, DType, Meta, Runtime};
use zerokara_data::{Loader, Split};
use zerokara_nn::{
    Adam, Clipping, Forward, Optimizer, Sgd, SoftmaxCrossEntropy, TrainStep,
    models::{DeepConvNet, MultiLayerNet, SimpleConvNet, TwoLayerNet},
};

#[global_allocator]
static ALLOCATOR: &StatsAlloc<System> = &INSTRUMENTED_SYSTEM;

const BATCH: usize = 20;
const SIDE: usize = 28;

#[test]
fn steps_after_the_first_allocate_nothing() {
    let pixels: Vec<u8> = (0..60 * SIDE * SIDE).map(|i| (i % 251) as u8).collect();
    let labels = (0..60).map(|i| i % 10).collect();
    let split = Split::new(pixels, &[1, SIDE, SIDE], labels).unwrap();
    let mut loader = Loader::new(&split, BATCH).unwrap().shuffle(1);
    let deep = MultiLayerNet::new(&[100; 5], 10)
        .batch_norm(true)
        .dropout(0.5)
        .layers();
    type Network = (&'static str, Arc<dyn Forward>, Arc<dyn Optimizer>);
    let networks: [Network; 4] = [
        (
            "TwoLayerNet",
            Arc::new(TwoLayerNet::new(50, 10)),
            Arc::new(Sgd::new(0.1)),
        ),
        ("MultiLayerNet", Arc::new(deep), Arc::new(Sgd::new(0.1))),
        (
            "SimpleConvNet",
            Arc::new(SimpleConvNet::new(10)),
            Arc::new(Adam::new(1e-3)),
        ),
        (
            "DeepConvNet",
            Arc::new(DeepConvNet::new(10)),
            Arc::new(Adam::new(1e-3)),
        ),
    ];
    for threads in [1, 2] {
        Runtime::new(threads).unwrap().install();
        wait_for_threads();
        for (name, model, optimizer) in &networks {
            let found = allocations(&mut loader, model.clone(), optimizer.clone());
            assert_eq!(found, [0; 8], "{name}, {threads} threads");
        }
    }
}

/// Waits until every thread of the runtime has done something: a new one allocates when the system first runs it, which
/// on a busy machine may be some steps late.
fn wait_for_threads() {
    let runtime = Runtime::current().unwrap();
    let seen = Mutex::new(HashSet::new());
    while seen.lock().unwrap().len() < runtime.threads() {
        runtime.parallel(64, &|_| {
            seen.lock().unwrap().insert(std::thread::current().id());
            std::thread::yield_now();
        });
    }
}

/// Allocations and reallocations of each of eight steps after the first.
fn allocations(
    loader: &mut Loader,
    model: Arc<dyn Forward>,
    optimizer: Arc<dyn Optimizer>,
) -> [usize; 8] {
    let runtime = Runtime::current().unwrap();
    let x = Meta::new([BATCH, 1, SIDE, SIDE], DType::F32);
    let t = Meta::new([BATCH], DType::I64);
    model.build(&x, 0).unwrap();
    let mut step = TrainStep::new(model, SoftmaxCrossEntropy::new(), optimizer)
        .unwrap()
        .clipping(Clipping::Norm(1.0));
    // A step keeps its inputs until the next, so two buffers take turns.
    let mut buffers = [(); 2].map(|()| (Array::zeros(&x), Array::zeros(&t)));
    let mut train = |at: usize| {
        if at.is_multiple_of(loader.len()) {
            loader.set_epoch((at / loader.len()) as u64);
        }
        let (x, t) = &mut buffers[at % 2];
        let indices = loader.indices(at % loader.len()).unwrap();
        let (images, labels) = (
            x.as_mut_slice::<f32>().unwrap(),
            t.as_mut_slice::<i64>().unwrap(),
        );
        loader
            .gather_parallel(indices, images, labels, &|units, work| {
                runtime.parallel(units, work)
            })
            .unwrap();
        let found = step.step(x, t, 1e-3).unwrap();
        assert!(found.ok, "{found:?}");
    };
    train(0);
    std::array::from_fn(|i| {
        let region = Region::new(ALLOCATOR);
        train(i + 1);
        let found = region.change();
        found.allocations + found.reallocations
    })
}
